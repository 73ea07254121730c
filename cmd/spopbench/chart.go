package main

import (
	"fmt"
	"html"
	"io"
	"strings"
)

// Sizes of a chart, in CSS pixels.
const (
	chartWidth  = 760
	chartLabel  = 270 // left of the bars
	chartRow    = 30
	chartTop    = 58
	chartBottom = 16
)

// chartName is the name of a section's file.
func (s Section) chartName() string {
	plain := strings.NewReplacer(" ", "-", ",", "", ":", "")
	return plain.Replace(strings.ToLower(s.Title)) + ".svg"
}

// writeChart draws the ratios of a section as bars, with whiskers from least to greatest
// and a mark at each bound. It follows the reader's light or dark scheme.
func (s Section) writeChart(w io.Writer) error {
	var b strings.Builder
	height := chartTop + len(s.Rows)*chartRow + chartBottom
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s">`, chartWidth, height, html.EscapeString(s.Title))
	b.WriteString(`<style>text{font:13px system-ui,sans-serif;fill:#1f2933}.t{font-weight:600;font-size:15px}.m{fill:#52606d}.b{fill:#2f6f5e}.x{fill:#b4472d}.w{stroke:#1f2933;stroke-width:1.5}.g{stroke:#1f2933;stroke-dasharray:3 3}` +
		`@media(prefers-color-scheme:dark){text{fill:#e4e7eb}.m{fill:#9aa5b1}.b{fill:#5fb89f}.x{fill:#e08264}.w,.g{stroke:#e4e7eb}}</style>`)
	fmt.Fprintf(&b, `<text class="t" x="0" y="18">%s</text><text class="m" x="0" y="38">against %s; whiskers: least and greatest; dashed: the bound</text>`,
		html.EscapeString(s.Title), html.EscapeString(s.Base))
	scale := (chartWidth - chartLabel - 130) / s.greatest()
	for i, r := range s.Rows {
		s.drawRow(&b, r, float64(chartTop+i*chartRow), scale)
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// greatest is the largest number that the chart has to hold.
func (s Section) greatest() float64 {
	g := 1.0
	for _, r := range s.Rows {
		g = max(g, r.Ratio.Max, r.Bound)
	}
	return g
}

func (s Section) drawRow(b *strings.Builder, r Row, y, scale float64) {
	class := "b"
	if r.met() == "missed" {
		class = "x"
	}
	x := func(v float64) float64 { return chartLabel + v*scale }
	mid := y + 9
	fmt.Fprintf(b, `<text x="%d" y="%.0f" text-anchor="end">%s</text>`, chartLabel-10, y+14, html.EscapeString(r.Name))
	fmt.Fprintf(b, `<rect class="%s" x="%d" y="%.0f" width="%.1f" height="18" rx="2"/>`, class, chartLabel, y, r.Ratio.Median*scale)
	fmt.Fprintf(b, `<path class="w" d="M%.1f %.0fH%.1f"/>`, x(r.Ratio.Min), mid, x(r.Ratio.Max))
	if r.Bound > 0 {
		fmt.Fprintf(b, `<path class="g" d="M%.1f %.0fv26"/>`, x(r.Bound), y-4)
	}
	fmt.Fprintf(b, `<text x="%.1f" y="%.0f">%.2f</text>`, x(max(r.Ratio.Max, r.Bound))+8, y+14, r.Ratio.Median)
}
