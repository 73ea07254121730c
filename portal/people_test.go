package portal

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postern/portal/journal"
	"postern/portal/users"
)

// remote is a directory over the users of the house: it can be away, be read-only, have
// rules of its own for passwords, remember nobody, and be busy when a password is set.
type remote struct {
	*users.File
	away, readonly, strict, empty, busy atomic.Bool
}

func (r *remote) fault() error {
	if r.away.Load() {
		return fmt.Errorf("ldap://directory.example.com: %w", users.ErrUnavailable)
	}
	return nil
}

func (r *remote) Authenticate(ctx context.Context, name, password string) (users.User, error) {
	if err := r.fault(); err != nil {
		return users.User{}, err
	}
	return r.File.Authenticate(ctx, name, password)
}

func (r *remote) Canonical(ctx context.Context, name string) (string, error) {
	if err := r.fault(); err != nil {
		return "", err
	}
	return r.File.Canonical(ctx, name)
}

func (r *remote) Find(ctx context.Context, name string) (users.User, error) {
	if err := r.fault(); err != nil {
		return users.User{}, err
	}
	return r.File.Find(ctx, name)
}

func (r *remote) Known(name string) (users.User, bool) {
	if r.empty.Load() {
		return users.User{}, false
	}
	return r.File.Known(name)
}

func (r *remote) ReplacePassword(ctx context.Context, name, password, version string) error {
	if err := r.fault(); err != nil {
		return err
	}
	if r.busy.Load() {
		return users.ErrBusy
	}
	if r.strict.Load() {
		return fmt.Errorf("ldap: in the history: %w", users.ErrPassword)
	}
	return r.File.ReplacePassword(ctx, name, password, version)
}

func (r *remote) Version(name string) (string, bool) {
	if r.readonly.Load() {
		return "", false
	}
	return r.File.Version(name)
}

// abroad is a house whose people are in a directory.
func abroad(t *testing.T, change ...func(*Server)) (*house, *remote) {
	t.Helper()
	r := &remote{}
	h := openHouse(t, append([]func(*Server){func(s *Server) {
		r.File = s.Users.(*users.File)
		s.Users, s.Password = r, r
	}}, change...)...)
	return h, r
}

// TestDirectoryAway: who signs in is told that nobody looked at his password, in his own
// language, and no guess is counted.
func TestDirectoryAway(t *testing.T) {
	h, r := abroad(t)
	words, err := openCatalogue()
	must(t, err)
	r.away.Store(true)
	said := map[string]bool{}
	for _, tag := range []string{"en", "de", "es", "fr", "it", "ja", "pl", "pt", "ru", "zh"} {
		sentence := words.choose("", tag).say("error.directory")
		if said[sentence] {
			t.Errorf("%s: %q is another language's", tag, sentence)
		}
		said[sentence] = true
		b := h.browser()
		b.header.Set("Accept-Language", tag)
		got := b.signIn("", "alice", "wonderland")
		got.want(t, http.StatusServiceUnavailable, sentence, `value="alice"`, "<title>")
		if got.Header.Get("Retry-After") == "" || strings.Contains(got.Body, "aria-invalid") {
			t.Errorf("%s: %v\n%s", tag, got.Header, got.main())
		}
	}
	r.away.Store(false)
	h.browser().signIn("", "alice", "wonderland").want(t, http.StatusSeeOther)
	for _, e := range wantEvents(t, h, "alice", journal.SignIn) {
		if e.Kind == journal.SignInFailed {
			t.Errorf("a failure was noted: %+v", e)
		}
	}
}

// TestThreat34ResetWhileAway: the page that a link is asked on says the same for every
// name, whether the directory answers or not.
func TestThreat34ResetWhileAway(t *testing.T) {
	h, r := abroad(t)
	var first string
	for _, away := range []bool{false, true} {
		r.away.Store(away)
		for _, name := range []string{"alice", "nobody"} {
			got := h.browser().ask(name)
			got.want(t, http.StatusOK, "If there is an account of that name")
			said := hidden.ReplaceAllString(got.main(), "")
			if first == "" {
				first = said
			}
			if said != first {
				t.Errorf("%q, away %v: the page differs:\n%s\n%s", name, away, said, first)
			}
		}
	}
}

