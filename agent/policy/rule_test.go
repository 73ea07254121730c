package policy

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

func TestGrammar(t *testing.T) {
	item := func(op, key, value string) QueryItem { return QueryItem{op, key, value, value != ""} }
	for _, tt := range []struct {
		name, text string
		want       Rule
	}{
		{"single strings", `{domain: a, networks: b, methods: GET, resources: c, subject: 'user:x', policy: deny}`,
			Rule{Domain: List{"a"}, Networks: List{"b"}, Methods: List{"GET"}, Resources: List{"c"}, Subject: Subjects{{"user:x"}}, Policy: Deny}},
		{"lists", `{domain: [a, b], domain_regex: [c], policy: two_factor}`,
			Rule{Domain: List{"a", "b"}, DomainRegex: List{"c"}, Policy: TwoFactor}},
		{"a flat list of subjects means any", `{subject: ['user:x', 'group:y']}`,
			Rule{Subject: Subjects{{"user:x"}, {"group:y"}}}},
		{"an inner list of subjects means all", `{subject: [['user:x', 'group:y'], 'group:z']}`,
			Rule{Subject: Subjects{{"user:x", "group:y"}, {"group:z"}}}},
		{"one query item", `{query: {key: a}}`, Rule{Query: Query{{item("", "a", "")}}}},
		{"a flat list of query items means any", `{query: [{operator: absent, key: a}, {key: b, value: c}]}`,
			Rule{Query: Query{{item("absent", "a", "")}, {item("", "b", "c")}}}},
		{"an inner list of query items means all", `{query: [[{key: a}, {key: b, value: 1}], {key: c}]}`,
			Rule{Query: Query{{item("", "a", ""), item("", "b", "1")}, {item("", "c", "")}}}},
		{"an empty value is a value", `{query: {key: a, value: ''}}`, Rule{Query: Query{{{Key: "a", HasValue: true}}}}},
		{"a value that is null is none", `{query: {key: a, value: }}`, Rule{Query: Query{{{Key: "a"}}}}},
		{"an alias", `{networks: &n [a, b], domain: *n, subject: [*n]}`,
			Rule{Networks: List{"a", "b"}, Domain: List{"a", "b"}, Subject: Subjects{{"a", "b"}}}},
		{"what Postern adds", `{name: n, max_age: 15m, factors: webauthn}`,
			Rule{Name: "n", MaxAge: 15 * time.Minute, Factors: List{"webauthn"}}},
	} {
		var got Rule
		if err := yaml.Unmarshal([]byte(tt.text), &got); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v (%v), want %+v", tt.name, got, err, tt.want)
		}
	}
}

func TestGrammarFaults(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a mapping for a list", "domain: {a: b}", "line 1: must be a string or a list of strings"},
		{"a list in a list", "domain:\n  - [a]", "line 2: must be a string"},
		{"a null in a list", "methods: [~]", "line 1: must be a string"},
		{"a list too deep", "subject: [[[a]]]", "line 1: must be a string"},
		{"a mapping for a subject", "subject: {user: a}", "line 1: must be a string or a list of strings"},
		{"a string for a query", "query: a", "line 1: must be a list of items"},
		{"a string in a query", "query: [a]", "line 1: must be an item"},
		{"a misspelt key", "query:\n  - - operator: absent\n      kee: a", "line 3: unknown key kee"},
		{"a list for a value", "query: [{key: a, value: [b]}]", "line 1: value must be a string"},
		{"an unknown policy", "policy: allow", `"allow" is no policy`},
		{"a policy of capitals", "policy: Bypass", `"Bypass" is no policy`},
	} {
		var got Rule
		if err := yaml.Unmarshal([]byte(tt.text), &got); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestPastedBlock compiles a block that holds every form of Authelia's grammar.
func TestPastedBlock(t *testing.T) {
	r := compile(t, `
default_policy: 'deny'
networks:
  - name: 'internal'
    networks: ['10.0.0.0/8', '172.16.0.0/12']
  - name: 'vpn'
    networks: '10.9.0.0/16'
rules:
  - domain: 'public.example.com'
    policy: 'bypass'
  - domain: 'secure.example.com'
    policy: 'two_factor'
    networks: ['internal', 'vpn', '192.168.1.0/24', '10.0.0.1']
  - domain_regex: '^(?P<User>\w+)\.example\.com$'
    policy: 'one_factor'
  - domain: ['*.apps.example.com', '{user}.example.com', '{group}.example.com']
    subject:
      - ['user:james', 'group:admins']
      - 'user:john'
    methods: ['OPTIONS', 'PROPFIND']
    resources: ['^/groups/(?P<Group>[^/]+)([/?].*)?$', '^/api.*$']
    policy: 'two_factor'
  - domain: 'app.example.com'
    policy: 'one_factor'
    query:
      - operator: 'present'
        key: 'secure'
      - - operator: 'absent'
          key: 'insecure'
        - operator: 'pattern'
          key: 'token'
          value: '^(abc123|zyx789)$'
        - operator: 'not pattern'
          key: 'random'
          value: '^(1|2)$'
        - key: 'mode'
          value: 'x'
        - operator: 'not equal'
          key: 'x'
          value: 'y'
`)
	if r.Len() != 5 {
		t.Errorf("%d rules", r.Len())
	}
}

func TestWords(t *testing.T) {
	for _, p := range []Policy{Deny, Bypass, OneFactor, TwoFactor} {
		var q Policy
		text, _ := p.MarshalText()
		if err := q.UnmarshalText(text); err != nil || q != p {
			t.Errorf("policy %s is read as %s (%v)", p, q, err)
		}
	}
	for f := Password; f < factorCount; f++ {
		var g Factor
		text, _ := f.MarshalText()
		if err := g.UnmarshalText(text); err != nil || f != g {
			t.Errorf("factor %s is read as %s (%v)", f, g, err)
		}
	}
	if Policy(0).String() != "deny" || Verdict(0).String() != "error" || Verdict(99).String() != "error" || Factor(99).String() != "unknown" {
		t.Error("a value nobody set must not look like one that lets in")
	}
	got := []string{}
	for v := VerdictError; v <= VerdictDeny; v++ {
		text, _ := v.MarshalText()
		got = append(got, string(text))
	}
	for _, l := range []Level{Anonymous, LevelOne, LevelTwo} {
		got = append(got, l.String())
	}
	if want := "error allow login step_up challenge deny 0 1 2"; strings.Join(got, " ") != want {
		t.Errorf("words are %q, want %q", got, want)
	}
}
