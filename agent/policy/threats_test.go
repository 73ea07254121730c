package policy

import (
	"strings"
	"testing"
	"time"
)

// Each test is a class of bug that products like this one have shipped, by its number
// in the project's list of threats.

const threatRules = `
default_policy: deny
rules:
  - {domain: app.example.com, resources: ['^/public(/.*)?$'], policy: bypass}
  - {domain: app.example.com, resources: ['^/admin(/.*)?$'], policy: two_factor}
  - {domain: app.example.com, policy: one_factor}
`

func TestThreat08BypassNeedsACleanPath(t *testing.T) {
	r := compile(t, `rules: [{domain: '*.example.com', policy: bypass}]`)
	for _, tt := range uncleanPaths {
		if d := r.Decide(get("app.example.com", tt.path), alice(LevelTwo), now); d.Verdict != VerdictDeny {
			t.Errorf("%s: %v", tt.name, d.Verdict)
		}
	}
}

func TestThreat08PathNormalisation(t *testing.T) {
	r := compile(t, threatRules)
	for _, path := range []string{
		"/public/../admin", "/public/%2e%2e/admin", "/public/.%2E/admin", "/public//../admin", "/public/..//admin", "//admin",
		"/./admin", "/%61dmin", "/x/../admin/", "/admin/.", "/admin/%2e", "/public/x/../../admin",
		"/public/..;/admin", "/public/..%3b/admin", "/public;/../admin", "/public/%2e%2e%2fadmin", "/public/..%5cadmin", `/public/..\admin`,
		"/public/%252e%252e/admin", "/%2561dmin", "/public/..%c0%afadmin", "/public/%e0%80%ae%e0%80%ae/admin", "/admin%00", "/admin;x",
		"/admin;/public", "/;/admin", "/public%2f..%2fadmin", "public/../admin", "/public/..%252fadmin", "/public\t/../admin",
	} {
		// With one factor the only open door is what is neither public nor admin.
		d := r.Decide(get("app.example.com", path), alice(LevelOne), now)
		if d.Verdict == VerdictAllow {
			t.Errorf("%s: allowed by %s", path, r.RuleName(d.Rule))
		}
		if d.Rule == 0 {
			t.Errorf("%s: taken for a public path", path)
		}
	}
}

func TestThreat09Fragment(t *testing.T) {
	r := compile(t, threatRules)
	for _, path := range []string{"/admin#/public", "/public#/../admin", "/#"} {
		if d := r.Decide(get("app.example.com", path), alice(LevelTwo), now); d.Reason != ReasonUncleanPath {
			t.Errorf("%s: %v (%s)", path, d.Verdict, d.Reason)
		}
	}
}

func TestThreat10QueryMatchedByPathExpression(t *testing.T) {
	r := compile(t, `rules: [{domain: app.example.com, resources: ['/public', '\?ok$'], policy: bypass}]`)
	for _, query := range []string{"/public", "x=/public", "ok"} {
		req := get("app.example.com", "/admin")
		req.Query = query
		if d := r.Decide(req, nobody(), now); d.Verdict == VerdictAllow {
			t.Errorf("?%s opens /admin", query)
		}
	}
}

func TestThreat11PatternsThatMatchMore(t *testing.T) {
	r := compile(t, `rules: [{domain_regex: 'app.example.com', resources: ['/public'], policy: bypass}]`)
	var got []string
	for _, f := range r.Warnings() {
		got = append(got, f.Message)
	}
	for _, want := range []string{"part of the host", "a dot alone", "anywhere in the path"} {
		if !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("no warning of %q in %q", want, got)
		}
	}
}

func TestThreat12HostSpelling(t *testing.T) {
	r := compile(t, `
default_policy: bypass
rules:
  - {domain: exact.example.com, policy: deny}
  - {domain: '*.Wild.example.com', policy: deny}
  - {domain_regex: '^Regex\.example\.com$', policy: deny}
  - {domain: '{user}.own.example.com', policy: deny}
`)
	for _, host := range []string{"exact", "a.wild", "regex", "alice.own"} {
		host += ".example.com"
		for _, spelling := range []string{host, strings.ToUpper(host), host + ".", host + ":443", strings.ToUpper(host) + ".:8443"} {
			if d := r.Decide(get(spelling, "/"), alice(LevelTwo), now); d.Verdict != VerdictDeny || d.Reason != ReasonDenied {
				t.Errorf("%s: %v (%s)", spelling, d.Verdict, d.Reason)
			}
		}
		for _, other := range []string{host + "..", "[" + host + "]", host + ":", host + "%2e", host + "\u3002"} {
			if d := r.Decide(get(other, "/"), alice(LevelTwo), now); d.Reason != ReasonBadHost {
				t.Errorf("%s: %v (%s)", other, d.Verdict, d.Reason)
			}
		}
	}
}

