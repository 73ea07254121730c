package factor

import "strings"

// maxCode is the longest code that is looked at, in bytes.
const maxCode = 64

// cleanCode takes the spaces and dashes out of a code, as people copy them. What is too
// long to be a code becomes "".
func cleanCode(code string) string {
	if len(code) > maxCode {
		return ""
	}
	return strings.Map(func(r rune) rune {
		switch r {
		case ' ', '\t', '\u00a0', '\u202f', '-':
			return -1
		}
		return r
	}, code)
}

// group puts sep after every n bytes of ASCII text.
func group(s string, n int, sep string) string {
	var b strings.Builder
	for i := 0; i < len(s); i += n {
		if i > 0 {
			b.WriteString(sep)
		}
		b.WriteString(s[i:min(i+n, len(s))])
	}
	return b.String()
}
