package portal

import (
	"context"
	"html"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	tabs "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

func TestChromiumSignsIn(t *testing.T) {
	h := openHouse(t)
	for why, on := range map[string]bool{"with JavaScript": true, "without JavaScript": false} {
		w := h.chromium().private()
		w.do(scripts(on))
		const rd = "https://wiki.example.com/a%20b?q=1&q=%2F"
		w.open(auth + "/?rm=GET&rd=https%3A%2F%2Fwiki.example.com%2Fa%2520b%3Fq%3D1%26q%3D%252F")
		w.signIn("bob", "wrong")
		w.wantText(".alert", "User name or password is not right.")
		if title, err := chromedp.Run(w.ctx, chromedp.Title()); err != nil || !strings.HasPrefix(title, "Error: Sign in") {
			t.Errorf("%s: title %q, %v", why, title, err)
		}
		w.signIn("bob", "builder")
		w.wantAt(rd)
		w.wantText("#asked", rd)

		w.open(auth)
		w.wantText("h1", "You are signed in")
		w.press("form[action='/signout'] button")
		w.wantAt(auth + "/signed-out")
	}
}

func TestChromiumTwoTabs(t *testing.T) {
	h := openHouse(t)
	first := h.chromium()
	second := first.tab()
	first.open(auth + "/?rd=https://wiki.example.com/1")
	second.open(auth + "/?rd=https://calendar.example.com/2")
	first.signIn("bob", "builder")
	first.wantAt("https://wiki.example.com/1")
	second.signIn("bob", "builder")
	second.wantAt("https://calendar.example.com/2")
	second.open(auth)
	second.wantText("h1", "You are signed in")
}

func TestChromiumKeyboardOnly(t *testing.T) {
	h := openHouse(t)
	w := h.chromium()
	w.open(auth + "/?rd=https://wiki.example.com/")
	w.wantFocus("username")
	w.do(chromedp.KeyEvent("bob"), chromedp.KeyEvent(kb.Tab))
	w.wantFocus("password")
	w.do(chromedp.KeyEvent("wrong"))
	w.leave(chromedp.KeyEvent(kb.Enter))
	// The name stayed, and the password is where one goes on.
	w.wantFocus("password")
	w.do(chromedp.KeyEvent("builder"))
	w.leave(chromedp.KeyEvent(kb.Enter))
	w.wantAt("https://wiki.example.com/")

	// Everything that can be clicked can be reached, in the order in which it stands.
	w.open(auth + "/signout")
	order := w.tour()
	if got := strings.Join(order, ", "); got != "Skip to content, Postern, Sign out, Stay signed in, Language: English" {
		t.Errorf("order of the keyboard: %s", got)
	}
	w.open(auth + "/signout")
	w.wantFocus("Sign out")
	w.leave(chromedp.KeyEvent(kb.Enter))
	w.wantText("h1", "You are signed out")
	// The language menu: open, go to its first language, choose it.
	w.do(chromedp.Focus(chromedp.CSS(".languages summary")), chromedp.KeyEvent(kb.Enter), chromedp.KeyEvent(kb.Tab))
	w.wantFocus("Deutsch")
	w.do(chromedp.KeyEvent(kb.Escape))
	if open, err := chromedp.Run(w.ctx, chromedp.Evaluate[bool](`document.querySelector(".languages").open`)); err != nil || open {
		t.Errorf("Escape leaves the menu open: %v, %v", open, err)
	}
	w.do(chromedp.KeyEvent(kb.Enter), chromedp.KeyEvent(kb.Tab))
	w.leave(chromedp.KeyEvent(kb.Enter))
	w.wantText("h1", "Du bist abgemeldet")
	w.wantAt(auth + "/signed-out")
}

func TestChromiumNiceties(t *testing.T) {
	h := openHouse(t)
	w := h.chromium()
	w.open(auth)
	w.do(chromedp.SendKeys(chromedp.CSS("#password"), "builder"), chromedp.Click(chromedp.CSS(".reveal")))
	kind := func() string {
		v, err := chromedp.Run(w.ctx, chromedp.Evaluate[string](`document.getElementById("password").type + " " + document.querySelector(".reveal").ariaPressed`))
		must(t, err)
		return v
	}
	if got := kind(); got != "text true" {
		t.Errorf("revealed: %s", got)
	}
	w.do(chromedp.Click(chromedp.CSS(".reveal")))
	if got := kind(); got != "password false" {
		t.Errorf("hidden again: %s", got)
	}
	caps, err := chromedp.Run(w.ctx, chromedp.Evaluate[string](`(() => {
		const input = document.getElementById("password");
		input.dispatchEvent(new KeyboardEvent("keydown", {key: "A", modifierCapsLock: true}));
		return document.getElementById("caps").textContent;
	})()`))
	must(t, err)
	if caps != "Caps Lock is on." {
		t.Errorf("caps lock: %q", caps)
	}
	// A second click on the way sends nothing; the page that comes back can be used.
	sent, err := chromedp.Run(w.ctx, chromedp.Evaluate[string](`(() => {
		const form = document.querySelector("form[data-once]"), button = form.querySelector(".go");
		let sent = 0;
		form.addEventListener("submit", (e) => { if (!e.defaultPrevented) sent++; e.preventDefault(); });
		document.getElementById("username").value = "bob";
		form.requestSubmit(); form.requestSubmit();
		const disabled = button.disabled;
		window.dispatchEvent(new PageTransitionEvent("pageshow"));
		return sent + " " + disabled + " " + button.disabled;
	})()`))
	must(t, err)
	if sent != "1 true false" {
		t.Errorf("sent, disabled, disabled after coming back: %s", sent)
	}
}

// TestThreat67ChromiumKeepsThePolicy walks through the pages and finds no violation of
// the Content-Security-Policy, nor any other complaint of the browser.
func TestThreat67ChromiumKeepsThePolicy(t *testing.T) {
	h := openHouse(t)
	w := h.chromium()
	w.unconditional()
	w.plugIn()
	c := w.watch()
	for _, scene := range scenes(h) {
		scene.way(w)
		c.none(t, scene.name)
	}
	// The redirect after a form may lead to any host and port of the domain.
	w.open(auth + "/?rd=https://wiki.example.com:8443/x")
	w.signIn("bob", "builder")
	w.wantAt("https://wiki.example.com:8443/x")
	w.open("https://login.example.org/")
	w.signIn("bob", "builder")
	w.wantAt("https://www.example.org/start")
	c.none(t, "redirects")
}

// TestThreat66ChromiumAndAFormOfAnotherSite lets an application of the domain and a
// foreign site post to the portal in the name of a signed-in person.
func TestThreat66ChromiumAndAFormOfAnotherSite(t *testing.T) {
	h := openHouse(t)
	w := h.chromium()
	w.open(auth)
	w.signIn("bob", "builder")
	token, err := chromedp.Run(w.ctx, chromedp.Value(chromedp.CSS("input[name=csrf]")))
	must(t, err)
	h.answer(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		_, _ = rw.Write([]byte(`<!doctype html><title>x</title><form method=post action="` + auth + `/signout"><input name=csrf value="` +
			html.EscapeString(token) + `"><button>x</button></form>`))
	})
	for _, site := range []string{"https://wiki.example.com/", "https://evil.test/"} {
		w.open(site)
		w.press("button")
		w.wantText("h1", "That did not work")
		w.open(auth)
		w.wantText("h1", "You are signed in")
	}
	// Nor can either of them frame it.
	h.answer(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		_, _ = rw.Write([]byte(`<!doctype html><title>x</title><iframe src="` + auth + `/"></iframe>`))
	})
	w.open("https://wiki.example.com/")
	inside := "nothing"
	w.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		all, err := chromedp.Call(ctx, tabs.GetFrameTree, cdp.Empty{})
		if err == nil && len(all.FrameTree.ChildFrames) == 1 {
			inside = all.FrameTree.ChildFrames[0].Frame.URL
		}
		return err
	}))
	if inside != "chrome-error://chromewebdata/" {
		t.Errorf("the frame shows %s", inside)
	}
}

