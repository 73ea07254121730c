package policy

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// faults returns what Compile finds, each as its path.
func faults(t *testing.T, domains []Domain, c Config) []*Fault {
	t.Helper()
	_, err := Compile(domains, c)
	if err == nil {
		return nil
	}
	many, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("not joined: %v", err)
	}
	var out []*Fault
	for _, e := range many.Unwrap() {
		var f *Fault
		if !errors.As(e, &f) {
			t.Fatalf("not a fault: %v", e)
		}
		if !strings.HasPrefix(e.Error(), f.Path+": ") || f.Message == "" {
			t.Errorf("fault %q does not start with its path", e)
		}
		out = append(out, f)
	}
	return out
}

func TestCompileFaults(t *testing.T) {
	for _, tt := range []struct {
		name, rule string   // one rule of domain a.example.com
		want       []string // paths under access_control.rules[0]
	}{
		{"a good rule", `policy: one_factor`, nil},
		{"no policy", `methods: GET`, []string{""}},
		{"a host with a scheme", `domain: https://a.example.com, policy: deny`, []string{".domain[0]"}},
		{"a host with a port", `domain: 'a.example.com:80', policy: deny`, []string{".domain[0]"}},
		{"a host with a path", `domain: a.example.com/x, policy: deny`, []string{".domain[0]"}},
		{"a star in the middle", `domain: [a.example.com, 'a.*.example.com'], policy: deny`, []string{".domain[1]"}},
		{"a star alone", `domain: '*', policy: deny`, []string{".domain[0]"}},
		{"a star and nothing", `domain: '*.', policy: deny`, []string{".domain[0]"}},
		{"{user} in the middle", `domain: 'a.{user}.example.com', policy: deny`, []string{".domain[0]"}},
		{"{user} of nothing", `domain: '{user}.', policy: deny`, []string{".domain[0]"}},
		{"{user} without a dot", `domain: '{user}-x.example.com', policy: deny`, []string{".domain[0]"}},
		{"{team}", `domain: '{team}.example.com', policy: deny`, []string{".domain[0]"}},
		{"an umlaut", `domain: bücher.example.com, policy: deny`, []string{".domain[0]"}},
		{"an empty host", `domain: '', policy: deny`, []string{".domain[0]"}},
		{"no host at all", `domain: [], policy: deny`, []string{".domain"}},
		{"a bad expression", `domain_regex: ['^a$', '('], policy: deny`, []string{".domain_regex[1]"}},
		{"a look-ahead", `resources: '^/(?!admin)', policy: deny`, []string{".resources[0]"}},
		{"an empty expression", `resources: [''], policy: deny`, []string{".resources[0]"}},
		{"an unknown method", `methods: [GET, GTE], policy: deny`, []string{".methods[1]"}},
		{"two methods in one", `methods: 'GET POST', policy: deny`, []string{".methods[0]"}},
		{"no method", `methods: [], policy: deny`, []string{".methods"}},
		{"an unknown network", `networks: [internal, 10.0.0.0/33], policy: deny`, []string{".networks[0]", ".networks[1]"}},
		{"a subject without a kind", `subject: alice, policy: deny`, []string{".subject[0]"}},
		{"a subject of an unknown kind", `subject: ['user:a', ['group:b', 'role:c']], policy: deny`, []string{".subject[1][1]"}},
		{"a subject without a name", `subject: 'user:', policy: deny`, []string{".subject[0]"}},
		{"a name that nobody has", `subject: 'group:a,b', policy: deny`, []string{".subject[0]"}},
		{"an OpenID client", `subject: 'oauth2:client:x', policy: deny`, []string{".subject[0]"}},
		{"no subject", `subject: [], policy: deny`, []string{".subject"}},
		{"an empty inner list of subjects", `subject: [[]], policy: deny`, []string{".subject[0]"}},
		{"an unknown operator", `query: {operator: is, key: a, value: b}, policy: deny`, []string{".query[0].operator"}},
		{"present with a value", `query: {operator: present, key: a, value: b}, policy: deny`, []string{".query[0].value"}},
		{"equal without a value", `query: {operator: equal, key: a}, policy: deny`, []string{".query[0]"}},
		{"a query without a key", `query: [[{key: a}, {value: b}]], policy: deny`, []string{".query[0][1]"}},
		{"a bad pattern of a query", `query: {operator: pattern, key: a, value: '['}, policy: deny`, []string{".query[0].value"}},
		{"an empty query", `query: [], policy: deny`, []string{".query"}},
		{"an empty inner list of a query", `query: [[]], policy: deny`, []string{".query[0]"}},
		{"an unknown factor", `policy: two_factor, factors: [totp, sms]`, []string{".factors[1]"}},
		{"a first factor", `policy: two_factor, factors: password`, []string{".factors[0]"}},
		{"no factor", `policy: two_factor, factors: []`, []string{".factors"}},
		{"factors of one_factor", `policy: one_factor, factors: totp`, []string{".factors"}},
		{"factors of bypass", `policy: bypass, factors: totp`, []string{".factors"}},
		{"max_age of bypass", `policy: bypass, max_age: 1h`, []string{".max_age"}},
		{"max_age of deny", `policy: deny, max_age: 1h`, []string{".max_age"}},
		{"a negative max_age", `policy: one_factor, max_age: -1h`, []string{".max_age"}},
		{"bypass with a subject", `policy: bypass, subject: 'user:a'`, []string{".policy"}},
		{"bypass with {user}", `policy: bypass, domain: '{user}.example.com'`, []string{".policy"}},
		{"bypass with {group}", `policy: bypass, domain: [b.example.com, '{GROUP}.example.com']`, []string{".policy"}},
		{"bypass with User in a host", `policy: bypass, domain_regex: '^(?P<User>\w+)\.example\.com$'`, []string{".policy"}},
		{"bypass with Group in a path", `policy: bypass, resources: '^/(?P<Group>\w+)$'`, []string{".policy"}},
		{"a name with a space", `policy: deny, name: 'a b'`, []string{".name"}},
		{"a name of the product", `policy: deny, name: builtin`, []string{".name"}},
		{"several at once", `subject: x, methods: y, networks: z`, []string{"", ".methods[0]", ".networks[0]", ".subject[0]"}},
	} {
		text := "rules: [{" + tt.rule
		if !strings.Contains(tt.rule, "domain") {
			text += ", domain: a.example.com"
		}
		var got []string
		for _, f := range faults(t, []Domain{exampleDomain}, parse(t, text+"}]")) {
			got = append(got, strings.TrimPrefix(f.Path, "access_control.rules[0]"))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: faults at %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestCompileFaultsOfTheWhole(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"a rule without a host", `rules: [{policy: deny}]`, []string{"access_control.rules[0]"}},
		{"two rules of one name", `rules: [{name: a, domain: a.example.com, policy: deny}, {name: a, domain: b.example.com, policy: deny}]`, []string{"access_control.rules[1].name"}},
		{"a network without a name", `networks: [{networks: 10.0.0.1}]`, []string{"access_control.networks[0].name"}},
		{"a network named like an address", `networks: [{name: 10.0.0.1, networks: 10.0.0.1}]`, []string{"access_control.networks[0].name"}},
		{"a network without an entry", `networks: [{name: a, networks: []}]`, []string{"access_control.networks[0].networks"}},
		{"a network that is none", `networks: [{name: a, networks: [10.0.0.1, b]}]`, []string{"access_control.networks[0].networks[1]"}},
		{"two networks of one name", `networks: [{name: a, networks: 10.0.0.1}, {name: a, networks: 10.0.0.2}]`, []string{"access_control.networks[1].name"}},
	} {
		var got []string
		for _, f := range faults(t, []Domain{exampleDomain}, parse(t, tt.text)) {
			got = append(got, f.Path)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: faults at %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestDomainFaults(t *testing.T) {
	good := Domain{Name: "example.com", Portal: "https://auth.example.com"}
	with := func(change func(*Domain)) []Domain {
		d := good
		change(&d)
		return []Domain{d}
	}
	for _, tt := range []struct {
		name    string
		domains []Domain
		want    []string
	}{
		{"a good one", []Domain{good}, nil},
		{"capitals, a port and a slash", []Domain{{Name: "Example.COM.", Portal: "https://Auth.Example.com:8443/"}}, nil},
		{"the domain itself as portal", with(func(d *Domain) { d.Portal = "https://example.com" }), nil},
		{"no name", with(func(d *Domain) { d.Name = "" }), []string{"domain", "portal"}},
		{"a leading dot", with(func(d *Domain) { d.Name = ".example.com" }), []string{"domain", "portal"}},
		{"one label", []Domain{{Name: "localhost", Portal: "https://auth.localhost"}}, []string{"domain"}},
		{"an address", []Domain{{Name: "127.0.0.1", Portal: "https://127.0.0.1"}}, []string{"domain"}},
		{"a public suffix", []Domain{{Name: "co.uk", Portal: "https://auth.co.uk"}}, []string{"domain"}},
		{"a public suffix of a provider", []Domain{{Name: "github.io", Portal: "https://auth.github.io"}}, []string{"domain"}},
		{"a local domain", []Domain{{Name: "postern.localhost", Portal: "https://auth.postern.localhost:8443"}}, nil},
		{"no portal", with(func(d *Domain) { d.Portal = "" }), []string{"portal"}},
		{"a portal without TLS", with(func(d *Domain) { d.Portal = "http://auth.example.com" }), []string{"portal"}},
		{"a portal with a path", with(func(d *Domain) { d.Portal = "https://auth.example.com/login" }), []string{"portal"}},
		{"a portal with a query", with(func(d *Domain) { d.Portal = "https://auth.example.com?x" }), []string{"portal"}},
		{"a portal with a user", with(func(d *Domain) { d.Portal = "https://a@auth.example.com" }), []string{"portal"}},
		{"a portal elsewhere", with(func(d *Domain) { d.Portal = "https://auth.example.org" }), []string{"portal"}},
		{"a portal that ends alike", with(func(d *Domain) { d.Portal = "https://authexample.com" }), []string{"portal"}},
		{"a portal that is no host", with(func(d *Domain) { d.Portal = "https://[::1]" }), []string{"portal"}},
		{"a home without TLS", with(func(d *Domain) { d.Home = "http://www.example.com" }), []string{"home"}},
		{"a home that is a script", with(func(d *Domain) { d.Home = "javascript:alert(1)" }), []string{"home"}},
		{"an unknown word for tls", with(func(d *Domain) { d.TLS = "off" }), []string{"tls"}},
		{"encoded slashes of another domain", with(func(d *Domain) { d.EncodedSlashes = List{"git.example.com", "git.example.org"} }), []string{"encoded_slashes[1]"}},
		{"twice", []Domain{good, good}, []string{"domain", "portal"}},
		{"a portal of a nested domain", []Domain{good, {Name: "a.example.com", Portal: "https://auth.example.com"}}, []string{"domain", "portal"}},
		{"a portal that belongs to a nested domain", []Domain{{Name: "example.com", Portal: "https://auth.a.example.com"}, {Name: "a.example.com", Portal: "https://a.example.com"}}, []string{"domain", "portal"}},
		{"a domain under another", []Domain{good, {Name: "dev.example.com", Portal: "https://auth.dev.example.com"}}, []string{"domain"}},
		{"a domain above another", []Domain{{Name: "a.dev.example.com", Portal: "https://auth.a.dev.example.com"}, good}, []string{"domain"}},
		{"a domain that ends alike", []Domain{good, {Name: "anexample.com", Portal: "https://auth.anexample.com"}}, nil},
	} {
		var got []string
		for _, f := range faults(t, tt.domains, Config{}) {
			_, key, _ := strings.Cut(f.Path, ".")
			got = append(got, key)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: faults at %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestRuleName(t *testing.T) {
	r := compile(t, `rules: [{name: first, domain: a.example.com, policy: deny}, {domain: b.example.com, policy: deny}]`)
	for i, want := range map[int]string{0: "first", 1: "rules[1]", 2: "builtin", DefaultRule: "default_policy", BuiltinRule: "builtin"} {
		if got := r.RuleName(i); got != want {
			t.Errorf("rule %d is %q, want %q", i, got, want)
		}
	}
	if r.Len() != 2 {
		t.Errorf("%d rules", r.Len())
	}
}
