package config

import (
	"errors"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"postern/agent/policy"
)

var (
	typeErrorLine = regexp.MustCompile(`^line (\d+): (.*)`)
	keyPath       = regexp.MustCompile(`^[a-z_][a-z0-9_-]*(?:\.[A-Za-z0-9_-]+|\[\d+\])*`)
)

// addError notes every error that err joins, each at the place its key path names.
func (d *document) addError(err error) { d.addErrorAt(nil, "", err) }

// addFurther is addError for a file that may have faults already: of what follows, only
// faults of values that stand in the file and were read well are noted, not what the
// first faults entail.
func (d *document) addFurther(err error) {
	first := len(d.faults)
	d.addError(err)
	if first == 0 {
		return
	}
	known := d.faults[:first]
	for _, f := range d.faults[first:] {
		_, written := d.places[f.Path]
		entailed := slices.ContainsFunc(known, func(k Fault) bool { return within(f.Path, k.Path) || within(k.Path, f.Path) })
		if written && !entailed {
			known = append(known, f)
		}
	}
	d.faults = known
}

// within says whether path is at or below another.
func within(path, above string) bool {
	rest, ok := strings.CutPrefix(path, above)
	return ok && (rest == "" || above == "" || rest[0] == '.' || rest[0] == '[')
}

func (d *document) addErrorAt(n *yaml.Node, path string, err error) {
	if err == nil {
		return
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			d.addErrorAt(n, path, e)
		}
		return
	}
	f := split(err)
	f.Path = d.written(f.Path)
	if f.Path == "" {
		f.Path = path
	}
	at := d.find(f.Path)
	if at == nil {
		at = n
	}
	d.fault(at, f.Path, f.Message, f.Hint)
}

// split takes an error apart into key path, message and hint.
func split(err error) Fault {
	var p *policy.Fault
	if errors.As(err, &p) {
		return Fault{Path: p.Path, Message: p.Message, Hint: p.Hint}
	}
	text := err.Error()
	path := keyPath.FindString(text)
	rest, ok := strings.CutPrefix(text[len(path):], ": ")
	root, _, _ := strings.Cut(path, ".")
	root, _, _ = strings.Cut(root, "[")
	if _, known := roots()[root]; !ok || !known {
		return Fault{Message: text}
	}
	return Fault{Path: path, Message: rest}
}

func roots() map[string]reflect.StructField {
	_, index := fields(reflect.TypeFor[Config]())
	return index
}

// find is where a key path stands, or the nearest that holds it and stands in the file.
func (d *document) find(path string) *yaml.Node {
	for path != "" {
		if p, ok := d.places[path]; ok {
			if p.value.Kind != yaml.ScalarNode && p.key != nil {
				return p.key
			}
			return p.value
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return nil
}
