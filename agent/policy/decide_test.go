package policy

import (
	"testing"
	"time"
)

const exampleRules = `
default_policy: deny
networks:
  - {name: office, networks: [10.0.0.0/8, '2001:db8::/32', '::ffff:198.51.100.0/120', 'fe80::/64']}
rules:
  - {name: public, domain: public.example.com, policy: bypass}
  - {name: wiki, domain: wiki.example.com, policy: one_factor}
  - {name: bank, domain: bank.example.com, subject: 'group:staff', policy: two_factor}
  - {name: closed, domain: closed.example.com, policy: deny}
  - {name: not-bob, domain: chat.example.com, subject: 'user:bob', policy: deny}
  - {name: chat, domain: chat.example.com, policy: one_factor}
  - {name: own, domain: '{user}.home.example.com', policy: one_factor}
  - {name: team, domain: '{group}.team.example.com', policy: one_factor}
  - {name: user-regex, domain_regex: '^(?P<User>\w+)-box\.example\.com$', policy: one_factor}
  - {name: user-or-open, domain_regex: '^((?P<User>\w+)-desk|open-user)\.example\.com$', policy: one_factor}
  - {name: group-or-open, domain_regex: '^((?P<Group>\w+)-room|open-group)\.example\.com$', policy: one_factor}
  - {name: group-regex, domain_regex: '^(?P<Group>\w+)-area\.example\.com$', policy: two_factor}
  - {name: api, domain: api.example.com, methods: [get, HEAD], resources: ['^/v1/'], policy: bypass}
  - {name: api-all, domain: api.example.com, subject: [['user:alice', 'group:staff'], 'user:carol'], policy: one_factor}
  - {name: home-dir, domain: files.example.com, resources: ['^/home/(?P<User>[^/]+)/'], policy: one_factor}
  - {name: files, domain: files.example.com, networks: [office, 192.0.2.7], policy: two_factor}
  - {name: any, domain: '*.any.example.com', policy: two_factor}
`

