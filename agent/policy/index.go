package policy

import (
	"cmp"
	"slices"
	"strings"
)

// index finds the rules that can match a host, so that a decision costs what the rules
// of its host cost, however many there are.
type index struct {
	hosts    map[string]*node // "www.example.com": hosts named in full
	suffixes map[string]*node // ".example.com": all hosts under it
}

// node holds the rules of one host, or of the hosts under one suffix.
type node struct {
	list    []candidate // in the order of the rules
	parent  *node       // more rules that can match; nil when list has them all
	domain  *Domain     // nil: in no cookie domain
	portal  bool
	slashes bool // paths may hold encoded slashes
}

// candidate is a rule that can match a host.
type candidate struct {
	rule int32
	met  bool // its host criterion is met; else rule.hosts must be asked
}

// flattenBudget is how many candidates of parents are copied into nodes, all together:
// it bounds memory and the time of Compile. Nodes over it ask their parents each time.
const flattenBudget = 1 << 19

// lookup returns the node of a canonical host, or nil. A host that no rule names in full
// has the node of the longest suffix.
func (x *index) lookup(host string) *node {
	if n := x.hosts[host]; n != nil {
		return n
	}
	return x.under(host)
}

// under returns the node of the longest suffix of a host, not counting the host itself.
func (x *index) under(host string) *node {
	for {
		i := strings.IndexByte(host, '.')
		if i < 0 {
			return nil
		}
		if n := x.suffixes[host[i:]]; n != nil {
			return n
		}
		host = host[i+1:]
	}
}

// next returns the first candidate after a rule, of a node and all its parents.
func (n *node) next(after int32) (c candidate, ok bool) {
	for ; n != nil; n = n.parent {
		i, _ := slices.BinarySearchFunc(n.list, after+1, func(c candidate, rule int32) int { return cmp.Compare(c.rule, rule) })
		switch {
		case i == len(n.list):
		case !ok || n.list[i].rule < c.rule:
			c, ok = n.list[i], true
		case n.list[i].rule == c.rule:
			c.met = c.met || n.list[i].met
		}
	}
	return c, ok
}

// add notes a rule; rules come in order.
func (n *node) add(rule int, met bool) {
	if k := len(n.list) - 1; k >= 0 && n.list[k].rule == int32(rule) {
		n.list[k].met = n.list[k].met || met
		return
	}
	n.list = append(n.list, candidate{int32(rule), met})
}

func (x *index) host(name string) *node   { return nodeOf(x.hosts, name) }
func (x *index) suffix(name string) *node { return nodeOf(x.suffixes, name) }

func nodeOf(m map[string]*node, name string) *node {
	n := m[name]
	if n == nil {
		n = &node{}
		m[name] = n
	}
	return n
}

// buildIndex takes the domains, already checked, and the rules with the hosts they name.
func buildIndex(domains []Domain, portals []string, rules []*rule, named [][]namedHost, budget int) *index {
	x := &index{hosts: map[string]*node{}, suffixes: map[string]*node{}}
	for i := range domains {
		d := &domains[i]
		x.host(d.Name).domain = d
		x.suffix("." + d.Name).domain = d
		x.host(portals[i]).portal = true
		for _, h := range d.EncodedSlashes {
			x.host(h).slashes = true
		}
	}
	root := &node{} // rules that can match any host
	for i := range rules {
		for _, h := range named[i] {
			switch {
			case h.name == "":
				root.add(i, h.met)
			case h.name[0] == '.':
				x.suffix(h.name).add(i, h.met)
			default:
				x.host(h.name).add(i, h.met)
			}
		}
	}
	x.link(root)
	x.flatten(rules, budget)
	return x
}

// namedHost is what a rule says about hosts: "www.example.com", ".example.com", or ""
// for any; met says that this is all it asks of the host.
type namedHost struct {
	name string
	met  bool
}

// link gives every node its parent and its cookie domain.
func (x *index) link(root *node) {
	for name, n := range x.suffixes {
		n.parent = cmp.Or(x.under(name[1:]), root)
	}
	for name, n := range x.hosts {
		n.parent = cmp.Or(x.under(name), root)
	}
	for _, m := range []map[string]*node{x.suffixes, x.hosts} {
		for _, n := range m {
			for up := n.parent; n.domain == nil && up != nil; up = up.parent {
				n.domain = up.domain
			}
		}
	}
}

// flatten copies the candidates of parents into nodes, shortest suffix first, and asks
// what can be asked beforehand: whether an expression matches a host named in full.
func (x *index) flatten(rules []*rule, budget int) {
	names := make([]string, 0, len(x.suffixes))
	for name := range x.suffixes {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
	for _, name := range names {
		x.suffixes[name].flatten(&budget, nil)
	}
	names = names[:0]
	for name := range x.hosts {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		x.hosts[name].flatten(&budget, func(c candidate) (candidate, bool) { return rules[c.rule].settle(c, name) })
	}
}

func (n *node) flatten(budget *int, settle func(candidate) (candidate, bool)) {
	cost := 0
	for up := n.parent; up != nil; up = up.parent {
		cost += len(up.list)
	}
	if cost > *budget {
		return
	}
	*budget -= cost
	merged := make([]candidate, 0, len(n.list)+cost)
	for c, ok := n.next(-1); ok; c, ok = n.next(c.rule) {
		keep := true
		if settle != nil && !c.met {
			c, keep = settle(c)
		}
		if keep {
			merged = append(merged, c)
		}
	}
	n.list, n.parent = slices.Clip(merged), nil
}

// settle asks the host criterion of a rule about a host named in full, as far as it does
// not depend on the user: it is met, can be met, or never is.
func (r *rule) settle(c candidate, host string) (candidate, bool) {
	possible := false
	everyone := &Subject{}
	for i := range r.hosts {
		h := &r.hosts[i]
		if !h.match(host, everyone) {
			continue
		}
		possible = true
		if h.kind == hostRegex && !h.re.personal() {
			c.met = true
		}
	}
	return c, possible
}
