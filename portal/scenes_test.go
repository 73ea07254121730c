package portal

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp/totp"

	"postern/agent/credential"
	"postern/agent/policy"
	"postern/portal/factor"
)

// factorScenes lead alice from a rule for two factors to an app, a passkey and codes.
func factorScenes(h *house) []scene {
	return []scene{
		{"prove-mail-ask", func(w *window) { w.open(auth + "/?rd=" + url.QueryEscape(bank)) }},
		{"prove-mail", func(w *window) { w.press("main .go") }},
		{"factors-waiting", func(w *window) {
			w.fill("#code", h.lastCode())
			w.press("main .go")
		}},
		{"addapp", func(w *window) { w.press(".offers a[href*='/app']") }},
		{"addapp-wrong", func(w *window) {
			w.fill("#code", "123456")
			w.press("main .go")
		}},
		{"recovery", func(w *window) {
			w.fill("#name", "Pixel 9")
			w.fill("#code", codeOf(w))
			w.press("main .go")
		}},
		{"recovery-codes", func(w *window) { w.press("main .go") }},
		{"addkey", func(w *window) { w.open(auth + pageAddKey) }},
		{"addkey-problem", func(w *window) {
			w.do(chromedp.Evaluate[chromedp.Void](`void (navigator.credentials.create = async () => { throw new DOMException("x", "NotAllowedError") })`),
				chromedp.Click(chromedp.CSS("[data-start]")))
			w.says("[data-say]", "Nothing was confirmed. Try again when you are ready.")
		}},
		{"factors-added", func(w *window) { w.addKey("Laptop") }},
	}
}

// codeOf is the code of the app whose secret the page shows, of half a minute ahead: the
// next one after it was used can follow at once.
func codeOf(w *window) string {
	w.t.Helper()
	secret, err := chromedp.Run(w.ctx, chromedp.Text(chromedp.CSS(".key code")))
	must(w.t, err)
	code, err := totp.GenerateCode(strings.ReplaceAll(secret, " ", ""), time.Now())
	must(w.t, err)
	return code
}

// ownScenes are the person's own pages with something on them.
func ownScenes(h *house) []scene {
	return []scene{
		{"settings", func(w *window) { w.open(auth + pageSettings) }},
		{"factors", func(w *window) {
			list, err := h.server.Factors.Devices.List(w.t.Context(), "alice")
			must(w.t, err)
			must(w.t, h.db.AmendFactor(w.t.Context(), factor.Amend{User: "alice", ID: list[1].ID, Warned: time.Now()}))
			w.open(auth + pageFactors)
		}},
		{"factors-rename", func(w *window) { w.do(chromedp.Click(chromedp.CSS(".acts details summary"))) }},
		{"factors-remove", func(w *window) { w.do(chromedp.Click(chromedp.CSS(".acts details:last-child summary"))) }},
		{"factors-bad-name", func(w *window) {
			w.open(auth + pageFactors)
			w.do(chromedp.Click(chromedp.CSS(".acts details summary")))
			w.fill(".acts input[name=name]", " ")
			w.press(".acts .go")
		}},
		{"newtoken", func(w *window) { w.open(auth + pageAddToken) }},
		{"newtoken-problem", func(w *window) {
			w.do(chromedp.Click(chromedp.CSS(".more summary")), chromedp.Click(chromedp.CSS("input[value='wiki.example.com']")))
			w.fill("#name", "Nightly backup")
			w.fill("#path", "api/")
			w.press("main .go")
		}},
		{"madetoken", func(w *window) {
			w.fill("#path", "/api/")
			w.fill("#networks", "192.0.2.0/24")
			w.press("main .go")
		}},
		{"madetoken-app", func(w *window) {
			w.open(auth + pageAddApp)
			w.fill("#name", "Calendar on the phone")
			w.do(chromedp.Click(chromedp.CSS("input[value='any']")))
			w.press("main .go")
		}},
		{"tokens", func(w *window) {
			_, _, err := h.book().Create(w.t.Context(), credential.Draft{Kind: credential.Token, Name: "Release robot", Owner: "alice", Level: policy.LevelTwo,
				Scope: credential.Scope{Hosts: []string{"bank.example.com", "wiki.example.com"}, Methods: []string{"POST"}}})
			must(w.t, err)
			must(w.t, h.db.AddCredential(w.t.Context(), credential.Stored{Hash: [32]byte{1}, Record: credential.Record{ID: "old", Kind: credential.App, Name: "Old laptop",
				Owner: "alice", Level: policy.LevelOne, Created: time.Now().AddDate(0, -4, 0), Expires: time.Now().AddDate(0, -1, 0), Used: time.Now().AddDate(0, -2, 0)}}, 9))
			w.open(auth + pageTokens)
		}},
		{"tokens-revoke", func(w *window) { w.do(chromedp.Click(chromedp.CSS(".acts details summary"))) }},
		{"tokens-revoked", func(w *window) { w.press(".acts details[open] .stop") }},
		{"sessions", func(w *window) {
			for agent, addr := range map[string]string{
				"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1": "198.51.100.7",
				"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0":                                    "2001:db8:85a3:8d3:1319:8a2e:370:7348",
			} {
				b := h.browser()
				b.header = http.Header{"User-Agent": {agent}, testClient: {addr}}
				b.signIn("", "alice", "wonderland")
			}
			w.open(auth + pageSessions)
		}},
		{"sessions-ended", func(w *window) { w.press("form[action='/settings/sessions/end'] button") }},
		{"activity", func(w *window) { w.open(auth + pageActivity) }},
		{"prove-passkey", func(w *window) {
			w.open(auth + "/signout")
			w.press("main .go")
			w.open(auth + "/?rd=" + url.QueryEscape(bank))
			w.signIn("alice", "wonderland")
		}},
		{"prove-app", func(w *window) { w.press(".ways a[href$='way=totp']") }},
		{"prove-app-wrong", func(w *window) {
			w.fill("#code", "123456")
			w.press("main .go")
		}},
		{"prove-recovery", func(w *window) { w.press(".ways a[href$='way=recovery']") }},
		{"prove-page", func(w *window) { w.open(auth + pageFactors) }},
		{"second", func(w *window) {
			ctx := w.t.Context()
			_, err := h.server.Factors.Devices.DeleteAll(ctx, "alice")
			must(w.t, err)
			must(w.t, h.db.AddFactor(ctx, factor.Record{Device: factor.Device{ID: "elsewhere", Kind: factor.KindWebAuthn, User: "alice",
				Name: "Key", Site: "login.example.org", Created: time.Now()}, Sealed: []byte("x")}, 0))
			w.open(auth + "/?rd=" + url.QueryEscape(bank))
		}},
	}
}

// endScenes lead out.
func endScenes(*house) []scene {
	return []scene{
		{"signout", func(w *window) { w.open(auth + "/signout") }},
		{"signedout", func(w *window) { w.press("main .go") }},
		{"error", func(w *window) { w.open(auth + "/nowhere") }},
	}
}
