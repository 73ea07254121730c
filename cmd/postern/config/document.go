package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxNodes bounds the walk over a document, so that aliases of aliases end somewhere.
const maxNodes = 300_000

// maxDepth bounds how deep it goes, so that an alias to what holds it ends as well.
const maxDepth = 32

// maxFaults is how many faults are worth reading at once.
const maxFaults = 100

// place is where a key path stands in the file. key is nil for elements of lists.
type place struct{ key, value *yaml.Node }

// document is one YAML file on its way into a Config.
type document struct {
	file   string
	lines  []string
	lookup func(string) (string, bool)
	places map[string]place
	secret map[int]int // lines that hold a secret → the column from which they are not shown
	nodes  int         // visited so far
	depth  int         // of the node being visited
	faults []Fault
}

// read parses data and decodes it into c, and says whether it is YAML that can be looked
// at any further; what is wrong goes to d.faults.
func (d *document) read(data []byte, c *Config) bool {
	d.places, d.secret = map[string]place{}, map[int]int{}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var root yaml.Node
	if err := dec.Decode(&root); errors.Is(err, io.EOF) {
		return true
	} else if err != nil {
		d.syntax(err)
		return false
	}
	var more yaml.Node
	if err := dec.Decode(&more); err == nil {
		d.fault(&more, "", "a second document begins here; postern reads one", "")
		return false
	} else if !errors.Is(err, io.EOF) {
		d.syntax(err)
		return false
	}
	if len(root.Content) == 0 {
		return true
	}
	d.index(root.Content[0], nil, "")
	if d.nodes < maxNodes {
		d.value(root.Content[0], reflect.ValueOf(c).Elem(), "", "")
	}
	return d.nodes < maxNodes
}

var syntaxLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)

// syntax reports what the YAML parser says, which knows a line at best.
func (d *document) syntax(err error) {
	message := err.Error()
	line := 0
	if m := syntaxLine.FindStringSubmatch(message); m != nil {
		line, _ = strconv.Atoi(m[1])
		message = m[2]
	}
	f := Fault{File: d.file, Message: "not YAML: " + message}
	if line > 0 && line <= len(d.lines) {
		f.Line, f.Source = line, d.lines[line-1]
		f.Column = len(f.Source) - len(strings.TrimLeft(f.Source, " \t")) + 1
	}
	if i := line - 1; i >= 0 && i < len(d.lines) && strings.HasPrefix(strings.TrimLeft(d.lines[i], " "), "\t") {
		f.Hint = "indent with spaces, not with tabs"
	}
	d.faults = append(d.faults, f)
}

// index notes where every key path stands, expands environment variables, and refuses
// keys that come twice.
func (d *document) index(n, key *yaml.Node, path string) {
	d.nodes++
	d.depth++
	defer func() { d.depth-- }()
	switch {
	case d.depth > maxDepth:
		d.fault(n, "", "is nested too deep, or an alias holds itself", "")
		d.nodes = maxNodes // enough
		return
	case d.nodes == maxNodes:
		d.fault(n, path, "the file is too large, or its aliases multiply", "")
		return
	case d.nodes > maxNodes:
		return
	}
	if _, twice := d.places[path]; !twice {
		d.places[path] = place{key, n}
	}
	switch n.Kind {
	case yaml.AliasNode:
		d.index(n.Alias, key, path)
	case yaml.ScalarNode:
		d.expand(n, path)
	case yaml.SequenceNode:
		for i, item := range n.Content {
			d.index(item, nil, fmt.Sprintf("%s[%d]", path, i))
		}
	case yaml.MappingNode:
		d.indexMapping(n, path)
	}
}

func (d *document) indexMapping(n *yaml.Node, path string) {
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := join(path, key.Value)
		switch {
		case key.Kind != yaml.ScalarNode:
			d.fault(key, path, "a key must be a word", "")
			continue
		case key.ShortTag() == "!!merge":
			d.fault(key, path, "merge keys (<<) are not read", "write the keys out, or use an alias for the whole value")
			continue
		}
		if line, twice := first[key.Value]; twice {
			d.fault(key, at, fmt.Sprintf("the key stands in line %d already", line), "")
			continue
		}
		first[key.Value] = key.Line
		d.index(value, key, at)
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

var variable = regexp.MustCompile(`\$?\$\{[A-Za-z_][A-Za-z0-9_]*\}`)

// expand puts environment variables in place of ${NAME}; $${NAME} stands for itself.
func (d *document) expand(n *yaml.Node, path string) {
	if !strings.Contains(n.Value, "${") {
		return
	}
	expanded := variable.ReplaceAllStringFunc(n.Value, func(s string) string {
		if strings.HasPrefix(s, "$$") {
			return s[1:]
		}
		name := s[2 : len(s)-1]
		value, ok := d.lookup(name)
		if !ok {
			d.fault(n, path, fmt.Sprintf("the environment variable %s is not set", name), "to mean the text itself, write $"+s)
		}
		return value
	})
	if expanded != n.Value && n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0 {
		n.Tag = "" // "${PORT}" may have become a number
	}
	n.Value = expanded
}

// fault notes what is wrong at a node.
func (d *document) fault(n *yaml.Node, path, message, hint string) {
	if len(d.faults) >= maxFaults {
		return
	}
	f := Fault{File: d.file, Path: path, Message: message, Hint: hint}
	if n != nil && n.Line > 0 && n.Line <= len(d.lines) {
		f.Line, f.Column, f.Source = n.Line, n.Column, strings.TrimRight(d.lines[n.Line-1], "\r")
		f.Width = d.width(n)
	}
	d.faults = append(d.faults, f)
}

// hide keeps a value out of the lines that faults show.
func (d *document) hide(n *yaml.Node) {
	if at, known := d.secret[n.Line]; !known || n.Column < at {
		d.secret[n.Line] = n.Column
	}
}

// mask takes the secrets out of the line of a fault. It is done last: a secret may stand
// behind what was found first.
func (d *document) mask(f *Fault) {
	at, known := d.secret[f.Line]
	line := []rune(f.Source)
	if !known || at < 1 || at-1 > len(line) {
		return
	}
	const instead = "(not shown)"
	f.Source = string(line[:at-1]) + instead
	switch {
	case f.Column == at:
		f.Width = len(instead)
	case f.Column > at:
		f.Width = 1
	}
}

// width is how many characters of its line a node takes; 1 when that is not plain to see.
func (d *document) width(n *yaml.Node) int {
	rest := []rune(d.lines[n.Line-1])
	if n.Kind != yaml.ScalarNode || n.Column-1 >= len(rest) {
		return 1
	}
	rest = rest[n.Column-1:]
	raw := []rune(n.Value)
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		if end := slices.Index(rest[1:], rest[0]); end >= 0 {
			return end + 2
		}
		return 1
	}
	if len(raw) > 0 && len(raw) <= len(rest) && slices.Equal(raw, rest[:len(raw)]) {
		return len(raw)
	}
	return 1
}
