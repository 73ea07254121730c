package portal

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/agent/policy"
	"postern/agent/regulation"
	"postern/agent/session"
	"postern/portal/factor"
	"postern/portal/journal"
)

// enrolled is a house in which bob has an app and recovery codes.
func enrolled(t *testing.T, change ...func(*Server)) (h *house, clock *watch, app *phone, codes []string) {
	t.Helper()
	h, clock = openTimedHouse(t, change...)
	b := h.browser()
	b.signIn("", "bob", "builder")
	app = b.addApp(clock)
	codes = b.makeCodes()
	if len(codes) != 10 {
		t.Fatalf("%d recovery codes", len(codes))
	}
	// Less than the inactivity that ends this session, which a sweep would then remove at any moment.
	clock.pass(50 * time.Minute)
	return h, clock, app, codes
}

func TestSecondFactorAtSignIn(t *testing.T) {
	h, _, app, _ := enrolled(t)
	b := h.browser()
	to := proveQuery(bank)
	b.signIn("?rd="+url.QueryEscape(bank), "bob", "builder").wantRedirect(t, to)
	page := b.get(auth + to)
	page.want(t, http.StatusOK, "bank.example.com asks for one more proof.", "Code from your authenticator app",
		`inputmode="numeric"`, `autocomplete="one-time-code"`, "Use a recovery code")
	if strings.Contains(page.Body, "Use your password") || strings.Contains(page.Body, "passkey") {
		t.Error("a way is offered that leads nowhere")
	}
	for _, wrong := range []string{"", "1", strings.Repeat("9", 65), "abc\x00def"} {
		b.send(page, "/prove", "code", wrong).want(t, http.StatusUnauthorized, "That code is not right.", `aria-invalid="true"`, "<title>Error: ")
	}
	b.send(page, "/prove", "code", app.next()).wantRedirect(t, bank)
	if h.level(b) != policy.LevelTwo {
		t.Fatalf("level %v", h.level(b))
	}
	b.get(auth+to).wantRedirect(t, bank)
	b.get(auth+"/?rd="+url.QueryEscape(bank)).wantRedirect(t, bank)
	// Where one factor is enough nobody asks for the second.
	other := h.browser()
	other.signIn("?rd=https://wiki.example.com/", "bob", "builder").wantRedirect(t, "https://wiki.example.com/")
	// Without a target there is nothing to prove.
	other.get(auth+"/prove").wantRedirect(t, "/")
	h.browser().get(auth+"/prove?rd="+url.QueryEscape(bank)).wantRedirect(t, "/?rd="+url.QueryEscape(bank)+"&rm=GET")
	wantEvents(t, h, "bob", journal.SignIn, journal.StepUp, journal.StepUpFailed)
}

// TestThreat25EveryRaiseRotates: whatever raises a session gives it another token and
// id, and the one before is worth nothing.
func TestThreat25EveryRaiseRotates(t *testing.T) {
	h, clock := openTimedHouse(t)
	b := h.browser()
	// A token that somebody planted before the sign-in is not taken over.
	b.carry(strings.Repeat("A", 64))
	b.signIn("", "bob", "builder")
	var app *phone
	var codes []string
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"an app is set up", func() { app = b.addApp(clock) }},
		{"a code is proved", func() {
			codes = b.makeCodes()
			clock.pass(freshFor + time.Second)
			b.prove("/prove?next=/settings/factors", app.next()).wantRedirect(t, pageFactors)
		}},
		{"a recovery code is proved", func() {
			clock.pass(freshFor + time.Second)
			b.prove("/prove?next=/settings/factors&way=recovery", codes[0]).wantRedirect(t, pageFactors)
		}},
		{"somebody signs in again", func() { b.send(b.get(auth+"/signout"), "/", "username", "bob", "password", "builder") }},
	} {
		before := b.session("auth.example.com")
		ids := sessionsOf(t, h, "bob")
		step.do()
		if after := b.session("auth.example.com"); after == before || after == "" {
			t.Errorf("%s: the token stays %q", step.name, after)
		}
		if now := sessionsOf(t, h, "bob"); len(now) != 1 || now[0] == ids[0] {
			t.Errorf("%s: sessions %v, before %v", step.name, now, ids)
		}
		old := h.browser()
		old.carry(before)
		old.get(auth+"/").want(t, http.StatusOK, "<title>Sign in")
	}
}

