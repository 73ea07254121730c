package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Spread is the median of some rounds with the least and the greatest.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// spread needs at least one value.
func spread(values []float64) Spread {
	s := slices.Sorted(slices.Values(values))
	m := s[len(s)/2]
	if len(s)%2 == 0 {
		m = (s[len(s)/2-1] + m) / 2
	}
	return Spread{Median: m, Min: s[0], Max: s[len(s)-1]}
}

func (s Spread) String() string { return fmt.Sprintf("%.2f (%.2f … %.2f)", s.Median, s.Min, s.Max) }

// Row is one line of a report: a ratio, its bound when there is one, and what it was made of.
type Row struct {
	Name  string  `json:"name"`
	Ratio Spread  `json:"ratio"`
	Bound float64 `json:"bound,omitempty"` // 0: none
	Least bool    `json:"least,omitempty"` // the bound is a lower one
	Unit  string  `json:"unit"`            // what Value counts
	Value Spread  `json:"value"`           // the absolute figure, to be read within this run only
}

// met says whether the median holds the bound.
func (r Row) met() string {
	switch {
	case r.Bound == 0:
		return ""
	case r.Least && r.Ratio.Median >= r.Bound, !r.Least && r.Ratio.Median <= r.Bound:
		return "met"
	}
	return "missed"
}

// bound is the bound as it is printed.
func (r Row) bound() string {
	switch {
	case r.Bound == 0:
		return ""
	case r.Least:
		return fmt.Sprintf("≥ %.2f", r.Bound)
	}
	return fmt.Sprintf("≤ %.2f", r.Bound)
}

// Section is one table: a title, what every ratio is relative to, and the rows.
type Section struct {
	Title string `json:"title"`
	Base  string `json:"base"`
	Rows  []Row  `json:"rows"`
}

// Report is everything one run measured.
type Report struct {
	Machine  string    `json:"machine"`
	Rounds   int       `json:"rounds"`
	Seconds  float64   `json:"seconds"` // of each measurement
	Sections []Section `json:"sections"`
}

// writeTable writes the report for a terminal.
func (r Report) writeTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "%s; %d rounds; median (least … greatest)\n", r.Machine, r.Rounds)
	for _, s := range r.Sections {
		fmt.Fprintf(t, "\n%s, against %s\n", s.Title, s.Base)
		for _, row := range s.Rows {
			fmt.Fprintf(t, "  %s\t%v\t%s\t%s\t%s %s\n", row.Name, row.Ratio, row.bound(), row.met(), figure(row.Value.Median), row.Unit)
		}
	}
	return t.Flush()
}

// figure prints a number with three significant digits or so.
func figure(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func (r Report) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// writeMarkdown writes the report as the page docs/bench.md shows it.
func (r Report) writeMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# How fast\n\n`make bench` measured this in one run: %s, %d rounds, each row the median with the least and the greatest.\nRead the ratios; the absolute figures belong to that machine and that hour.\n", r.Machine, r.Rounds)
	for _, s := range r.Sections {
		fmt.Fprintf(&b, "\n## %s\n\nAgainst %s.\n\n![%s](bench/%s)\n\n| what | ratio | bound | | absolute |\n|---|---|---|---|---|\n", s.Title, s.Base, s.Title, s.chartName())
		for _, row := range s.Rows {
			fmt.Fprintf(&b, "| %s | %v | %s | %s | %s %s |\n", row.Name, row.Ratio, row.bound(), row.met(), figure(row.Value.Median), row.Unit)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
