package policy

import (
	"slices"
	"strings"
	"testing"
)

func TestWarnings(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string // path, and a word of the message
	}{
		{"nothing to say", `rules: [{domain_regex: '^[a-z]+\.example\.com$', resources: ['^/api/.*$', '^/[^/]+/x', '^/a([/?].*)?$'], policy: one_factor}]`, nil},
		{"an open default", `{default_policy: bypass, rules: [{domain: a.example.com, policy: deny}]}`, []string{"default_policy: open to everybody"}},
		{"no rules", `default_policy: one_factor`, []string{"rules: no rule"}},
		{"a star that is no label", `rules: [{domain: '*example.com', policy: deny}]`, []string{"rules[0].domain[0]: matches nothing"}},
		{"no anchor in front", `rules: [{domain_regex: 'a\.example\.com$', policy: deny}]`, []string{"rules[0].domain_regex[0]: part of the host"}},
		{"no anchor behind", `rules: [{domain_regex: '^a\.example\.com', policy: deny}]`, []string{"rules[0].domain_regex[0]: part of the host"}},
		{"an anchor in one alternative", `rules: [{domain_regex: '^a$|b$', policy: deny}]`, []string{"rules[0].domain_regex[0]: part of the host"}},
		{"anchors in all alternatives", `rules: [{domain_regex: '(^a$|^bc$)', policy: deny}]`, nil},
		{"a dot that is any character", `rules: [{domain_regex: '^a.example\.com$', policy: deny}]`, []string{"rules[0].domain_regex[0]: a dot alone"}},
		{"a path from anywhere", `rules: [{domain: a.example.com, resources: ['^/ok', '\.css$'], policy: bypass}]`, []string{"rules[0].resources[1]: anywhere in the path"}},
		{"a question mark", `rules: [{domain: a.example.com, resources: '^/x\?y', policy: deny}]`, []string{"rules[0].resources[0]: question mark"}},
		{"a group of small letters", `rules: [{domain: a.example.com, resources: '^/(?P<user>[a-z]+)', policy: deny}]`, []string{"rules[0].resources[0]: only the names"}},
		{"letter by letter", `rules: [{domain: a.example.com, resources: '^/(?P<User>[a-z]+)', policy: deny}]`, []string{"rules[0].resources[0]: letter by letter"}},
		{"a trusted network", `rules: [{domain: a.example.com, networks: 10.0.0.1, policy: bypass}]`, []string{"rules[0].networks: without signing in"}},
		{"a trusted query", `rules: [{domain: a.example.com, query: {key: a}, policy: bypass}]`, []string{"rules[0].query: without signing in"}},
		{"a portal", `rules: [{domain: auth.example.com, policy: deny}]`, []string{"rules[0]: names a portal"}},
		{"another domain", `rules: [{domain: a.example.org, policy: deny}, {domain: '*.example.org', policy: deny}]`, []string{"rules[0]: outside", "rules[1]: outside"}},
		{"a suffix above the domain", `rules: [{domain: '*.com', policy: deny}]`, nil},
		{"a rule behind one of the same host", `rules: [{domain: a.example.com, policy: deny}, {domain: a.example.com, methods: GET, policy: bypass}]`, []string{"rules[1]: rules[0] takes every request"}},
		{"a rule behind a wildcard", `rules: [{domain: '*.example.com', policy: deny}, {domain: [a.example.com, '*.b.example.com'], policy: bypass}]`, []string{"rules[1]: rules[0] takes every request"}},
		{"an expression behind a wildcard", `rules: [{domain: '*.example.com', policy: deny}, {domain_regex: '^a+\.example\.com$', policy: bypass}]`, []string{"rules[1]: rules[0] takes every request"}},
		{"a host behind an expression", `rules: [{domain_regex: '^a+\.example\.com$', policy: deny}, {domain: aa.example.com, policy: bypass}]`, []string{"rules[1]: rules[0] takes every request"}},
		{"one host of two is left", `rules: [{domain: a.example.com, policy: deny}, {domain: [a.example.com, b.example.com], policy: bypass}]`, nil},
		{"the first has another criterion", `rules: [{domain: a.example.com, subject: 'user:a', policy: deny}, {domain: a.example.com, policy: one_factor}]`, nil},
		{"the first depends on the user", `rules: [{domain: '{user}.example.com', policy: deny}, {domain: a.example.com, policy: one_factor}]`, nil},
	} {
		var got []string
		for _, f := range compile(t, tt.text).Warnings() {
			got = append(got, strings.TrimPrefix(f.Path, "access_control.")+": "+f.Message)
		}
		same := slices.EqualFunc(got, tt.want, func(got, want string) bool {
			path, word, _ := strings.Cut(want, ": ")
			return strings.HasPrefix(got, path+": ") && strings.Contains(got, word)
		})
		if !same {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
