package portal

import (
	"testing"
	"time"

	"postern/agent/policy"
	"postern/agent/session"
)

func TestNext(t *testing.T) {
	rules, err := policy.Compile(houseDomains(), houseRules())
	must(t, err)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	anyone := func(level policy.Level, groups ...string) *session.Session {
		s := &session.Session{User: "bob", Groups: groups, Level: level}
		if level > policy.Anonymous {
			s.Proofs[policy.Password] = at.Add(-time.Hour).Unix()
		}
		return s
	}
	app := having{Any: true, Second: []policy.Factor{policy.TOTP, policy.Recovery}}
	to := func(rd string) target { return parseTarget(rd, "GET", "example.com") }
	for _, tt := range []struct {
		why  string
		at   place
		want step
	}{
		{"nobody is signed in", place{}, stepPassword},
		{"nobody, and the target is open to all", place{Target: to("https://public.example.com/")}, stepPassword},
		{"a session that proved nothing", place{Session: anyone(policy.Anonymous), Target: to("https://wiki.example.com/")}, stepPassword},
		{"signed in without a target", place{Session: anyone(policy.LevelOne)}, stepDone},
		{"signed in, one factor asked for", place{Session: anyone(policy.LevelOne), Target: to("https://wiki.example.com/")}, stepDone},
		{"two factors asked for and none set up", place{Session: anyone(policy.LevelOne), Target: to("https://bank.example.com/")}, stepNoSecond},
		{"two factors asked for and one set up", place{Session: anyone(policy.LevelOne), Target: to("https://bank.example.com/"), Having: app}, stepProve},
		{"two factors asked for and one can be set up", place{Session: anyone(policy.LevelOne), Target: to("https://bank.example.com/"), Having: having{Enrol: []policy.Factor{policy.TOTP}}}, stepEnrol},
		{"the only factor works on another portal", place{Session: anyone(policy.LevelOne), Target: to("https://bank.example.com/"), Having: having{Any: true, Enrol: []policy.Factor{policy.TOTP}}}, stepNoSecond},
		{"settings with one factor of two", place{Session: anyone(policy.LevelOne), Page: pageSettings, Having: app}, stepProve},
		{"settings without a second factor", place{Session: anyone(policy.LevelOne), Page: pageSettings}, stepDone},
		{"factors after an old password", place{Session: anyone(policy.LevelOne), Page: pageFactors}, stepProve},
		{"factors long after the second factor", place{Session: anyone(policy.LevelTwo), Page: pageFactors, Having: app}, stepProve},
		{"two factors proved", place{Session: anyone(policy.LevelTwo), Target: to("https://bank.example.com/")}, stepDone},
		{"not in the group", place{Session: anyone(policy.LevelOne), Target: to("https://admin.example.com/")}, stepDenied},
		{"in the group", place{Session: anyone(policy.LevelOne, "admins"), Target: to("https://admin.example.com/")}, stepDone},
		{"two factors do not open what the rules deny", place{Session: anyone(policy.LevelTwo), Target: to("https://admin.example.com/")}, stepDenied},
		{"no rule names the host", place{Session: anyone(policy.LevelTwo), Target: to("https://other.example.com/")}, stepDenied},
		{"the target was refused", place{Session: anyone(policy.LevelOne), Target: to("https://evil.test/")}, stepDone},
	} {
		if got := next(rules, tt.at, at); got != tt.want {
			t.Errorf("%s: step %d, want %d", tt.why, got, tt.want)
		}
	}
}