func TestDecide(t *testing.T) {
	r := compile(t, exampleRules)
	for _, tt := range []struct {
		name       string
		host, path string
		sub        *Subject
		want       Verdict
		rule       string
		reason     Reason
	}{
		{"bypass asks nobody", "public.example.com", "/", nobody(), VerdictAllow, "public", ReasonBypass},
		{"bypass lets a signed-in user in", "public.example.com", "/", alice(LevelOne), VerdictAllow, "public", ReasonBypass},
		{"a visitor signs in", "wiki.example.com", "/", nobody(), VerdictLogin, "wiki", ReasonSignIn},
		{"one factor is enough for one_factor", "wiki.example.com", "/", alice(LevelOne), VerdictAllow, "wiki", ReasonProved},
		{"two are enough too", "wiki.example.com", "/", alice(LevelTwo), VerdictAllow, "wiki", ReasonProved},
		{"two_factor sends a visitor to sign in", "bank.example.com", "/", nobody(), VerdictLogin, "bank", ReasonSignIn},
		{"two_factor asks for the second", "bank.example.com", "/", alice(LevelOne), VerdictStepUp, "bank", ReasonSecondFactor},
		{"two_factor is content with two", "bank.example.com", "/", alice(LevelTwo), VerdictAllow, "bank", ReasonProved},
		{"who is not the subject falls through", "bank.example.com", "/", bob(LevelTwo), VerdictDeny, "default_policy", ReasonDenied},
		{"deny without a subject denies a visitor at once", "closed.example.com", "/", nobody(), VerdictDeny, "closed", ReasonDenied},
		{"deny denies a user", "closed.example.com", "/", alice(LevelTwo), VerdictDeny, "closed", ReasonDenied},
		{"deny with a subject first asks who it is", "chat.example.com", "/", nobody(), VerdictLogin, "not-bob", ReasonSignIn},
		{"and denies him", "chat.example.com", "/", bob(LevelTwo), VerdictDeny, "not-bob", ReasonDenied},
		{"and lets another one on to the next rule", "chat.example.com", "/", alice(LevelOne), VerdictAllow, "chat", ReasonProved},
		{"the default denies a visitor at once", "other.example.com", "/", nobody(), VerdictDeny, "default_policy", ReasonDenied},
		{"the domain itself has no rule", "example.com", "/", alice(LevelOne), VerdictDeny, "default_policy", ReasonDenied},

		{"{user} is the own host", "alice.home.example.com", "/", alice(LevelOne), VerdictAllow, "own", ReasonProved},
		{"{user} is not another's", "alice.home.example.com", "/", bob(LevelOne), VerdictDeny, "default_policy", ReasonDenied},
		{"{user} is unknown of a visitor", "alice.home.example.com", "/", nobody(), VerdictLogin, "own", ReasonSignIn},
		{"{user} is not the bare suffix", "home.example.com", "/", nobody(), VerdictDeny, "default_policy", ReasonDenied},
		{"{user} may hold a dot", "al.ice.home.example.com", "/", nobody(), VerdictLogin, "own", ReasonSignIn},
		{"{group} is one of the own", "dev.team.example.com", "/", alice(LevelOne), VerdictAllow, "team", ReasonProved},
		{"{group} is none of the own", "admins.team.example.com", "/", alice(LevelOne), VerdictDeny, "default_policy", ReasonDenied},
		{"{group} is one label", "a.b.team.example.com", "/", nobody(), VerdictDeny, "default_policy", ReasonDenied},
		{"{group} is unknown of a visitor", "dev.team.example.com", "/", nobody(), VerdictLogin, "team", ReasonSignIn},
		{"User is the own name", "alice-box.example.com", "/", alice(LevelOne), VerdictAllow, "user-regex", ReasonProved},
		{"User in capitals too", "ALICE-box.example.com", "/", alice(LevelOne), VerdictAllow, "user-regex", ReasonProved},
		{"User is another's name", "bob-box.example.com", "/", alice(LevelOne), VerdictDeny, "default_policy", ReasonDenied},
		{"User is unknown of a visitor", "bob-box.example.com", "/", nobody(), VerdictLogin, "user-regex", ReasonSignIn},
		{"User in one alternative", "alice-desk.example.com", "/", alice(LevelOne), VerdictAllow, "user-or-open", ReasonProved},
		{"User in the alternative that did not match", "open-user.example.com", "/", alice(LevelOne), VerdictDeny, "default_policy", ReasonDenied},
		{"Group in the alternative that did not match", "open-group.example.com", "/", alice(LevelOne), VerdictDeny, "default_policy", ReasonDenied},
		{"Group is one of the own", "staff-area.example.com", "/", alice(LevelTwo), VerdictAllow, "group-regex", ReasonProved},
		{"Group is none of the own", "admins-area.example.com", "/", alice(LevelTwo), VerdictDeny, "default_policy", ReasonDenied},

		{"a path and a method of the rule", "api.example.com", "/v1/x", nobody(), VerdictAllow, "api", ReasonBypass},
		{"another path", "api.example.com", "/v2/x", nobody(), VerdictLogin, "api-all", ReasonSignIn},
		{"all parts of an inner list", "api.example.com", "/", alice(LevelOne), VerdictAllow, "api-all", ReasonProved},
		{"not all parts of an inner list", "api.example.com", "/", &Subject{User: "alice", Level: LevelOne}, VerdictDeny, "default_policy", ReasonDenied},
		{"another entry of the outer list", "api.example.com", "/", &Subject{User: "carol", Level: LevelOne}, VerdictAllow, "api-all", ReasonProved},
		{"User in a path is the own name", "files.example.com", "/home/alice/x", alice(LevelOne), VerdictAllow, "home-dir", ReasonProved},
		{"User in a path is another's", "files.example.com", "/home/bob/x", alice(LevelOne), VerdictDeny, "default_policy", ReasonDenied},
		{"User in a path, other letters", "files.example.com", "/home/Alice/x", alice(LevelOne), VerdictDeny, "default_policy", ReasonDenied},
		{"a wildcard takes any depth", "a.b.any.example.com", "/", alice(LevelTwo), VerdictAllow, "any", ReasonProved},
		{"a wildcard does not take the suffix itself", "any.example.com", "/", alice(LevelTwo), VerdictDeny, "default_policy", ReasonDenied},
		{"a wildcard needs the dot", "xany.example.com", "/", alice(LevelTwo), VerdictDeny, "default_policy", ReasonDenied},

		{"the portal is open", "auth.example.com", "/", nobody(), VerdictAllow, "builtin", ReasonPortal},
		{"the portal is open to users", "auth.example.com:443", "/any//thing", alice(LevelOne), VerdictAllow, "builtin", ReasonPortal},
		{"a host of no domain", "example.org", "/", alice(LevelTwo), VerdictDeny, "builtin", ReasonUnknownHost},
		{"a host that ends like the domain", "evilexample.com", "/", alice(LevelTwo), VerdictDeny, "builtin", ReasonUnknownHost},
		{"a host that is none", "a,b", "/", alice(LevelTwo), VerdictDeny, "builtin", ReasonBadHost},
		{"an unclean path, even with bypass", "public.example.com", "/%00", nobody(), VerdictDeny, "builtin", ReasonUncleanPath},
		{"a level without a user is nobody", "wiki.example.com", "/", &Subject{Level: LevelTwo}, VerdictLogin, "wiki", ReasonSignIn},
		{"a user without a level is nobody", "wiki.example.com", "/", &Subject{User: "alice"}, VerdictLogin, "wiki", ReasonSignIn},
	} {
		d := r.Decide(get(tt.host, tt.path), tt.sub, now)
		if d.Verdict != tt.want || r.RuleName(d.Rule) != tt.rule || d.Reason != tt.reason {
			t.Errorf("%s: %v by %s (%s), want %v by %s (%s)", tt.name, d.Verdict, r.RuleName(d.Rule), d.Reason, tt.want, tt.rule, tt.reason)
		}
	}
}