func TestThreat13DoubledHost(t *testing.T) {
	r := compile(t, `rules: [{domain: public.example.com, policy: bypass}]`)
	for _, host := range []string{"public.example.com,app.example.com", "public.example.com, public.example.com", "app.example.com public.example.com"} {
		if d := r.Decide(get(host, "/"), nobody(), now); d.Reason != ReasonBadHost {
			t.Errorf("%s: %v (%s)", host, d.Verdict, d.Reason)
		}
	}
}

func TestThreat14UnknownHostAndMisspeltKeys(t *testing.T) {
	r := compile(t, `default_policy: bypass`)
	for _, host := range []string{"example.org", "example.com.evil.org", "notexample.com", "localhost"} {
		if d := r.Decide(get(host, "/"), alice(LevelTwo), now); d.Verdict != VerdictDeny {
			t.Errorf("%s: %v", host, d.Verdict)
		}
	}
	if d := compile(t, `rules: []`).Decide(get("app.example.com", "/"), alice(LevelTwo), now); d.Verdict != VerdictDeny {
		t.Errorf("without rules and default: %v", d.Verdict)
	}
	if got := faults(t, []Domain{exampleDomain}, Config{Rules: []Rule{{Domain: List{"a.example.com"}, Methods: List{"POSt "}, Policy: Deny}}}); len(got) != 1 {
		t.Errorf("a method with a space: %v", got)
	}
}

func TestThreat16PrefixConfusion(t *testing.T) {
	r := compile(t, threatRules)
	for _, path := range []string{"/publicity", "/public.bak", "/.public", "/public-x/"} {
		if d := r.Decide(get("app.example.com", path), nobody(), now); d.Verdict == VerdictAllow {
			t.Errorf("%s is taken for /public", path)
		}
	}
	for _, host := range []string{"xauth.example.com", "auth.example.com.app.example.com", "auth-example.com"} {
		if d := r.Decide(get(host, "/"), nobody(), now); d.Verdict == VerdictAllow {
			t.Errorf("%s is taken for the portal", host)
		}
	}
}

func TestThreat17OddMethods(t *testing.T) {
	r := compile(t, `
default_policy: bypass
rules: [{domain: app.example.com, methods: [GET, POST, OPTIONS], policy: two_factor}]
`)
	for _, method := range []string{"get", "Get", "GET ", " GET", "G\x00ET", "", "-", "GET\n", "POST/", strings.Repeat("A", 33)} {
		req := get("app.example.com", "/")
		req.Method = method
		if d := r.Decide(req, nobody(), now); d.Reason != ReasonBadMethod {
			t.Errorf("%q: %v (%s)", method, d.Verdict, d.Reason)
		}
	}
	req := get("app.example.com", "/")
	req.Method, req.Origin, req.PreflightMethod = "OPTIONS", "https://evil.example", "GET"
	if d := r.Decide(req, nobody(), now); d.Verdict == VerdictAllow {
		t.Error("a preflight passes where the rule asks for two factors")
	}
	for _, method := range []string{"CONNECT", "OPTIONS"} {
		req := get("app.example.com", "")
		req.Method = method
		if d := r.Decide(req, alice(LevelTwo), now); d.Verdict != VerdictDeny {
			t.Errorf("%s without a path: %v", method, d.Verdict)
		}
	}
}

func TestThreat18TrustedNetworkIsWarnedOf(t *testing.T) {
	r := compile(t, `rules: [{domain: app.example.com, networks: 10.0.0.0/8, policy: bypass}]`)
	if w := r.Warnings(); len(w) != 1 || w[0].Path != "access_control.rules[0].networks" {
		t.Errorf("warnings %v", w)
	}
	req := get("app.example.com", "/")
	req.Addr = addrOf("")
	if d := r.Decide(req, nobody(), now); d.Verdict == VerdictAllow {
		t.Error("no address counts as a trusted one")
	}
}

