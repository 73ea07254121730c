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
	out := &brand{Name: b.Name, Links: b.Links, files: map[string][]byte{"brand.css": brandCSS(accent)}}
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
	write := func(paper colour) {
		// A control must stand out from the page by 3:1 (1.4.11).
		surface := accent.against(paper, 3.1)
		ink := accent.against(paper, minContrast)
		fmt.Fprintf(&b, "--accent:%s;--on-accent:%s;--accent-hover:%s;--ink:%s;",
			surface, surface.readable(), surface.hover(), ink)
	}
	b.WriteString(":root{")
	write(light)
	for i := range gates {
		fmt.Fprintf(&b, "--gate-%d:%s;", i, accent.gate(i, false))
	}
	b.WriteString("}\n@media (prefers-color-scheme:dark){:root{")
	write(dark)
	for i := range gates {
		fmt.Fprintf(&b, "--gate-%d:%s;", i, accent.gate(i, true))
	}
	b.WriteString("}}\n")
	return b.Bytes()
}
