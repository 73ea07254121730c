package portal

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	cdproto "github.com/chromedp/cdproto/cdp"
	cdp "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"postern/agent/policy"
	"postern/agent/session"
	"postern/portal/factor"
	"postern/portal/journal"
)

// key is an authenticator of the browser: it has its own memory, and answers as a person
// would who is there and holds his finger on it.
type key struct {
	w  *window
	id webauthn.AuthenticatorID
}

// plugIn gives the browser an authenticator.
func (w *window) plugIn() *key {
	w.t.Helper()
	k := &key{w: w}
	k.do(func(ctx context.Context) error {
		if _, err := chromedp.Call(ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
			return err
		}
		got, err := chromedp.Call(ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
			Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
			HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
		}})
		k.id = got.AuthenticatorID
		return err
	})
	return k
}

// verifies says whether the authenticator finds its owner.
func (k *key) verifies(yes bool) {
	k.w.t.Helper()
	k.do(func(ctx context.Context) error {
		_, err := chromedp.Call(ctx, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: k.id, IsUserVerified: yes})
		return err
	})
}

// present says whether somebody touches the authenticator when it asks.
func (k *key) present(yes bool) {
	k.w.t.Helper()
	k.do(func(ctx context.Context) error {
		_, err := chromedp.Call(ctx, webauthn.SetAutomaticPresenceSimulation, webauthn.SetAutomaticPresenceSimulationParams{AuthenticatorID: k.id, Enabled: yes})
		return err
	})
}

// count sets the counter of the one credential back or forward.
func (k *key) count(n float64) {
	k.w.t.Helper()
	k.do(func(ctx context.Context) error {
		got, err := chromedp.Call(ctx, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: k.id})
		if err != nil {
			return err
		}
		c := got.Credentials[0]
		if _, err := chromedp.Call(ctx, webauthn.ClearCredentials, webauthn.ClearCredentialsParams{AuthenticatorID: k.id}); err != nil {
			return err
		}
		// The package's own type sends a field that this kind of authenticator refuses.
		add := cdproto.Command[map[string]any, cdproto.Empty]{Method: webauthn.CommandAddCredential}
		_, err = chromedp.Call(ctx, add, map[string]any{"authenticatorId": k.id, "credential": map[string]any{
			"credentialId": c.CredentialID, "isResidentCredential": true, "rpId": c.RpID, "privateKey": c.PrivateKey,
			"userHandle": c.UserHandle, "signCount": n,
		}})
		return err
	})
}

func (k *key) do(f func(context.Context) error) {
	k.w.t.Helper()
	k.w.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error { return f(ctx) }))
}

// addKey sets up a passkey for the person who is signed in.
func (w *window) addKey(name string) {
	w.t.Helper()
	w.open(auth + pageAddKey)
	w.fill("#name", name)
	w.press("[data-start]")
}

