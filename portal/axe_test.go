package portal

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// axeRun runs axe-core over the page for WCAG 2.2 AA and what is good practice besides.
const axeRun = `axe.run(document, {resultTypes: ["violations"]}).then(r => JSON.stringify({passes: r.passes.length, violations: r.violations.map(v =>
	({id: v.id, help: v.help, nodes: v.nodes.map(n => n.target.join(" ") + ": " + n.failureSummary)}))}))`

// violation is one rule of axe that a page breaks.
type violation struct {
	ID    string   `json:"id"`
	Help  string   `json:"help"`
	Nodes []string `json:"nodes"`
}

// axe is axe-core as testdata/axe.sh fetched it.
func axe(t *testing.T) string {
	t.Helper()
	cache := os.Getenv("POSTERN_CACHE")
	if cache == "" {
		dir, err := os.UserCacheDir()
		must(t, err)
		cache = filepath.Join(dir, "postern")
	}
	found, err := filepath.Glob(filepath.Join(cache, "axe-core-*", "axe.min.js"))
	must(t, err)
	if len(found) == 0 {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no axe-core under %s; run testdata/axe.sh", cache)
		}
		t.Skipf("no axe-core under %s; run testdata/axe.sh", cache)
	}
	text, err := os.ReadFile(found[len(found)-1])
	must(t, err)
	return string(text)
}

// TestAccessibility looks for what axe-core can find on every page: in light, in dark and
// on a narrow screen.
func TestAccessibility(t *testing.T) {
	script := axe(t)
	h := openHouse(t)
	w := h.chromium()
	w.unconditional()
	w.plugIn()
	states := 0
	for _, scene := range scenes(h) {
		scene.way(w)
		for _, s := range shots[:3] {
			w.do(look(s.width, s.height, s.scheme))
			states++
			for _, v := range w.axe(script) {
				t.Errorf("%s, %s: %s (%s): %q", scene.name, s.name, v.ID, v.Help, v.Nodes)
			}
		}
		w.do(look(1280, 800, "light"))
	}
	if states < 60 {
		t.Errorf("only %d states were looked at", states)
	}
}

// axe returns what axe finds on the page.
func (w *window) axe(script string) []violation {
	w.t.Helper()
	_, err := chromedp.Run(w.ctx, chromedp.Evaluate[any](script+"; 0"))
	must(w.t, err)
	text, err := chromedp.Run(w.ctx, chromedp.Evaluate[string](axeRun, chromedp.EvalAwaitPromise))
	must(w.t, err)
	var found struct {
		Passes     int         `json:"passes"`
		Violations []violation `json:"violations"`
	}
	must(w.t, json.Unmarshal([]byte(text), &found))
	if found.Passes < 10 {
		w.t.Errorf("only %d rules of axe applied to the page", found.Passes)
	}
	return found.Violations
}