func sessionsOf(t *testing.T, h *house, user string) []string {
	t.Helper()
	records, err := h.db.ListSessions(t.Context(), session.Filter{User: user})
	must(t, err)
	var ids []string
	for _, r := range records {
		ids = append(ids, r.ID)
	}
	return ids
}

// TestThreat36CodesGuessedAtOnce: thirty-six guesses that arrive together are not more
// than those that arrive one after the other.
func TestThreat36CodesGuessedAtOnce(t *testing.T) {
	for _, way := range []string{"totp", "recovery"} {
		h, _, _, _ := enrolled(t)
		b := h.browser()
		b.signIn("?rd="+url.QueryEscape(bank), "bob", "builder")
		page := b.get(auth + proveQuery(bank))
		var mu sync.Mutex
		answers := map[int]int{}
		var guesses sync.WaitGroup
		for i := range 36 {
			guesses.Go(func() {
				a := b.send(page, "/prove", "way", way, "code", fmt.Sprintf("%06d", i))
				mu.Lock()
				defer mu.Unlock()
				answers[a.StatusCode]++
			})
		}
		guesses.Wait()
		if limit := regulation.DefaultConfig().Failures; answers[http.StatusUnauthorized] > limit || answers[http.StatusUnauthorized]+answers[http.StatusTooManyRequests] != 36 {
			t.Errorf("%s: answers %v, and at most %d may be looked at", way, answers, limit)
		}
	}
}

// TestThreat37SecondFactorGuessing: wrong codes count by themselves. Neither a right
// password nor another address, browser or kind of code begins the count anew.
func TestThreat37SecondFactorGuessing(t *testing.T) {
	h, clock, app, codes := enrolled(t)
	to := proveQuery(bank)
	right := app.next()
	for i := range 5 {
		b := h.browser() // each guess signs in with the right password first
		b.header.Set(testClient, fmt.Sprintf("198.51.100.%d", i))
		b.signIn("?rd="+url.QueryEscape(bank), "bob", "builder").wantRedirect(t, to)
		b.prove(to, "000000").want(t, http.StatusUnauthorized)
	}
	b := h.browser()
	b.header.Set(testClient, "203.0.113.9")
	b.signIn("?rd="+url.QueryEscape(bank), "bob", "builder").wantRedirect(t, to)
	shut := b.prove(to, right)
	shut.want(t, http.StatusTooManyRequests, "Too many attempts. Try again in")
	if shut.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	if h.level(b) != policy.LevelOne {
		t.Fatal("a code was taken while guesses are shut out")
	}
	// A code on paper is another factor with a count of its own, and its success forgives
	// the app nothing.
	b.send(b.get(auth+to), "/prove", "way", "recovery", "code", codes[0]).wantRedirect(t, bank)
	other := h.browser()
	other.signIn("?rd="+url.QueryEscape(bank), "bob", "builder")
	other.prove(to, right).want(t, http.StatusTooManyRequests)
	// Time does, a little at a time: the next wrong guess shuts at once, for longer.
	clock.pass(time.Minute)
	other.prove(to, "000000").want(t, http.StatusUnauthorized)
	other.prove(to, app.shows()).want(t, http.StatusTooManyRequests)
	clock.pass(2 * time.Minute)
	other.prove(to, app.next()).wantRedirect(t, bank)
}

// TestThreat37PasswordGuessingInside: the page that asks for the password again counts
// like the sign-in.
// TestACodeForAFactorThatIsGone is no guess at another one.
func TestACodeForAFactorThatIsGone(t *testing.T) {
	h, _, app, codes := enrolled(t)
	b := h.browser()
	b.signIn("?rd="+url.QueryEscape(bank), "bob", "builder")
	to := proveQuery(bank)
	page := b.get(auth + to + "&way=recovery")
	for range 9 {
		b.send(page, "/prove", "way", "webauthn", "code", "123456").want(t, http.StatusUnauthorized, "That way is not available any more.")
	}
	if app.secret == "" {
		t.Error("no app")
	}
	b.send(page, "/prove", "code", codes[0]).wantRedirect(t, bank)
}

