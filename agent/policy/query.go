package policy

import (
	"net/url"
	"strings"
)

// queryItem is a QueryItem, compiled.
type queryItem struct {
	key   string
	value string
	re    *pattern
	not   bool // no value may fit
	any   bool // every value fits
}

// match says whether every value that the query has for the key fits. Without a value,
// only the negative operators do.
func (it *queryItem) match(query string) bool {
	found := false
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		key, value, _ := strings.Cut(pair, "=")
		if pair == "" || unescape(key) != it.key {
			continue
		}
		found = true
		if it.fits(unescape(value)) == it.not {
			return false
		}
	}
	return found || it.not
}

func (it *queryItem) fits(value string) bool {
	switch {
	case it.any:
		return true
	case it.re != nil:
		return it.re.re.MatchString(value)
	}
	return value == it.value
}

// unescape decodes a part of a query that checkQuery accepted.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s
	}
	out, err := url.QueryUnescape(s)
	if err != nil {
		return s
	}
	return out
}

// checkQuery says whether a query is read alike by every server: it decodes, holds no
// NUL, no semicolon, which some take for an ampersand, and no number sign, at which some stop.
func checkQuery(q string) bool {
	for i := range len(q) {
		switch q[i] {
		case ';', '#', 0:
			return false
		case '%':
			if c, ok := unhex(q[i:]); !ok || c == 0 {
				return false
			}
		}
	}
	return true
}
