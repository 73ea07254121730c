package config

import (
	"encoding"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"postern/portal/users"
)

// value decodes a node into v, which is addressable, and notes every fault on the way.
// Types that read themselves (yaml.Unmarshaler) do so; the tag is the field's.
func (d *document) value(n *yaml.Node, v reflect.Value, path string, tag reflect.StructTag) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if tag.Get("secret") != "" {
		n = d.secretValue(n, path)
	}
	if n == nil || n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		// A key without a value keeps the default, but not in the rules: there it would be a
		// criterion that somebody began to write, and the rule would match without it.
		if n != nil && strings.HasPrefix(path, "access_control.") {
			d.fault(n, path, "has no value", "give it one, or remove the key")
		}
		return
	}
	switch self := v.Addr().Interface().(type) {
	case *Secret:
		d.readSecret(n, self, path)
		return
	case *users.Config:
		d.readUsers(n, self, path)
		return
	case yaml.Unmarshaler:
		d.unmarshalError(n, path, self.UnmarshalYAML(n))
		return
	case encoding.TextUnmarshaler:
		if d.scalar(n, path, "a word") {
			d.unmarshalError(n, path, self.UnmarshalText([]byte(n.Value)))
		}
		return
	case *time.Duration:
		d.duration(n, self, path)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.value(n, v.Elem(), path, "")
	case reflect.Struct:
		d.structure(n, v, path)
	case reflect.Slice:
		d.list(n, v, path)
	case reflect.Map:
		d.mapping(n, v, path)
	default:
		d.plain(n, v, path)
	}
}

// fields maps the keys of a struct to its fields, inlined structs included, in order.
func fields(t reflect.Type) (keys []string, index map[string]reflect.StructField) {
	index = map[string]reflect.StructField{}
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case !f.IsExported() || name == "-":
		case strings.Contains(options, "inline"):
			more, inner := fields(f.Type)
			for _, key := range more {
				g := inner[key]
				g.Index = append(append([]int{}, f.Index...), g.Index...)
				keys, index[key] = append(keys, key), g
			}
		default:
			if name == "" {
				name = strings.ToLower(f.Name)
			}
			keys, index[name] = append(keys, name), f
		}
	}
	return keys, index
}

func (d *document) structure(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.fault(n, path, "must be a mapping of keys to values, not "+kind(n), "")
		return
	}
	keys, index := fields(v.Type())
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		f, known := index[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge": // index has reported it
		case !known:
			if index[Nearest(key.Value, keys)].Tag.Get("secret") != "" {
				d.hide(n.Content[i+1])
			}
			d.fault(key, join(path, key.Value), "unknown key", didYouMean(key.Value, keys))
		case !seen[key.Value]: // index has reported the second one
			d.value(n.Content[i+1], v.FieldByIndex(f.Index), join(path, key.Value), f.Tag)
		}
		seen[key.Value] = true
	}
}

func (d *document) list(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		d.fault(n, path, "must be a list, not "+kind(n), "write [ … ], or lines that begin with a hyphen")
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		d.value(item, out.Index(i), fmt.Sprintf("%s[%d]", path, i), "")
	}
	v.Set(out)
}

func (d *document) mapping(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode || v.Type().Key().Kind() != reflect.String {
		d.fault(n, path, "must be a mapping of names to values, not "+kind(n), "")
		return
	}
	out := reflect.MakeMap(v.Type())
	for i := 0; i+1 < len(n.Content); i += 2 {
		item := reflect.New(v.Type().Elem()).Elem()
		d.value(n.Content[i+1], item, join(path, n.Content[i].Value), "")
		out.SetMapIndex(reflect.ValueOf(n.Content[i].Value).Convert(v.Type().Key()), item)
	}
	v.Set(out)
}

// plain decodes a scalar into a Go scalar.
func (d *document) plain(n *yaml.Node, v reflect.Value, path string) {
	switch k := v.Kind(); {
	case k == reflect.String:
		if d.scalar(n, path, "text") {
			v.SetString(n.Value)
		}
	case k == reflect.Bool:
		if d.scalar(n, path, "true or false") {
			if n.ShortTag() != "!!bool" {
				d.fault(n, path, fmt.Sprintf("must be true or false, not %q", n.Value), "")
				return
			}
			v.SetBool(strings.EqualFold(n.Value, "true"))
		}
	case v.CanInt(), v.CanUint():
		if d.scalar(n, path, "a whole number") {
			d.whole(n, v, path)
		}
	case v.CanFloat():
		if d.scalar(n, path, "a number") {
			x, err := strconv.ParseFloat(n.Value, v.Type().Bits())
			if err != nil {
				d.fault(n, path, fmt.Sprintf("must be a number, not %q", n.Value), "")
				return
			}
			v.SetFloat(x)
		}
	default:
		d.fault(n, path, "cannot be configured", "")
	}
}