func TestChromiumPasskeys(t *testing.T) {
	h := openHouse(t)
	w := h.chromium()
	c := w.watch()
	k := w.plugIn()
	// Before anybody has one, the button finds nothing and says so.
	w.open(auth)
	w.do(chromedp.Click(chromedp.CSS("[data-start]")))
	w.says("[data-say]", "Nothing was confirmed. Try again when you are ready.")
	w.signIn("bob", "builder")

	// A rule leads to setting one up, and on to recovery codes and the application.
	w.open(auth + "/?rd=" + url.QueryEscape(bank))
	w.wantText("h1", "Second factors")
	w.press(".offers a[href^='/settings/factors/passkey']")
	w.fill("#name", "Laptop")
	w.press("[data-start]")
	w.wantText("h1", "Recovery codes")
	w.press("form[action='/settings/recovery'] .go")
	w.press("main .go")
	w.wantAt(bank)
	list, err := h.server.Factors.Devices.List(t.Context(), "bob")
	if err != nil || len(list) != 1 || list[0].Name != "Laptop" || list[0].Kind != factor.KindWebAuthn || list[0].Site != "auth.example.com" {
		t.Fatalf("devices %+v, %v", list, err)
	}

	// The same authenticator a second time: the browser knows it, and the page says so.
	w.open(auth + pageAddKey)
	w.do(chromedp.Click(chromedp.CSS("[data-start]")))
	w.says("[data-say]", "This passkey is already set up. Choose another device, or use it as it is.")

	// As a second factor.
	w.signOut()
	k.present(false) // so that nobody answers what the page asks by itself
	w.open(auth + "/?rd=" + url.QueryEscape(bank))
	w.signIn("bob", "builder")
	w.wantText("h1", "Confirm that it is you")
	k.present(true)
	w.press("[data-start]")
	w.wantAt(bank)
	wantEvents(t, h, "bob", journal.StepUp, journal.SignIn)

	// Alone, by the button: two factors, for it has verified its user.
	w.signOut()
	k.present(false)
	w.open(auth + "/?rd=" + url.QueryEscape(bank))
	w.wantText("h1", "Sign in")
	k.present(true)
	w.press("[data-start]")
	w.wantAt(bank)
	events := wantEvents(t, h, "bob", journal.SignIn)
	if events[0].Factor != "webauthn" {
		t.Errorf("event %+v", events[0])
	}
	w.open(auth + pageFactors)
	w.wantText("h1", "Second factors")
	c.none(t, "passkeys")
}

// says waits until an element that can be seen says exactly text, on whatever page.
func (w *window) says(selector, text string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, 20*time.Second)
	defer cancel()
	expression := `(() => { const e = document.querySelector(` + quoted(selector) + `); return e && !e.hidden ? e.textContent.trim() : "" })()`
	got, err := "", error(nil)
	for ctx.Err() == nil {
		// A page that is being left cannot be asked: the next one can.
		if got, err = chromedp.Run(ctx, chromedp.Evaluate[string](expression)); err == nil && got == text {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	w.t.Logf("%s says %q, want %q", selector, got, text)
	w.fail(err)
}

func quoted(s string) string { return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"` }

func (w *window) signOut() {
	w.t.Helper()
	w.open(auth + "/signout")
	w.press("form[action='/signout'] .go")
	w.wantText("h1", "You are signed out")
}

// TestChromiumOffersPasskeysInTheField: conditional mediation. The browser's own list
// cannot be clicked from here; an authenticator without a screen answers for it at once.
func TestChromiumOffersPasskeysInTheField(t *testing.T) {
	h := openHouse(t)
	w := h.chromium()
	w.plugIn()
	w.open(auth)
	w.signIn("bob", "builder")
	w.addKey("Laptop")
	w.wantText("h1", "Recovery codes")
	w.signOut()
	w.open(auth + "/?rd=" + url.QueryEscape(bank))
	w.says("#asked", bank)
	wantEvents(t, h, "bob", journal.SignIn)
}

// unconditional keeps the sign-in page from offering passkeys by itself, which the
// authenticator of these tests would take up at once.
func (w *window) unconditional() {
	w.t.Helper()
	w.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, cdp.AddScriptToEvaluateOnNewDocument, cdp.AddScriptToEvaluateOnNewDocumentParams{
			Source: `if (window.PublicKeyCredential) PublicKeyCredential.isConditionalMediationAvailable = async () => false`,
		})
		return err
	}))
}