func TestDecideNetworks(t *testing.T) {
	r := compile(t, exampleRules)
	for _, tt := range []struct {
		name, addr string
		want       Verdict
	}{
		{"inside a named network", "10.1.2.3", VerdictAllow},
		{"inside, as IPv4 in IPv6", "::ffff:10.1.2.3", VerdictAllow},
		{"inside its IPv6 part", "2001:db8::1", VerdictAllow},
		{"a single address", "192.0.2.7", VerdictAllow},
		{"next to the single address", "192.0.2.8", VerdictDeny},
		{"inside a network written as IPv4 in IPv6", "198.51.100.200", VerdictAllow},
		{"next to it", "198.51.101.1", VerdictDeny},
		{"a link-local address with its zone", "fe80::1%eth0", VerdictAllow},
		{"outside", "2001:db9::1", VerdictDeny},
		{"without an address", "", VerdictDeny},
	} {
		req := get("files.example.com", "/")
		req.Addr = addrOf(tt.addr)
		if d := r.Decide(req, alice(LevelTwo), now); d.Verdict != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, d.Verdict, tt.want)
		}
	}
}

func TestDecideFreshness(t *testing.T) {
	r := compile(t, `
rules:
  - {domain: one.example.com, policy: one_factor, max_age: 15m}
  - {domain: two.example.com, policy: two_factor, max_age: 15m}
  - {domain: key.example.com, policy: two_factor, factors: [webauthn, certificate]}
  - {domain: both.example.com, policy: two_factor, factors: webauthn, max_age: 15m}
`)
	user := func(l Level, ps ...Proofs) *Subject {
		s := &Subject{User: "alice", Level: l}
		for _, p := range ps {
			for f := range p {
				s.Proofs[f] = max(s.Proofs[f], p[f])
			}
		}
		return s
	}
	old, recent := time.Hour, time.Minute
	for _, tt := range []struct {
		name, host string
		sub        *Subject
		want       Verdict
		reason     Reason
	}{
		{"a recent password", "one", user(LevelOne, proofs(recent, Password)), VerdictAllow, ReasonProved},
		{"an old password", "one", user(LevelOne, proofs(old, Password)), VerdictStepUp, ReasonStale},
		{"on the last second", "one", user(LevelOne, proofs(15*time.Minute, Password)), VerdictAllow, ReasonProved},
		{"a second later", "one", user(LevelOne, proofs(15*time.Minute+time.Second, Password)), VerdictStepUp, ReasonStale},
		{"an old password and a recent second factor", "one", user(LevelTwo, proofs(old, Password), proofs(recent, TOTP)), VerdictAllow, ReasonProved},
		{"no proof at all", "one", user(LevelOne), VerdictStepUp, ReasonStale},
		{"a proof of another node's clock", "one", user(LevelOne, proofs(-30*time.Second, Password)), VerdictAllow, ReasonProved},
		{"a proof of the future", "one", user(LevelOne, proofs(-time.Hour, Password)), VerdictStepUp, ReasonStale},
		{"a visitor", "one", nobody(), VerdictLogin, ReasonSignIn},
		{"a recent second factor", "two", user(LevelTwo, proofs(old, Password), proofs(recent, TOTP)), VerdictAllow, ReasonProved},
		{"a recent password does not refresh the second factor", "two", user(LevelTwo, proofs(recent, Password), proofs(old, TOTP)), VerdictStepUp, ReasonStale},
		{"a code by mail does not either", "two", user(LevelTwo, proofs(recent, Mail), proofs(old, TOTP)), VerdictStepUp, ReasonStale},
		{"one factor is not enough, however fresh", "two", user(LevelOne, proofs(recent, Password, TOTP)), VerdictStepUp, ReasonSecondFactor},
		{"the factor that is asked for", "key", user(LevelTwo, proofs(old, Password, WebAuthn)), VerdictAllow, ReasonProved},
		{"the other factor that is asked for", "key", user(LevelTwo, proofs(old, Password, Certificate)), VerdictAllow, ReasonProved},
		{"a factor that is not asked for", "key", user(LevelTwo, proofs(recent, Password, TOTP)), VerdictStepUp, ReasonOtherFactor},
		{"the right factor at level one", "key", user(LevelOne, proofs(recent, WebAuthn)), VerdictStepUp, ReasonSecondFactor},
		{"the right factor, too old, beside a recent wrong one", "both", user(LevelTwo, proofs(old, WebAuthn), proofs(recent, TOTP)), VerdictStepUp, ReasonStale},
		{"the right factor, recent", "both", user(LevelTwo, proofs(recent, WebAuthn)), VerdictAllow, ReasonProved},
	} {
		d := r.Decide(get(tt.host+".example.com", "/"), tt.sub, now)
		if d.Verdict != tt.want || d.Reason != tt.reason {
			t.Errorf("%s: %v (%s), want %v (%s)", tt.name, d.Verdict, d.Reason, tt.want, tt.reason)
		}
	}
}