// TestPagesWhileAway: who is signed in keeps his pages; only what has to ask the directory
// says that it cannot.
func TestPagesWhileAway(t *testing.T) {
	h, r := abroad(t, func(s *Server) { s.Letters = nil })
	b := h.browser()
	b.signIn("", "bob", "builder").want(t, http.StatusSeeOther)
	page := b.get(auth + pagePassword)
	r.away.Store(true)
	for _, path := range []string{"/", pageSettings, pagePassword, pageSessions, pageActivity} {
		b.get(auth+path).want(t, http.StatusOK)
	}
	r.empty.Store(true) // and Postern has just been started
	b.get(auth+pageSettings).want(t, http.StatusOK)
	const sentence = "The directory of users cannot be reached right now"
	b.get(auth+pagePassword).want(t, http.StatusServiceUnavailable, sentence)
	b.send(page, pagePassword, "password", "builder", "new", newPassword).want(t, http.StatusServiceUnavailable, sentence)
	r.away.Store(false)
	b.follow(b.send(page, pagePassword, "password", "builder", "new", newPassword)).want(t, http.StatusOK, "Your password is changed")
}

// TestReadOnlyDirectory: nobody is led to a page that cannot set his password.
func TestReadOnlyDirectory(t *testing.T) {
	h, r := abroad(t)
	b := h.browser()
	b.signIn("", "bob", "builder").want(t, http.StatusSeeOther)
	page := b.get(auth + pagePassword)
	page.want(t, http.StatusOK, "Change your password")
	b.get(auth+pageSettings).want(t, http.StatusOK, `href="`+pagePassword+`"`)
	link := func() string { h.browser().ask("alice"); h.settled(1); return h.linkTo(pageResetNew) }()
	r.readonly.Store(true)
	if got := b.get(auth + pageSettings); strings.Contains(got.Body, `href="`+pagePassword) {
		t.Error("the menu leads to the page")
	}
	b.get(auth+pagePassword).want(t, http.StatusNotFound)
	b.send(page, pagePassword, "password", "builder", "new", newPassword).want(t, http.StatusNotFound)
	h.browser().get(link).want(t, http.StatusGone)
	before := len(h.letters())
	h.browser().ask("alice").want(t, http.StatusOK, "If there is an account of that name")
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(h.log.String(), "reset link not sent"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing was logged")
		}
	}
	if after := len(h.letters()); after != before {
		t.Errorf("%d letters more", after-before)
	}
	b.get(auth+"/").want(t, http.StatusOK, "You are signed in")
}

// TestDirectorysOwnRules: a password that the directory refuses can be thought over, on the
// person's page and by the link.
func TestDirectorysOwnRules(t *testing.T) {
	const sentence = "The directory does not accept this password."
	h, r := abroad(t)
	r.strict.Store(true)
	b := h.browser()
	b.signIn("", "bob", "builder").want(t, http.StatusSeeOther)
	page := b.get(auth + pagePassword)
	b.send(page, pagePassword, "password", "builder", "new", newPassword).want(t, http.StatusUnprocessableEntity, sentence, "<title>Error: ")
	h.browser().ask("alice")
	h.settled(1)
	other := h.browser()
	form := other.get(h.linkTo(pageResetNew))
	again := other.send(form, pageResetNew, "new", newPassword)
	again.want(t, http.StatusUnprocessableEntity, sentence)
	r.strict.Store(false)
	other.follow(other.send(again, pageResetNew, "new", newPassword)).want(t, http.StatusOK, "Your new password is set")
	other.send(form, pageResetNew, "new", newPassword).want(t, http.StatusGone) // it was the same link
	b.follow(b.send(page, pagePassword, "password", "builder", "new", newPassword)).want(t, http.StatusOK, "Your password is changed")
}

// TestANameIsNotAnAddress: the session of a user who is gone is not that of somebody who
// has his name as an address.
func TestANameIsNotAnAddress(t *testing.T) {
	h, r := abroad(t)
	r.Search = users.Search{Email: true}
	must(t, r.Reload())
	r.empty.Store(true)
	if u, err := h.server.person(t.Context(), "alice@example.com"); err == nil {
		t.Errorf("it is %s", u.Name)
	}
	if u, err := h.server.person(t.Context(), "alice"); err != nil || u.Name != "alice" {
		t.Errorf("%+v, %v", u, err)
	}
}

// TestTheSentenceOfADirectory: only who has typed a password is told about it.
func TestTheSentenceOfADirectory(t *testing.T) {
	for _, tt := range []struct {
		about string
		err   error
		want  sentence
		code  int
	}{
		{"a password", fmt.Errorf("ldap: %w", users.ErrUnavailable), "error.directory", http.StatusServiceUnavailable},
		{"a session", fmt.Errorf("%w: %w", errNoSessions, users.ErrUnavailable), "error.unavailable", http.StatusServiceUnavailable},
		{"a directory that is only read", users.ErrReadOnly, "error.not_found", http.StatusNotFound},
	} {
		if got, code := explain(tt.err), status(tt.err); got != tt.want || code != tt.code {
			t.Errorf("%s: %q %d", tt.about, got, code)
		}
	}
}