// TestChromiumPasskeysThatDoNotDo: what the server has against a passkey.
func TestChromiumPasskeysThatDoNotDo(t *testing.T) {
	h := openHouse(t)
	w := h.chromium()
	w.unconditional()
	k := w.plugIn()
	w.open(auth)
	w.signIn("bob", "builder")
	w.addKey("Laptop")
	w.signOut()

	// Nobody is there whom the authenticator would know.
	k.verifies(false)
	w.open(auth)
	w.do(chromedp.Click(chromedp.CSS("[data-start]")))
	w.says("[data-say]", "Nothing was confirmed. Try again when you are ready.")
	k.verifies(true)

	// With the box ticked the session is remembered.
	w.do(chromedp.Click(chromedp.CSS("input[name=remember]")))
	w.press("[data-start]")
	w.wantText("h1", "You are signed in")
	records, err := h.db.ListSessions(t.Context(), session.Filter{User: "bob"})
	if err != nil || len(records) != 1 || !records[0].Remember || records[0].Level != policy.LevelTwo {
		t.Fatalf("sessions %+v, %v", records, err)
	}

	// A copy has been used meanwhile: its counter is ahead of this one's.
	w.signOut()
	k.count(0)
	w.open(auth)
	w.press("[data-start]")
	w.wantText("#problem", "This passkey has been refused: it may have been copied. Use another way, and remove it in your settings.")
	wantEvents(t, h, "bob", journal.FactorSuspicious)
	k.count(100)
	w.press("[data-start]")
	w.open(auth + pageFactors)
	if text, err := chromedp.Run(w.ctx, chromedp.Text(chromedp.CSS(".warn"))); err != nil || !strings.HasPrefix(text, "It may have been copied") {
		t.Errorf("the page does not warn: %q, %v", text, err)
	}

	// It is removed.
	w.do(chromedp.Click(chromedp.CSS(".acts details:last-child summary")))
	w.press("form[action='/settings/factors/remove'] button")
	w.wantText(".done", "Removed. You have been signed out everywhere else.")
	w.signOut()
	w.open(auth)
	w.press("[data-start]")
	w.wantText("#problem", "This passkey is not known here. It may have been removed.")
}

// TestThreat31ChromiumPasskeyOfSomebodyShutOut: a passkey does not let in who is disabled.
func TestThreat31ChromiumPasskeyOfSomebodyShutOut(t *testing.T) {
	h := openHouse(t)
	w := h.chromium()
	w.unconditional()
	w.plugIn()
	w.open(auth)
	w.signIn("bob", "builder")
	w.addKey("Laptop")
	must(t, h.users.SetDisabled(t.Context(), "bob", true))
	must(t, h.users.Reload())
	w.open(auth)
	w.press("[data-start]")
	w.wantText("#problem", "This passkey is not known here. It may have been removed.")
	if n := len(sessionsOf(t, h, "bob")); n > 1 {
		t.Errorf("%d sessions", n)
	}
}

// TestChromiumPasskeyAsOneFactor: where a passkey counts as one factor, a rule for two
// asks for the password as well.
func TestChromiumPasskeyAsOneFactor(t *testing.T) {
	h := openHouse(t, func(s *Server) { s.Factors.WebAuthn["https://auth.example.com"].Config.TwoFactors = false })
	w := h.chromium()
	w.unconditional()
	w.plugIn()
	w.open(auth)
	w.signIn("bob", "builder")
	w.addKey("Laptop")
	w.signOut()
	w.open(auth + "/?rd=" + url.QueryEscape(bank))
	w.press("[data-start]")
	w.wantText("h1", "Confirm that it is you")
	w.fill("#password", "builder")
	w.press("main .go")
	w.wantAt(bank)
}

