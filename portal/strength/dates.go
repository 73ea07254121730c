package strength

import (
	"strconv"
	"strings"

	"github.com/trustelem/zxcvbn/match"
	"github.com/trustelem/zxcvbn/scoring"
)

// years finds years that somebody could be born in or living in.
func years(password string) (found []*match.Match) {
	for i := 0; i+4 <= len(password); i++ {
		token := password[i : i+4]
		if y, ok := number(token); ok && y >= 1900 && y < 2050 {
			found = append(found, &match.Match{Pattern: "regex", I: i, J: i + 3, Token: token, RegexName: "recent_year"})
		}
	}
	return found
}

// dates finds days, months and years, in any order that people write them in, with a sign
// between them or none. One that stands within another is no worse for being found.
func dates(password string) (found []*match.Match) {
	for i := range len(password) {
		for j := i + 4; j <= min(i+10, len(password)); j++ {
			token := password[i:j]
			if best, sign, ok := date(token); ok {
				found = append(found, &match.Match{
					Pattern: "date", I: i, J: j - 1, Token: token, Separator: sign, Year: best.year, Month: best.month, Day: best.day,
				})
			}
		}
	}
	return found
}

// day is a date.
type day struct{ year, month, day int }

// date reads a token as a date; of several the one whose year is the nearest.
func date(token string) (best day, sign string, ok bool) {
	for _, parts := range splits(token) {
		d, fits := parseDay(parts)
		if fits && (!ok || distance(d.year) < distance(best.year)) {
			best, ok = d, true
		}
	}
	if ok && strings.Trim(token, "0123456789") != "" {
		sign = strings.Trim(token, "0123456789")[:1]
	}
	return best, sign, ok
}

func distance(year int) int { return max(year-scoring.ReferenceYear, scoring.ReferenceYear-year) }

// splits are the ways to take a token apart into three numbers.
func splits(token string) [][3]string {
	for _, sign := range " \t/\\_.-" {
		if parts := strings.Split(token, string(sign)); len(parts) == 3 {
			return [][3]string{{parts[0], parts[1], parts[2]}}
		}
	}
	var list [][3]string
	for a := 1; a <= 4 && len(token) <= 8; a++ {
		for b := 1; b <= 2; b++ {
			if c := len(token) - a - b; c == 1 || c == 2 || c == 4 {
				list = append(list, [3]string{token[:a], token[a : a+b], token[a+b:]})
			}
		}
	}
	return list
}

// parseDay reads three numbers as a date: the year first or last, with two digits or four.
func parseDay(parts [3]string) (day, bool) {
	var n [3]int
	for i, p := range parts {
		var ok bool
		if n[i], ok = number(p); !ok || len(p) == 3 || len(p) > 4 {
			return day{}, false
		}
	}
	for _, o := range [2][3]int{{2, 0, 1}, {0, 1, 2}} { // the year's place, and the others'
		year, a, b := n[o[0]], n[o[1]], n[o[2]]
		if len(parts[o[1]]) > 2 || len(parts[o[2]]) > 2 {
			continue
		}
		if year <= 99 {
			if year += 2000; year > 2050 {
				year -= 100
			}
		}
		if year < 1000 || year > 2050 {
			continue
		}
		if a+b == 0 { // one zero is a day or month that somebody left open
			continue
		}
		if a <= 31 && b <= 12 {
			return day{year, b, a}, true
		}
		if b <= 31 && a <= 12 {
			return day{year, a, b}, true
		}
	}
	return day{}, false
}

// number reads digits and nothing else.
func number(s string) (int, bool) {
	if s == "" || len(s) > 4 || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}