func TestThreat37PasswordGuessingInside(t *testing.T) {
	h, clock := openTimedHouse(t)
	b := h.browser()
	b.signIn("", "bob", "builder")
	clock.pass(time.Hour / 2)
	page := b.get(auth + "/prove?next=/settings/factors")
	page.want(t, http.StatusOK, `autocomplete="current-password"`)
	for range 5 {
		b.send(page, "/prove", "password", "no").want(t, http.StatusUnauthorized, "That password is not right.")
	}
	b.send(page, "/prove", "password", "builder").want(t, http.StatusTooManyRequests, "Too many attempts.")
	b.send(page, "/prove", "password", strings.Repeat("x", 5000)).want(t, http.StatusTooManyRequests)
	b.get(auth+pageFactors).want(t, http.StatusSeeOther)
}

// TestThreat38CodesAreSpent: one code of an app, and one on paper, opens one session.
func TestThreat38CodesAreSpent(t *testing.T) {
	h, _, app, codes := enrolled(t)
	to := proveQuery(bank)
	for _, tt := range []struct{ way, code, say string }{
		{"totp", app.next(), "That code has been used already."},
		{"recovery", codes[3], "That code has been used already."},
	} {
		const many = 6
		browsers := make([]*browser, many)
		pages := make([]answer, many)
		for i := range browsers {
			browsers[i] = h.browser()
			browsers[i].header.Set(testClient, fmt.Sprintf("198.51.100.%d", i))
			browsers[i].signIn("?rd="+url.QueryEscape(bank), "bob", "builder")
			pages[i] = browsers[i].get(auth + to)
		}
		answers := make([]answer, many)
		var sent sync.WaitGroup
		for i := range browsers {
			sent.Go(func() { answers[i] = browsers[i].send(pages[i], "/prove", "way", tt.way, "code", tt.code) })
		}
		sent.Wait()
		opened, said := 0, 0
		for _, a := range answers {
			if a.StatusCode == http.StatusSeeOther {
				opened++
			}
			if strings.Contains(a.Body, tt.say) {
				said++
			}
		}
		if opened != 1 || said == 0 {
			t.Errorf("%s: one code opened %d sessions, and %d were told that it is spent", tt.way, opened, said)
		}
	}
	// Nor does a code of another moment do: one step before and after, no more.
	b := h.browser()
	b.signIn("?rd="+url.QueryEscape(bank), "bob", "builder")
	clock := app.clock
	clock.pass(10 * time.Minute)
	early := app.shows()
	clock.pass(90 * time.Second)
	b.prove(to, early).want(t, http.StatusUnauthorized)
}

// TestThreat39NoOtherDoor: a session that has proved one factor of two opens none of the
// pages, and none of the forms, that change or show something of the account.
func TestThreat39NoOtherDoor(t *testing.T) {
	h, _, _, _ := enrolled(t)
	devices, err := h.server.Factors.Devices.List(t.Context(), "bob")
	must(t, err)
	b := h.browser()
	page := b.signIn("", "bob", "builder")
	page.want(t, http.StatusSeeOther)
	page = b.get(auth + "/signout")
	for _, path := range []string{pageSettings, pageFactors, pageAddTOTP, pageAddKey, pageRecovery, pagePassword, pageTokens, pageAddToken, pageAddApp, pageSessions, pageActivity} {
		b.get(auth+path).wantRedirect(t, "/prove?next="+url.QueryEscape(path))
		// Where the person says he is going makes no difference.
		b.get(auth+path+"?next=/settings/x&rd=https://wiki.example.com/").want(t, http.StatusSeeOther)
	}
	before := len(sessionsOf(t, h, "bob"))
	for _, path := range settingsForms {
		a := b.send(page, path, "id", devices[0].ID, "name", "x", "code", "123456", "response", "{}", "password", "builder", "new", "a new password of bob's", "again", "a new password of bob's")
		if a.StatusCode != http.StatusSeeOther || !strings.HasPrefix(a.Header.Get("Location"), "/prove?next=") {
			t.Errorf("POST %s: %d, goes to %q", path, a.StatusCode, a.Header.Get("Location"))
		}
	}
	after, err := h.server.Factors.Devices.List(t.Context(), "bob")
	if err != nil || len(after) != 1 || after[0].Name != devices[0].Name || len(sessionsOf(t, h, "bob")) != before {
		t.Errorf("something changed: %+v, %v, sessions %v", after, err, sessionsOf(t, h, "bob"))
	}
	if left, err := h.server.Factors.Recovery.Left(t.Context(), "bob"); err != nil || left != 10 {
		t.Errorf("%d recovery codes left, %v", left, err)
	}
	if list := h.tokensOf("bob"); len(list) != 0 {
		t.Errorf("credentials %+v", list)
	}
}