// TestChromiumSaysWhatWentWrong: each thing that can go wrong in the browser has its
// sentence, on each page that runs a ceremony.
func TestChromiumSaysWhatWentWrong(t *testing.T) {
	h := openHouse(t)
	w := h.chromium()
	w.unconditional()
	w.plugIn()
	w.open(auth)
	w.signIn("bob", "builder")
	for _, at := range []struct{ path, call string }{{pageAddKey, "create"}, {"/", "get"}} {
		if at.call == "get" {
			w.signOut()
		}
		for _, tt := range []struct{ name, after, want string }{
			{"NotAllowedError", "0", "Nothing was confirmed. Try again when you are ready."},
			{"NotAllowedError", "300000", "That took too long. Try again, and have your passkey at hand."},
			{"TimeoutError", "0", "That took too long. Try again, and have your passkey at hand."},
			{"SecurityError", "0", "Passkeys work on this site's own address only. Check the address bar."},
			{"InvalidStateError", "0", "This passkey is already set up. Choose another device, or use it as it is."},
			{"NotSupportedError", "0", "This browser or device cannot use passkeys here. Choose another way."},
			{"UnknownError", "0", "Your browser could not use the passkey. Try again, or choose another way."},
		} {
			w.open(auth + at.path)
			w.do(chromedp.Evaluate[chromedp.Void](`void (() => {
				const began = Date.now();
				navigator.credentials.`+at.call+` = async () => { Date.now = () => began + `+tt.after+` + 500; throw new DOMException("x", "`+tt.name+`"); };
			})()`), chromedp.Click(chromedp.CSS("[data-start]")))
			w.says("[data-say]", tt.want)
		}
	}
	// A browser without passkeys: the sign-in page offers none, the other page says so.
	w.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, cdp.AddScriptToEvaluateOnNewDocument, cdp.AddScriptToEvaluateOnNewDocumentParams{Source: `delete window.PublicKeyCredential`})
		return err
	}))
	w.open(auth)
	if hidden, err := chromedp.Run(w.ctx, chromedp.Evaluate[bool](`document.querySelector(".passkey").hidden`)); err != nil || !hidden {
		t.Errorf("passkeys are offered: %v, %v", hidden, err)
	}
	w.signIn("bob", "builder")
	w.open(auth + pageAddKey)
	w.says("[data-say]", "This browser or device cannot use passkeys here. Choose another way.")
	// Without JavaScript likewise.
	w.do(scripts(false))
	w.open(auth + pageAddKey)
	w.wantText("noscript .note", "Passkeys need JavaScript. Turn it on for this page, or choose another way.")
}

// TestThreat48PasskeyAnswersAreBound takes an answer out of one browser and sends it from
// another, and sends one twice.
func TestThreat48PasskeyAnswersAreBound(t *testing.T) {
	h := openHouse(t)
	w := h.chromium()
	w.unconditional()
	w.plugIn()
	w.open(auth)
	w.signIn("bob", "builder")
	w.addKey("Laptop")
	w.signOut()
	w.open(auth)
	held := w.hold()
	thief := h.browser()
	thief.send(thief.get(auth+"/"), "/passkey", held...).want(t, http.StatusUnauthorized, "That took too long.")
	w.release()
	w.wantText("h1", "You are signed in")

	// As a second factor: bound to the session that asked.
	w.signOut()
	w.open(auth + "/?rd=" + url.QueryEscape(bank))
	w.signIn("bob", "builder")
	held = w.hold()
	thief.signIn("?rd="+url.QueryEscape(bank), "bob", "builder").wantRedirect(t, proveQuery(bank))
	thief.send(thief.get(auth+proveQuery(bank)), "/prove", held...).want(t, http.StatusUnauthorized, "That took too long.")
	w.release()
	w.wantAt(bank)
	thief.send(thief.get(auth+proveQuery(bank)), "/prove", held...).want(t, http.StatusUnauthorized)
}

// hold runs the ceremony of the page and keeps its answer from being sent.
func (w *window) hold() []string {
	w.t.Helper()
	w.do(chromedp.Evaluate[chromedp.Void](`void (() => {
		HTMLFormElement.prototype.send = HTMLFormElement.prototype.submit;
		HTMLFormElement.prototype.submit = function() { window.held = [this.elements.ticket.value, this.elements.response.value]; };
	})()`), chromedp.Click(chromedp.CSS("[data-start]")))
	got, err := chromedp.Run(w.ctx, chromedp.Poll[[]string](`window.held`))
	if err != nil {
		w.fail(err)
	}
	return []string{"ticket", got[0], "response", got[1]}
}

// release sends the answer after all.
func (w *window) release() {
	w.t.Helper()
	w.leave(chromedp.Evaluate[chromedp.Void](`void document.querySelector("form[data-webauthn]").send()`))
}
