package portal

import (
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"postern/agent/policy"
	"postern/portal/journal"
)

const bank = "https://bank.example.com/transfer?to=1"

// TestEnrolmentLedByARule: a rule asks for two factors, the person has one; he is led
// through setting up an app and recovery codes, and back to where he was going.
func TestEnrolmentLedByARule(t *testing.T) {
	h, clock := openTimedHouse(t)
	b := h.browser()
	rd := url.QueryEscape(bank)
	b.signIn("?rd="+rd, "bob", "builder").wantRedirect(t, "/?rd="+rd+"&rm=GET")
	b.get(auth+"/?rd="+rd).wantRedirect(t, "/settings/factors?rd="+rd+"&rm=GET")
	page := b.get(auth + "/settings/factors?rd=" + rd)
	page.want(t, http.StatusOK, "bank.example.com asks for a second factor.", "/settings/factors/app?rd="+rd, "/settings/factors/passkey?rd="+rd)
	if strings.Contains(page.Body, "Go on to") {
		t.Error("a link leads back to this page")
	}
	page = b.get(auth + "/settings/factors/app?rd=" + rd)
	app := scan(t, clock, page)
	page.want(t, http.StatusOK, `href="otpauth://totp/`, "secret="+app.secret, `inputmode="numeric"`, `autocomplete="one-time-code"`, "<svg")

	wrong := b.send(page, pageAddTOTP, "code", "000000")
	wrong.want(t, http.StatusUnauthorized, "That code is not right.", `aria-invalid="true"`)
	if again := scan(t, clock, wrong); again.secret != app.secret {
		t.Errorf("after a wrong code another secret: the app that was set up is of no use")
	}
	code := app.next()
	b.send(wrong, pageAddTOTP, "code", " "+code[:3]+" "+code[3:]+" ", "name", "").wantRedirect(t, "/settings/recovery?rd="+rd+"&rm=GET")
	if h.level(b) != policy.LevelTwo {
		t.Fatalf("level %v after enrolment", h.level(b))
	}
	page = b.get(auth + "/settings/recovery?rd=" + rd)
	page = b.send(page, pageRecovery)
	page.want(t, http.StatusOK, "not shown again", `href="/?rd=`+rd+`&rm=GET"`)
	b.get(auth+"/?rd="+rd).wantRedirect(t, bank)
	b.get(auth+"/settings/factors?rd="+rd).want(t, http.StatusOK, "Go on to bank.example.com")

	sum, err := h.server.Factors.Devices.List(t.Context(), "bob")
	if err != nil || len(sum) != 1 || sum[0].Name != "Authenticator app" {
		t.Errorf("devices %+v, %v", sum, err)
	}
	wantEvents(t, h, "bob", journal.CodesMade, journal.FactorAdded)
}

// wantEvents fails the test unless the newest events of a user are of these kinds.
func wantEvents(t *testing.T, h *house, user string, kinds ...journal.Kind) []journal.Event {
	t.Helper()
	events, err := h.db.ListEvents(t.Context(), journal.Filter{User: user})
	must(t, err)
	for i, kind := range kinds {
		if i >= len(events) || events[i].Kind != kind {
			t.Fatalf("event %d of %s is not %s: %+v", i, user, kind, events)
		}
	}
	return events
}

// TestEnrolmentOfASecondKind: a rule wants a passkey, and an app is not one. Who has an
// app proves it first and is then offered passkeys alone.
func TestEnrolmentOfASecondKind(t *testing.T) {
	h, clock := openTimedHouse(t, withRule(policy.Rule{Domain: policy.List{"vault.example.com"}, Policy: policy.TwoFactor, Factors: policy.List{"webauthn"}}))
	b := h.browser()
	b.signIn("", "bob", "builder")
	app := b.addApp(clock)
	const vault = "https://vault.example.com/"
	other := h.browser()
	rd := "?rd=" + url.QueryEscape(vault) + "&rm=GET"
	other.signIn(rd, "bob", "builder").wantRedirect(t, "/"+rd)
	other.get(auth+"/"+rd).wantRedirect(t, "/settings/factors"+rd)
	other.get(auth+"/settings/factors"+rd).wantRedirect(t, "/prove?next=%2Fsettings%2Ffactors&"+rd[1:])
	other.prove("/prove?next=/settings/factors&"+rd[1:], app.next()).wantRedirect(t, "/settings/factors"+rd)
	page := other.get(auth + "/settings/factors" + rd)
	page.want(t, http.StatusOK, "vault.example.com asks for a second factor.", "/settings/factors/passkey")
	if strings.Contains(page.Body, `href="/settings/factors/app`) {
		t.Error("another app is offered, which the rule does not accept")
	}
}

// withRule puts a rule before the others.
func withRule(rule policy.Rule) func(*Server) {
	return func(s *Server) {
		config := houseRules()
		config.Rules = append([]policy.Rule{rule}, config.Rules...)
		rules, err := policy.Compile(houseDomains(), config)
		if err != nil {
			panic(err)
		}
		s.Rules = func() *policy.Rules { return rules }
	}
}

