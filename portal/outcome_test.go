package portal

import (
	"net/http"
	"net/url"
	"slices"
	"testing"

	"postern/portal/journal"
)

// TestReloadingAnOutcomeSendsNothing: what a password form did is told on a page of its own.
func TestReloadingAnOutcomeSendsNothing(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	b.signIn("", "bob", "builder")
	done := b.send(b.get(auth+pagePassword), pagePassword, "password", "builder", "new", newPassword)
	done.wantRedirect(t, pageDone)
	for range 3 {
		b.get(auth+pageDone).want(t, http.StatusOK, "Your password is changed")
	}
	events, err := h.db.ListEvents(t.Context(), journal.Filter{User: "bob"})
	must(t, err)
	if slices.ContainsFunc(events, func(e journal.Event) bool { return e.Kind == journal.StepUpFailed }) {
		t.Errorf("a reload counts as a wrong password: %+v", events)
	}
	page := b.get(auth + pageDone)
	b.send(page, "/language", "lang", "de", "here", pageDone).wantRedirect(t, pageDone)

	// The way on is kept.
	b = h.browser()
	const rd = "https://wiki.example.com/a?b=c"
	asked := b.send(b.get(auth+pageReset+"?rd="+url.QueryEscape(rd)), pageReset, "username", "bob")
	b.follow(asked).want(t, http.StatusOK, "Look into your mailbox", "/?rd="+url.QueryEscape(rd))
}

// TestThreat67OutcomesAreNotMadeUp: no link and no cookie of somebody else's says that
// something was done.
func TestThreat67OutcomesAreNotMadeUp(t *testing.T) {
	h := openHouse(t)
	for _, word := range []string{"", "x", "<b>", "changed.x"} {
		b := h.browser()
		if word != "" {
			b.header.Set("Cookie", cookieOutcome+"="+word)
		}
		b.get(auth+pageDone+"?outcome=changed").wantRedirect(t, "/")
	}
}

// TestAddressesOfForms: where a form was refused the browser shows its address; going there
// leads to the page that it stands on, and so does changing the language.
func TestAddressesOfForms(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	b.signIn("", "bob", "builder")
	for form, page := range map[string]string{
		"/passkey": "/", "/language": "/", "/reset-cookies": "/",
		pageFactors + "/rename": pageFactors, pageFactors + "/remove": pageFactors,
		pageSessions + "/end": pageSessions, pageSessions + "/end-others": pageSessions,
		pageTokens + "/revoke": pageTokens, pageTokens + "/revoke-all": pageTokens,
	} {
		b.get(auth+form).wantRedirect(t, page)
	}
	refused := b.send(b.get(auth+pageFactors), pageFactors+"/rename", "id", "nothing", "name", "x")
	refused.want(t, http.StatusNotFound, "That one is not there any more.")
	back := b.send(refused, "/language", "lang", "de", "here", pageFactors+"/rename")
	b.follow(b.follow(back)).want(t, http.StatusOK, "Zweite Faktoren")
}

// TestAFormAfterTheSessionEnded leads to a sign-in, and from there back to its page.
func TestAFormAfterTheSessionEnded(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	b.signIn("", "bob", "builder")
	for page, form := range map[string]answer{pageAddToken: b.get(auth + pageAddToken), pagePassword: b.get(auth + pagePassword)} {
		stranger := h.browser()
		stranger.send(form, page).wantRedirect(t, "/?next="+url.QueryEscape(page))
	}
}
