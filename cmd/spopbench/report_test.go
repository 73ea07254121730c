package main

import (
	"bytes"
	"encoding/xml"
	"io"
	"math"
	"strings"
	"testing"
)

func TestSpread(t *testing.T) {
	for _, tt := range []struct {
		in   []float64
		want Spread
	}{
		{[]float64{3}, Spread{3, 3, 3}},
		{[]float64{3, 1, 2}, Spread{2, 1, 3}},
		{[]float64{4, 1, 3, 2}, Spread{2.5, 1, 4}},
	} {
		if got := spread(tt.in); got != tt.want {
			t.Errorf("spread(%v) = %+v, want %+v", tt.in, got, tt.want)
		}
	}
}

func sample() Report {
	return Report{Machine: "2 cores", Rounds: 5, Sections: []Section{{
		Title: "Requests a second", Base: "an agent that answers constants",
		Rows: []Row{
			{Name: "valid <session>", Ratio: Spread{0.97, 0.93, 1.01}, Bound: 0.9, Least: true, Unit: "requests/s", Value: Spread{60000, 59000, 61000}},
			{Name: "CPU", Ratio: Spread{1.7, 1.6, 1.8}, Bound: 1.6, Unit: "µs", Value: Spread{2.5, 2.4, 2.6}},
			{Name: "no filter", Ratio: Spread{1.5, 1.4, 1.6}, Unit: "requests/s", Value: Spread{90000, 89000, 91000}},
		},
	}}}
}

func TestRowMet(t *testing.T) {
	want := []string{"met", "missed", ""}
	for i, r := range sample().Sections[0].Rows {
		if got := r.met(); got != want[i] {
			t.Errorf("%s: %q, want %q", r.Name, got, want[i])
		}
	}
}

func TestReportForms(t *testing.T) {
	var table, page bytes.Buffer
	if err := sample().writeTable(&table); err != nil {
		t.Fatal(err)
	}
	if err := sample().writeMarkdown(&page); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"0.97 (0.93 … 1.01)", "≥ 0.90", "missed", "60000 requests/s"} {
		for name, got := range map[string]string{"table": table.String(), "page": page.String()} {
			if !strings.Contains(got, want) {
				t.Errorf("%s lacks %q:\n%s", name, want, got)
			}
		}
	}
}

// TestChartIsXML: a chart is well-formed, whatever the names hold.
func TestChartIsXML(t *testing.T) {
	var b bytes.Buffer
	if err := sample().Sections[0].writeChart(&b); err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(&b)
	for {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if g := sample().Sections[0].greatest(); math.Abs(g-1.8) > 1e-9 {
		t.Errorf("greatest %v, want 1.8", g)
	}
}