func TestThreat35NameSpelling(t *testing.T) {
	r := compile(t, `
rules:
  - {domain: app.example.com, subject: ['user:kim', 'group:ops'], policy: one_factor}
  - {domain: '{user}.own.example.com', policy: one_factor}
  - {domain: files.example.com, resources: '^/(?P<User>[^/]+)/', policy: one_factor}
`)
	for _, user := range []string{"Kim", "KIM", "\u212aim", "kim ", "kim@example.com", "kım"} {
		sub := &Subject{User: user, Groups: []string{"Ops", "ops "}, Level: LevelOne}
		if d := r.Decide(get("app.example.com", "/"), sub, now); d.Verdict == VerdictAllow {
			t.Errorf("user %q passes for kim", user)
		}
		if d := r.Decide(get("files.example.com", "/kim/x"), sub, now); d.Verdict == VerdictAllow {
			t.Errorf("user %q opens the files of kim", user)
		}
		folded := strings.EqualFold(user, "kim") && len(user) == 3 // a host has no capitals
		if d := r.Decide(get("kim.own.example.com", "/"), sub, now); (d.Verdict == VerdictAllow) != folded {
			t.Errorf("user %q on the host of kim: %v", user, d.Verdict)
		}
	}
}

func TestThreat42StepUpByAWeakerProof(t *testing.T) {
	r := compile(t, `rules: [{domain: app.example.com, policy: two_factor, max_age: 5m, factors: [totp, webauthn]}]`)
	sub := &Subject{User: "alice", Level: LevelTwo, Proofs: proofs(time.Hour, TOTP)}
	for _, f := range []Factor{Password, Mail, Recovery, Certificate} {
		sub.Proofs[f] = now.Unix()
		if d := r.Decide(get("app.example.com", "/"), sub, now); d.Verdict != VerdictStepUp {
			t.Errorf("a fresh %s: %v", f, d.Verdict)
		}
	}
	sub.Proofs[WebAuthn] = now.Unix()
	if d := r.Decide(get("app.example.com", "/"), sub, now); d.Verdict != VerdictAllow {
		t.Errorf("a fresh passkey: %v", d.Verdict)
	}
}

func TestThreat69RulesRunNoCode(t *testing.T) {
	// Back-tracking engines never come back from this one.
	r := compile(t, `rules: [{domain: app.example.com, resources: '^/(a+)+$', policy: bypass}]`)
	if d := r.Decide(get("app.example.com", "/"+strings.Repeat("a", 15000)+"!"), nobody(), now); d.Verdict == VerdictAllow {
		t.Error("allowed")
	}
	for _, s := range []string{`^/(?=x)`, `^/(a)\1`, `^/(?{exec})`} {
		if got := faults(t, []Domain{exampleDomain}, Config{Rules: []Rule{{Domain: List{"a.example.com"}, Resources: List{s}, Policy: Deny}}}); len(got) != 1 {
			t.Errorf("%s: %v", s, got)
		}
	}
}

// FuzzDecide: no request panics; what is allowed has a clean host of a domain, a method,
// a clean path; the verdict does not depend on how host and path are spelled; and who is
// signed in is never asked to sign in.
func FuzzDecide(f *testing.F) {
	r := compile(f, threatRules+`
  - {domain: ['*.any.example.com', '{user}.own.example.com'], policy: one_factor}
  - {domain_regex: '(?P<Group>\w+)-x\.', query: {operator: not pattern, key: a, value: b}, policy: one_factor}
`)
	for _, tt := range uncleanPaths {
		f.Add("GET", "app.example.com", tt.path, "a=b", byte(1))
	}
	f.Add("POST", "DEV-x.example.com.:1", "/public/../a;b%20", "a=%62&c", byte(2))
	f.Add("GET", "alice.own.example.com", "//x/./%61", "a;b", byte(0))
	f.Fuzz(func(t *testing.T, method, host, path, query string, level byte) {
		req := &Request{Method: method, Host: host, Path: path, Query: query, TLS: true, FetchMode: "navigate"}
		sub := alice(Level(level % 3))
		d := r.Decide(req, sub, now)
		if d.Verdict == VerdictError || d.Reason == "" {
			t.Fatalf("no decision: %+v", d)
		}
		if d.Verdict == VerdictLogin && sub.Level > Anonymous {
			t.Fatalf("alice is asked to sign in: %+v", d)
		}
		if e, _ := r.Explain(req, sub, now); e != d {
			t.Fatalf("explained %+v, decided %+v", e, d)
		}
		if d.Rule == BuiltinRule {
			return
		}
		name, ok := canonicalHost(host)
		_, clean := checkPath(path, false)
		if !ok || !clean || !isMethod(method) || d.Domain == nil || r.DomainOf(host) != d.Domain {
			t.Fatalf("an unclean request got as far as the rules: %+v", d)
		}
		again := *req
		again.Host = name
		if d.Path != "" {
			again.Path = d.Path
		}
		e := r.Decide(&again, sub, now)
		if d.Path = ""; e != d {
			t.Fatalf("canonical %+v, received %+v", e, d)
		}
	})
}
