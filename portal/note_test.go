package portal

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"postern/portal/journal"
)

func TestSignInsAreNoted(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	b.header.Set("User-Agent", firefox)
	b.signIn("", "bob", "wrong").want(t, http.StatusUnauthorized)
	b.signIn("", "typed-my-password", "x").want(t, http.StatusUnauthorized)
	b.signIn("", "bob", "builder").want(t, http.StatusSeeOther)
	b.send(b.get(auth+"/"), "/signout").want(t, http.StatusSeeOther)
	all, err := h.db.ListEvents(t.Context(), journal.Filter{})
	must(t, err)
	want := []journal.Event{
		{Kind: journal.SignOut, User: "bob"},
		{Kind: journal.SignIn, User: "bob", Factor: "password"},
		{Kind: journal.SignInFailed, Factor: "password", Reason: "unknown"}, // whose is not known, and what was typed is kept nowhere
		{Kind: journal.SignInFailed, User: "bob", Factor: "password", Reason: "wrong"},
	}
	if len(all) != len(want) {
		t.Fatalf("%d events: %+v", len(all), all)
	}
	session := all[1].Session
	for i, e := range all {
		w := want[i]
		if w.Kind == journal.SignIn || w.Kind == journal.SignOut {
			w.Session = session
		}
		w.At, w.Request, w.Addr, w.Browser = e.At, "rid-of-the-proxy", "127.0.0.1", firefox
		if e != w || time.Since(e.At) > time.Minute || session == "" {
			t.Errorf("event %d:\n%+v\nwant\n%+v", i, e, w)
		}
	}
}

// TestThreat34WhyAttemptsWereRefused: the operator reads what nobody who tries is told.
func TestThreat34WhyAttemptsWereRefused(t *testing.T) {
	h := openHouse(t)
	for _, tt := range []struct {
		name, user, password string
		status               int
		want                 journal.Event
	}{
		{"a wrong password", "bob", "wrong", http.StatusUnauthorized, journal.Event{Kind: journal.SignInFailed, User: "bob", Reason: journal.Wrong}},
		{"a name that nobody has", "hunter2", "x", http.StatusUnauthorized, journal.Event{Kind: journal.SignInFailed, Reason: journal.Unknown}},
		{"a disabled account", "carol", "carol's own", http.StatusUnauthorized, journal.Event{Kind: journal.SignInFailed, User: "carol", Reason: journal.Disabled}},
	} {
		b := h.browser()
		page := b.signIn("", tt.user, tt.password)
		page.want(t, tt.status)
		all, err := h.db.ListEvents(t.Context(), journal.Filter{})
		must(t, err)
		e := all[0]
		if e.Kind != tt.want.Kind || e.User != tt.want.User || e.Reason != tt.want.Reason || e.Factor != "password" {
			t.Errorf("%s: %+v, want %+v", tt.name, e, tt.want)
		}
		for _, word := range []string{journal.Unknown, journal.Disabled} {
			if strings.Contains(page.Body, ">"+word) {
				t.Errorf("%s: the page says %s", tt.name, word)
			}
		}
	}
	for n := 0; ; n++ {
		if n == 50 {
			t.Fatal("nobody is made to wait")
		}
		if h.browser().signIn("", "bob", "wrong").StatusCode == http.StatusTooManyRequests {
			break
		}
	}
	all, err := h.db.ListEvents(t.Context(), journal.Filter{})
	must(t, err)
	if e := all[0]; e.Kind != journal.SignInRefused || e.User != "bob" || e.Reason != journal.Wait {
		t.Errorf("who has to wait: %+v", e)
	}
	for _, e := range all {
		if strings.Contains(e.User+e.Detail+e.Reason, "hunter2") {
			t.Errorf("a name that nobody has is kept: %+v", e)
		}
	}
}

// stuck is a journal that cannot be written: at once, or not before its caller gives up.
type stuck struct {
	journal.Keeper
	waits bool
}

func (s stuck) AddEvent(ctx context.Context, _ journal.Event) error {
	if s.waits {
		<-ctx.Done()
		return ctx.Err()
	}
	return errors.New("disk is full")
}

func TestAJournalThatFailsFailsNobody(t *testing.T) {
	for name, k := range map[string]journal.Keeper{"an error": stuck{}, "no answer": stuck{waits: true}, "no journal": nil} {
		t.Run(name, func(t *testing.T) {
			h := openHouse(t, func(s *Server) { s.Journal = k })
			b := h.browser()
			b.signIn("", "bob", "builder").want(t, http.StatusSeeOther)
			b.get(auth+"/").want(t, http.StatusOK, "You are signed in")
			if logged := strings.Contains(h.log.String(), "journal not written"); logged != (k != nil) {
				t.Errorf("logged: %v\n%s", logged, h.log)
			}
		})
	}
}

func TestWorkBehindAnswers(t *testing.T) {
	h := openHouse(t)
	s, _ := h.writer("en")
	open, done := make(chan struct{}), make(chan struct{}, maxLater)
	for range maxLater {
		s.later("rid", func() { <-open; done <- struct{}{} })
	}
	s.later("one too many", func() { t.Error("more is done than there is room for") })
	if !strings.Contains(h.log.String(), "left undone") {
		t.Error("nothing is said of what is left undone")
	}
	close(open)
	s.behind.work.Wait()
	if len(done) != maxLater {
		t.Errorf("%d done, want %d", len(done), maxLater)
	}
	s.later("rid", func() { panic("broken") })
	s.behind.work.Wait()
	if !strings.Contains(h.log.String(), "broken") {
		t.Error("a panic is not in the log")
	}
}
