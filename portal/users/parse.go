package users

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/text/unicode/norm"
)

// maxFile is the largest users file, in bytes; some 100,000 users fit.
const maxFile = 64 << 20

// Fault is one thing wrong with the file. It never quotes a hash.
type Fault struct {
	Line, Column int // from 1; 0 when unknown
	Text         string
}

// Faults is everything wrong with a users file, in the order of the file.
type Faults struct {
	Path string
	List []Fault
}

// Error is one line for each fault: path:line:column: text.
func (f *Faults) Error() string {
	var b strings.Builder
	for i, x := range f.List {
		if i > 0 {
			b.WriteByte('\n')
		}
		if x.Line == 0 {
			fmt.Fprintf(&b, "%s: %s", f.Path, x.Text)
		} else {
			fmt.Fprintf(&b, "%s:%d:%d: %s", f.Path, x.Line, x.Column, x.Text)
		}
	}
	return b.String()
}

// others are the keys of the format that Postern does not use; they are kept as they are.
const others = " given_name family_name middle_name nickname gender birthdate website profile picture zoneinfo locale phone_number phone_extension address extra "

// account is a User with what his file entry says beyond that.
type account struct {
	User
	hash       *hashed
	key, value *yaml.Node
}

// parser collects accounts and faults of one file.
type parser struct {
	faults   []Fault
	accounts []*account
	hashes   map[string]*hashed // equal texts are read once
}

// parse reads a users file. The document comes back for edits; the error is a *Faults.
func parse(path string, data []byte) ([]*account, *yaml.Node, error) {
	p := &parser{hashes: map[string]*hashed{}}
	doc := p.document(data)
	if doc != nil {
		p.root(doc)
	}
	if len(p.faults) > 0 {
		slices.SortStableFunc(p.faults, func(a, b Fault) int {
			if a.Line != b.Line {
				return a.Line - b.Line
			}
			return a.Column - b.Column
		})
		return nil, nil, &Faults{Path: path, List: p.faults}
	}
	return p.accounts, doc, nil
}

func (p *parser) fault(n *yaml.Node, format string, args ...any) {
	f := Fault{Text: fmt.Sprintf(format, args...)}
	if n != nil {
		f.Line, f.Column = n.Line, n.Column
	}
	p.faults = append(p.faults, f)
}

// document reads the one YAML document.
func (p *parser) document(data []byte) *yaml.Node {
	if len(data) > maxFile {
		p.fault(nil, "larger than %d MiB", maxFile>>20)
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	err := dec.Decode(&doc)
	switch {
	case errors.Is(err, io.EOF), err == nil && len(doc.Content) == 0:
		p.fault(nil, "empty; it must begin with `users:`")
		return nil
	case err != nil:
		p.syntax(err)
		return nil
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		if err != nil {
			p.syntax(err)
		} else {
			p.fault(&more, "a second YAML document; one is the limit")
		}
		return nil
	}
	return &doc
}

// syntax turns yaml's error, whose text begins with "yaml: line N: ", into a fault.
func (p *parser) syntax(err error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	f := Fault{Text: text}
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if num, msg, ok := strings.Cut(rest, ": "); ok {
			if n, err := strconv.Atoi(num); err == nil {
				f = Fault{Line: n, Column: 1, Text: "not YAML: " + msg}
			}
		}
	}
	p.faults = append(p.faults, f)
}

// root reads the top of the file: the key `users` and nothing else.
func (p *parser) root(doc *yaml.Node) {
	top := resolve(doc.Content[0])
	if top.Kind != yaml.MappingNode {
		p.fault(top, "must begin with `users:`")
		return
	}
	seen := false
	for key, value := range p.pairs(top) {
		if key.Value != "users" {
			p.fault(key, "unknown key %q; only `users` stands here", clip(key.Value, 40))
			continue
		}
		seen = true
		p.users(value)
	}
	if !seen {
		p.fault(top, "has no key `users`")
	}
}

// pairs yields the keys and values of a mapping and faults keys that are doubled, merged
// or not text. Values come with aliases resolved.
func (p *parser) pairs(m *yaml.Node) func(func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		seen := map[string]int{}
		for i := 0; i+1 < len(m.Content); i += 2 {
			key, value := m.Content[i], m.Content[i+1]
			switch {
			case key.Kind != yaml.ScalarNode:
				p.fault(key, "a key must be plain text")
				continue
			case key.Tag == "!!merge":
				p.fault(key, "merge keys (`<<`) are not read here; write the keys out")
				continue
			case seen[key.Value] > 0:
				p.fault(key, "the key %q stands in line %d already", clip(key.Value, 40), seen[key.Value])
				continue
			}
			seen[key.Value] = key.Line
			if !yield(key, resolve(value)) {
				return
			}
		}
	}
}

