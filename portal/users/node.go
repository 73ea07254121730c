package users

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

func scalar(value, tag string, style yaml.Style) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value, Style: style}
}

// sequence makes a list, in the style and with the items and comments of the old value
// as far as they stay.
func sequence(items []string, old *yaml.Node) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	var had []*yaml.Node
	if old != nil && old.Kind == yaml.SequenceNode {
		n.Style, had = old.Style, old.Content
	}
	for _, s := range items {
		item := scalar(s, "!!str", 0)
		if i := slices.IndexFunc(had, func(h *yaml.Node) bool { return resolve(h).Value == s }); i >= 0 {
			item = had[i]
		}
		n.Content = append(n.Content, item)
	}
	if len(items) == 0 {
		n.Style |= yaml.FlowStyle
	}
	return n
}

// addresses is one text for one address, as people write it, else a list.
func addresses(emails []string, old *yaml.Node) *yaml.Node {
	if len(emails) == 1 && (old == nil || old.Kind == yaml.ScalarNode) {
		return scalar(emails[0], "!!str", 0)
	}
	return sequence(emails, old)
}

// index returns where a key stands in a mapping, -1 when it does not.
func index(m *yaml.Node, key string) int {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return i
		}
	}
	return -1
}

// get returns the value of a key, nil when there is none. Aliases are not followed: an
// edit replaces them and leaves what they stand for alone.
func get(m *yaml.Node, key string) *yaml.Node {
	if i := index(m, key); i >= 0 {
		return m.Content[i+1]
	}
	return nil
}

// set replaces the value of a key and keeps the comments beside it; a new key comes last.
func set(m *yaml.Node, key string, value *yaml.Node) {
	i := index(m, key)
	if i < 0 {
		m.Content = append(m.Content, scalar(key, "!!str", 0), value)
		return
	}
	old := m.Content[i+1]
	value.HeadComment, value.LineComment, value.FootComment = old.HeadComment, old.LineComment, old.FootComment
	value.Anchor = old.Anchor
	m.Content[i+1] = value
}

// same says whether two entries mean the same.
func same(a, b *account) bool {
	return a.Name == b.Name && a.DisplayName == b.DisplayName && a.Disabled == b.Disabled &&
		a.hash.text == b.hash.text && slices.Equal(a.Emails, b.Emails) && slices.Equal(a.Groups, b.Groups)
}

// commentsOf collects the lines of all comments, sorted.
func commentsOf(n *yaml.Node) []string {
	var out []string
	var walk func(*yaml.Node)
	walk = func(n *yaml.Node) {
		for _, c := range []string{n.HeadComment, n.LineComment, n.FootComment} {
			for l := range strings.Lines(c) {
				if l = strings.TrimSpace(l); l != "" {
					out = append(out, l)
				}
			}
		}
		for _, c := range n.Content {
			walk(c)
		}
	}
	walk(n)
	slices.Sort(out)
	return out
}

// subset says whether every line of a is in b as often as in a; both are sorted.
func subset(a, b []string) bool {
	for _, l := range a {
		i, ok := slices.BinarySearch(b, l)
		if !ok {
			return false
		}
		b = b[i+1:]
	}
	return true
}

// split cuts text into lines, each with its line feed; the last one gets one.
func split(text []byte) []string {
	var out []string
	for l := range strings.Lines(string(text)) {
		if !strings.HasSuffix(l, "\n") {
			l += "\n"
		}
		out = append(out, l)
	}
	return out
}

func join(parts ...[]string) []byte {
	var b strings.Builder
	for _, p := range parts {
		for _, l := range p {
			b.WriteString(l)
		}
	}
	return []byte(b.String())
}

func indent(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

func isComment(line string) bool { return strings.HasPrefix(strings.TrimLeft(line, " \t"), "#") }
