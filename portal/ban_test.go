package portal

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"testing"
	"time"

	"postern/agent/policy"
	"postern/agent/regulation"
	"postern/portal/journal"
	"postern/portal/users"
	"postern/store"
)

// ban bans a user or a network in a house.
func (h *house) ban(user, network string) regulation.Ban {
	h.t.Helper()
	b := regulation.Ban{User: user, By: "os:root"}
	if network != "" {
		b.Network = netip.MustParsePrefix(network)
	}
	b, err := h.server.Guesses.Ban(h.t.Context(), b)
	must(h.t, err)
	return b
}

func TestAnOperatorsBanOfAUser(t *testing.T) {
	const says = "Your account may not sign in at the moment."
	h := openHouse(t)
	signed := h.from(1)
	signed.signIn("", "bob", "builder").wantRedirect(t, "/")
	b := h.ban("bob", "")
	// Only who proves to be the user learns of it.
	h.from(2).signIn("", "bob", "guess").want(t, http.StatusUnauthorized, "User name or password is not right.")
	h.from(2).signIn("", "BOB", "builder").want(t, http.StatusUnauthorized)
	h.from(3).signIn("", "bob", "builder").want(t, http.StatusForbidden, says)
	h.from(3).signIn("", "alice", "wonderland").wantRedirect(t, "/")
	// Who was signed in stays so; a right password that is refused forgives no guesses.
	signed.get(auth+"/").want(t, http.StatusOK, "bob")
	for n := range 3 { // after one above, and one for BOB, who may be the same
		h.from(10+n).signIn("", "bob", "guess").want(t, http.StatusUnauthorized)
	}
	h.from(20).signIn("", "bob", "builder").want(t, http.StatusTooManyRequests)
	if _, err := h.server.Guesses.Revoke(t.Context(), regulation.Which{IDs: []string{b.ID}, User: "bob"}); err != nil {
		t.Fatal(err)
	}
	h.from(20).signIn("", "bob", "builder").wantRedirect(t, "/")
	h.wantEvent(journal.SignInRefused, "bob", journal.IsBanned)
	h.wantEvent(journal.SignInRefused, "bob", journal.Wait)
}

func TestAnOperatorsBanOfANetwork(t *testing.T) {
	const says = "Nobody may sign in from your network at the moment."
	h := openHouse(t)
	signed := h.from(7)
	signed.signIn("", "bob", "builder").wantRedirect(t, "/")
	h.ban("", "198.51.100.0/24")
	inside, outside := h.from(8), h.browser()
	outside.header.Set(testClient, "192.0.2.7")
	inside.signIn("", "alice", "wonderland").want(t, http.StatusForbidden, says)
	inside.signIn("", "nobody", "guess").want(t, http.StatusForbidden, says)
	page := inside.get(auth + pageReset)
	inside.send(page, pageReset, "username", "alice").want(t, http.StatusForbidden, says)
	signed.get(auth+"/").want(t, http.StatusOK, "bob")
	outside.signIn("", "alice", "wonderland").wantRedirect(t, "/")
	if bans, err := h.server.Guesses.Bans(t.Context()); err != nil || len(bans) != 1 {
		t.Errorf("what is refused is counted as well: %+v, %v", bans, err)
	}
}

// Threats 36, 63: one address sends so many forms a minute; pages are not counted.
func TestThreat36FormsOfOneAddress(t *testing.T) {
	at := noon
	h := openHouse(t, func(s *Server) {
		s.Guesses.Config.Requests = 3
		s.Now = func() time.Time { return at }
	})
	here, there := h.from(1), h.from(2)
	page := here.get(auth + "/")
	for range 3 {
		here.send(page, "/language", "lang", "de")
	}
	for _, path := range []string{"/", "/passkey", "/prove", pageReset, pageResetNew, "/password-strength", "/language", "/signout", pageNotMe, pagePassword} {
		got := here.send(page, path, "username", "bob", "password", "builder")
		got.want(t, http.StatusTooManyRequests)
		if s, err := strconv.Atoi(got.Header.Get("Retry-After")); err != nil || s < 1 || s > 20 {
			t.Errorf("POST %s: Retry-After %q, want 1 to 20", path, got.Header.Get("Retry-After"))
		}
	}
	here.get(auth+"/").want(t, http.StatusOK)
	there.signIn("", "bob", "builder").wantRedirect(t, "/")
	at = at.Add(20 * time.Second)
	here.send(here.get(auth+"/"), "/language", "lang", "en").wantRedirect(t, "/")
}

