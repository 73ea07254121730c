package policy

import (
	"strings"
	"unicode/utf8"
)

// What checkPath found in a path that it did not refuse.
const (
	pathEscaped uint8 = 1 << iota // holds %XX
	pathReshape                   // has dot segments, double slashes or encoded unreserved characters
	pathParams                    // holds a semicolon: some servers cut from there to the next slash
	pathSlashes                   // holds %2f or %252f, which the operator allows for the host
)

// checkPath looks at a path as received and refuses what servers read in more than one
// way: what does not begin with a slash (so CONNECT, "OPTIONS *" and absent paths) or
// does not decode to UTF-8 without control characters; an encoded slash, unless slashes;
// a backslash, a question mark or a number sign as such; what would decode a second
// time; and a dot segment with parameters ("..;x"). It allocates nothing.
func checkPath(p string, slashes bool) (found uint8, ok bool) {
	if p == "" || p[0] != '/' {
		return 0, false
	}
	start := 1 // of the segment that c is in
	for i := 1; i <= len(p); {
		if i < len(p) && isUnreserved(p[i]) {
			i++
			continue
		}
		if i == len(p) || p[i] == '/' {
			f, ok := checkSegment(p[start:i], i == len(p))
			if !ok {
				return 0, false
			}
			found |= f
			i++
			start = i
			continue
		}
		f, n, ok := checkChar(p[i:], slashes)
		if !ok {
			return 0, false
		}
		found |= f
		i += n
	}
	if found&pathSlashes != 0 && dotsBetweenSlashes(p) {
		return 0, false
	}
	return found, true
}

// checkSegment looks at one segment: last says that no slash follows it.
func checkSegment(s string, last bool) (found uint8, ok bool) {
	if s == "" && !last {
		return pathReshape, true
	}
	if s == "" || s[0] != '.' && s[0] != '%' {
		return 0, true
	}
	switch name, params := cutParams(s); {
	case dots(name) == 0:
		return 0, true
	case params:
		return 0, false
	}
	return pathReshape, true
}

// checkChar looks at the character that p begins with, n bytes of it as received.
func checkChar(p string, slashes bool) (found uint8, n int, ok bool) {
	switch c := p[0]; {
	case c == '%':
		return checkEscape(p, slashes)
	case c == ';':
		return pathParams, 1, true
	case c <= ' ', c >= 0x7f, c == '\\', c == '?', c == '#':
		return 0, 0, false
	}
	return 0, 1, true
}

func checkEscape(p string, slashes bool) (found uint8, n int, ok bool) {
	c, ok := unhex(p)
	switch {
	case !ok, c < ' ', c == 0x7f, c == '\\':
		return 0, 0, false
	case c == '/':
		return pathEscaped | pathSlashes, 3, slashes
	case c == '%':
		if slashes && slashLen(p) == 5 {
			return pathEscaped | pathSlashes, 5, true
		}
		return pathEscaped, 3, !decodesToHex(p[3:])
	case c == ';':
		return pathEscaped | pathParams, 3, true
	case isUnreserved(c):
		return pathEscaped | pathReshape, 3, true
	case c < utf8.RuneSelf:
		return pathEscaped, 3, true
	}
	var b [utf8.UTFMax]byte
	k := 0
	for k < len(b) && len(p) >= 3*(k+1) {
		c, ok := unhex(p[3*k:])
		if !ok || c < utf8.RuneSelf {
			break
		}
		b[k] = c
		k++
	}
	r, size := utf8.DecodeRune(b[:k])
	if r == utf8.RuneError && size <= 1 || r < 0xa0 {
		return 0, 0, false
	}
	return pathEscaped, 3 * size, true
}

// decodesToHex says whether s begins with two hexadecimal digits, in any encoding:
// behind a percent sign they would decode a second time.
func decodesToHex(s string) bool {
	for range 2 {
		if s == "" {
			return false
		}
		c, n := s[0], 1
		if d, ok := unhex(s); ok {
			c, n = d, 3
		}
		if !isHex(c) {
			return false
		}
		s = s[n:]
	}
	return true
}

// unhex decodes the %XX that s begins with.
func unhex(s string) (byte, bool) {
	if len(s) < 3 || s[0] != '%' || !isHex(s[1]) || !isHex(s[2]) {
		return 0, false
	}
	return nibble(s[1])<<4 | nibble(s[2]), true
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}

func nibble(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// isUnreserved says whether c means the same encoded and not (RFC 3986 2.3).
func isUnreserved(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

// dots is 1 or 2 for the dot segments, in any encoding, else 0.
func dots(s string) int {
	n := 0
	for s != "" {
		switch c, ok := unhex(s); {
		case s[0] == '.':
			s = s[1:]
		case ok && c == '.':
			s = s[3:]
		default:
			return 0
		}
		n++
	}
	if n > 2 {
		return 0
	}
	return n
}

// cutParams returns what stands before the first semicolon, in any encoding.
func cutParams(s string) (name string, params bool) {
	for i := range len(s) {
		if s[i] == ';' {
			return s[:i], true
		}
		if c, ok := unhex(s[i:]); ok && c == ';' {
			return s[:i], true
		}
	}
	return s, false
}

// dotsBetweenSlashes says whether a dot segment stands between slashes of any encoding:
// whoever decodes those and whoever does not end in different places.
func dotsBetweenSlashes(p string) bool {
	for p != "" {
		i, n := nextSlash(p)
		if name, _ := cutParams(p[:i]); dots(name) != 0 {
			return true
		}
		p = p[i+n:]
	}
	return false
}

// nextSlash is where the first slash of any encoding stands, and its length.
func nextSlash(p string) (i, n int) {
	for i := range len(p) {
		if n := slashLen(p[i:]); n != 0 {
			return i, n
		}
	}
	return len(p), 0
}

// slashLen is the length of the slash that p begins with, in any encoding, else 0.
func slashLen(p string) int {
	if p[0] == '/' {
		return 1
	}
	if c, ok := unhex(p); ok && c == '/' {
		return 3
	}
	if len(p) >= 5 && strings.EqualFold(p[:5], "%252f") {
		return 5
	}
	return 0
}
