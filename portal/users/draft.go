package users

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// draft is a users file that is being edited. An edit writes one key or one user anew
// and leaves every other byte of the file alone; where the file is laid out so that this
// cannot be done, the whole file is written anew. Either way the result is read again
// before it counts: the other users must be as before, and no comment may be gone.
type draft struct {
	*directory
	data []byte
}

var errLayout = errors.New("users: the layout of the file does not allow the change without loss; edit it by hand")

// rewrite writes one key of a, whose node has been changed or added, into the file: its
// own lines when the entry is in block style, else the whole entry.
func (d *draft) rewrite(a *account, key string) error {
	return d.settle(d.list, commentsOf(d.doc), func() ([]byte, bool) {
		lines := split(d.data)
		from, to, ok := d.span(lines, a)
		if !ok {
			return nil, false
		}
		i := index(a.value, key)
		k, first := a.value.Content[i], a.value.Content[0]
		if a.value.Style&yaml.FlowStyle != 0 || first.Line == a.key.Line || first.Column <= a.key.Column {
			entry, ok := d.lines(a.key, a.value)
			return join(lines[:from], entry, lines[to:]), ok
		}
		if k.Line == 0 { // new
			k.Column, from = first.Column, to
		} else {
			from = k.Line - 1
			if i+2 < len(a.value.Content) && a.value.Content[i+2].Line > 0 {
				to = a.value.Content[i+2].Line - 1
			}
			to = trim(lines, from, to, k.Column-1)
		}
		pair, ok := d.lines(k, a.value.Content[i+1])
		return join(lines[:from], pair, lines[to:]), ok
	})
}

// add appends a new entry.
func (d *draft) add(a *account) error {
	a.key, a.value = scalar(a.Name, "!!str", 0), &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	if a.Disabled {
		set(a.value, "disabled", scalar("true", "!!bool", 0))
	}
	set(a.value, "displayname", scalar(a.DisplayName, "!!str", 0))
	set(a.value, "password", scalar(a.hash.text, "!!str", yaml.DoubleQuotedStyle))
	if len(a.Emails) > 0 {
		set(a.value, "email", addresses(a.Emails, nil))
	}
	if len(a.Groups) > 0 {
		set(a.value, "groups", sequence(a.Groups, nil))
	}
	comments := commentsOf(d.doc)
	var last *account
	if len(d.list) > 0 {
		last = d.list[len(d.list)-1]
	}
	want := append(slices.Clone(d.list), a)
	m := d.mapping()
	if m.Kind != yaml.MappingNode {
		*m = yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", HeadComment: m.HeadComment, LineComment: m.LineComment, FootComment: m.FootComment}
	}
	if len(m.Content) == 0 {
		m.Style &^= yaml.FlowStyle
	}
	m.Content = append(m.Content, a.key, a.value)
	return d.settle(want, comments, func() ([]byte, bool) {
		if last == nil {
			return nil, false
		}
		lines := split(d.data)
		_, to, ok := d.span(lines, last)
		if !ok {
			return nil, false
		}
		a.key.Column = last.key.Column
		entry, ok := d.lines(a.key, a.value)
		return join(lines[:to], entry, lines[to:]), ok
	})
}

// remove takes an entry out, with the comment directly above it.
func (d *draft) remove(a *account) error {
	want := slices.DeleteFunc(slices.Clone(d.list), func(b *account) bool { return a == b })
	m, lines := d.mapping(), split(d.data)
	from, to, ok := d.span(lines, a)
	i := index(m, a.key.Value)
	m.Content = slices.Delete(m.Content, i, i+2)
	comments := commentsOf(d.doc)
	for ok && from > 0 && indent(lines[from-1]) == a.key.Column-1 && isComment(lines[from-1]) {
		from--
		if at, found := slices.BinarySearch(comments, strings.TrimSpace(lines[from])); found {
			comments = slices.Delete(comments, at, at+1) // it may hang on a neighbour's node
		}
	}
	return d.settle(want, comments, func() ([]byte, bool) {
		if !ok {
			return nil, false
		}
		return join(lines[:from], lines[to:]), true
	})
}

