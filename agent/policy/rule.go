package policy

import (
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

// Config is `access_control` as the operator writes it. Its grammar is Authelia's, so
// that a block of theirs can be pasted in. Compile turns it, with the domains, into Rules.
type Config struct {
	DefaultPolicy Policy    `yaml:"default_policy"` // absent means deny
	Networks      []Network `yaml:"networks"`       // names for Rule.Networks
	Rules         []Rule    `yaml:"rules"`          // the first that matches decides
}

// Network gives a list of networks a name.
type Network struct {
	Name     string `yaml:"name"`
	Networks List   `yaml:"networks"` // addresses and CIDRs
}

// Rule is one entry of access_control.rules. It matches a request when every criterion
// that is there does; within a criterion one entry is enough.
type Rule struct {
	Name        string   `yaml:"name"`         // for logs; absent means its position
	Domain      List     `yaml:"domain"`       // host, *.suffix, {user}.suffix, {group}.suffix
	DomainRegex List     `yaml:"domain_regex"` // RE2 on the canonical host; groups User, Group
	Policy      Policy   `yaml:"policy"`       // must be there
	Subject     Subjects `yaml:"subject"`      // user:x, group:x; met while nobody is signed in
	Networks    List     `yaml:"networks"`     // addresses, CIDRs, names
	Methods     List     `yaml:"methods"`      // capital letters
	Resources   List     `yaml:"resources"`    // RE2 on the canonical decoded path; groups User, Group compare exactly
	Query       Query    `yaml:"query"`        // a repeated key must match with every value

	MaxAge  time.Duration `yaml:"max_age"` // how long ago the level may have been proved; 0: no limit
	Factors List          `yaml:"factors"` // second factors that count: totp, webauthn, recovery, certificate

	Credentials List `yaml:"credentials"` // what may stand in for a session: basic, token, certificate
}

// Domain is one cookie domain with its portal. It is one entry of `domains`.
type Domain struct {
	Name           string `yaml:"domain"`          // "example.com"
	Portal         string `yaml:"portal"`          // "https://auth.example.com", port allowed, no path
	Home           string `yaml:"home"`            // where to go when a sign-in has no target; may be empty
	TLS            string `yaml:"tls"`             // "" (HAProxy ends TLS) or "upstream"
	EncodedSlashes List   `yaml:"encoded_slashes"` // hosts whose paths may hold %2f
}

// List is a list of strings that may be written as a single string.
type List []string

// UnmarshalYAML reads a string or a list of strings.
func (l *List) UnmarshalYAML(n *yaml.Node) error {
	n = resolve(n)
	items, err := scalars(n)
	if err != nil {
		return err
	}
	*l = items
	return nil
}

// Subjects is a list of which one entry must fit; an entry fits when all its parts do.
type Subjects [][]string

// UnmarshalYAML reads a string, a list of strings (any of them), or a list of strings
// and lists (any of them, the inner ones whole).
func (s *Subjects) UnmarshalYAML(n *yaml.Node) error {
	n = resolve(n)
	if n.Kind != yaml.SequenceNode {
		items, err := scalars(n)
		for _, it := range items {
			*s = append(*s, []string{it})
		}
		return err
	}
	out := Subjects{}
	for _, c := range n.Content {
		items, err := scalars(resolve(c))
		if err != nil {
			return err
		}
		out = append(out, items)
	}
	*s = out
	return nil
}

// Query is a list of which one entry must fit; an entry fits when all its parts do.
type Query [][]QueryItem

// QueryItem asks one thing about one key of the query string.
type QueryItem struct {
	Operator string // present, absent, equal, not equal, pattern, not pattern; empty: equal or, without a value, present
	Key      string
	Value    string
	HasValue bool // value was written, be it empty
}

// UnmarshalYAML reads one item, a list of items (any of them), or a list of items and
// lists of items (any of them, the inner ones whole).
func (q *Query) UnmarshalYAML(n *yaml.Node) error {
	n = resolve(n)
	outer := n.Content
	if n.Kind == yaml.MappingNode {
		outer = []*yaml.Node{n}
	} else if n.Kind != yaml.SequenceNode {
		return at(n, "must be a list of items with operator, key and value")
	}
	out := Query{}
	for _, c := range outer {
		c = resolve(c)
		inner := []*yaml.Node{c}
		if c.Kind == yaml.SequenceNode {
			inner = c.Content
		}
		all := []QueryItem{}
		for _, m := range inner {
			it, err := readQueryItem(resolve(m))
			if err != nil {
				return err
			}
			all = append(all, it)
		}
		out = append(out, all)
	}
	*q = out
	return nil
}

func readQueryItem(n *yaml.Node) (QueryItem, error) {
	var it QueryItem
	if n.Kind != yaml.MappingNode {
		return it, at(n, "must be an item with operator, key and value")
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], resolve(n.Content[i+1])
		if v.Kind != yaml.ScalarNode {
			return it, at(v, k.Value+" must be a string")
		}
		switch k.Value {
		case "operator":
			it.Operator = v.Value
		case "key":
			it.Key = v.Value
		case "value":
			it.Value, it.HasValue = v.Value, v.Tag != "!!null"
		default:
			return it, at(k, "unknown key "+cut(k.Value)+"; an item has operator, key and value")
		}
	}
	return it, nil
}

// scalars reads a string as a list of one, and a list of strings as it is.
func scalars(n *yaml.Node) ([]string, error) {
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		return []string{}, nil
	case n.Kind == yaml.ScalarNode:
		return []string{n.Value}, nil
	case n.Kind != yaml.SequenceNode:
		return nil, at(n, "must be a string or a list of strings")
	}
	out := make([]string, 0, len(n.Content))
	for _, c := range n.Content {
		c = resolve(c)
		if c.Kind != yaml.ScalarNode || c.Tag == "!!null" {
			return nil, at(c, "must be a string")
		}
		out = append(out, c.Value)
	}
	return out, nil
}

// resolve follows an alias to what it stands for.
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	return n
}

// at is a fault of the YAML in the form in which yaml reports its own.
func at(n *yaml.Node, message string) error {
	return &yaml.TypeError{Errors: []string{"line " + strconv.Itoa(n.Line) + ": " + message}}
}
