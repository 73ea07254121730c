package policy

import (
	"fmt"
	"testing"
)

func TestQuery(t *testing.T) {
	for _, tt := range []struct {
		name, rule, query string
		want              bool
	}{
		{"present", "{key: a}", "b=1&a=", true},
		{"present without a value", "{key: a}", "a", true},
		{"present, encoded", "{key: 'a b'}", "%61+b=1", true},
		{"not present", "{key: a}", "A=1&aa=2", false},
		{"not present in an empty query", "{key: a}", "", false},
		{"absent", "{operator: absent, key: a}", "b=1", true},
		{"absent from an empty query", "{operator: absent, key: a}", "", true},
		{"not absent", "{operator: absent, key: a}", "b=1&%61", false},
		{"equal", "{key: a, value: x y}", "a=x%20y", true},
		{"equal, plus for a space", "{key: a, value: x y}", "a=x+y", true},
		{"not equal though it begins so", "{key: a, value: x}", "a=xy", false},
		{"equal only in the first of two", "{key: a, value: x}", "a=x&a=y", false},
		{"equal in both", "{key: a, value: x}", "a=x&b=2&a=x", true},
		{"equal to nothing needs the key", "{key: a, value: ''}", "", false},
		{"equal to nothing", "{key: a, value: ''}", "a=", true},
		{"another value", "{operator: not equal, key: a, value: x}", "a=y", true},
		{"another value or none", "{operator: not equal, key: a, value: x}", "", true},
		{"another value in one of two", "{operator: not equal, key: a, value: x}", "a=y&a=x", false},
		{"pattern", "{operator: pattern, key: a, value: '^[0-9]+$'}", "a=12", true},
		{"pattern in one of two", "{operator: pattern, key: a, value: '^[0-9]+$'}", "a=12&a=x", false},
		{"pattern needs the key", "{operator: pattern, key: a, value: '.*'}", "", false},
		{"not pattern", "{operator: not pattern, key: a, value: '^[0-9]+$'}", "a=x", true},
		{"not pattern in one of two", "{operator: not pattern, key: a, value: '^[0-9]+$'}", "a=x&a=1", false},
		{"an equals sign in the value", "{key: a, value: b=c}", "a=b=c", true},
		{"any of a flat list", "[{key: a}, {key: b}]", "b", true},
		{"all of an inner list", "[[{key: a}, {key: b}]]", "b", false},
		{"empty pairs are skipped", "{operator: absent, key: b}", "&&a&", true},
	} {
		r := compile(t, fmt.Sprintf("rules: [{domain: a.example.com, query: %s, policy: bypass}]", tt.rule))
		req := get("a.example.com", "/")
		req.Query = tt.query
		if d := r.Decide(req, nobody(), now); (d.Verdict == VerdictAllow) != tt.want {
			t.Errorf("%s: %v for %q, want allow: %v", tt.name, d.Verdict, tt.query, tt.want)
		}
	}
}

func TestUncleanQuery(t *testing.T) {
	r := compile(t, `
default_policy: one_factor
rules:
  - {domain: a.example.com, resources: '^/public/', policy: bypass}
  - {domain: a.example.com, resources: '^/api/', query: {key: v, value: '2'}, policy: bypass}
  - {domain: a.example.com, query: {operator: absent, key: role}, policy: bypass}
  - {domain: c.example.com, resources: '^/api/', query: {key: v, value: '2'}, policy: bypass}
`)
	for _, tt := range []struct {
		name, host, path, query string
		want                    Reason
	}{
		{"a semicolon, which some servers split at", "a", "/", "x=1;role=admin", ReasonUncleanQuery},
		{"a number sign, at which some servers stop", "a", "/", "x=1#&role=admin", ReasonUncleanQuery},
		{"an escape that is none", "a", "/", "%zzrole=1", ReasonUncleanQuery},
		{"an escape cut short", "a", "/", "role%", ReasonUncleanQuery},
		{"a NUL", "a", "/", "role%00=1", ReasonUncleanQuery},
		{"a raw NUL", "a", "/", "role\x00=1", ReasonUncleanQuery},
		{"a rule before the one that asks", "a", "/public/", "x=1;y", ReasonBypass},
		{"a host whose rules do not ask", "b", "/", "x=1;y=%zz", ReasonProved},
		{"a clean query", "a", "/", "x=%3B", ReasonBypass},
		{"a path of which no rule asks for the query", "c", "/", "x=1;y", ReasonProved},
		{"a path of which a rule does", "c", "/api/", "x=1;y", ReasonUncleanQuery},
		{"an ambiguous path of which a rule may in its other reading", "c", "/api;x/", "x=1;y", ReasonUncleanPath},
		{"an ambiguous path besides", "a", "/public/;x", "role;", ReasonBypass},
		{"an ambiguous path that leads to the rule that asks", "a", "/;x/public/", "role;", ReasonUncleanQuery},
		{"an ambiguous path whose other reading leads there", "a", "/public;x/", "role;", ReasonUncleanQuery},
	} {
		req := get(tt.host+".example.com", tt.path)
		req.Query = tt.query
		if d := r.Decide(req, alice(LevelOne), now); d.Reason != tt.want {
			t.Errorf("%s: %v (%s), want %s", tt.name, d.Verdict, d.Reason, tt.want)
		}
	}
}
