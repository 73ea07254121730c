package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/urfave/cli/v2"
)

func outputFlag() cli.Flag {
	return &cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: "text", Usage: "`FORM` of the answer: text or json"}
}

// output answers in the form that -o asks for: v as JSON, or what text prints.
func (t terminal) output(c *cli.Context, v any, text func()) error {
	switch form := c.String("output"); form {
	case "json":
		enc := json.NewEncoder(t.Stdout)
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	case "text":
		text()
		return nil
	default:
		return usage("--output %q is neither text nor json", form)
	}
}

// checkOutput refuses a wrong -o before anything has been done.
func checkOutput(c *cli.Context) error {
	if form := c.String("output"); form != "text" && form != "json" {
		return usage("--output %q is neither text nor json", form)
	}
	return nil
}

// table prints rows under a header, in columns. Cells come from files and browsers: what
// a terminal would obey is replaced.
func (t terminal) table(header string, rows [][]string) {
	w := tabwriter.NewWriter(t.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, header)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = printable(cell)
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, "\t"), "\t "))
	}
	w.Flush()
}

// printable replaces what is not to be seen, and shows nothing as a hyphen.
func printable(s string) string {
	if s == "" {
		return "-"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}