func TestDecidePlainHTTP(t *testing.T) {
	r := compile(t, `rules: [{domain: ['*.example.com', '*.example.net'], policy: bypass}]`, exampleDomain,
		Domain{Name: "example.net", Portal: "https://auth.example.net", TLS: "upstream"})
	for _, tt := range []struct {
		host   string
		want   Verdict
		reason Reason
	}{
		{"a.example.com", VerdictDeny, ReasonPlainHTTP},
		{"auth.example.com", VerdictDeny, ReasonPlainHTTP},
		{"a.example.net", VerdictAllow, ReasonBypass},
		{"auth.example.net", VerdictAllow, ReasonPortal},
	} {
		req := get(tt.host, "/")
		req.TLS = false
		if d := r.Decide(req, nobody(), now); d.Verdict != tt.want || d.Reason != tt.reason {
			t.Errorf("%s: %v (%s), want %v (%s)", tt.host, d.Verdict, d.Reason, tt.want, tt.reason)
		}
	}
}

func TestDecidePath(t *testing.T) {
	r := compile(t, `rules: [{domain: app.example.com, resources: '^/admin/x$', policy: bypass}]`)
	for _, tt := range []struct{ path, sent string }{
		{"/admin/x", ""},
		{"//admin/./x", "/admin/x"},
		{"/%61dmin/y/../x", "/admin/x"},
	} {
		d := r.Decide(get("app.example.com", tt.path), nobody(), now)
		if d.Verdict != VerdictAllow || d.Path != tt.sent {
			t.Errorf("%s: %v with path %q, want allow with %q", tt.path, d.Verdict, d.Path, tt.sent)
		}
	}
}

