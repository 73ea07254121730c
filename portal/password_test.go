package portal

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/agent/regulation"
	"postern/agent/session"
	"postern/portal/journal"
)

// mailedCode finds the code in the latest letter.
func (h *house) mailedCode() string {
	h.t.Helper()
	all := h.letters()
	code := regexp.MustCompile(`(?m)^    (\d{4}-\d{4})$`).FindStringSubmatch(all[len(all)-1])
	if code == nil {
		h.t.Fatalf("no code in %q", all[len(all)-1])
	}
	return code[1]
}

func TestChangeOfPassword(t *testing.T) {
	h := openHouse(t)
	elsewhere, b := h.browser(), h.browser()
	elsewhere.signIn("", "bob", "builder").want(t, http.StatusSeeOther)
	b.signIn("", "bob", "builder").want(t, http.StatusSeeOther)
	before := b.session("auth.example.com")
	page := b.get(auth + pagePassword)
	page.want(t, http.StatusOK, "Change your password", `autocomplete="current-password"`, `autocomplete="new-password"`,
		`value="bob" autocomplete="username"`, `minlength="12"`, `id="strength" role="status"`)
	for _, tt := range []struct{ name, old, new, say string }{
		{"without the old one", "", newPassword, "Enter your current password."},
		{"to a short one", "builder", "x1", "Too short: it needs at least 12 characters."},
		{"to a weak one", "builder", "aaaaaaaaaaaaaaaaaaaa", "Too easy to guess."},
		{"to the same", newPassword, newPassword, "That is your current password."},
		{"to nothing", "builder", "", "Too short"},
	} {
		b.send(page, pagePassword, "password", tt.old, "new", tt.new).want(t, http.StatusUnprocessableEntity, tt.say, "<title>Error: ")
	}
	b.send(page, pagePassword, "password", "wrong", "new", newPassword).want(t, http.StatusUnauthorized, "The current password is not right.")
	done := b.follow(b.send(page, pagePassword, "password", "builder", "new", newPassword))
	done.want(t, http.StatusOK, "Your password is changed")
	if after := b.session("auth.example.com"); after == "" || after == before {
		t.Error("the session's token is the same as before, or gone")
	}
	b.get(auth+"/").want(t, http.StatusOK, "You are signed in")
	elsewhere.get(auth+"/").want(t, http.StatusOK, `name="password"`)
	h.browser().signIn("", "bob", "builder").want(t, http.StatusUnauthorized)
	h.browser().signIn("", "bob", newPassword).want(t, http.StatusSeeOther)
	if strings.Contains(h.log.String(), newPassword) || strings.Contains(done.Body, newPassword) {
		t.Error("the new password is in the log or on the page")
	}
	wantEvents(t, h, "bob", journal.SignIn, journal.SignInFailed, journal.Revoked, journal.PasswordChanged, journal.StepUpFailed, journal.SignIn, journal.SignIn)
}

func TestChangeOfPasswordIsALetter(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	b.signIn("", "alice", "wonderland").want(t, http.StatusSeeOther)
	// Who has an address and no second factor proves that the mailbox is his.
	b.get(auth+pagePassword).wantRedirect(t, "/prove?next="+"%2Fsettings%2Fpassword")
	proof := b.get(auth + "/prove?next=/settings/password")
	sent := b.send(proof, "/prove", "way", "mail", "send", "yes")
	sent.want(t, http.StatusSeeOther)
	proof = b.get(auth + sent.Header.Get("Location"))
	b.send(proof, "/prove", "way", "mail", "code", h.mailedCode()).wantRedirect(t, pagePassword)
	page := b.get(auth + pagePassword)
	page.want(t, http.StatusOK, "Change your password")
	b.follow(b.send(page, pagePassword, "password", "wonderland", "new", newPassword)).want(t, http.StatusOK, "Your password is changed")
	all := h.letters()
	if last := all[len(all)-1]; !strings.Contains(last, "Subject: Your password for Postern was changed") || !strings.Contains(last, pageNotMe) {
		t.Errorf("the last letter is %q", last)
	}
	b.send(b.get(auth+"/"), "/signout")
	b.signIn("", "alice", newPassword).want(t, http.StatusSeeOther)
	if again := h.letters(); len(again) != len(all) {
		t.Error("the browser in which the password was changed counts as a new one")
	}
}

// TestThreat42APasswordPageWantsAFreshProof: a session left open opens it no more.
func TestThreat42APasswordPageWantsAFreshProof(t *testing.T) {
	h, clock := openTimedHouse(t)
	b := h.browser()
	b.signIn("", "bob", "builder")
	page := b.get(auth + pagePassword)
	page.want(t, http.StatusOK)
	clock.pass(6 * time.Minute)
	b.get(auth+pagePassword).wantRedirect(t, "/prove?next=%2Fsettings%2Fpassword")
	b.send(page, pagePassword, "password", "builder", "new", newPassword).wantRedirect(t, "/prove?next=%2Fsettings%2Fpassword")
	h.browser().signIn("", "bob", "builder").want(t, http.StatusSeeOther)
}