// Threat 2: the address that counts is the one that HAProxy saw, whatever a client says.
func TestThreat02ForgedAddressesCountAsOne(t *testing.T) {
	h := openHouse(t)
	b := h.from(1)
	for n := range 5 {
		b.header.Set("X-Forwarded-For", fmt.Sprintf("203.0.113.%d", n))
		b.header.Set("Forwarded", fmt.Sprintf("for=203.0.113.%d", n))
		b.signIn("", fmt.Sprint("nobody", n), "guess").want(t, http.StatusUnauthorized)
	}
	b.signIn("", "nobody9", "guess").want(t, http.StatusTooManyRequests)
}

// outage is a store that does not answer.
type outage struct{ regulation.Keeper }

func (outage) ChangeCounts(context.Context, []regulation.Key, func([]regulation.Count) error) error {
	return store.ErrUnavailable
}

// When attempts cannot be counted no secret is looked at.
func TestNothingIsLookedAtThatCannotBeCounted(t *testing.T) {
	looked := &slowUsers{hold: make(chan struct{})}
	close(looked.hold)
	h := openHouse(t, func(s *Server) {
		looked.File = s.Users.(*users.File)
		s.Users = looked
	})
	signed := h.from(1)
	signed.signIn("", "bob", "builder").wantRedirect(t, "/")
	before := looked.checked.Load()
	h.server.Guesses.Keeper = outage{}
	h.from(2).signIn("", "bob", "builder").want(t, http.StatusServiceUnavailable)
	h.from(2).signIn("", "nobody", "guess").want(t, http.StatusServiceUnavailable)
	b := h.from(3)
	b.send(b.get(auth+pageReset), pageReset, "username", "bob").want(t, http.StatusServiceUnavailable)
	if n := looked.checked.Load() - before; n != 0 {
		t.Errorf("%d passwords were looked at", n)
	}
	if letters := h.letters(); len(letters) > 1 { // the one about the sign-in
		t.Errorf("%d letters", len(letters))
	}
	signed.get(auth+"/").want(t, http.StatusOK, "bob")
}

// wantEvent looks for an event in the journal.
func (h *house) wantEvent(k journal.Kind, user, reason string) {
	h.t.Helper()
	all, err := h.server.Journal.ListEvents(h.t.Context(), journal.Filter{User: user})
	must(h.t, err)
	for _, e := range all {
		if e.Kind == k && e.Reason == reason {
			return
		}
	}
	h.t.Errorf("no event %s of %s for %s among %+v", k, user, reason, all)
}

// panicking panics when it is asked about a password.
type panicking struct{ *users.File }

func (panicking) Authenticate(context.Context, string, string) (users.User, error) { panic("broken") }

// A guess whose check ends in a panic is counted, and nobody waits for it afterwards.
func TestAPanicCountsAsAGuess(t *testing.T) {
	h := openHouse(t, func(s *Server) { s.Users = panicking{s.Users.(*users.File)} })
	for n := range 5 {
		h.from(n).signIn("", "bob", "builder").want(t, http.StatusInternalServerError)
	}
	h.from(9).signIn("", "bob", "builder").want(t, http.StatusTooManyRequests)
}

// Whoever is banned between his factors does not get to the second, nor a mail with a code.
func TestABannedUserProvesNoSecondFactor(t *testing.T) {
	h, _, app, codes := enrolled(t)
	to := proveQuery(bank)
	b := h.browser()
	b.signIn("?rd="+url.QueryEscape(bank), "bob", "builder").wantRedirect(t, to)
	page := b.get(auth + to)
	ban := h.ban("bob", "")
	letters := len(h.letters())
	for _, way := range [][]string{{"way", "totp", "code", app.next()}, {"way", "recovery", "code", codes[0]}, {"way", "mail", "send", "yes"}, {"password", "builder"}} {
		b.send(page, "/prove", way...).want(t, http.StatusForbidden, "Your account may not sign in at the moment.")
	}
	if n := len(h.letters()); n != letters {
		t.Errorf("%d letters to a banned user", n-letters)
	}
	if h.level(b) != policy.LevelOne {
		t.Error("a second factor was taken")
	}
	if _, err := h.server.Guesses.Revoke(t.Context(), regulation.Which{IDs: []string{ban.ID}}); err != nil {
		t.Fatal(err)
	}
	b.send(page, "/prove", "way", "recovery", "code", codes[0]).wantRedirect(t, bank) // it was not spent
}
