package portal

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
)

// shots are the ways of looking at a page.
var shots = []struct {
	name          string
	width, height int64
	scheme        string
}{
	{"light", 1280, 800, "light"},
	{"dark", 1280, 800, "dark"},
	{"narrow", 360, 740, "light"},
	{"narrow-dark", 360, 740, "dark"},
	{"zoom-400", 320, 256, "light"}, // 1280 by 1024 at 400 %, WCAG 1.4.10
}

// scene is a page with the way that leads there.
type scene struct {
	name string
	way  func(*window)
}

// scenes are all pages, in an order in which one browser can visit them.
func scenes(h *house) []scene {
	return slices.Concat(signInScenes, factorScenes(h), ownScenes(h), endScenes(h))
}

// signInScenes end with alice signed in.
var signInScenes = []scene{
	{"signin", func(w *window) { w.open(auth + "/?rd=https://wiki.example.com/") }},
	{"signin-note", func(w *window) { w.open(auth + "/?rd=https://evil.test/") }},
	{"signin-wrong", func(w *window) {
		w.open(auth + "/?rd=https://wiki.example.com/")
		w.signIn("bob", "no")
	}},
	{"languages", func(w *window) {
		w.open(auth)
		w.do(chromedp.Click(chromedp.CSS(".languages summary")))
	}},
	{"signedin", func(w *window) {
		w.open(auth)
		w.signIn("alice", "wonderland")
	}},
	{"denied", func(w *window) { w.open(auth + "/?rd=https://secret.example.com/") }},
}

const auth = "https://auth.example.com"

// TestScreenshots writes every page, as every shot sees it, into the folder that
// POSTERN_SCREENSHOTS names, and finds none that scrolls sideways.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("POSTERN_SCREENSHOTS")
	if dir == "" {
		t.Skip("POSTERN_SCREENSHOTS names no folder")
	}
	must(t, os.MkdirAll(dir, 0o755))
	h := openHouse(t)
	w := h.chromium()
	w.unconditional()
	w.plugIn()
	for _, scene := range scenes(h) {
		scene.way(w)
		w.shoot(dir, scene.name)
	}
}

// shoot writes the page as every shot sees it, and finds none that scrolls sideways.
func (w *window) shoot(dir, name string) {
	w.t.Helper()
	for _, s := range shots {
		w.do(look(s.width, s.height, s.scheme))
		wide, err := chromedp.Run(w.ctx, chromedp.Evaluate[int64](`document.documentElement.scrollWidth`))
		must(w.t, err)
		if wide > s.width {
			w.t.Errorf("%s scrolls sideways at %d px: %d", name, s.width, wide)
		}
		picture, err := chromedp.Run(w.ctx, chromedp.FullScreenshot(100))
		must(w.t, err)
		must(w.t, os.WriteFile(filepath.Join(dir, name+"-"+s.name+".png"), picture, 0o644))
	}
	w.do(look(1280, 800, "light"))
}
