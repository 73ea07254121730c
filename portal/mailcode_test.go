package portal

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/agent/policy"
	"postern/portal/mail"
)

// mailedCode finds the code in a mail.
var mailedCode = regexp.MustCompile(`\b([0-9]{4}-[0-9]{4})\b`)

// lastCode is the code of the latest mail that has one.
func (h *house) lastCode() string {
	h.t.Helper()
	letters := h.letters()
	for i := len(letters) - 1; i >= 0; i-- {
		if m := mailedCode.FindStringSubmatch(letters[i]); m != nil {
			return m[1]
		}
	}
	h.t.Fatal("no code was mailed")
	return ""
}

// confirmByMail opens a sensitive page for somebody who has just proved his password,
// has an address and no second factor.
func (b *browser) confirmByMail(h *house, page string) {
	b.t.Helper()
	to := "/prove?next=" + url.QueryEscape(page)
	b.get(auth+page).wantRedirect(b.t, to)
	ask := b.get(auth + to)
	ask.want(b.t, http.StatusOK, "Send me a code")
	b.send(ask, "/prove", "send", "yes").wantRedirect(b.t, to+"&sent=yes")
	b.prove(to+"&sent=yes", h.lastCode()).wantRedirect(b.t, page)
}

func TestMailCode(t *testing.T) {
	h, clock := openTimedHouse(t)
	b := h.browser()
	b.signIn("", "alice", "wonderland")
	b.get(auth+pageSettings).want(t, http.StatusOK) // nothing is changed there
	b.get(auth+pageFactors).wantRedirect(t, "/prove?next=%2Fsettings%2Ffactors")
	ask := b.get(auth + "/prove?next=/settings/factors")
	ask.want(t, http.StatusOK, "we confirm by mail that it is you")
	b.send(ask, "/prove", "code", "").want(t, http.StatusUnauthorized, "That code is not right.")
	b.send(ask, "/prove", "send", "yes").wantRedirect(t, "/prove?next=%2Fsettings%2Ffactors&sent=yes")
	form := b.get(auth + "/prove?next=/settings/factors&sent=yes")
	form.want(t, http.StatusOK, "Code that was sent to a…@example.com", `inputmode="numeric"`, `autocomplete="one-time-code"`)
	wrong := b.send(form, "/prove", "code", "0000 0000")
	wrong.want(t, http.StatusUnauthorized, "That code is not right.")
	if !strings.Contains(wrong.Body, `id="code"`) {
		t.Error("after a wrong code there is no field to try again")
	}
	before := b.session("auth.example.com")
	code := h.lastCode()
	b.send(wrong, "/prove", "code", strings.ReplaceAll(code, "-", "")).wantRedirect(t, pageFactors)
	if b.session("auth.example.com") == before {
		t.Error("the session kept its token")
	}
	b.get(auth+pageFactors).want(t, http.StatusOK, "Second factors")
	if h.level(b) != policy.LevelOne {
		t.Errorf("a mailed code made level %v", h.level(b))
	}
	// It is good for five minutes and for one session.
	clock.pass(freshFor + time.Second)
	b.get(auth+pageFactors).wantRedirect(t, "/prove?next=%2Fsettings%2Ffactors")
	b.get(auth+"/prove?next=/settings/factors").want(t, http.StatusOK, `id="password"`)
	other := h.browser()
	other.signIn("", "alice", "wonderland")
	other.prove("/prove?next=/settings/factors&sent=yes", code).want(t, http.StatusUnauthorized)
}

// TestMailCodeIsBounded: codes that are asked for, and codes that are guessed.
func TestMailCodeIsBounded(t *testing.T) {
	h, _ := openTimedHouse(t)
	b := h.browser()
	b.signIn("", "alice", "wonderland")
	const to = "/prove?next=/settings/factors"
	for range 5 {
		b.send(b.get(auth+to), "/prove", "send", "yes").want(t, http.StatusSeeOther)
	}
	b.send(b.get(auth+to), "/prove", "send", "yes").want(t, http.StatusTooManyRequests, "Several codes have been sent already.")
	code := h.lastCode()
	for range 5 {
		b.prove(to+"&sent=yes", "1234 5678").want(t, http.StatusUnauthorized)
	}
	b.prove(to+"&sent=yes", code).want(t, http.StatusTooManyRequests, "Too many attempts.")
}

// TestMailCodeThatCannotBeSent: the page says so, and nothing opens.
func TestMailCodeThatCannotBeSent(t *testing.T) {
	h, _ := openTimedHouse(t, func(s *Server) { s.Letters = noLetters{} })
	b := h.browser()
	b.signIn("", "alice", "wonderland")
	b.send(b.get(auth+"/prove?next=/settings/factors"), "/prove", "send", "yes").want(t, http.StatusServiceUnavailable, "The code could not be sent.")
	b.get(auth+pageFactors).want(t, http.StatusSeeOther)
}

// noLetters is a postman who takes none.
type noLetters struct{}

func (noLetters) Enqueue(mail.Message) error { return errors.New("the outbox is full") }
