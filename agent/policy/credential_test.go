package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

func TestCredentialsOfARule(t *testing.T) {
	for _, tt := range []struct {
		name, rule, want string // want: what Decide reports for a visitor, or "!" and words of the fault
	}{
		{"none", `{domain: a.example.com, policy: one_factor}`, ""},
		{"one, written as a word", `{domain: a.example.com, policy: one_factor, credentials: token}`, "token"},
		{"all, twice", `{domain: a.example.com, policy: two_factor, credentials: [certificate, basic, token, basic]}`, "basic, token, certificate"},
		{"a deny that depends on the user", `{domain: a.example.com, policy: deny, subject: 'group:out', credentials: [token]}`, "token"},
		{"an unknown word", `{domain: a.example.com, policy: one_factor, credentials: [token, bearer]}`, `!credentials[1]: "bearer" is no credential (write basic, token or certificate)`},
		{"capitals", `{domain: a.example.com, policy: one_factor, credentials: Basic}`, `!credentials[0]: "Basic" is no credential`},
		{"a very long word", `{domain: a.example.com, policy: one_factor, credentials: ` + strings.Repeat("x", 300) + `}`, `!credentials[0]: "xxx`},
		{"an empty list", `{domain: a.example.com, policy: one_factor, credentials: []}`, "!credentials: is empty"},
		{"with bypass", `{domain: a.example.com, policy: bypass, credentials: [token]}`, "!credentials: bypass lets everybody in"},
		{"with a deny for everybody", `{domain: a.example.com, policy: deny, credentials: [token]}`, "!credentials: deny lets nobody in"},
	} {
		r, err := Compile([]Domain{exampleDomain}, parse(t, "rules: ["+tt.rule+"]"))
		if fault, ok := strings.CutPrefix(tt.want, "!"); ok {
			var f *Fault
			if !errors.As(err, &f) || !strings.HasPrefix(f.Error(), "access_control.rules[0]."+fault) {
				t.Errorf("%s: %v, want a fault of %s", tt.name, err, fault)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if d := r.Decide(get("a.example.com", "/"), nobody(), now); d.Credentials.String() != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, d.Credentials, tt.want)
		}
		if all := r.Credentials(); all.String() != tt.want {
			t.Errorf("%s: all rules take %q, want %q", tt.name, all, tt.want)
		}
	}
}

func TestCredentialsAreNoListOfLists(t *testing.T) {
	var c Config
	if err := yaml.Unmarshal([]byte(`rules: [{domain: a, policy: deny, credentials: {basic: yes}}]`), &c); err == nil {
		t.Error("a mapping was read as a list of credentials")
	}
}

func TestCredentialsOfTheRuleThatDecides(t *testing.T) {
	r := compile(t, `
default_policy: one_factor
rules:
  - {domain: a.example.com, resources: '^/api(/.*)?$', policy: one_factor, credentials: [token]}
  - {domain: a.example.com, resources: '^/mine$', subject: 'user:alice', policy: one_factor, credentials: [basic]}
  - {domain: a.example.com, resources: '^/mine$', policy: one_factor}
  - {domain: a.example.com, resources: '^/open$', policy: bypass}
`)
	for _, tt := range []struct {
		name, host, path string
		sub              *Subject
		want             string
	}{
		{"a visitor at the rule", "a.example.com", "/api/x", nobody(), "token"},
		{"somebody signed in at the rule", "a.example.com", "/api/x", alice(LevelOne), "token"},
		{"a visitor, for whom subjects count as met", "a.example.com", "/mine", nobody(), "basic"},
		{"whose rule it is", "a.example.com", "/mine", alice(LevelOne), "basic"},
		{"whose rule is the one behind", "a.example.com", "/mine", bob(LevelOne), ""},
		{"a bypass", "a.example.com", "/open", nobody(), ""},
		{"the default policy", "b.example.com", "/", nobody(), ""},
		{"the portal", "auth.example.com", "/", nobody(), ""},
		{"an unclean path", "a.example.com", "/api/%2fx", nobody(), ""},
	} {
		if d := r.Decide(get(tt.host, tt.path), tt.sub, now); d.Credentials.String() != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, d.Credentials, tt.want)
		}
	}
	if all := r.Credentials(); all.String() != "basic, token" || !all.Header() || all.Has(CredentialCertificate) {
		t.Errorf("all rules take %q", all)
	}
}

