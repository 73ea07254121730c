package portal

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"postern/portal/factor"
	"postern/portal/journal"
)

func TestItWasNotMeAfterASignIn(t *testing.T) {
	h := openHouse(t)
	thief := h.browser()
	thief.header.Set("User-Agent", firefox)
	thief.signIn("", "alice", "wonderland").want(t, http.StatusSeeOther)
	link := h.linkTo(pageNotMe)

	b := h.browser()
	page := b.get(link)
	page.want(t, http.StatusOK, "Was this not you?", "Somebody signed in to your account in a new browser.", "Firefox on Linux", "It was not me: lock my account")
	b.get(link).want(t, http.StatusOK) // opening it does nothing
	thief.get(auth+"/").want(t, http.StatusOK, "You are signed in")

	b.follow(b.send(page, pageNotMe)).want(t, http.StatusOK, "Your account is locked", "A link to set a new one is on its way")
	thief.get(auth+"/").want(t, http.StatusOK, `name="password"`)
	thief.signIn("", "alice", "wonderland").want(t, http.StatusUnauthorized)
	b.send(page, pageNotMe).want(t, http.StatusGone, "This link no longer works")

	reset := b.get(h.linkTo(pageResetNew))
	reset.want(t, http.StatusOK, "Set a new password")
	b.follow(b.send(reset, pageResetNew, "new", newPassword)).want(t, http.StatusOK)
	b.signIn("", "alice", newPassword).want(t, http.StatusSeeOther)
	wantEvents(t, h, "alice", journal.SignIn, journal.PasswordReset, journal.SignInFailed, journal.Revoked, journal.NotMe, journal.SignIn)
}

func TestItWasNotMeAfterAChangeOfPassword(t *testing.T) {
	h := openHouse(t)
	s, v := h.writer("en")
	v.session = nil
	must(t, h.users.SetPassword(t.Context(), "alice", "what the thief chose"))
	s.letterPassword(v, "alice")
	thief := h.browser()
	thief.signIn("", "alice", "what the thief chose").want(t, http.StatusSeeOther)
	thief.ask("alice").want(t, http.StatusOK) // and has a link of his own on the way
	h.settled(3)
	old := h.linkTo(pageResetNew)

	all := h.letters()
	link := slips.FindString(all[0])
	b := h.browser()
	page := b.get(auth + pageNotMe + "?" + link)
	page.want(t, http.StatusOK, "The password of your account was changed.")
	b.follow(b.send(page, pageNotMe)).want(t, http.StatusOK, "Your account is locked")
	h.browser().get(old).want(t, http.StatusGone)
	thief.get(auth+"/").want(t, http.StatusOK, `name="password"`)
	thief.signIn("", "alice", "what the thief chose").want(t, http.StatusUnauthorized)
}

func TestItWasNotMeAfterAFactorWasAdded(t *testing.T) {
	h, clock := openTimedHouse(t)
	must(t, h.users.SetEmails(t.Context(), "bob", []string{"bob@example.com"}))
	thief := h.browser()
	thief.signIn("", "bob", "builder").want(t, http.StatusSeeOther)
	key := h.server.Factors.TOTP
	e, err := key.Begin("bob", "session", "bob", clock.now())
	must(t, err)
	p := &phone{t: t, clock: clock, secret: strings.ReplaceAll(e.Secret, " ", "")}
	d, err := key.Confirm(t.Context(), factor.Confirmation{
		User: "bob", Session: "session", Ticket: e.Ticket, Code: p.shows(), Name: "thief's", Level: 1}, clock.now())
	must(t, err)
	s, v := h.writer("en")
	v.session.User = "bob"
	s.letterFactorAdded(v, d)

	b := h.browser()
	page := b.get(h.linkTo(pageNotMe))
	page.want(t, http.StatusOK, "A second factor was added to your account.", "That factor will be removed.")
	b.follow(b.send(page, pageNotMe)).want(t, http.StatusOK, "Your account is locked")
	if left, err := h.server.Factors.Devices.List(t.Context(), "bob"); err != nil || len(left) != 0 {
		t.Errorf("devices left: %v, %v", left, err)
	}
}

