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
		{Kind: journal.SignInFailed, Factor: "password", Reason: "wrong"}, // whose is not known, and what was typed is kept nowhere
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
