package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong with a configuration file.
type Fault struct {
	File    string
	Line    int    // from 1; 0 when the fault has no place
	Column  int    // from 1, in characters
	Width   int    // characters that are meant; 0 counts as 1
	Source  string // the line itself
	Path    string // access_control.rules[3].domain
	Message string
	Hint    string // what to do; may be empty
}

// Error shows the place, the path and what is wrong, the line with a caret under it, and the hint.
func (f Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", f.Line, f.Column)
	}
	b.WriteString(": ")
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	b.WriteString(f.Message)
	if f.Line > 0 {
		number := fmt.Sprintf("%5d", f.Line)
		fmt.Fprintf(&b, "\n%s | %s\n%5s | %s%s", number, f.Source, "", indent(f.Source, f.Column-1), strings.Repeat("^", max(f.Width, 1)))
	}
	if f.Hint != "" {
		b.WriteString("\n        " + f.Hint)
	}
	return b.String()
}

// indent is as wide as the first n characters of a line: its tabs stay tabs.
func indent(line string, n int) string {
	var b strings.Builder
	for _, r := range line {
		if n--; n < 0 {
			break
		}
		if r == '\t' {
			b.WriteRune(r)
		} else {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// Faults are all faults of a file, in its order.
type Faults []Fault

// Error shows one fault after the other.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].Error()
	}
	return strings.Join(lines, "\n")
}

func (d *document) sorted() Faults {
	for i := range d.faults {
		d.mask(&d.faults[i])
	}
	slices.SortStableFunc(d.faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.CompactFunc(d.faults, func(a, b Fault) bool { return a == b })
}

// Nearest is the word among words that somebody probably meant, or "".
func Nearest(word string, words []string) string {
	for _, w := range words {
		if len(word) >= 3 && strings.HasPrefix(strings.ToLower(w), strings.ToLower(word)) {
			return w
		}
	}
	best, distance := "", min(max(len(word)/3, 1), 3)+1
	for _, w := range words {
		if n := edits(strings.ToLower(word), strings.ToLower(w)); n < distance {
			best, distance = w, n
		}
	}
	return best
}

// edits counts insertions, deletions, replacements and swaps of neighbours.
func edits(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	before, last, row := []int(nil), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, make([]int, len(b)+1)
	}
	return last[len(b)]
}

func didYouMean(word string, words []string) string {
	if near := Nearest(word, words); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(words) > 0 && len(words) <= 12 {
		return "known here: " + strings.Join(words, ", ")
	}
	return ""
}
