package config

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"postern/agent/policy"
	"postern/portal/users"
)

// comments maps Type.Field of a package, and Type alone, to what its source says of it.
func comments(t *testing.T, pkgPath string) map[string]string {
	t.Helper()
	dir := filepath.Join("../../..", strings.TrimPrefix(pkgPath, "postern/"))
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if body, ok := spec.Type.(*ast.StructType); ok {
				for _, field := range body.Fields.List {
					for _, name := range field.Names {
						text := field.Comment.Text()
						if text == "" {
							text = field.Doc.Text()
						}
						found[spec.Name.Name+"."+name.Name] = strings.Join(strings.Fields(text), " ")
					}
				}
			}
			return true
		})
	}
	return found
}

// generator makes a JSON Schema of Go types, the way document.value reads them.
type generator struct {
	t    *testing.T
	said map[string]map[string]string // package path → comments
}

type object = map[string]any

func (g *generator) describe(t reflect.Type, field string) string {
	if t.PkgPath() == "" || !strings.HasPrefix(t.PkgPath(), "postern/") {
		return ""
	}
	if g.said[t.PkgPath()] == nil {
		g.said[t.PkgPath()] = comments(g.t, t.PkgPath())
	}
	return g.said[t.PkgPath()][t.Name()+"."+field]
}

func (g *generator) schema(t reflect.Type) object {
	text := object{"type": "string"}
	list := object{"anyOf": []any{text, object{"type": "array", "items": text}}}
	switch t {
	case reflect.TypeFor[time.Duration]():
		return object{"type": "string", "pattern": `^([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+$|^0$|^\$\{`}
	case reflect.TypeFor[policy.Policy]():
		return object{"enum": []any{"bypass", "one_factor", "two_factor", "deny"}}
	case reflect.TypeFor[policy.List]():
		return list
	case reflect.TypeFor[policy.Subjects]():
		return object{"anyOf": []any{text, object{"type": "array", "items": list}}}
	case reflect.TypeFor[policy.Query]():
		item := object{"type": "object", "additionalProperties": false, "required": []any{"key"}, "properties": object{
			"operator": object{"enum": []any{"present", "absent", "equal", "not equal", "pattern", "not pattern"}}, "key": text, "value": text,
		}}
		return object{"anyOf": []any{item, object{"type": "array", "items": object{"anyOf": []any{item, object{"type": "array", "items": item}}}}}}
	case reflect.TypeFor[users.Config]():
		ref := object{"$ref": "#/$defs/users"}
		return object{"anyOf": []any{ref, object{"type": "array", "minItems": 1, "items": ref}}}
	case reflect.TypeFor[Secret]():
		return object{"anyOf": []any{object{"type": "string", "minLength": 1}, fileObject()}}
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return text
	}
	switch t.Kind() {
	case reflect.Pointer:
		return g.schema(t.Elem())
	case reflect.Struct:
		return g.structure(t)
	case reflect.Slice:
		return object{"type": "array", "items": g.schema(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": g.schema(t.Elem())}
	case reflect.String:
		return text
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	}
	return object{"type": "integer"}
}

func fileObject() object {
	return object{"type": "object", "required": []any{"file"}, "additionalProperties": false, "properties": object{"file": object{"type": "string"}}}
}

func (g *generator) structure(t reflect.Type) object {
	properties := object{}
	keys, index := fields(t)
	for _, key := range keys {
		f := index[key]
		s := g.schema(f.Type)
		if f.Tag.Get("secret") != "" {
			s = object{"anyOf": []any{s, fileObject()}}
		}
		owner := t
		for _, i := range f.Index[:len(f.Index)-1] {
			owner = owner.Field(i).Type
		}
		if about := g.describe(owner, f.Name); about != "" {
			s["description"] = about
		}
		properties[key] = s
	}
	return object{"type": "object", "additionalProperties": false, "properties": properties}
}

// TestSchema holds the JSON Schema to the structs; -update writes it anew, for the program
// and for docs.
func TestSchema(t *testing.T) {
	g := &generator{t: t, said: map[string]map[string]string{}}
	root := g.schema(reflect.TypeFor[Config]())
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "postern.yml"
	root["$defs"] = object{"users": g.schema(reflect.TypeFor[users.Source]())}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(root); err != nil {
		t.Fatal(err)
	}
	for _, golden := range []string{"schema.json", "../../../docs/postern.schema.json"} {
		if *update {
			if err := errors.Join(os.MkdirAll(filepath.Dir(golden), 0o755), os.WriteFile(golden, buf.Bytes(), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(buf.Bytes(), want) {
			t.Errorf("%s differs from the structs; run go test ./cmd/postern/config -update and read the diff", golden)
		}
	}
}

// TestSchemaDescribes: a key without a word about it is no help in an editor.
func TestSchemaDescribes(t *testing.T) {
	var root object
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	rule := root["properties"].(object)["access_control"].(object)["properties"].(object)["rules"].(object)["items"].(object)["properties"].(object)
	for _, key := range []string{"domain", "subject", "networks"} {
		if d, _ := rule[key].(object)["description"].(string); d == "" {
			t.Errorf("access_control.rules[].%s has no description", key)
		}
	}
}