func (p *parser) users(m *yaml.Node) {
	if m.Kind == yaml.ScalarNode && m.Tag == "!!null" {
		return
	}
	if m.Kind != yaml.MappingNode {
		p.fault(m, "`users` must be a mapping from names to people")
		return
	}
	folded := map[string]*account{}
	for key, value := range p.pairs(m) {
		a := &account{key: key, value: value}
		a.Name = norm.NFC.String(key.Value)
		if err := checkName(a.Name, ",:"); err != nil {
			p.fault(key, "%v", err)
		} else if b := folded[fold(a.Name)]; b != nil {
			p.fault(key, "the name %q is the same as %q in line %d when case and spelling of characters do not count; one of them must go", a.Name, b.Name, b.key.Line)
		} else {
			folded[fold(a.Name)] = a
		}
		p.user(a, value)
		p.accounts = append(p.accounts, a)
	}
}

func (p *parser) user(a *account, m *yaml.Node) {
	if m.Kind != yaml.MappingNode {
		p.fault(m, "the user %q must be a mapping with at least `password`", a.Name)
		return
	}
	password := false
	for key, value := range p.pairs(m) {
		switch key.Value {
		case "password":
			password = true
			p.password(a, value)
		case "displayname":
			a.DisplayName = p.text(key, value)
			if err := checkText(a.DisplayName); err != nil {
				p.fault(value, "displayname: %v", err)
			}
		case "email":
			a.Emails = p.list(key, value, checkEmail)
		case "groups":
			a.Groups = p.list(key, value, checkGroup)
		case "disabled":
			a.Disabled = p.flag(key, value)
		default:
			if !strings.Contains(others, " "+key.Value+" ") {
				p.fault(key, "unknown key %q%s", clip(key.Value, 40), hint(key.Value))
			}
		}
	}
	if !password {
		p.fault(a.key, "the user %q has no `password`", a.Name)
	}
	if a.DisplayName == "" {
		a.DisplayName = a.Name
	}
}

// hint names the key that was probably meant.
func hint(key string) string {
	meant := map[string]string{
		"name": "displayname", "display_name": "displayname", "displayName": "displayname",
		"mail": "email", "emails": "email", "group": "groups", "hash": "password",
		"disable": "disabled", "enabled": "disabled", "passwort": "password",
	}[key]
	if meant == "" {
		return "; known are password, displayname, email, groups, disabled"
	}
	return fmt.Sprintf("; did you mean %q?", meant)
}

func (p *parser) password(a *account, n *yaml.Node) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
		p.fault(n, "password: must be a hash in text")
		return
	}
	if h := p.hashes[n.Value]; h != nil {
		a.hash = h
		return
	}
	h, err := parseHash(n.Value)
	if err != nil {
		p.fault(n, "password: %v", err)
		return
	}
	p.hashes[n.Value], a.hash = h, h
}

// text reads a scalar as it is written: `displayname: 007` is text too.
func (p *parser) text(key, n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode {
		p.fault(n, "%s: must be text", key.Value)
		return ""
	}
	if n.Tag == "!!null" {
		return ""
	}
	return norm.NFC.String(n.Value)
}

func (p *parser) flag(key, n *yaml.Node) bool {
	var on bool
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" || n.Decode(&on) != nil {
		p.fault(n, "%s: must be true or false", key.Value)
	}
	return on
}

// list reads one text or a sequence of them; null and "" are none.
func (p *parser) list(key, n *yaml.Node, check func(string) error) []string {
	items := []*yaml.Node{n}
	switch {
	case n.Kind == yaml.SequenceNode:
		items = n.Content
	case n.Kind != yaml.ScalarNode:
		p.fault(n, "%s: must be text or a list of texts", key.Value)
		return nil
	case n.Tag == "!!null" || n.Value == "":
		return nil
	}
	var out []string
	for _, item := range items {
		item = resolve(item)
		if item.Kind != yaml.ScalarNode || item.Tag == "!!null" {
			p.fault(item, "%s: must be a list of texts", key.Value)
			continue
		}
		s := norm.NFC.String(item.Value)
		if err := check(s); err != nil {
			p.fault(item, "%s: %v", key.Value, err)
		} else if slices.Contains(out, s) {
			p.fault(item, "%s: %q stands here twice", key.Value, s)
		} else {
			out = append(out, s)
		}
	}
	return out
}

// resolve follows an alias; yaml has checked that it leads somewhere.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}