func TestEnrolmentOfAnApp(t *testing.T) {
	h, clock := openTimedHouse(t)
	b := h.browser()
	b.signIn("", "bob", "builder")
	page := b.get(auth + pageAddTOTP)
	app := scan(t, clock, page)
	if !strings.Contains(html.UnescapeString(page.Body), "Postern:bob?") {
		t.Error("the app is not told whose the account is")
	}
	b.send(page, pageAddTOTP, "code", app.shows(), "name", strings.Repeat("x", 65)).want(t, http.StatusUnauthorized, "Choose a name")
	b.send(page, pageAddTOTP, "code", strings.Repeat("1", 4000)).want(t, http.StatusUnauthorized, "not right")
	b.send(page, pageAddTOTP, "code", app.shows(), "name", "<b>Pixel</b> 📱").wantRedirect(t, pageRecovery)
	// What the code proved counts at once, and the first device leads to recovery codes;
	// they can be left for later.
	b.get(auth+pageRecovery).want(t, http.StatusOK, "You have no recovery codes.", "Make recovery codes", "Not now", `href="/settings/factors"`)
	b.get(auth+pageFactors).want(t, http.StatusOK, "<b>Pixel</b> 📱", "You have no recovery codes.")
	// The same ticket makes no second device.
	b.send(page, pageAddTOTP, "code", app.next()).want(t, http.StatusUnauthorized, "That took too long.")
	// A second app does not lead to the codes again.
	page = b.get(auth + pageAddTOTP)
	second := scan(t, clock, page)
	if second.secret == app.secret {
		t.Error("two apps share a secret")
	}
	b.send(page, pageAddTOTP, "code", second.next(), "name", "Tablet").wantRedirect(t, pageFactors)
	b.get(auth+pageFactors).want(t, http.StatusOK, "It is set up", "Tablet")
	// Either of them lets bob in.
	for _, p := range []*phone{app, second} {
		h.browser().twoFactors(p)
	}
}

// TestEnrolmentThatTakesTooLong: the secret on the page is good for a quarter of an hour.
func TestEnrolmentThatTakesTooLong(t *testing.T) {
	h, clock := openTimedHouse(t)
	b := h.browser()
	b.signIn("", "bob", "builder")
	page := b.get(auth + pageAddTOTP)
	app := scan(t, clock, page)
	clock.pass(16 * time.Minute)
	b.send(page, pageAddTOTP, "code", app.shows()).wantRedirect(t, "/prove?next=%2Fsettings%2Ffactors%2Fapp")
	proof := b.get(auth + "/prove?next=/settings/factors/app")
	b.send(proof, "/prove", "password", "builder").wantRedirect(t, pageAddTOTP)
	late := b.send(b.get(auth+pageAddTOTP), pageAddTOTP, "ticket", ticketOf(page), "code", app.shows())
	late.want(t, http.StatusUnauthorized, "That took too long.")
	if scan(t, clock, late).secret == app.secret {
		t.Error("a secret that is too old is offered again")
	}
}

// ticketOf is the ticket of a page's form.
func ticketOf(page answer) string {
	for _, m := range hidden.FindAllStringSubmatch(page.Body, -1) {
		if m[1] == "ticket" {
			return html.UnescapeString(m[2])
		}
	}
	return ""
}

// TestThreat41EnrolmentIsNotHijacked: nobody but the person himself adds a factor.
func TestThreat41EnrolmentIsNotHijacked(t *testing.T) {
	h, clock := openTimedHouse(t)
	bob := h.browser()
	bob.signIn("", "bob", "builder")

	// Two who know the password begin at the same time. The first to finish has the
	// account; the other is asked for what he cannot prove.
	thief := h.browser()
	thief.signIn("", "bob", "builder")
	open := thief.get(auth + pageAddTOTP)
	open.want(t, http.StatusOK)
	stolen := scan(t, clock, open)
	app := bob.addApp(clock)
	thief.send(open, pageAddTOTP, "code", stolen.next()).wantRedirect(t, "/prove?next=%2Fsettings%2Ffactors%2Fapp")
	for _, page := range []string{pageAddTOTP, pageAddKey, pageFactors, pageRecovery} {
		thief.get(auth+page).wantRedirect(t, "/prove?next="+url.QueryEscape(page))
	}
	if list, err := h.server.Factors.Devices.List(t.Context(), "bob"); err != nil || len(list) != 1 {
		t.Fatalf("devices: %+v, %v", list, err)
	}

	// A ticket of the thief's in bob's form: it was made for another session.
	page := bob.get(auth + pageAddTOTP)
	page.want(t, http.StatusOK)
	bob.send(page, pageAddTOTP, "ticket", ticketOf(open), "code", stolen.next()).want(t, http.StatusUnauthorized, "That took too long.")
	// And of another user's.
	alice := h.browser()
	alice.signIn("", "alice", "wonderland")
	alice.confirmByMail(h, pageAddTOTP)
	hers := alice.get(auth + pageAddTOTP)
	key := scan(t, clock, hers)
	bob.send(page, pageAddTOTP, "ticket", ticketOf(hers), "code", key.next()).want(t, http.StatusUnauthorized)
	if list, err := h.server.Factors.Devices.List(t.Context(), ""); err != nil || len(list) != 1 {
		t.Fatalf("devices: %+v, %v", list, err)
	}
	h.browser().twoFactors(app)
}
