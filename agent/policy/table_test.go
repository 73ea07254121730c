package policy

import (
	"fmt"
	"sync"
	"testing"
)

// TestTable is the whole table of policy, level and subject, for a page and for what is
// no page.
func TestTable(t *testing.T) {
	type key struct {
		policy   Policy
		personal bool // the rule has a subject
		level    Level
	}
	want := map[key]Verdict{
		{Bypass, false, Anonymous}: VerdictAllow,
		{Bypass, false, LevelOne}:  VerdictAllow,
		{Bypass, false, LevelTwo}:  VerdictAllow,

		{Deny, false, Anonymous}: VerdictDeny,
		{Deny, false, LevelOne}:  VerdictDeny,
		{Deny, false, LevelTwo}:  VerdictDeny,
		{Deny, true, Anonymous}:  VerdictLogin,
		{Deny, true, LevelOne}:   VerdictDeny,
		{Deny, true, LevelTwo}:   VerdictDeny,

		{OneFactor, false, Anonymous}: VerdictLogin,
		{OneFactor, false, LevelOne}:  VerdictAllow,
		{OneFactor, false, LevelTwo}:  VerdictAllow,
		{OneFactor, true, Anonymous}:  VerdictLogin,
		{OneFactor, true, LevelOne}:   VerdictAllow,
		{OneFactor, true, LevelTwo}:   VerdictAllow,

		{TwoFactor, false, Anonymous}: VerdictLogin,
		{TwoFactor, false, LevelOne}:  VerdictStepUp,
		{TwoFactor, false, LevelTwo}:  VerdictAllow,
		{TwoFactor, true, Anonymous}:  VerdictLogin,
		{TwoFactor, true, LevelOne}:   VerdictStepUp,
		{TwoFactor, true, LevelTwo}:   VerdictAllow,
	}
	for k, verdict := range want {
		rule := Rule{Domain: List{"app.example.com"}, Policy: k.policy}
		if k.personal {
			rule.Subject = Subjects{{"user:alice"}}
		}
		r, err := Compile([]Domain{exampleDomain}, Config{Rules: []Rule{rule}})
		if err != nil {
			t.Fatal(err)
		}
		sub := alice(k.level)
		if k.level == Anonymous {
			sub = nobody()
		}
		page := get("app.example.com", "/")
		if d := r.Decide(page, sub, now); d.Verdict != verdict || d.Policy != k.policy || d.Rule != 0 || d.Domain.Name != "example.com" {
			t.Errorf("%v, subject %v, level %v: %+v, want %v", k.policy, k.personal, k.level, d, verdict)
		}
		if verdict == VerdictLogin || verdict == VerdictStepUp {
			verdict = VerdictChallenge
		}
		call := *page
		call.FetchMode = "cors"
		if d := r.Decide(&call, sub, now); d.Verdict != verdict {
			t.Errorf("%v, subject %v, level %v, no page: %v, want %v", k.policy, k.personal, k.level, d.Verdict, verdict)
		}
	}
	for policy, verdict := range map[Policy]Verdict{0: VerdictDeny, Deny: VerdictDeny, OneFactor: VerdictLogin, TwoFactor: VerdictLogin, Bypass: VerdictAllow} {
		r, err := Compile([]Domain{exampleDomain}, Config{DefaultPolicy: policy})
		if err != nil {
			t.Fatal(err)
		}
		if d := r.Decide(get("app.example.com", "/"), nobody(), now); d.Verdict != verdict || d.Rule != DefaultRule {
			t.Errorf("default %v: %+v, want %v", policy, d, verdict)
		}
	}
}

// TestVisitorsAreAllowedWhatEverybodyIs: the agent answers an unknown session with what
// a visitor is allowed, so nobody may be allowed less than a visitor.
func TestVisitorsAreAllowedWhatEverybodyIs(t *testing.T) {
	r := compile(t, exampleRules+`
  - {domain: '*.example.com', resources: '^/open/', policy: bypass}
`)
	for _, host := range []string{"public", "wiki", "bank", "chat", "alice.home", "dev.team", "bob-box", "staff-area", "api", "files", "x.any", "other"} {
		for _, path := range []string{"/", "/v1/x", "/home/alice/x", "/home/bob/x", "/open/x", "/open/;x/y", "/x;y"} {
			req := get(host+".example.com", path)
			if r.Decide(req, nobody(), now).Verdict != VerdictAllow {
				continue
			}
			for _, sub := range []*Subject{alice(LevelOne), alice(LevelTwo), bob(LevelOne), {User: "carol", Level: LevelTwo}} {
				if d := r.Decide(req, sub, now); d.Verdict != VerdictAllow {
					t.Errorf("%s%s: %v for %s, though visitors are allowed", host, path, d.Verdict, sub.User)
				}
			}
		}
	}
}

// TestDecideAtOnce: rules are used by any number of goroutines (run with -race), and no
// answer is another's.
func TestDecideAtOnce(t *testing.T) {
	r := compile(t, exampleRules)
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			name := fmt.Sprintf("user%d", g)
			sub := &Subject{User: name, Level: LevelOne}
			for range 200 {
				own, other := get(name+"-box.example.com", "//x"), get("user9-box.example.com", "/")
				if d := r.Decide(own, sub, now); d.Verdict != VerdictAllow || d.Path != "/x" {
					t.Errorf("%s on his own host: %+v", name, d)
				}
				if d := r.Decide(other, sub, now); d.Verdict != VerdictDeny {
					t.Errorf("%s on another's host: %+v", name, d)
				}
				r.Explain(own, sub, now)
			}
		})
	}
	all.Wait()
}