func (d *document) whole(n *yaml.Node, v reflect.Value, path string) {
	x, err := strconv.ParseInt(n.Value, 10, 64)
	switch {
	case err != nil:
		d.fault(n, path, fmt.Sprintf("must be a whole number, not %q", n.Value), "")
	case v.CanInt() && !v.OverflowInt(x):
		v.SetInt(x)
	case v.CanUint() && x >= 0 && !v.OverflowUint(uint64(x)):
		v.SetUint(uint64(x))
	default:
		d.fault(n, path, n.Value+" is out of range", "")
	}
}

func (d *document) duration(n *yaml.Node, v *time.Duration, path string) {
	if !d.scalar(n, path, "a duration") {
		return
	}
	x, err := time.ParseDuration(n.Value)
	if err == nil {
		*v = x
		return
	}
	hint := "write a number with its unit: 500ms, 30s, 15m, 12h"
	number := strings.TrimRight(n.Value, "dwMy")
	if days, err := strconv.Atoi(number); err == nil && days > 0 && days < 10_000 && strings.TrimPrefix(n.Value, number) == "d" {
		hint = fmt.Sprintf("a day has no unit of its own: write %dh", days*24)
	}
	d.fault(n, path, fmt.Sprintf("must be a duration, not %q", n.Value), hint)
}

// scalar reports whether n is a single value that may stand for want.
func (d *document) scalar(n *yaml.Node, path, want string) bool {
	if n.Kind != yaml.ScalarNode {
		d.fault(n, path, fmt.Sprintf("must be %s, not %s", want, kind(n)), "")
		return false
	}
	if want == "text" && n.ShortTag() == "!!bool" {
		d.fault(n, path, "must be text, not "+n.Value, "put it in quotes")
		return false
	}
	return true
}

func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return fmt.Sprintf("%q", n.Value)
}

// secretValue replaces {file: path} by what stands in the file, and keeps the lines of
// a secret out of faults. nil means that a fault was noted.
func (d *document) secretValue(n *yaml.Node, path string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		d.hide(n)
		return n
	}
	if len(n.Content) != 2 || n.Content[0].Value != "file" || n.Content[1].Kind != yaml.ScalarNode {
		d.fault(n, path, "must be text or {file: /path}", "")
		return nil
	}
	name := n.Content[1].Value
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(d.file), name)
	}
	data, err := readBounded(name)
	if err != nil {
		d.fault(n.Content[1], path, err.Error(), "")
		return nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: strings.TrimRight(string(data), "\r\n"), Line: n.Line, Column: n.Column}
}

// maxSecretFile bounds the file of a secret, in bytes.
const maxSecretFile = 64 << 10

// readBounded reads the file of a secret, which may be a pipe.
func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err == nil && len(data) > maxSecretFile {
		err = fmt.Errorf("%s holds more than %d bytes", name, maxSecretFile)
	}
	return data, err
}

// readSecret reads the root secret, whose file may still have to be made.
func (d *document) readSecret(n *yaml.Node, s *Secret, path string) {
	*s = Secret{}
	if n.Kind == yaml.ScalarNode {
		d.hide(n)
		s.Value = n.Value
		return
	}
	var file struct {
		File string `yaml:"file"`
	}
	d.structure(n, reflect.ValueOf(&file).Elem(), path)
	s.File = file.File
}

// unmarshalError notes what a type that reads itself did not like.
func (d *document) unmarshalError(n *yaml.Node, path string, err error) {
	if err == nil {
		return
	}
	var types *yaml.TypeError
	if !errors.As(err, &types) {
		d.addErrorAt(n, path, err)
		return
	}
	for _, message := range types.Errors {
		at := *n
		if m := typeErrorLine.FindStringSubmatch(message); m != nil {
			line, _ := strconv.Atoi(m[1])
			if line != n.Line && line > 0 && line <= len(d.lines) {
				at = yaml.Node{Line: line, Column: len(d.lines[line-1]) - len(strings.TrimLeft(d.lines[line-1], " -")) + 1}
			}
			message = m[2]
		}
		d.fault(&at, path, message, "")
	}
}
