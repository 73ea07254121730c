package portal

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	cssFile    = regexp.MustCompile(`href="(/assets/[0-9a-f]{16}/[a-z.-]+\.css)"`)
	assetFile  = regexp.MustCompile(`(?:href|src)="(/assets/[^"]+)"`)
	customProp = regexp.MustCompile(`--([a-z0-9-]+):(#[0-9a-f]{6});`)
)

// FuzzAccent: whatever the accent, text on it and text in it can be read, in the light
// and in the dark (WCAG 2.2, 1.4.3 and 1.4.11).
func FuzzAccent(f *testing.F) {
	for _, c := range []uint32{0x14655a, 0, 0xffffff, 0xffff00, 0x0000ff, 0x777777, 0x12161a, 0xff0000, 0x808000} {
		f.Add(c)
	}
	f.Fuzz(func(t *testing.T, n uint32) {
		accent, err := parseColour(fmt.Sprintf("#%06x", n&0xffffff))
		if err != nil {
			t.Fatal(err)
		}
		light, dark, _ := strings.Cut(string(brandCSS(accent)), "@media")
		for paper, css := range map[string]string{paperLight: light, paperDark: dark} {
			props := map[string]colour{}
			for _, m := range customProp.FindAllStringSubmatch(css, -1) {
				props[m[1]] = mustColour(m[2])
			}
			for _, tt := range []struct {
				what  string
				a, b  colour
				least float64
			}{
				{"text on the accent", props["on-accent"], props["accent"], 4.5},
				{"text on the accent under the pointer", props["on-accent"], props["accent-hover"], 4.5},
				{"text in the accent", props["ink"], mustColour(paper), 4.5},
				{"a control on the page", props["accent"], mustColour(paper), 3},
			} {
				if got := contrast(tt.a, tt.b); got < tt.least {
					t.Errorf("accent %s on %s: %s has %.2f:1, want %.1f:1", accent, paper, tt.what, got, tt.least)
				}
			}
			if len(props) != 4+gates {
				t.Errorf("%d colours in %q", len(props), css)
			}
		}
	})
}

// TestContrastOfTheStylesheet reads the colours of portal.css and holds every pair that
// text is made of against WCAG 2.2 AA.
func TestContrastOfTheStylesheet(t *testing.T) {
	css, err := assetFiles.ReadFile("assets/portal.css")
	must(t, err)
	light, rest, _ := strings.Cut(string(css), "@media (prefers-color-scheme: dark)")
	dark, _, _ := strings.Cut(rest, "@media")
	prop := regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6});`)
	for name, sheet := range map[string]string{paperLight: light, paperDark: dark} {
		c := map[string]colour{}
		for _, m := range prop.FindAllStringSubmatch(sheet, -1) {
			c[m[1]] = mustColour(m[2])
		}
		if c["paper"].String() != name {
			t.Errorf("the paper is %s, and brand.go thinks %s", c["paper"], name)
		}
		for _, tt := range []struct {
			fore, back string
			least      float64
		}{
			{"text", "paper", 7}, {"quiet", "paper", 4.5}, {"quiet", "wash", 4.5}, {"text", "wash", 7}, {"text", "note-wash", 7},
			{"bad", "bad-wash", 4.5}, {"bad", "paper", 3}, {"edge", "paper", 3},
		} {
			if got := contrast(c[tt.fore], c[tt.back]); got < tt.least {
				t.Errorf("%s: --%s on --%s has %.2f:1, want %.1f:1", name, tt.fore, tt.back, got, tt.least)
			}
		}
	}
}

func TestBranding(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		file := filepath.Join(dir, name)
		must(t, os.WriteFile(file, []byte(content), 0o644))
		return file
	}
	h := openHouse(t, func(s *Server) {
		s.Config.Brand = Brand{
			Name: "Acme", Accent: "#c2410c",
			Logo:  write("logo.svg", `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`),
			CSS:   write("acme.css", "h1 { color: red }"),
			Links: []Link{{Text: "Imprint", URL: "https://example.com/imprint"}, {Text: "Help", URL: "mailto:help@example.com"}},
		}
	})
	b := h.browser()
	page := b.get(auth + "/")
	page.want(t, http.StatusOK, "<title>Sign in – Acme</title>", "with your Acme account", `<a href="https://example.com/imprint">Imprint</a>`, `<a href="mailto:help@example.com">Help</a>`)
	sheets := cssFile.FindAllStringSubmatch(page.Body, -1)
	if len(sheets) != 3 {
		t.Fatalf("stylesheets %q", sheets)
	}
	b.get(auth+sheets[0][1]).want(t, http.StatusOK, "--accent:#c2410c;--on-accent:#ffffff;")
	if got := b.get(auth + sheets[2][1]); got.Body != "h1 { color: red }" || got.Header.Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("extra stylesheet: %v %q", got.Header, got.Body)
	}
	logo := regexp.MustCompile(`src="(/assets/[0-9a-f]{16}/brand\.svg)"`).FindStringSubmatch(page.Body)
	if logo == nil {
		t.Fatal("no logo")
	}
	got := b.get(auth + logo[1])
	if csp := got.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "sandbox") {
		t.Errorf("a logo opened by itself may run scripts: %q", csp)
	}
	if got.Header.Get("Content-Type") != "image/svg+xml" {
		t.Errorf("logo: %v", got.Header)
	}
}

func TestAssets(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	page := b.get(auth + "/")
	files := assetFile.FindAllStringSubmatch(page.Body, -1)
	if len(files) != 5 {
		t.Errorf("assets %q", files)
	}
	for _, m := range files {
		got := b.get(auth + m[1])
		got.want(t, http.StatusOK)
		if got.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || len(got.Header.Values("Set-Cookie")) > 0 ||
			got.Header.Get("X-Content-Type-Options") != "nosniff" || got.Body == "" {
			t.Errorf("%s: %v", m[1], got.Header)
		}
		b.get(auth+strings.Replace(m[1], "/assets/", "/assets/0", 1)).want(t, http.StatusNotFound)
	}
	for _, path := range []string{"/assets/", "/assets/x/portal.css", "/assets/portal.css", "/assets/0123456789abcdef/nothing.css"} {
		b.get(auth+path).want(t, http.StatusNotFound)
	}
	b.get(auth+"/favicon.ico").want(t, http.StatusFound)
}

func TestOperatorsFilesAreBounded(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big.png")
	must(t, os.WriteFile(big, make([]byte, maxAsset+1), 0o644))
	for _, file := range []string{big, dir + "/none.png"} {
		if _, err := openBrand(Brand{Name: "x", Accent: "#000000", Logo: file}); err == nil || !strings.HasPrefix(err.Error(), "portal.branding.logo: ") {
			t.Errorf("%s: %v", file, err)
		}
	}
	must(t, os.Mkdir(filepath.Join(dir, "folder.css"), 0o755))
	if _, err := openBrand(Brand{Name: "x", Accent: "#000000", CSS: dir + "/folder.css"}); err == nil {
		t.Error("a folder was read")
	}
}
