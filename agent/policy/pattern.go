package policy

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// pattern is a regular expression with what can be told of its matches beforehand, so
// that most texts are judged without running it.
type pattern struct {
	re     *regexp.Regexp
	prefix string // a matching text begins with it
	suffix string // a matching text ends with it
	plain  plain
	user   int // index of the group named User; 0: none
	group  int // index of the group named Group; 0: none
}

// plain says how a pattern that needs no regular expression is held against a text.
type plain uint8

const (
	plainNone   plain = iota
	plainPrefix       // prefix alone decides
	plainExact        // prefix is the whole text
	plainSuffix       // suffix alone decides
)

// compilePattern compiles RE2; with fold, texts will be lower-case ASCII and capitals in
// the pattern mean the same as small letters.
func compilePattern(source string, fold bool) (*pattern, error) {
	if fold && lowerASCII(source) != source {
		source = "(?i)" + source
	}
	re, err := regexp.Compile(source)
	if err != nil {
		return nil, err
	}
	p := &pattern{re: re, user: max(re.SubexpIndex("User"), 0), group: max(re.SubexpIndex("Group"), 0)}
	if tree, err := syntax.Parse(source, syntax.Perl); err == nil {
		p.study(tree.Simplify(), fold)
	}
	return p, nil
}

// personal says whether the pattern asks who the user is.
func (p *pattern) personal() bool { return p.user != 0 || p.group != 0 }

// study finds the literal text at anchored ends.
func (p *pattern) study(tree *syntax.Regexp, fold bool) {
	parts := []*syntax.Regexp{tree}
	if tree.Op == syntax.OpConcat {
		parts = tree.Sub
	}
	begins := parts[0].Op == syntax.OpBeginText
	ends := parts[len(parts)-1].Op == syntax.OpEndText
	if begins {
		parts = parts[1:]
	}
	if ends && len(parts) > 0 {
		parts = parts[:len(parts)-1]
	}
	if len(parts) == 0 {
		return
	}
	if begins {
		p.prefix = literal(parts[0], fold)
	}
	if ends {
		p.suffix = literal(parts[len(parts)-1], fold)
	}
	switch {
	case len(parts) == 1 && begins && ends && p.prefix != "":
		p.plain = plainExact
	case len(parts) == 1 && begins && p.prefix != "",
		len(parts) == 2 && begins && p.prefix != "" && anything(parts[1]):
		p.plain = plainPrefix
	case len(parts) == 1 && ends && p.suffix != "",
		len(parts) == 2 && ends && p.suffix != "" && anything(parts[0]):
		p.plain = plainSuffix
	}
}

// anything says whether t is ".*", which matches whatever is left: no text here has a
// line break.
func anything(t *syntax.Regexp) bool {
	return t.Op == syntax.OpStar && (t.Sub[0].Op == syntax.OpAnyCharNotNL || t.Sub[0].Op == syntax.OpAnyChar)
}

// literal is the text of t, or "" where t is more than text.
func literal(t *syntax.Regexp, fold bool) string {
	if t.Op != syntax.OpLiteral {
		return ""
	}
	s := string(t.Rune)
	if t.Flags&syntax.FoldCase == 0 {
		return s
	}
	if !fold || strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 }) {
		return ""
	}
	return lowerASCII(s)
}

// match holds the pattern against a text. The groups User and Group must have caught the
// subject's name and one of its groups, letter by letter unless fold; while nobody is
// signed in the pattern alone is asked.
func (p *pattern) match(text string, sub *Subject, fold bool) bool {
	if !strings.HasPrefix(text, p.prefix) || !strings.HasSuffix(text, p.suffix) {
		return false
	}
	switch p.plain {
	case plainPrefix, plainSuffix:
		return true
	case plainExact:
		return len(text) == len(p.prefix)
	}
	if sub.anonymous() || !p.personal() {
		return p.re.MatchString(text)
	}
	m := p.re.FindStringSubmatchIndex(text)
	if m == nil {
		return false
	}
	same := func(caught, name string) bool { return caught == name || fold && equalFold(caught, name) }
	if i := 2 * p.user; i != 0 && (m[i] < 0 || !same(text[m[i]:m[i+1]], sub.User)) {
		return false
	}
	if i := 2 * p.group; i != 0 {
		return m[i] >= 0 && slices.ContainsFunc(sub.Groups, func(g string) bool { return same(text[m[i]:m[i+1]], g) })
	}
	return true
}