// settingsForms are the forms of the person's own pages.
var settingsForms = []string{
	pageAddTOTP, pageAddKey, pageRecovery, pageFactors + "/rename", pageFactors + "/remove", pageSessions + "/end", pageSessions + "/end-others",
	pageTokens + "/revoke", pageTokens + "/revoke-all", pageAddToken, pageAddApp,
}

// TestThreat40StepsAreNotSkipped: forms that come empty, in another order, for a step
// that is not due or for one that does not exist raise nothing.
func TestThreat40StepsAreNotSkipped(t *testing.T) {
	h, _, app, codes := enrolled(t)
	b := h.browser()
	b.signIn("?rd="+url.QueryEscape(bank), "bob", "builder")
	page := b.get(auth + proveQuery(bank))
	forms := []struct {
		why    string
		path   string
		fields []string
	}{
		{"nothing at all", "/prove", []string{"way", "", "code", ""}},
		{"a mailed code, which is no second factor", "/prove", []string{"way", "mail", "code", "0000 0000"}},
		{"to be mailed one", "/prove", []string{"way", "mail", "send", "yes"}},
		{"the password again", "/prove", []string{"way", "password", "password", "builder"}},
		{"a certificate", "/prove", []string{"way", "certificate"}},
		{"a passkey that is not there", "/prove", []string{"way", "webauthn", "ticket", "x", "response", "{}"}},
		{"a code of the app as one on paper", "/prove", []string{"way", "recovery", "code", app.next()}},
		{"a passkey sign-in without anything", "/passkey", []string{"ticket", "", "response", ""}},
		{"setting up an app that was not begun", pageAddTOTP, []string{"ticket", "", "code", "123456"}},
		{"setting up a passkey that was not begun", pageAddKey, []string{"ticket", "", "response", ""}},
	}
	for i, tt := range forms {
		b.header.Set(testClient, fmt.Sprintf("198.51.100.%d", i))
		b.send(page, tt.path, tt.fields...)
		if got := h.level(b); got != policy.LevelOne {
			t.Fatalf("%s: level %v", tt.why, got)
		}
		b.get(auth+"/?rd="+url.QueryEscape(bank)).wantRedirect(t, proveQuery(bank))
	}
	// What is proved for no target is not asked for, and not taken: the code stays good.
	b.send(page, "/prove", "rd", "", "way", "recovery", "code", codes[1]).wantRedirect(t, "/")
	if got := h.level(b); got != policy.LevelOne {
		t.Fatalf("level %v", got)
	}
	// Nobody who is not signed in is asked for a second factor.
	nobody := h.browser()
	form := nobody.get(auth + "/")
	nobody.send(form, "/prove", "way", "recovery", "code", codes[1], "rd", bank).wantRedirect(t, "/?rd="+url.QueryEscape(bank)+"&rm=GET")
	b.send(page, "/prove", "way", "recovery", "code", codes[1]).wantRedirect(t, bank)
}