// settle takes the first way of writing the file that loses nothing: the small change,
// else the whole document.
func (d *draft) settle(want []*account, comments []string, small func() ([]byte, bool)) error {
	crlf := bytes.Contains(d.data, []byte("\r\n"))
	fault := errLayout
	for _, way := range []func() ([]byte, bool){small, d.whole} {
		out, ok := way()
		if !ok {
			continue
		}
		if crlf {
			out = bytes.ReplaceAll(bytes.ReplaceAll(out, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
		}
		now, err := newDirectory("users", out, d.search)
		var faults *Faults
		switch {
		case errors.As(err, &faults): // the change is not one that a file may have
			fault = errors.New("users: " + faults.List[0].Text)
		case err != nil:
			return err
		case slices.EqualFunc(now.list, want, same) && subset(comments, commentsOf(now.doc)):
			d.data = out
			return nil
		}
	}
	return fault
}

// mapping is the value of `users`.
func (d *draft) mapping() *yaml.Node {
	return resolve(get(resolve(d.doc.Content[0]), "users")) // parse has seen it
}

// whole writes the whole document.
func (d *draft) whole() ([]byte, bool) {
	step := 2
	if len(d.list) > 0 && d.mapping().Style&yaml.FlowStyle == 0 {
		step = max(2, d.list[0].key.Column-1)
	}
	return encode(d.doc, step, d.compact())
}

// lines writes one key with its value, indented as the key says. The comments above and
// below the key are left out: they stand in lines of their own.
func (d *draft) lines(key, value *yaml.Node) ([]string, bool) {
	bare := *key
	bare.HeadComment, bare.FootComment = "", ""
	step := 2
	for _, b := range d.list { // as the first user has it
		if v := b.value; v.Style&yaml.FlowStyle == 0 && len(v.Content) > 0 && v.Content[0].Column > b.key.Column {
			step = v.Content[0].Column - b.key.Column
			break
		}
	}
	text, ok := encode(&yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{&bare, value}}, step, d.compact())
	if !ok {
		return nil, false
	}
	out := split(text)
	for i, l := range out {
		if strings.TrimSpace(l) != "" {
			out[i] = strings.Repeat(" ", key.Column-1) + l
		}
	}
	return out, true
}

// compact says whether the lists of the file stand at the indent of their key.
func (d *draft) compact() bool {
	for _, a := range d.list {
		for i := 0; i+1 < len(a.value.Content); i += 2 {
			k, v := a.value.Content[i], a.value.Content[i+1]
			if v.Kind == yaml.SequenceNode && v.Style&yaml.FlowStyle == 0 && v.Line > k.Line {
				return v.Column == k.Column
			}
		}
	}
	return false
}

// span finds the lines of an entry in block style, without the comments around it.
func (d *draft) span(lines []string, a *account) (from, to int, ok bool) {
	m, col := d.mapping(), a.key.Column-1
	from = a.key.Line - 1
	if m.Style&yaml.FlowStyle != 0 || from >= len(lines) || indent(lines[from]) != col || col < 1 {
		return 0, 0, false
	}
	to = len(lines)
	for _, b := range d.list {
		if b.key.Line-1 > from {
			to = min(to, b.key.Line-1)
		}
	}
	for i := from + 1; i < to; i++ {
		if l := lines[i]; strings.TrimSpace(l) != "" && !isComment(l) && indent(l) < col {
			to = i // the end of the document
		}
	}
	return from, trim(lines, from, to, col), true
}

// trim gives back the empty lines at the end of a span that begins at from, and the
// comments that are indented no deeper than its key: they belong to what follows.
func trim(lines []string, from, to, col int) int {
	for to > from+1 {
		if l := lines[to-1]; strings.TrimSpace(l) != "" && !(isComment(l) && indent(l) <= col) {
			break
		}
		to--
	}
	return to
}

func encode(n *yaml.Node, step int, compact bool) ([]byte, bool) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(step)
	if compact {
		e.CompactSeqIndent()
	}
	if e.Encode(n) != nil || e.Close() != nil {
		return nil, false
	}
	return b.Bytes(), true
}
