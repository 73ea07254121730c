package portal

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// window is a tab of a real Chromium.
type window struct {
	t   *testing.T
	ctx context.Context
}

// act is something that is done in a window.
type act = chromedp.Action[chromedp.Void]

// chromium starts a real browser that finds every host of the test at the house's front.
// Without Chromium the test is skipped, or fails where CI=true.
func (h *house) chromium() *window {
	h.t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			h.t.Fatal("chromium is not installed")
		}
		h.t.Skip("chromium is not installed")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.IgnoreCertErrors,
		chromedp.Flag("host-resolver-rules", "MAP * "+h.front),
		chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("accept-lang", "en"),
		chromedp.WSURLReadTimeout(time.Minute),
	)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	h.t.Cleanup(cancel)
	ctx, cancelAllocator := chromedp.NewExecAllocator(ctx, options...)
	h.t.Cleanup(cancelAllocator)
	ctx, cancelBrowser := chromedp.NewContext(ctx, chromedp.WithLogf(h.t.Logf))
	h.t.Cleanup(cancelBrowser)
	w := &window{h.t, ctx}
	w.do(chromedp.Navigate("about:blank"))
	return w
}

// tab opens another tab of the same browser.
func (w *window) tab() *window {
	w.t.Helper()
	ctx, cancel := chromedp.NewContext(w.ctx)
	w.t.Cleanup(cancel)
	return &window{w.t, ctx}
}

// do does things one after the other.
func (w *window) do(acts ...act) {
	w.t.Helper()
	if err := chromedp.Do(w.ctx, acts...); err != nil {
		w.fail(err)
	}
}

// open goes to an address.
func (w *window) open(address string) { w.t.Helper(); w.do(chromedp.Navigate(address)) }

// leave does things that lead to another page, and waits for it.
func (w *window) leave(acts ...act) {
	w.t.Helper()
	if _, err := chromedp.RunResponse(w.ctx, acts...); err != nil {
		w.fail(err)
	}
}

// press clicks on what leads to another page.
func (w *window) press(selector string) {
	w.t.Helper()
	w.leave(chromedp.Click(chromedp.CSS(selector)))
}

// fill types into a field.
func (w *window) fill(selector, text string) {
	w.t.Helper()
	w.do(chromedp.SetValue(chromedp.CSS(selector), text))
}

// signIn fills the form of the page and sends it.
func (w *window) signIn(name, password string) {
	w.t.Helper()
	w.fill("#username", name)
	w.fill("#password", password)
	w.press("form[action='/'] .go")
}

// wantAt fails the test unless the window is at an address.
func (w *window) wantAt(address string) {
	w.t.Helper()
	got, err := chromedp.Run(w.ctx, chromedp.Location())
	must(w.t, err)
	if got != address {
		w.t.Fatalf("the window is at %s, want %s", got, address)
	}
}

func (w *window) fail(err error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, 5*time.Second)
	defer cancel()
	page, _ := chromedp.Run(ctx, chromedp.OuterHTML(chromedp.CSS("html")))
	w.t.Fatalf("browser: %v\n%s", err, page)
}

// scripts switches JavaScript on or off.
func scripts(on bool) act {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
		return err
	})
}

// look sets how the window looks: its size and the colours that its owner prefers.
func look(width, height int64, scheme string) act {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 600,
		})
		if err != nil {
			return err
		}
		_, err = chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}})
		return err
	})
}
