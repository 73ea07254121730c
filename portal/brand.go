package portal

import (
	"bytes"
	"fmt"
	"path"
	"strings"
)

// brand is Brand with its files read and its colours worked out.
type brand struct {
	Name  string
	Logo  string // name of the asset; empty: Postern's own, drawn in the page
	CSS   string // name of the asset; empty: none
	Links []Link
	files map[string][]byte
}

// openBrand reads what the branding names.
func openBrand(b Brand) (*brand, error) {
	accent, err := parseColour(b.Accent)
	if err != nil {
		return nil, fmt.Errorf("portal.branding.accent: %w", err)
	}
	out := &brand{Name: b.Name, Links: b.Links, files: map[string][]byte{
		"brand.css": brandCSS(accent), "icon.svg": icon(accent),
	}}
	if b.Logo != "" {
		body, err := readAsset("portal.branding.logo", b.Logo)
		if err != nil {
			return nil, err
		}
		out.Logo = "brand" + logoType(b.Logo)
		out.files[out.Logo] = body
	}
	if b.CSS != "" {
		body, err := readAsset("portal.branding.css", b.CSS)
		if err != nil {
			return nil, err
		}
		out.CSS = "extra.css"
		out.files[out.CSS] = body
	}
	return out, nil
}

// icon is the mark as browsers show it beside the title, in the accent.
func icon(accent colour) []byte {
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">`+
		`<path fill="%s" d="M4 29V15.5C4 8.6 9.4 3 16 3s12 5.6 12 12.5V29z"/>`+
		`<path fill="#fff" d="M10 29V16.2c0-3.5 2.7-6.4 6-6.4s6 2.9 6 6.4V29z"/>`+
		`<path fill="%s" d="M16 9.8c3.3 0 6 2.9 6 6.4V29l-6-3.6z"/></svg>`+"\n", accent, accent.mix(white, 0.55))
}

// logoType is the extension of a picture that browsers show, "" for anything else.
func logoType(file string) string {
	switch ext := strings.ToLower(path.Ext(file)); ext {
	case ".svg", ".png", ".jpg", ".jpeg", ".webp":
		return ext
	}
	return ""
}

// The backgrounds that text stands on, as portal.css has them.
const (
	paperLight = "#ffffff"
	paperDark  = "#12161a"
)

// minContrast is what WCAG 2.2 AA asks of text (1.4.3); a little more, for rounding.
const minContrast = 4.6

// brandCSS is the stylesheet that carries the accent: as a surface with readable text on
// it, and as an ink that is readable on the page, in the light and in the dark.
func brandCSS(accent colour) []byte {
	light, dark := mustColour(paperLight), mustColour(paperDark)
	var b bytes.Buffer
	write := func(paper colour, text float64) {
		// A control must stand out from the page by 3:1 (1.4.11).
		surface := accent.against(paper, 3.1)
		ink := accent.against(paper, text)
		fmt.Fprintf(&b, "--accent:%s;--on-accent:%s;--accent-hover:%s;--ink:%s;",
			surface, surface.readable(), surface.hover(), ink)
	}
	b.WriteString(":root{")
	write(light, minContrast)
	for i := range gates {
		fmt.Fprintf(&b, "--gate-%d:%s;", i, accent.gate(i, false))
	}
	b.WriteString("}\n@media (prefers-color-scheme:dark){:root{")
	write(dark, 6) // thin strokes fade in the dark
	for i := range gates {
		fmt.Fprintf(&b, "--gate-%d:%s;", i, accent.gate(i, true))
	}
	b.WriteString("}}\n")
	return b.Bytes()
}
