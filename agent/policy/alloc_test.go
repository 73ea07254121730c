package policy

import (
	"testing"
)

func TestDecideAllocatesNothing(t *testing.T) {
	r := compile(t, `
default_policy: deny
networks: [{name: office, networks: 10.0.0.0/8}]
rules:
  - {domain: public.example.com, policy: bypass}
  - {domain: "*.open.example.com", policy: bypass}
  - {domain_regex: '^dev-\d+\.example\.com$', policy: two_factor}
  - {domain: "{user}.home.example.com", policy: one_factor}
  - {domain: app.example.com, methods: [GET], resources: ['^/api/.*$', '^/admin(/.*)?$'], subject: 'group:admins', policy: two_factor}
  - {domain: app.example.com, query: [{key: debug}], networks: office, policy: deny}
  - {domain: app.example.com, policy: one_factor}
  - {domain: bank.example.com, policy: two_factor, max_age: 15m, factors: [totp]}
`)
	for _, tt := range []struct {
		name string
		req  *Request
		sub  *Subject
		want Verdict
	}{
		{"a cached session", get("app.example.com", "/wiki/page"), alice(LevelOne), VerdictAllow},
		{"a host with port and dot", get("app.example.com.:443", "/admin/x"), alice(LevelOne), VerdictAllow},
		{"an encoded path that no resources look at", get("bank.example.com", "/a%20b"), alice(LevelTwo), VerdictAllow},
		{"a bypass", get("public.example.com", "/"), nobody(), VerdictAllow},
		{"a wildcard", get("a.open.example.com", "/"), nobody(), VerdictAllow},
		{"an expression", get("dev-1.example.com", "/"), alice(LevelTwo), VerdictAllow},
		{"a user's own host", get("alice.home.example.com", "/"), alice(LevelOne), VerdictAllow},
		{"the login of a visitor", get("app.example.com", "/"), nobody(), VerdictLogin},
		{"a denied host", get("other.example.com", "/"), alice(LevelOne), VerdictDeny},
		{"an unknown host", get("example.org", "/"), alice(LevelOne), VerdictDeny},
		{"an unclean path", get("app.example.com", "/%2e%2e%2f"), alice(LevelOne), VerdictDeny},
	} {
		var d Decision
		n := testing.AllocsPerRun(100, func() {
			req, sub := *tt.req, *tt.sub // on the stack: Decide keeps hold of neither
			d = r.Decide(&req, &sub, now)
		})
		if n != 0 || d.Verdict != tt.want {
			t.Errorf("%s: %v allocations and verdict %v, want 0 and %v", tt.name, n, d.Verdict, tt.want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { r.DomainOf("APP.Example.com.:8443") }); n != 0 {
		t.Errorf("DomainOf: %v allocations", n)
	}
}
