package portal

import (
	"net/http"
	"testing"

	"postern/agent/credential"
	"postern/portal/journal"
)

// give lets a program in as a user.
func (h *house) give(user string, kinds ...credential.Kind) {
	h.t.Helper()
	for _, kind := range kinds {
		_, _, err := h.book().Create(h.t.Context(), credential.Draft{Kind: kind, Name: "Backup", Owner: user})
		must(h.t, err)
	}
}

// TestTokensAndAChangeOfPassword: a new password leaves the programs alone, unless the
// person says that they shall go, too.
func TestTokensAndAChangeOfPassword(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	b.signIn("", "bob", "builder")
	b.get(auth+pagePassword).want(t, http.StatusOK)
	h.give("bob", credential.Token, credential.App)
	h.give("alice", credential.Token)
	page := b.get(auth + pagePassword)
	page.want(t, http.StatusOK, "Shut my programs out too (2)")
	refused := b.send(page, pagePassword, "password", "wrong", "new", newPassword, "tokens", "yes")
	refused.want(t, http.StatusUnauthorized, `name="tokens" value="yes" checked`)
	if len(h.tokensOf("bob")) != 2 {
		t.Error("a wrong password revokes tokens")
	}
	b.follow(b.send(page, pagePassword, "password", "builder", "new", newPassword)).want(t, http.StatusOK)
	if len(h.tokensOf("bob")) != 2 {
		t.Error("tokens end unasked")
	}
	page = b.get(auth + pagePassword)
	b.follow(b.send(page, pagePassword, "password", newPassword, "new", newPassword+" again", "tokens", "yes")).want(t, http.StatusOK)
	if len(h.tokensOf("bob")) != 0 || len(h.tokensOf("alice")) != 1 {
		t.Errorf("bob has %d, alice %d", len(h.tokensOf("bob")), len(h.tokensOf("alice")))
	}
	events := wantEvents(t, h, "bob", journal.TokenRevoked, journal.TokenRevoked, journal.PasswordChanged)
	if events[0].Reason != "password" || events[0].Detail != "Backup" {
		t.Errorf("event %+v", events[0])
	}
}

// TestTokensAndAForgottenPassword: the same is asked where a link sets a new one.
func TestTokensAndAForgottenPassword(t *testing.T) {
	h := openHouse(t)
	h.give("alice", credential.Token)
	b := h.browser()
	b.ask("alice").want(t, http.StatusOK)
	h.settled(1)
	page := b.get(h.linkTo(pageResetNew))
	page.want(t, http.StatusOK, "Shut my programs out too (1)")
	b.follow(b.send(page, pageResetNew, "new", newPassword, "tokens", "yes")).want(t, http.StatusOK)
	if len(h.tokensOf("alice")) != 0 {
		t.Error("the token lives on")
	}
}

// TestItWasNotMeEndsTokens: whoever got in may have made one, whatever the letter was about.
func TestItWasNotMeEndsTokens(t *testing.T) {
	h := openHouse(t)
	h.give("bob", credential.Token)
	thief := h.browser()
	thief.signIn("", "alice", "wonderland").want(t, http.StatusSeeOther)
	thief.confirmByMail(h, pageAddToken)
	thief.make(pageAddToken)
	b := h.browser()
	page := b.get(h.linkTo(pageNotMe))
	page.want(t, http.StatusOK, "A token or application password was made for your account.", "Your tokens and application passwords are revoked.")
	if len(h.tokensOf("alice")) != 1 {
		t.Error("opening the link does something")
	}
	b.follow(b.send(page, pageNotMe)).want(t, http.StatusOK, "Your account is locked")
	if len(h.tokensOf("alice")) != 0 || len(h.tokensOf("bob")) != 1 {
		t.Errorf("alice has %d, bob %d", len(h.tokensOf("alice")), len(h.tokensOf("bob")))
	}
	events := wantEvents(t, h, "alice", journal.Revoked, journal.TokenRevoked)
	if events[1].Reason != "not_me" {
		t.Errorf("event %+v", events[1])
	}
}