func TestThreat36OldPasswordsAreGuesses(t *testing.T) {
	h := openHouse(t, func(s *Server) { s.Guesses.Config.Failures = 3 })
	b := h.browser()
	b.signIn("", "bob", "builder")
	page := b.get(auth + pagePassword)
	for range 3 {
		b.send(page, pagePassword, "password", "wrong", "new", newPassword).want(t, http.StatusUnauthorized)
	}
	got := b.send(page, pagePassword, "password", "builder", "new", newPassword)
	got.want(t, http.StatusTooManyRequests, "Too many attempts")
	if got.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

func TestThreat66PasswordForm(t *testing.T) {
	h := openHouse(t)
	b, other := h.browser(), h.browser()
	b.signIn("", "bob", "builder")
	page := b.get(auth + pagePassword)
	other.signIn("", "alice", "wonderland")
	b.send(page, pagePassword, "csrf", "", "password", "builder", "new", newPassword).want(t, http.StatusForbidden)
	other.send(page, pagePassword, "password", "builder", "new", newPassword).want(t, http.StatusForbidden)
	b.header.Set("Sec-Fetch-Site", "same-site")
	b.send(page, pagePassword, "password", "builder", "new", newPassword).want(t, http.StatusForbidden)
	h.browser().get(auth+pagePassword).want(t, http.StatusSeeOther)
	h.browser().signIn("", "bob", "builder").want(t, http.StatusSeeOther)
}

func TestChangePasswordIsWellKnown(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	b.get(auth+"/.well-known/change-password").wantRedirect(t, pagePassword)
	b.get(auth+"/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200").want(t, http.StatusNotFound)
	none := openHouse(t, func(s *Server) { s.Password = nil })
	b = none.browser()
	b.signIn("", "bob", "builder")
	b.get(auth+pagePassword).want(t, http.StatusNotFound)
}

func TestThreat32SlipsAndNewPasswordsAreNotLogged(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	b.ask("alice")
	h.settled(1)
	link := h.linkTo(pageResetNew)
	page := b.get(link)
	b.send(page, pageResetNew, "new", "weak-secret").want(t, http.StatusUnprocessableEntity)
	b.follow(b.send(page, pageResetNew, "new", newPassword)).want(t, http.StatusOK)
	b.get(link).want(t, http.StatusGone)
	h.letters()
	slip := link[strings.Index(link, "slip=")+5:]
	for _, secret := range []string{slip, slip[:30], newPassword, "weak-secret", "wonderland"} {
		if strings.Contains(h.log.String(), secret) {
			t.Errorf("the log holds %q:\n%s", secret, h.log)
		}
	}
	events, err := h.db.ListEvents(t.Context(), journal.Filter{})
	must(t, err)
	for _, e := range events {
		if strings.Contains(e.Detail+e.Reason, slip[:30]) || strings.Contains(e.Detail, newPassword) {
			t.Errorf("the journal holds a secret: %+v", e)
		}
	}
}

// late makes sessions only after something else has happened.
type late struct {
	Sessions
	first func()
}

func (l *late) Create(ctx context.Context, s session.Session, old string) (string, session.Session, error) {
	l.first()
	return l.Sessions.Create(ctx, s, old)
}

// TestThreat26ASignInDoesNotSlipThroughAChange: who proved the old password just before
// it was changed gets no session just after.
func TestThreat26ASignInDoesNotSlipThroughAChange(t *testing.T) {
	slow := &late{first: func() {}}
	h := openHouse(t, func(s *Server) { slow.Sessions, s.Sessions = s.Sessions, slow })
	slow.first = func() { must(t, h.users.SetPassword(t.Context(), "bob", newPassword)) }
	b := h.browser()
	b.signIn("", "bob", "builder").want(t, http.StatusForbidden)
	if b.session("auth.example.com") != "" {
		t.Error("a cookie was set")
	}
	if left, err := h.table.List(t.Context(), session.Filter{User: "bob"}); err != nil || len(left) != 0 {
		t.Errorf("sessions left: %+v, %v", left, err)
	}
}

// meanwhile does something each time after counts have changed.
type meanwhile struct {
	regulation.Keeper
	after func()
}

func (m *meanwhile) ChangeCounts(ctx context.Context, keys []regulation.Key, change func([]regulation.Count) error) error {
	err := m.Keeper.ChangeCounts(ctx, keys, change)
	m.after()
	return err
}

// TestThreat26NorWhileItsGuessIsSettled: between a right password and its session there is
// a write to the store, which may take its time.
func TestThreat26NorWhileItsGuessIsSettled(t *testing.T) {
	h := openHouse(t)
	changes := 0
	h.server.Guesses.Keeper = &meanwhile{h.server.Guesses.Keeper, func() {
		if changes++; changes == 2 { // the first reserved the attempt, before it was looked at
			must(t, h.users.SetPassword(t.Context(), "bob", newPassword))
		}
	}}
	b := h.browser()
	b.signIn("", "bob", "builder").want(t, http.StatusForbidden)
	if changes < 2 {
		t.Fatalf("%d changes of counts", changes)
	}
	if left, err := h.table.List(t.Context(), session.Filter{User: "bob"}); err != nil || len(left) != 0 {
		t.Errorf("sessions left: %+v, %v", left, err)
	}
}