// TestThreat42Freshness: what opens a sensitive page is not older than five minutes, and
// the form on it does not outlive that.
func TestThreat42Freshness(t *testing.T) {
	h, clock, app, _ := enrolled(t)
	b := h.browser()
	b.twoFactors(app)
	page := b.get(auth + pageFactors)
	page.want(t, http.StatusOK)
	clock.pass(freshFor - time.Second)
	b.get(auth+pageFactors).want(t, http.StatusOK)
	clock.pass(2 * time.Second)
	const to = "/prove?next=%2Fsettings%2Ffactors"
	b.get(auth+pageFactors).wantRedirect(t, to)
	id := ids(page)[0]
	b.send(page, pageFactors+"/remove", "id", id).wantRedirect(t, to)
	b.send(page, pageFactors+"/rename", "id", id, "name", "x").wantRedirect(t, to)
	b.get(auth+pageSettings).want(t, http.StatusOK)
	// A fresh sign-in with the password alone does not count for the second factor.
	b.send(b.get(auth+"/signout"), "/", "username", "bob", "password", "builder")
	b.get(auth+pageFactors).wantRedirect(t, to)
	b.get(auth+pageSettings).want(t, http.StatusSeeOther)
	b.prove(to, app.next()).wantRedirect(t, pageFactors)
	b.send(b.get(auth+pageFactors), pageFactors+"/rename", "id", id, "name", "Nokia").want(t, http.StatusSeeOther)
	b.get(auth+pageFactors).want(t, http.StatusOK, "Nokia", "The name has been changed.")
}

// TestMaxAge: a rule that wants the proof fresh asks again for the proof that was used.
func TestMaxAge(t *testing.T) {
	const pay = "https://pay.example.com/"
	h, clock, app, _ := enrolled(t, withRule(policy.Rule{Domain: policy.List{"pay.example.com"}, Policy: policy.TwoFactor, MaxAge: 15 * time.Minute}))
	b := h.browser()
	b.signIn("?rd="+pay, "bob", "builder")
	b.prove(proveQuery(pay), app.next()).wantRedirect(t, pay)
	clock.pass(16 * time.Minute)
	b.get(auth+"/?rd="+pay).wantRedirect(t, proveQuery(pay))
	b.get(auth+"/?rd="+url.QueryEscape(bank)).wantRedirect(t, bank)
	b.prove(proveQuery(pay), app.next()).wantRedirect(t, pay)
}

// TestNoSecondFactorToBeHad: the page says why nothing leads further.
func TestNoSecondFactorToBeHad(t *testing.T) {
	h, clock, _, _ := enrolled(t, withRule(policy.Rule{Domain: policy.List{"vault.example.com"}, Policy: policy.TwoFactor, Factors: policy.List{"webauthn"}}),
		func(s *Server) { s.Factors.WebAuthn = nil })
	b := h.browser()
	b.signIn("?rd=https://vault.example.com/", "bob", "builder")
	b.get(auth+"/?rd=https://vault.example.com/").want(t, http.StatusForbidden, "vault.example.com asks for a second factor", "Yours is not of the kind that is asked for.")
	// Not even an offer that would lead nowhere: recovery codes do not make a passkey.
	b.get(auth+"/prove?rd=https://vault.example.com/").want(t, http.StatusSeeOther)

	none := openHouse(t, func(s *Server) { s.Factors.TOTP, s.Factors.WebAuthn = nil, nil })
	b = none.browser()
	b.signIn("", "bob", "builder")
	b.get(auth+"/?rd="+url.QueryEscape(bank)).want(t, http.StatusForbidden, "bank.example.com asks for a second factor", "None is set up for your account yet.")
	b.get(auth+pageFactors).want(t, http.StatusOK, "Second factors cannot be set up here.")

	// A passkey of the other portal is a second factor, but not one that works here.
	must(t, none.db.AddFactor(t.Context(), factor.Record{Device: factor.Device{ID: "x", Kind: factor.KindWebAuthn, User: "bob", Name: "Key",
		Site: "login.example.org", Created: clock.now()}, Sealed: []byte("x")}, 0))
	b.get(auth+pageSettings).want(t, http.StatusForbidden, "This part of your account asks for your second factor.", "Yours works on another address of this site only.")
	b.get(auth+"/?rd="+url.QueryEscape(bank)).want(t, http.StatusForbidden, "works on another address of this site only")
}
