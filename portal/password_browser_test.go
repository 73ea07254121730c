package portal

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"postern/agent/credential"
)

// awaitText waits until an element says something.
func (w *window) awaitText(selector, want string) {
	w.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		got, err := chromedp.Run(w.ctx, chromedp.Evaluate[string](`document.querySelector("`+selector+`").textContent`))
		must(w.t, err)
		if strings.Contains(got, want) {
			return
		}
		select {
		case <-deadline:
			w.t.Fatalf("%s says %q, want %q", selector, got, want)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// types presses the keys of a text in a field.
func (w *window) types(selector, text string) {
	w.t.Helper()
	w.do(
		chromedp.Evaluate[chromedp.Void](`void (document.querySelector("`+selector+`").value = "")`),
		chromedp.SendKeys(chromedp.CSS(selector), text),
	)
}

// passwordScenes are the pages of passwords and of links from mails, with the way there.
var passwordScenes = []struct {
	name string
	way  func(*house, *window)
}{
	{"reset", func(_ *house, w *window) { w.open(auth + pageReset) }},
	{"reset-sent", func(_ *house, w *window) {
		w.fill("#username", "alice")
		w.press("form[action='/reset'] .go")
	}},
	{"resetnew", func(h *house, w *window) {
		h.settled(1)
		w.open(h.linkTo(pageResetNew))
	}},
	{"resetnew-weak", func(_ *house, w *window) {
		w.types("#new", "wonderland alice")
		w.awaitText("#strength", "Too easy")
	}},
	{"resetnew-good", func(_ *house, w *window) {
		w.types("#new", newPassword)
		w.awaitText("#strength", "Very good.")
	}},
	{"resetnew-done", func(_ *house, w *window) { w.press("form[action='/reset/new'] .go") }},
	{"reset-gone", func(h *house, w *window) { w.open(h.linkTo(pageResetNew)) }},
	{"password", func(_ *house, w *window) {
		w.open(auth)
		w.signIn("bob", "builder")
		w.open(auth + pagePassword)
	}},
	{"password-tokens", func(h *house, w *window) {
		h.give("bob", credential.Token, credential.App)
		w.open(auth + pagePassword)
	}},
	{"password-wrong", func(_ *house, w *window) {
		w.fill("#password", "no")
		w.fill("#new", newPassword)
		w.press("form[action='/settings/password'] .go")
	}},
	{"password-done", func(_ *house, w *window) {
		w.fill("#password", "builder")
		w.fill("#new", newPassword)
		w.press("form[action='/settings/password'] .go")
	}},
	{"notme", func(h *house, w *window) { w.open(h.linkTo(pageNotMe)) }},
	{"notme-done", func(_ *house, w *window) { w.press("form[action='/not-me'] .go") }},
}

// TestPasswordScreenshots is TestScreenshots for these pages.
func TestPasswordScreenshots(t *testing.T) {
	dir := os.Getenv("POSTERN_SCREENSHOTS")
	if dir == "" {
		t.Skip("POSTERN_SCREENSHOTS names no folder")
	}
	must(t, os.MkdirAll(dir, 0o755))
	h := openHouse(t)
	w := h.chromium()
	for _, scene := range passwordScenes {
		scene.way(h, w)
		w.shoot(dir, scene.name)
	}
}

// TestAPasswordIsSetInARealBrowser goes all the way: forgotten, link, judged while it is
// typed, set, signed in.
func TestAPasswordIsSetInARealBrowser(t *testing.T) {
	h := openHouse(t)
	w := h.chromium()
	w.open(auth + "/?rd=https://wiki.example.com/")
	w.press(".aside a")
	w.fill("#username", "alice")
	w.press("form[action='/reset'] .go")
	w.wantText("h1", "Look into your mailbox")
	h.settled(1)
	w.open(h.linkTo(pageResetNew))
	w.types("#new", "alice")
	w.awaitText("#strength", "Too short: it needs at least 12 characters.")
	w.types("#new", newPassword)
	w.awaitText("#strength", "Very good.")
	w.press("form[action='/reset/new'] .go")
	w.wantText("h1", "Your new password is set")
	w.press("main .go")
	w.signIn("alice", newPassword)
	w.wantText("h1", "You are signed in")
}
