package portal

import (
	"context"
	"errors"
	"strings"
	"testing"

	cdp "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"

	"postern/agent/credential"
)

// allowClipboard lets pages of the portal read and write the clipboard, as their owner would.
func (w *window) allowClipboard() {
	w.t.Helper()
	w.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		var err error
		for _, name := range []string{"clipboard-read", "clipboard-write"} {
			_, failed := chromedp.Call(ctx, cdp.SetPermission, cdp.SetPermissionParams{
				Permission: &cdp.PermissionDescriptor{Name: name}, Setting: cdp.PermissionSettingGranted, Origin: auth,
			})
			err = errors.Join(err, failed)
		}
		return err
	}))
}

// TestChromiumMakesAToken: a person makes a token, copies it with the button, and finds it
// in the list; the page keeps its own Content-Security-Policy.
func TestChromiumMakesAToken(t *testing.T) {
	h := openHouse(t)
	w := h.chromium()
	c := w.watch()
	w.open(auth + "/?next=/settings/tokens")
	w.signIn("bob", "builder")
	w.wantAt(auth + pageTokens)
	w.press(".offers a[href$='/token']")
	w.wantText("h1", "New token")
	visible := func(selector string) bool {
		t.Helper()
		seen, err := chromedp.Run(w.ctx, chromedp.Evaluate[bool](`document.querySelector("`+selector+`").checkVisibility()`))
		must(t, err)
		return seen
	}
	w.do(chromedp.Click(chromedp.CSS("input[value='any']")))
	if visible(".hosts") {
		t.Error("hosts can be chosen where every host is")
	}
	w.do(chromedp.Click(chromedp.CSS("input[value='here']")))
	if !visible(".hosts") || visible("#path") {
		t.Error("hosts cannot be chosen, or what is rare is shown")
	}
	w.fill("#name", "Robot")
	w.do(chromedp.Click(chromedp.CSS("input[value='wiki.example.com']")))
	w.press("main .go")
	w.wantText("h1", "Your new token")
	w.allowClipboard()
	w.do(chromedp.Click(chromedp.CSS("[data-copy]")))
	w.awaitText("[data-copy]", "Copied")
	shown, err := chromedp.Run(w.ctx, chromedp.Text(chromedp.CSS("#made")))
	must(t, err)
	copied, err := chromedp.Run(w.ctx, chromedp.Evaluate[string](`navigator.clipboard.readText()`, chromedp.EvalAwaitPromise))
	must(t, err)
	if copied != strings.TrimSpace(shown) || credential.KindOf([]byte(copied)) != credential.Token {
		t.Errorf("copied %q, shown %q", copied, shown)
	}
	w.press("main a.go")
	w.wantAt(auth + pageTokens)
	w.wantText(".row h2", "Robot")
	w.do(chromedp.Click(chromedp.CSS(".acts details summary")))
	w.press(".acts details[open] .stop")
	w.wantText(".done", "Revoked: it opens nothing any more.")
	c.none(t, "tokens")
	if list := h.tokensOf("bob"); len(list) != 0 {
		t.Errorf("left: %+v", list)
	}
}

// TestChromiumMakesATokenWithoutJavaScript: every page works, and the button that cannot
// do anything is not shown.
func TestChromiumMakesATokenWithoutJavaScript(t *testing.T) {
	h := openHouse(t)
	w := h.chromium()
	w.do(scripts(false))
	w.open(auth + "/?next=/settings/tokens/password")
	w.signIn("bob", "builder")
	w.wantAt(auth + pageAddApp)
	w.do(chromedp.SendKeys(chromedp.CSS("#name"), "Phone"))
	w.press("main .go")
	w.wantText("h1", "Your new application password")
	if list := h.tokensOf("bob"); len(list) != 1 || list[0].Scope.Hosts[0] != "wiki.example.com" {
		t.Errorf("made: %+v", list)
	}
	html, err := chromedp.Run(w.ctx, chromedp.OuterHTML(chromedp.CSS("[data-copy]")))
	must(t, err)
	if !strings.Contains(html, "hidden") {
		t.Errorf("the button is shown: %s", html)
	}
}
