package policy

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestExplain(t *testing.T) {
	r := compile(t, `
rules:
  - {domain: other.example.com, policy: deny}
  - {domain_regex: '^(?P<User>\w+)\.example\.com$', policy: one_factor}
  - {domain: app.example.com, methods: POST, policy: deny}
  - {domain: app.example.com, networks: 10.0.0.0/8, policy: deny}
  - {name: admins, domain: app.example.com, subject: 'group:admins', policy: two_factor}
  - {domain: app.example.com, query: {key: debug}, policy: deny}
  - {domain: app.example.com, resources: '^/x', policy: deny}
  - {domain: app.example.com, policy: one_factor}
  - {domain: app.example.com, policy: deny}
`)
	show := func(ts []Trace) []string {
		var out []string
		for _, tr := range ts {
			s := fmt.Sprintf("%s: %s %s", tr.Name, tr.Criterion, tr.Value)
			if tr.Criterion == "" {
				s = tr.Name + ": matches"
			}
			if tr.Maybe {
				s += " after sign-in"
			}
			out = append(out, s)
		}
		return out
	}
	for _, tt := range []struct {
		name, host, query string
		sub               *Subject
		want              []string
	}{
		{"every criterion once", "app.example.com", "a=1", alice(LevelOne), []string{
			"rules[0]: domain app.example.com", "rules[1]: domain app.example.com", "rules[2]: methods GET", "rules[3]: networks 192.0.2.1",
			"admins: subject user:alice group:staff group:dev", "rules[5]: query a=1", "rules[6]: resources /y z", "rules[7]: matches"}},
		{"a visitor may match", "app.example.com", "", nobody(), []string{
			"rules[0]: domain app.example.com", "rules[1]: matches after sign-in"}},
		{"nothing matches", "none-.example.com", "", nobody(), nil},
		{"the default", "no-ne.example.com", "", alice(LevelOne), []string{
			"rules[0]: domain no-ne.example.com", "rules[1]: domain no-ne.example.com", "rules[2]: domain no-ne.example.com",
			"rules[3]: domain no-ne.example.com", "admins: domain no-ne.example.com", "rules[5]: domain no-ne.example.com",
			"rules[6]: domain no-ne.example.com", "rules[7]: domain no-ne.example.com", "rules[8]: domain no-ne.example.com"}},
		{"a query that is refused", "app.example.com", "a;b", alice(LevelOne), []string{
			"rules[0]: domain app.example.com", "rules[1]: domain app.example.com", "rules[2]: methods GET", "rules[3]: networks 192.0.2.1",
			"admins: subject user:alice group:staff group:dev", "rules[5]: query a;b"}},
		{"the portal", "auth.example.com", "", nobody(), nil},
	} {
		req := get(tt.host, "//y%20z")
		req.Query = tt.query
		d, ts := r.Explain(req, tt.sub, now)
		if got := show(ts); !slices.Equal(got, tt.want) {
			t.Errorf("%s:\n%s\nwant\n%s", tt.name, strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
		}
		if want := r.Decide(req, tt.sub, now); !reflect.DeepEqual(d, want) {
			t.Errorf("%s: explained %+v, decided %+v", tt.name, d, want)
		}
	}
	req := get("app.example.com", "/")
	req.Addr = addrOf("")
	if _, ts := r.Explain(req, alice(LevelOne), now); ts[3].Value != "no address" {
		t.Errorf("without an address: %+v", ts[3])
	}
}

func TestApplications(t *testing.T) {
	d := exampleDomain
	d.Portal = "https://auth.example.com:8443"
	r := compile(t, `
rules:
  - {domain: [Wiki.example.com, auth.example.com, other.example.org], policy: one_factor}
  - {domain: bank.example.com, policy: two_factor}
  - {domain: ['*.example.com', 'b2.example.com'], subject: 'user:bob', policy: one_factor}
  - {domain: wiki.example.com, policy: deny}
  - {domain: closed.example.com, policy: deny}
  - {domain: public.example.net, policy: bypass}
`, d, Domain{Name: "example.net", Portal: "https://auth.example.net"})
	for _, tt := range []struct {
		name string
		sub  *Subject
		want string
	}{
		{"what alice may open", alice(LevelOne), "https://wiki.example.com:8443/ https://bank.example.com:8443/ https://public.example.net/"},
		{"what bob may open", bob(LevelOne), "https://wiki.example.com:8443/ https://bank.example.com:8443/ https://b2.example.com:8443/ https://closed.example.com:8443/ https://public.example.net/"},
		{"what anybody may open", nobody(), "https://public.example.net/"},
	} {
		var got []string
		for _, a := range r.Applications(tt.sub, now) {
			got = append(got, a.URL)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, strings.Join(got, " "), tt.want)
		}
	}
}
