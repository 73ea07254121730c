package portal

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"postern/portal/journal"
)

func TestRecoveryCodes(t *testing.T) {
	h, clock, app, codes := enrolled(t)
	to := proveQuery(bank)
	b := h.browser()
	b.signIn("?rd="+url.QueryEscape(bank), "bob", "builder")
	page := b.get(auth + to + "&way=recovery")
	page.want(t, http.StatusOK, "One of your recovery codes", "Use a code from your authenticator app")
	if strings.Contains(page.Body, `inputmode="numeric"`) {
		t.Error("a keyboard of digits for codes with letters")
	}
	// As people copy them from paper.
	b.send(page, "/prove", "code", " "+strings.ToUpper(strings.ReplaceAll(codes[0], "-", " "))+" ").wantRedirect(t, bank)
	wantEvents(t, h, "bob", journal.StepUp, journal.CodeUsed)
	b.get(auth+pageRecovery).want(t, http.StatusOK, "9 of your codes are left.", "Make new ones")

	// New ones replace them all.
	fresh := b.makeCodes()
	b.get(auth+pageRecovery).want(t, http.StatusOK, "10 of your codes are left.")
	other := h.browser()
	other.signIn("?rd="+url.QueryEscape(bank), "bob", "builder")
	other.prove(to+"&way=recovery", codes[1]).want(t, http.StatusUnauthorized, "That code is not right.")
	other.prove(to+"&way=recovery", fresh[1]).wantRedirect(t, bank)

	// With the last device the codes go.
	page = other.get(auth + pageFactors)
	page.want(t, http.StatusOK, "It is the last one: your recovery codes go with it.")
	other.send(page, pageFactors+"/remove", "id", "nothing").want(t, http.StatusNotFound, "That one is not there any more.")
	other.send(page, pageFactors+"/remove", "id", ids(page)[0]).wantRedirect(t, pageSettings)
	other.get(auth+pageSettings).want(t, http.StatusOK, "Removed. You have been signed out everywhere else.", "Add a second factor")
	if left, err := h.server.Factors.Recovery.Left(t.Context(), "bob"); err != nil || left != 0 {
		t.Errorf("%d codes left, %v", left, err)
	}
	// There is nothing left that could be recovered, or proved: the password does.
	clock.pass(freshFor * 2)
	last := h.browser()
	last.signIn("", "bob", "builder")
	last.get(auth+pageRecovery).wantRedirect(t, pageFactors)
	last.send(last.get(auth+"/signout"), pageRecovery).wantRedirect(t, pageFactors)
	last.get(auth+pageFactors).want(t, http.StatusOK, "Choose one")
	if app.secret == "" {
		t.Error("no app")
	}
}

// TestChangesAreMailed: whoever adds or removes a factor, or uses a code on paper, does
// not do it behind the person's back.
func TestChangesAreMailed(t *testing.T) {
	h, clock := openTimedHouse(t)
	b := h.browser()
	b.signIn("", "alice", "wonderland")
	b.confirmByMail(h, pageAddTOTP)
	b.addApp(clock)
	last := func(want ...string) {
		t.Helper()
		letters := h.letters()
		for _, text := range want {
			if letter := letters[len(letters)-1]; !strings.Contains(letter, text) {
				t.Errorf("the last letter does not say %q:\n%s", text, letter)
			}
		}
	}
	last("To: ", "alice@example.com", "My phone", "/not-me?slip")
	codes := b.makeCodes()
	clock.pass(2 * freshFor)
	b.prove("/prove?next=/settings/factors&way=recovery", codes[4]).want(t, http.StatusSeeOther)
	last("recovery code", "9")
	page := b.get(auth + pageFactors)
	b.send(page, pageFactors+"/remove", "id", ids(page)[0]).want(t, http.StatusSeeOther)
	last("removed", "My phone", "/not-me?slip")
}
