package haproxy_test

import (
	"net/http"
	"strings"
	"testing"

	"postern/agent"
	"postern/agent/spop"
	"postern/haproxy/haproxytest"
)

// TestVerdicts: what HAProxy answers to each verdict, and that nothing but `allow`
// reaches the application.
func TestVerdicts(t *testing.T) {
	const portal = "https://auth.example.com/?rd=https%3A%2F%2Fapp.example.com%2F&rm=GET"
	rows := []struct {
		name   string
		agent  script
		status int
		header map[string]string
		body   []string
	}{
		{"allow passes", allow(), 200, map[string]string{"X-App": "1"}, nil},
		{"login of a GET is a 302", say("status", 302, "location", portal, "verdict", "login"), 302, map[string]string{"Location": portal}, nil},
		{"login of a POST is a 303", say("status", 303, "location", portal, "verdict", "login"), 303, map[string]string{"Location": portal}, nil},
		{"step_up goes the same way", say("status", 302, "location", portal, "verdict", "step_up"), 302, map[string]string{"Location": portal}, nil},
		{"login without a location refuses", say("status", 302, "verdict", "login"), 503, nil, nil},
		{"login with another status refuses", say("status", 200, "location", portal, "verdict", "login"), 503, nil, nil},
		{"challenge is a 401 with JSON", say("status", 401, "verdict", "challenge"), 401,
			map[string]string{"Content-Type": "application/json", "Www-Authenticate": ""}, []string{`{"error":"sign_in_required"}`}},
		{"challenge names the scheme", say("status", 401, "challenge", `Basic realm="x", charset="UTF-8"`, "verdict", "challenge"), 401,
			map[string]string{"Www-Authenticate": `Basic realm="x", charset="UTF-8"`}, nil},
		{"too many tries is a 429", say("status", 429, "verdict", "challenge"), 429, map[string]string{"Retry-After": "60"}, []string{"Too many tries"}},
		{"deny is a page", say("status", 403, "verdict", "deny"), 403, map[string]string{"Content-Type": "text/html; charset=utf-8"}, []string{"You cannot open this page"}},
		{"deny names the user", say("user", "alice", "status", 403, "location", portal, "verdict", "deny"), 403, nil,
			[]string{"<b>alice</b>", `<a href="https://auth.example.com/?rd=https%3A%2F%2Fapp.example.com%2F&amp;rm=GET">`}},
		{"deny escapes the user", say("user", `<i>&"é%41`, "status", 403, "location", `https://auth.example.com/?"><i>`, "verdict", "deny"), 403, nil,
			[]string{"<b>&lt;i&gt;&amp;&quot;é%41</b>", `<a href="https://auth.example.com/?&quot;&gt;&lt;i&gt;">`}},
		{"deny links to https alone", say("user", "alice", "status", 403, "location", "javascript:alert(1)", "verdict", "deny"), 403, nil, []string{"closed to you"}},
		{"error is a 503", say("status", 503, "verdict", "error"), 503, map[string]string{"Retry-After": "5"}, []string{"let in right now"}},
	}
	eachRig(t, options{}, func(t *testing.T, r *rig) {
		for two, client := range map[bool]*http.Client{false: r.client.HTTP(t, false), true: r.client.HTTP(t, true)} {
			for _, row := range rows {
				r.script(t, row.agent)
				r.app.Forget()
				got := haproxytest.Do(t, client, "GET", "https://app.example.com/a?b=c", nil, "")
				if got.Status != row.status {
					t.Errorf("%s (HTTP/2 %v): status %d, want %d\n%s", row.name, two, got.Status, row.status, got.Body)
				}
				for name, want := range row.header {
					if got.Header.Get(name) != want {
						t.Errorf("%s (HTTP/2 %v): %s is %q, want %q", row.name, two, name, got.Header.Get(name), want)
					}
				}
				for _, want := range row.body {
					if !strings.Contains(got.Body, want) {
						t.Errorf("%s (HTTP/2 %v): no %q in\n%s", row.name, two, want, got.Body)
					}
				}
				if seen := len(r.app.Seen()); (seen == 1) != (row.status == 200) {
					t.Errorf("%s (HTTP/2 %v): the application received %d requests", row.name, two, seen)
				}
				if row.status != 200 && got.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("%s (HTTP/2 %v): Cache-Control is %q", row.name, two, got.Header.Get("Cache-Control"))
				}
			}
		}
	})
}

// TestOnlyLiteralAllowPasses: verdicts that are nearly `allow`.
func TestOnlyLiteralAllowPasses(t *testing.T) {
	rows := map[string]script{
		"no action":      func(question, *spop.Actions) {},
		"no verdict":     say("user", "alice", "status", 200),
		"another case":   say("verdict", "Allow"),
		"a space behind": say("verdict", "allow "),
		"more behind":    say("verdict", "allowed"),
		"empty":          say("verdict", ""),
		"a true boolean": say("verdict", true),
		"an integer":     say("verdict", 1),
		"a list":         say("verdict", "allow,deny"),
		"taken back":     func(q question, a *spop.Actions) { allow()(q, a); a.Unset(spop.Transaction, "verdict") },
		"overwritten":    func(q question, a *spop.Actions) { allow()(q, a); a.SetString(spop.Transaction, "verdict", "deny ") },
		"no id":          func(_ question, a *spop.Actions) { set(a, "user", "alice", "verdict", "allow") },
		"an empty id":    func(_ question, a *spop.Actions) { set(a, "rid", "", "verdict", "allow") },
		"another id": func(_ question, a *spop.Actions) {
			set(a, "rid", "2f5f0a4e-0000-4000-8000-000000000000", "verdict", "allow")
		},
		"an id cut short":     func(q question, a *spop.Actions) { set(a, "rid", q.str("rid")[:35], "verdict", "allow") },
		"an id with more":     func(q question, a *spop.Actions) { set(a, "rid", q.str("rid")+"0", "verdict", "allow") },
		"an id as a boolean":  func(_ question, a *spop.Actions) { set(a, "rid", true, "verdict", "allow") },
		"a path that is none": say("path", "admin", "verdict", "allow"),
		"a path as a boolean": say("path", true, "verdict", "allow"),
		"another scope": func(q question, a *spop.Actions) {
			a.SetString(spop.SessionScope, "rid", q.str("rid"))
			a.SetString(spop.SessionScope, "verdict", "allow")
		},
		"the mark of our own":    say("passed", true, "postern_passed", true),
		"a location and allow":   say("location", "https://auth.example.com/", "verdict", "allow\r\n"),
		"a login that allows":    say("status", 200, "location", "https://auth.example.com/", "verdict", "login,allow"),
		"only an error variable": say(agent.VarError, 0),
	}
	eachRig(t, options{timeout: "300ms"}, func(t *testing.T, r *rig) {
		client := r.client.HTTP(t, false)
		for name, s := range rows {
			r.script(t, s)
			got := haproxytest.Do(t, client, "GET", "https://app.example.com/", nil, "")
			if got.Status == 200 || got.Status < 400 {
				t.Errorf("%s: status %d", name, got.Status)
			}
		}
		if n := len(r.app.Seen()); n != 0 {
			t.Errorf("the application received %d requests", n)
		}
		// The same connection, the same agent: a right answer still passes.
		r.script(t, allow())
		if got := haproxytest.Do(t, client, "GET", "https://app.example.com/", nil, ""); got.Status != 200 {
			t.Errorf("allow: status %d", got.Status)
		}
	})
}
