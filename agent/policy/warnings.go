package policy

import (
	"fmt"
	"regexp/syntax"
	"strings"
)

// Warnings lists what is risky in the configuration, what can never match, and what is
// stricter than in Authelia; each with the path of its place.
func (r *Rules) Warnings() []*Fault {
	w := warner{rules: r, first: map[*node]int{}}
	if r.config.DefaultPolicy == Bypass {
		w.warn("access_control.default_policy", "every host of the domains that no rule names is open to everybody", "write deny and name what is public in a rule")
	}
	if len(r.rules) == 0 {
		w.warn("access_control.rules", "there is no rule: default_policy answers for every host", "")
	}
	for i := range r.config.Rules {
		w.at = entry("access_control.rules", i)
		w.rule(i, &r.config.Rules[i])
	}
	return w.found
}

type warner struct {
	rules *Rules
	found []*Fault
	at    string        // path of the rule
	first map[*node]int // the first rule that takes every request of a node
}

func (w *warner) warn(path, message, hint string) {
	w.found = append(w.found, &Fault{Path: path, Message: message, Hint: hint})
}

func (w *warner) rule(i int, in *Rule) {
	for j, s := range in.Domain {
		if strings.HasPrefix(s, "*") && !strings.HasPrefix(s, "*.") {
			w.warn(w.at+"."+entry("domain", j), cut(s)+" matches nothing: a star stands for whole labels", "write *."+cut(strings.TrimLeft(s, "*.")))
		}
	}
	for j, s := range in.DomainRegex {
		at := w.at + "." + entry("domain_regex", j)
		tree := study(s)
		if !anchored(tree, syntax.OpBeginText) || !anchored(tree, syntax.OpEndText) {
			w.warn(at, "the expression may match a part of the host", "begin it with ^ and end it with $")
		}
		w.expression(at, tree)
	}
	for j, s := range in.Resources {
		at := w.at + "." + entry("resources", j)
		tree := study(s)
		if !anchored(tree, syntax.OpBeginText) {
			w.warn(at, "the expression may match anywhere in the path", "begin it with ^")
		}
		if holds(tree, func(t *syntax.Regexp) bool {
			return t.Op == syntax.OpLiteral && strings.ContainsRune(string(t.Rune), '?')
		}) {
			w.warn(at, "asks for a question mark, but resources are held against the path alone", "use query for what stands behind it")
		}
		w.expression(at, tree)
		if holds(tree, personalGroup) {
			w.warn(at, "User and Group compare letter by letter in a path: Alice is not alice", "")
		}
	}
	if in.Policy == Bypass && len(in.Networks) > 0 {
		w.warn(w.at+".networks", "whoever comes from there is let in without signing in", "behind another proxy every client has the address of that proxy")
	}
	if in.Policy == Bypass && len(in.Query) > 0 {
		w.warn(w.at+".query", "anybody can write this query and is let in without signing in", "")
	}
	w.credentials(i, in, w.rules.rules[i])
	w.reach(i)
}

// expression warns of what is probably a slip of the pen.
func (w *warner) expression(at string, tree *syntax.Regexp) {
	if holds(tree, func(t *syntax.Regexp) bool { return t.Op == syntax.OpAnyCharNotNL || t.Op == syntax.OpAnyChar }) {
		w.warn(at, "a dot alone matches any character", `write \. for a dot`)
	}
	if holds(tree, func(t *syntax.Regexp) bool {
		return t.Op == syntax.OpCapture && !personalGroup(t) && (strings.EqualFold(t.Name, "user") || strings.EqualFold(t.Name, "group"))
	}) {
		w.warn(at, "only the names User and Group, written so, ask who the user is", "")
	}
}

func personalGroup(t *syntax.Regexp) bool {
	return t.Op == syntax.OpCapture && (t.Name == "User" || t.Name == "Group")
}

// study parses an expression that Compile has accepted.
func study(source string) *syntax.Regexp {
	tree, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		return &syntax.Regexp{Op: syntax.OpNoMatch}
	}
	return tree
}

// holds says whether some part of an expression is such; what is repeated, as in ".*",
// is not looked at unless it is more than one character.
func holds(t *syntax.Regexp, such func(*syntax.Regexp) bool) bool {
	if such(t) {
		return true
	}
	for _, s := range t.Sub {
		repeated := t.Op == syntax.OpStar || t.Op == syntax.OpPlus || t.Op == syntax.OpQuest || t.Op == syntax.OpRepeat
		if repeated && (s.Op == syntax.OpAnyCharNotNL || s.Op == syntax.OpAnyChar) {
			continue
		}
		if holds(s, such) {
			return true
		}
	}
	return false
}

// anchored says whether every match touches the beginning, or the end, of the text.
func anchored(t *syntax.Regexp, op syntax.Op) bool {
	switch t.Op {
	case op, syntax.OpNoMatch:
		return true
	case syntax.OpCapture:
		return anchored(t.Sub[0], op)
	case syntax.OpConcat:
		if op == syntax.OpBeginText {
			return anchored(t.Sub[0], op)
		}
		return anchored(t.Sub[len(t.Sub)-1], op)
	case syntax.OpAlternate:
		for _, s := range t.Sub {
			if !anchored(s, op) {
				return false
			}
		}
		return true
	}
	return false
}

// reach warns of a rule that no request gets to.
func (w *warner) reach(i int) {
	var by, outside, portals int
	named := w.rules.named[i]
	taken := 0
	for _, h := range named {
		n := w.rules.index.hosts[h.name]
		if strings.HasPrefix(h.name, ".") {
			n = w.rules.index.suffixes[h.name]
		}
		switch {
		case n == nil:
		case n.portal:
			portals++
		case n.domain == nil && !w.aboveDomain(h.name):
			outside++
		case w.taker(n) < i:
			by = w.taker(n)
			taken++
		}
	}
	switch n := len(named); {
	case n == 0:
	case portals > 0:
		w.warn(w.at, "names a portal, which is open to everybody: no rule is asked about it", "")
	case outside > 0:
		w.warn(w.at, "names a host outside of all domains: requests for it are denied before any rule", "add its domain to domains, or take it away")
	case taken == n:
		w.warn(w.at, fmt.Sprintf("can never match: %s takes every request first", w.rules.RuleName(by)), "put it further up, or take it away")
	}
}

// aboveDomain says whether a suffix holds a cookie domain.
func (w *warner) aboveDomain(suffix string) bool {
	for i := range w.rules.domains {
		if strings.HasSuffix(w.rules.domains[i].Name, suffix) {
			return true
		}
	}
	return false
}

// taker returns the first rule that matches every request of a node, or the number of
// rules.
func (w *warner) taker(n *node) int {
	if i, ok := w.first[n]; ok {
		return i
	}
	first := len(w.rules.rules)
	for c, ok := n.next(-1); ok; c, ok = n.next(c.rule) {
		r := w.rules.rules[c.rule]
		if c.met && r.methods == nil && r.networks == nil && r.subjects == nil && r.query == nil && r.resources == nil {
			first = int(c.rule)
			break
		}
	}
	w.first[n] = first
	return first
}