// TestThreat27ChromiumAndATossedCookie plants session cookies beside the real one, as a
// neighbouring host could, and follows the way out that the portal offers.
func TestThreat27ChromiumAndATossedCookie(t *testing.T) {
	h := openHouse(t)
	w := h.chromium()
	w.open(auth)
	w.signIn("bob", "builder")
	secure := true
	plant := func(domain, address, path string) act {
		return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
			_, err := chromedp.Call(ctx, network.SetCookie, network.SetCookieParams{
				Name: "__Secure-postern", Value: "planted", Domain: domain, URL: address, Path: path, Secure: &secure,
			})
			return err
		})
	}
	w.do(plant(".auth.example.com", "", "/"), plant("", auth+"/", "/"))
	w.open(auth + "/?rd=https://wiki.example.com/")
	w.wantText("h1", "Your browser sent two sign-ins")
	w.press("form[action='/reset-cookies'] button")
	w.wantText("h1", "Sign in")
	w.signIn("bob", "builder")
	w.wantAt("https://wiki.example.com/")

	// One that only the application sees makes a circle; the portal breaks it.
	w.do(plant(".example.com", "", "/deep"))
	h.answer(func(rw http.ResponseWriter, r *http.Request) {
		if strings.Count(r.Header.Get("Cookie"), "__Secure-postern=") != 1 {
			http.Redirect(rw, r, auth+"/?rd=https%3A%2F%2Fwiki.example.com%2Fdeep%2Fpage", http.StatusFound)
			return
		}
		application(rw, r)
	})
	w.open("https://wiki.example.com/deep/page")
	w.wantText("h1", "You are going in circles")
	w.press("form[action='/reset-cookies'] button")
	w.signIn("bob", "builder")
	w.wantAt("https://wiki.example.com/deep/page")
	w.wantText("#asked", "https://wiki.example.com/deep/page")
}

