package portal

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"postern/portal/strength"
	"postern/portal/users"
)

func TestWhatIsKnownOfAUser(t *testing.T) {
	got := wordsOf(users.User{Name: "alice", DisplayName: "Alice Liddell-Hargreaves", Emails: []string{"a.liddell@rabbithole.example"}})
	for _, want := range []string{"alice", "alice liddell-hargreaves", "liddell", "hargreaves", "a.liddell@rabbithole.example", "rabbithole"} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is not known: %q", want, got)
		}
	}
	many := wordsOf(users.User{Name: strings.Repeat("x", 500), DisplayName: strings.Repeat("many words ", 50)})
	if len(many) > maxWords || len(many[0]) > maxWord {
		t.Errorf("%d words, the first of %d bytes", len(many), len(many[0]))
	}
}

func TestVerdicts(t *testing.T) {
	h := openHouse(t)
	s, v := h.writer("en")
	for _, tt := range []struct {
		j    strength.Judgement
		want string
	}{
		{strength.Judgement{Score: 0}, "Weak, but it will do."}, {strength.Judgement{Score: 2}, "Fair."},
		{strength.Judgement{Score: 3}, "Good."}, {strength.Judgement{Score: 4}, "Very good."},
		{strength.Judgement{Fault: strength.Short}, "Too short: it needs at least 12 characters."},
		{strength.Judgement{Fault: strength.Long}, "Too long."},
		{strength.Judgement{Fault: strength.Unusable}, "It holds characters that cannot be used."},
		{strength.Judgement{Fault: strength.Common}, "Too easy: this is among the passwords that are tried first."},
		{strength.Judgement{Fault: strength.Personal}, "Too easy: it is made of your name or address."},
		{strength.Judgement{Fault: strength.Weak}, "Too easy to guess. Add another word or two."},
	} {
		if got := s.verdict(v, tt.j); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.j, got, tt.want)
		}
	}
}

// TestThreat43OnlySoManyAreJudgedAtOnce: who waits too long for his turn is told so.
func TestThreat43OnlySoManyAreJudgedAtOnce(t *testing.T) {
	h := openHouse(t)
	s, _ := h.writer("en")
	for range judging {
		s.judges <- struct{}{}
	}
	if _, err := s.judge(newPassword, users.User{Name: "alice"}); !errors.Is(err, users.ErrBusy) {
		t.Errorf("error %v", err)
	}
	<-s.judges
	if j, err := s.judge(newPassword, users.User{Name: "alice"}); err != nil || j.Fault != strength.Fine {
		t.Errorf("%+v, %v", j, err)
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