func TestDecideAmbiguousPath(t *testing.T) {
	d := exampleDomain
	d.EncodedSlashes = List{"git.example.com"}
	r := compile(t, `
rules:
  - {domain: app.example.com, resources: ['\.css$', '^/public/'], policy: bypass}
  - {domain: app.example.com, policy: one_factor}
  - {domain: plain.example.com, policy: one_factor}
  - {domain: git.example.com, resources: ['^/api/', '^/q%2Fx/y$'], policy: bypass}
  - {domain: git.example.com, policy: one_factor}
`, d)
	for _, tt := range []struct {
		name, host, path string
		want             Reason
	}{
		{"both readings fall under one rule", "plain", "/x;jsessionid=1", ReasonProved},
		{"both readings fall under the later rule", "app", "/x;jsessionid=1", ReasonProved},
		{"both readings fall under the first rule", "app", "/public/x;v=1", ReasonBypass},
		{"the parameter brings the first rule in", "app", "/admin;x.css", ReasonUncleanPath},
		{"an encoded semicolon too", "app", "/admin%3bx.css", ReasonUncleanPath},
		{"an empty segment with a parameter hides the first rule", "app", "/;x/public/y", ReasonUncleanPath},
		{"an encoded slash in a name", "git", "/projects/a%2fb", ReasonProved},
		{"an encoded slash in a name below the rule", "git", "/api/a%2fb", ReasonBypass},
		{"an encoded slash that ends the prefix of a rule", "git", "/api%2fb", ReasonUncleanPath},
		{"a doubly encoded slash that ends it", "git", "/api%252fb", ReasonUncleanPath},
		{"slash and parameter, one rule", "git", "/projects/a%2fb;x", ReasonProved},
		{"slash and parameter, two rules", "git", "/;x%2fapi/b", ReasonUncleanPath},
		{"slash and parameter, two rules when both are read the other way", "git", "/q%2Fx;z/y", ReasonUncleanPath},
		{"an encoded slash where the host does not allow it", "app", "/public/a%2fb", ReasonUncleanPath},
	} {
		if d := r.Decide(get(tt.host+".example.com", tt.path), alice(LevelOne), now); d.Reason != tt.want {
			t.Errorf("%s: %v (%s), want %s", tt.name, d.Verdict, d.Reason, tt.want)
		}
	}
}

func TestZeroRulesDeny(t *testing.T) {
	if d := new(Rules).Decide(get("a.example.com", "/"), alice(LevelTwo), now); d.Verdict != VerdictDeny {
		t.Errorf("rules nobody compiled say %v, want deny", d.Verdict)
	}
	if d := new(Rules).DomainOf("a.example.com"); d != nil {
		t.Errorf("rules nobody compiled know %v", d)
	}
}

func TestDomainOf(t *testing.T) {
	r := compile(t, `rules: [{domain: '*.example.com', policy: one_factor}]`, exampleDomain,
		Domain{Name: "shop.example.net", Portal: "https://login.shop.example.net:8443/"})
	for host, want := range map[string]string{
		"a.example.com": "example.com", "example.com": "example.com", "auth.example.com": "example.com",
		"shop.example.net": "shop.example.net", "A.Shop.Example.net.:80": "shop.example.net", "a.b.shop.example.net": "shop.example.net",
		"workshop.example.net": "", "example.net": "", "com": "", "xexample.com": "", "": "", "a b.example.com": "", "example.com..": "",
	} {
		got := ""
		if d := r.DomainOf(host); d != nil {
			got = d.Name
		}
		if got != want {
			t.Errorf("domain of %q is %q, want %q", host, got, want)
		}
	}
	if p := r.Domains()[1].Portal; p != "https://login.shop.example.net:8443" {
		t.Errorf("portal %q", p)
	}
}