// answer changes what the applications answer.
func (h *house) answer(f http.HandlerFunc) {
	h.appsMu.Lock()
	defer h.appsMu.Unlock()
	h.apps = f
}

// private opens a tab that shares nothing with the others.
func (w *window) private() *window {
	w.t.Helper()
	ctx, cancel := chromedp.NewContext(w.ctx, chromedp.WithNewBrowserContext())
	w.t.Cleanup(cancel)
	return &window{t: w.t, ctx: ctx}
}

// wantText fails the test unless an element says exactly text.
func (w *window) wantText(selector, text string) {
	w.t.Helper()
	got, err := chromedp.Run(w.ctx, chromedp.Text(chromedp.CSS(selector)))
	if err != nil {
		w.fail(err)
	}
	if strings.TrimSpace(got) != text {
		w.t.Fatalf("%s says %q, want %q", selector, got, text)
	}
}

// focused is the id of the element that has the keyboard, or else what it says.
const focused = `(() => { const e = document.activeElement; return e.id || e.textContent.trim().replace(/\s+/g, " ") })()`

func (w *window) wantFocus(name string) {
	w.t.Helper()
	got, err := chromedp.Run(w.ctx, chromedp.Evaluate[string](focused))
	must(w.t, err)
	if got != name {
		w.t.Fatalf("the keyboard is at %.60q, want %q", got, name)
	}
}

// tour goes through the page by the Tab key, from its beginning to its end.
func (w *window) tour() []string {
	w.t.Helper()
	w.do(chromedp.Evaluate[chromedp.Void](`void (document.body.tabIndex = -1, document.body.focus())`))
	var order []string
	for range 40 {
		w.do(chromedp.KeyEvent(kb.Tab))
		at, err := chromedp.Run(w.ctx, chromedp.Evaluate[string](focused))
		must(w.t, err)
		body, err := chromedp.Run(w.ctx, chromedp.Evaluate[bool](`document.activeElement === document.body`))
		must(w.t, err)
		if body || len(order) > 0 && at == order[0] {
			break
		}
		order = append(order, at)
	}
	return order
}

// complaints collects what the browser has against a page, network errors apart.
type complaints struct {
	mu   sync.Mutex
	text []string
}

// watch begins to collect.
func (w *window) watch() *complaints {
	w.t.Helper()
	c := &complaints{}
	must(w.t, chromedp.Listen(w.ctx, func(ev any) {
		c.mu.Lock()
		defer c.mu.Unlock()
		switch e := ev.(type) {
		case *log.EventEntryAdded:
			if e.Entry.Source != log.EntrySourceNetwork {
				c.text = append(c.text, e.Entry.Text)
			}
		case *runtime.EventExceptionThrown:
			c.text = append(c.text, e.ExceptionDetails.Text)
		}
	}))
	return c
}

// none fails the test when there is a complaint.
func (c *complaints) none(t *testing.T, where string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, text := range c.text {
		t.Errorf("%s: the browser says %q", where, text)
	}
	c.text = nil
}