// TestMachinesAreNoNavigation: where a rule takes credentials, a client that accepts
// anything gets the 401 that it waits for; a browser still goes to the portal.
func TestMachinesAreNoNavigation(t *testing.T) {
	r := compile(t, `rules: [{domain: a.example.com, policy: one_factor, credentials: token}]`)
	for _, tt := range []struct {
		name string
		req  Request
		want Verdict
	}{
		{"curl and git", Request{Accept: "*/*"}, VerdictChallenge},
		{"no Accept", Request{}, VerdictChallenge},
		{"a browser", Request{FetchMode: "navigate", Accept: "*/*"}, VerdictLogin},
		{"an old browser", Request{Accept: "text/html,*/*;q=0.8"}, VerdictLogin},
		{"a script in a browser", Request{FetchMode: "cors"}, VerdictChallenge},
	} {
		req := tt.req
		req.Method, req.Host, req.Path, req.TLS = "GET", "a.example.com", "/", true
		if d := r.Decide(&req, nobody(), now); d.Verdict != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, d.Verdict, tt.want)
		}
	}
}

func TestCredentialWarnings(t *testing.T) {
	for _, tt := range []struct {
		name, rule string
		want       []string
	}{
		{"a token alone", `{domain: a.example.com, policy: one_factor, credentials: token}`, nil},
		{"basic from anywhere", `{domain: a.example.com, policy: one_factor, credentials: basic}`, []string{"guess passwords"}},
		{"basic from a network", `{domain: a.example.com, policy: one_factor, credentials: basic, networks: 10.0.0.0/8}`, nil},
		{"basic that never suffices", `{domain: a.example.com, policy: two_factor, credentials: basic, networks: 10.0.0.0/8}`, []string{"basic proves one factor"}},
		{"a certificate that never suffices", `{domain: a.example.com, policy: two_factor, credentials: [certificate, token]}`, []string{"certificate proves one factor"}},
		{"a token and an age", `{domain: a.example.com, policy: one_factor, max_age: 5m, credentials: token}`, []string{"max_age or factors"}},
		{"a certificate and an age", `{domain: a.example.com, policy: one_factor, max_age: 5m, credentials: certificate}`, nil},
		{"a rule that a visitor never comes to", `{domain: '*.example.com', subject: 'group:a', policy: one_factor}, {domain: a.example.com, policy: one_factor, credentials: token}`, []string{"rules[0] decides"}},
		{"a rule whose forerunner takes the same", `{domain: a.example.com, subject: 'group:a', policy: one_factor, credentials: token}, {domain: a.example.com, policy: one_factor, credentials: token}`, nil},
		{"a rule that a visitor comes to at some paths", `{domain: a.example.com, subject: 'group:a', resources: '^/x$', policy: one_factor}, {domain: a.example.com, policy: one_factor, credentials: token}`, nil},
		{"a rule that a visitor comes to at one host", `{domain: a.example.com, subject: 'group:a', policy: one_factor}, {domain: [a.example.com, b.example.com], policy: one_factor, credentials: token}`, nil},
	} {
		var got []string
		for _, f := range compile(t, "rules: ["+tt.rule+"]").Warnings() {
			got = append(got, f.Path+": "+f.Message)
		}
		same := slices.EqualFunc(got, tt.want, func(got, want string) bool {
			at := fmt.Sprintf("access_control.rules[%d].credentials: ", strings.Count(tt.rule, "}, {"))
			return strings.HasPrefix(got, at) && strings.Contains(got, want)
		})
		if !same {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestThreat39TwoFactorsThroughAnotherDoor: what proves one factor never satisfies two,
// nor a rule that asks when or how.
func TestThreat39TwoFactorsThroughAnotherDoor(t *testing.T) {
	machine := &Subject{User: "alice", Groups: []string{"staff"}, Level: LevelOne}
	for _, tt := range []struct {
		name, rule string
	}{
		{"two factors", `{domain: a.example.com, policy: two_factor, credentials: [basic, token]}`},
		{"one factor, fresh", `{domain: a.example.com, policy: one_factor, max_age: 5m, credentials: [basic, token]}`},
		{"a listed factor", `{domain: a.example.com, policy: two_factor, factors: totp, credentials: [basic, token]}`},
	} {
		r := compile(t, "rules: ["+tt.rule+"]")
		if d := r.Decide(get("a.example.com", "/"), machine, now); d.Verdict == VerdictAllow {
			t.Errorf("%s: allowed (%s)", tt.name, d.Reason)
		}
	}
	strong := *machine
	strong.Level = LevelTwo
	r := compile(t, `rules: [{domain: a.example.com, policy: two_factor, factors: totp, credentials: token}]`)
	if d := r.Decide(get("a.example.com", "/"), &strong, now); d.Verdict == VerdictAllow {
		t.Error("a token of level two passed for TOTP")
	}
}

func TestWithin(t *testing.T) {
	for _, tt := range []struct {
		path, prefix string
		want         bool
	}{
		{"/api", "/api", true},
		{"/api/", "/api", true},
		{"/api/x", "/api", true},
		{"/apix", "/api", false},
		{"/ap", "/api", false},
		{"/", "/api", false},
		{"", "/api", false},
		{"api", "/api", false},
		{"/x/api", "/api", false},
		{"/API/x", "/api", false},
		{"/api/%C3%A4", "/api/ä", true},
		{"/%61pi/x", "/api", true},
		{"/api;v=1/x", "/api", false},
		{"/api/x;v=1", "/api", true},
		{"/api;/../admin", "/api", false},
		{"/api%2fx", "/api", false},
		{"/api/a%2fb", "/api", true},
		{"/api/a%252fb", "/api", true},
		{"/ap;/i", "/api", false},
		{"/a b", "/a b", true},
	} {
		if got := Within(tt.path, tt.prefix); got != tt.want {
			t.Errorf("Within(%q, %q) = %v", tt.path, tt.prefix, got)
		}
	}
	for path, want := range map[string]bool{
		"/api": true, "/a/b c/ä": true, "": false, "/": false, "api": false, "/api/": false, "//a": false, "/a//b": false, "/a/../b": false,
		"/./a": false, "/a%20b": false, "/a;b": false, "/a?b": false, "/a#b": false, `/a\b`: false, "/a\nb": false, "/\xff": false,
	} {
		if got := CleanPath(path); got != want {
			t.Errorf("CleanPath(%q) = %v", path, got)
		}
	}
}

func TestHostMatches(t *testing.T) {
	for _, tt := range []struct {
		host, want string
		match      bool
	}{
		{"a.example.com", "a.example.com", true},
		{"A.Example.com:8443", "a.example.com", true},
		{"a.example.com.", "a.example.com", true},
		{"b.example.com", "a.example.com", false},
		{"a.example.com", "*.example.com", true},
		{"a.b.example.com.:443", "*.example.com", true},
		{"example.com", "*.example.com", false},
		{"badexample.com", "*.example.com", false},
		{".example.com", "*.example.com", false},
		{"a.example.com:x", "a.example.com", false},
		{"", "*.example.com", false},
		{"a.example.com\x00", "a.example.com", false},
	} {
		if got := HostMatches(tt.host, tt.want); got != tt.match {
			t.Errorf("HostMatches(%q, %q) = %v", tt.host, tt.want, got)
		}
	}
	if n := testing.AllocsPerRun(100, func() { HostMatches("A.B.example.com:443", "*.example.com"); Within("/api/x/y", "/api") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestDecisionWithCredentialsAllocatesNothing(t *testing.T) {
	r := compile(t, `rules: [{domain: a.example.com, policy: one_factor, credentials: [basic, token, certificate]}]`)
	req, sub := get("a.example.com", "/x"), alice(LevelOne)
	if n := testing.AllocsPerRun(100, func() { r.Decide(req, sub, time.Time{}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