// TestNotMeAgainAfterAFault: a link that could not lock the password does so when it is
// pressed again, and only then it is spent.
func TestNotMeAgainAfterAFault(t *testing.T) {
	h, r := abroad(t)
	thief := h.browser()
	thief.signIn("", "alice", "wonderland").want(t, http.StatusSeeOther)
	b := h.browser()
	page := b.get(h.linkTo(pageNotMe))
	r.busy.Store(true)
	b.send(page, pageNotMe).want(t, http.StatusTooManyRequests)
	thief.get(auth+"/").want(t, http.StatusOK, `name="password"`) // signed out all the same
	r.busy.Store(false)
	b.follow(b.send(page, pageNotMe)).want(t, http.StatusOK, "Your account is locked")
	thief.signIn("", "alice", "wonderland").want(t, http.StatusUnauthorized)
	b.send(page, pageNotMe).want(t, http.StatusGone)
}

func TestThreat45NotMeLinks(t *testing.T) {
	h, clock := openTimedHouse(t)
	h.browser().signIn("", "alice", "wonderland").want(t, http.StatusSeeOther)
	link := h.linkTo(pageNotMe)
	b := h.browser()
	for _, bad := range []string{"", "x", link[strings.Index(link, "slip=")+6:]} {
		b.get(auth+pageNotMe+"?slip="+bad).want(t, http.StatusGone)
	}
	page := b.get(link)
	h.browser().send(page, pageNotMe).want(t, http.StatusForbidden) // somebody else's form
	b.send(page, pageNotMe, "csrf", "").want(t, http.StatusForbidden)
	b.get(link).want(t, http.StatusOK) // not spent by those
	clock.pass(factor.NotMeLife)
	b.get(link).want(t, http.StatusGone)
	b.send(page, pageNotMe).want(t, http.StatusGone)
	h.browser().signIn("", "alice", "wonderland").want(t, http.StatusSeeOther)
}

// TestNotMeWithoutAnAddress: whose address is gone meanwhile is locked all the same, and
// told who can help.
func TestNotMeWithoutAnAddress(t *testing.T) {
	h := openHouse(t)
	thief := h.browser()
	thief.signIn("", "alice", "wonderland").want(t, http.StatusSeeOther)
	link := h.linkTo(pageNotMe)
	must(t, h.users.SetEmails(t.Context(), "alice", nil))
	b := h.browser()
	b.follow(b.send(b.get(link), pageNotMe)).want(t, http.StatusOK, "Your account is locked", "they can give you a new password")
	h.browser().signIn("", "alice", "wonderland").want(t, http.StatusUnauthorized)
	thief.get(auth+"/").want(t, http.StatusOK, `name="password"`)
	if e, err := h.db.ListEvents(t.Context(), journal.Filter{User: "alice"}); err != nil || len(e) != 4 || e[0].At.After(time.Now().Add(time.Minute)) {
		t.Errorf("events %+v, %v", e, err)
	}
}

// TestNotMeWhereNothingIsMailedAnyMore: without mail the password is left alone.
func TestNotMeWhereNothingIsMailedAnyMore(t *testing.T) {
	h := openHouse(t, func(s *Server) { s.Password = nil })
	thief := h.browser()
	thief.signIn("", "alice", "wonderland").want(t, http.StatusSeeOther)
	b := h.browser()
	page := b.get(h.linkTo(pageNotMe))
	page.want(t, http.StatusOK, "Everybody will be signed out.")
	if strings.Contains(page.Body, "password stops working") {
		t.Error("the page promises what is not done")
	}
	b.follow(b.send(page, pageNotMe)).want(t, http.StatusOK, "Everybody is signed out", "Tell whoever runs this site, and change your password.")
	thief.get(auth+"/").want(t, http.StatusOK, `name="password"`)
	h.browser().signIn("", "alice", "wonderland").want(t, http.StatusSeeOther)
}
