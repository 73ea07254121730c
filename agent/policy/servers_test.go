package policy

import (
	"net/url"
	"path"
	"strings"
	"testing"
)

// servers are the ways in which applications are known to read the path they are sent.
// Whatever way it is, they must end where the rules thought that they would.
var servers = []struct {
	name string
	read func(string) string
}{
	{"takes it as it is", func(p string) string { return p }},
	{"decodes", unescapePath},
	{"decodes, then resolves (nginx, Go)", func(p string) string { return normalise(unescapePath(p)) }},
	{"resolves, then decodes", func(p string) string { return unescapePath(normalise(p)) }},
	{"cuts parameters, decodes, then resolves (Tomcat)", func(p string) string { return normalise(unescapePath(cutAllParams(p))) }},
	{"decodes, cuts parameters, then resolves", func(p string) string { return normalise(cutAllParams(unescapePath(p))) }},
	{"resolves, decodes, then cuts parameters", func(p string) string { return cutAllParams(unescapePath(normalise(p))) }},
	{"decodes twice, then resolves", func(p string) string { return normalise(unescapePath(unescapePath(p))) }},
	{"takes backslashes for slashes (IIS)", func(p string) string {
		return normalise(strings.ReplaceAll(unescapePath(p), `\`, "/"))
	}},
	{"stops at NUL", func(p string) string { s, _, _ := strings.Cut(unescapePath(p), "\x00"); return normalise(s) }},
	{"stops at a number sign", func(p string) string { s, _, _ := strings.Cut(p, "#"); return normalise(unescapePath(s)) }},
	{"takes overlong UTF-8", func(p string) string {
		return normalise(strings.NewReplacer("\xc0\xaf", "/", "\xc0\xae", ".", "\xe0\x80\xaf", "/").Replace(unescapePath(p)))
	}},
}

func unescapePath(p string) string {
	if s, err := url.PathUnescape(p); err == nil {
		return s
	}
	return p
}

// normalise resolves dot segments and merges slashes.
func normalise(p string) string {
	out := path.Clean("/" + p)
	if strings.HasSuffix(p, "/") && out != "/" || strings.HasSuffix(p, "/.") || strings.HasSuffix(p, "/..") {
		out = strings.TrimSuffix(out, "/") + "/"
	}
	return out
}

func cutAllParams(p string) string {
	parts := strings.Split(p, "/")
	for i := range parts {
		parts[i], _, _ = strings.Cut(parts[i], ";")
	}
	return strings.Join(parts, "/")
}

// serverRules are rules that overlap in every way that a path can be bent.
const serverRules = `
rules:
  - {domain: app.example.com, resources: ['^/public/', '\.css$'], policy: bypass}
  - {domain: app.example.com, resources: ['^/admin(/|$)'], policy: two_factor}
  - {domain: app.example.com, resources: ['^/[^/]+/private/'], policy: deny}
  - {domain: app.example.com, policy: one_factor}
`

// FuzzServersAgree: whoever reads the path that the application is sent, in whatever
// known way, ends under the rule that decided.
func FuzzServersAgree(f *testing.F) {
	r := compile(f, serverRules)
	for _, tt := range uncleanPaths {
		f.Add(tt.path)
		f.Add("/public" + tt.path)
	}
	for _, s := range []string{"/public/../admin", "/public;/x", "/admin;x.css", "/a;b/private/x", "/;/admin", "/admin%3b/x", "/a/%70rivate/", "/public/%2e%2e/admin",
		"/x;/../admin", "/%3b/admin", "/admin/%25", "/a%20b/private/", "/admin//", "/%E2%80%AE.css"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, p string) {
		d := r.Decide(get("app.example.com", p), nobody(), now)
		if d.Rule == BuiltinRule {
			return
		}
		sent := p
		if d.Path != "" {
			sent = d.Path
		}
		for _, s := range servers {
			read := s.read(sent)
			if s.name == "takes it as it is" && strings.Contains(read, "%") {
				continue // no rule is about encoded text
			}
			if got := ruleOf(r, read); got != d.Rule {
				t.Errorf("%q is sent as %q and decided by %s; a server that %s reads %q, which is %s's", p, sent, r.RuleName(d.Rule), s.name, read, r.RuleName(got))
			}
		}
	})
}

// ruleOf is the rule for a path as a server has read it.
func ruleOf(r *Rules, read string) int {
	for i, rule := range r.rules {
		if rule.resources == nil {
			return i
		}
		for _, p := range rule.resources {
			if p.re.MatchString(read) {
				return i
			}
		}
	}
	return DefaultRule
}

// TestEveryByteOfAPath: each of the 256 bytes, raw and encoded, is refused or means the
// same to the rules and to the application.
func TestEveryByteOfAPath(t *testing.T) {
	const hex = "0123456789ABCDEF"
	for b := range 256 {
		c := byte(b)
		raw, encoded := "/a"+string([]byte{c})+"z", "/a%"+string([]byte{hex[c>>4], hex[c&15]})+"z"
		wantRaw := c > ' ' && c < 0x7f && !strings.ContainsRune(`%\?#`, rune(c))
		wantEncoded := c >= ' ' && c < 0x7f && !strings.ContainsRune(`\/`, rune(c))
		if _, ok := checkPath(raw, false); ok != wantRaw {
			t.Errorf("%q is accepted: %v, want %v", raw, ok, wantRaw)
		}
		if _, ok := checkPath(encoded, false); ok != wantEncoded {
			t.Errorf("%q is accepted: %v, want %v", encoded, ok, wantEncoded)
		}
		lower := strings.ToLower(encoded)
		if _, ok := checkPath(lower, false); ok != wantEncoded {
			t.Errorf("%q is accepted: %v, want %v", lower, ok, wantEncoded)
		}
		if !wantEncoded {
			continue
		}
		sent := reshape(encoded)
		if got, want := decode(sent, false), "/a"+string([]byte{c})+"z"; got != want {
			t.Errorf("%q is decided on as %q, want %q", encoded, got, want)
		}
		if (sent != encoded) != isUnreserved(c) {
			t.Errorf("%q is sent as %q", encoded, sent)
		}
	}
}
