package portal

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"postern/portal/users"
)

func TestJudge(t *testing.T) {
	alice := wordsOf(users.User{Name: "alice", DisplayName: "Alice Liddell", Emails: []string{"a.liddell@rabbithole.example"}})
	for _, tt := range []struct {
		name, password string
		fit            bool
		say            sentence
	}{
		{"nothing", "", false, "strength.short"},
		{"a good one that is short", "xK9$vQ2!pZ7", false, "strength.short"},
		{"characters count, not bytes", "ääääöööüüü", false, "strength.short"},
		{"one that everybody tries", "passwordpassword", false, "strength.weak"},
		{"a row of keys", "qwertyuiop[]", false, "strength.weak"},
		{"one letter", strings.Repeat("a", 60), false, "strength.weak"},
		{"a year and a word", "summer2024summer2024", false, "strength.weak"},
		{"one's name", "AliceLiddell1", false, "strength.personal"},
		{"one's mail domain", "rabbithole.example", false, "strength.personal"},
		{"four odd words", "seven odd lanterns hum", true, "strength.strong"},
		{"letters of another alphabet", "жёлтый трамвай едет", true, "strength.strong"},
		{"a random one", "xK9$vQ2!pZ7mR", true, "strength.strong"},
		{"a long one is judged by its beginning", strings.Repeat("a", 80) + "xK9$vQ2!pZ7mR", false, "strength.weak"},
		{"longer than can be checked", strings.Repeat("xK9$vQ2!pZ7mR", 100), false, "strength.long"},
		{"not text", "xK9$vQ2!pZ7mR\xff", false, "strength.unusable"},
		{"a NUL", "xK9$vQ2!p\x00Z7mR", false, "strength.unusable"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := DefaultStrength().judge(tt.password, alice)
			if got.Fit != tt.fit || got.Say != tt.say {
				t.Errorf("%+v, want fit %v and %s", got, tt.fit, tt.say)
			}
		})
	}
	lax := Strength{MinLength: 8, MinScore: 0}
	if got := lax.judge("password", nil); !got.Fit || got.Say != "strength.poor" {
		t.Errorf("where anything goes: %+v", got)
	}
	strict := Strength{MinLength: 8, MinScore: 4}
	if got := strict.judge("password", nil); got.Fit || got.Say != "strength.common" {
		t.Errorf("the commonest of all: %+v", got)
	}
}

func TestStrengthConfiguration(t *testing.T) {
	for _, tt := range []struct {
		name string
		s    Strength
		want string
	}{
		{"the default", DefaultStrength(), ""},
		{"shorter than is sensible", Strength{7, 3}, "passwords.min_length: 7 is not between 8 and 64"},
		{"longer than people type", Strength{65, 3}, "passwords.min_length: 65 is not between 8 and 64"},
		{"no score of zxcvbn", Strength{8, 5}, "passwords.min_score: 5 is not between 0 and 4"},
		{"both", Strength{0, -1}, "passwords.min_length: 0 is not between 8 and 64\npasswords.min_score: -1 is not between 0 and 4"},
	} {
		got := ""
		if err := tt.s.Validate(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestStrengthWhileTyping(t *testing.T) {
	h := openHouse(t)
	type said struct {
		Score int
		Fit   bool
		Say   string
	}
	ask := func(b *browser, page answer, fields ...string) said {
		t.Helper()
		got := b.send(page, "/password-strength", fields...)
		got.want(t, http.StatusOK)
		var s said
		must(t, json.Unmarshal([]byte(got.Body), &s))
		return s
	}
	b := h.browser()
	b.signIn("", "bob", "builder")
	page := b.get(auth + pagePassword)
	if got := ask(b, page, "new", "short"); got.Fit || got.Say != "Too short: it needs at least 12 characters." {
		t.Errorf("%+v", got)
	}
	if got := ask(b, page, "new", newPassword); !got.Fit || got.Score != 4 || got.Say != "Very good." {
		t.Errorf("%+v", got)
	}
	other := h.browser()
	other.ask("alice")
	h.settled(1)
	reset := other.get(h.linkTo(pageResetNew))
	if got := ask(other, reset, "new", "Alice Liddell alice@example.com"); got.Fit || !strings.Contains(got.Say, "your name") {
		t.Errorf("%+v", got)
	}
	// It is no service for everybody.
	stranger := h.browser()
	stranger.send(stranger.get(auth+"/"), "/password-strength", "new", "x").want(t, http.StatusForbidden)
	stranger.send(stranger.get(auth+"/"), "/password-strength", "new", "x", "slip", "junk").want(t, http.StatusForbidden)
	b.send(page, "/password-strength", "new", "x", "csrf", "").want(t, http.StatusForbidden)
	b.do("POST", auth+"/password-strength?new="+url.QueryEscape(newPassword), nil).want(t, http.StatusBadRequest)
	if strings.Contains(h.log.String(), newPassword) {
		t.Error("the log holds a password")
	}
}

// FuzzJudge: no password panics, and one that is fit is as long as the policy asks.
func FuzzJudge(f *testing.F) {
	for _, s := range []string{"", "password", "qwertyuiop[]", "1111111111111", "p4ssw0rd", "19.12.1997", "жёлтый", "\x00", "\xff", "aAaAaAaAaAaA"} {
		f.Add(s)
	}
	policy := DefaultStrength()
	f.Fuzz(func(t *testing.T, password string) {
		got := policy.judge(password, []string{"alice", ""})
		if got.Score < 0 || got.Score > 4 || got.Say == "" {
			t.Fatalf("%q: %+v", password, got)
		}
		if got.Fit && (len(password) < policy.MinLength || got.Score < policy.MinScore) {
			t.Fatalf("%q is fit: %+v", password, got)
		}
	})
}
