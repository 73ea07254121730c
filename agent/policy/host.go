package policy

import "strings"

// maxHost is the longest hostname, in bytes, without a trailing dot (RFC 1035 2.3.4).
const maxHost = 253

// canonicalHost lower-cases a host as received and takes its port and one trailing dot
// away. It is false for what is no hostname. Only a host with capitals costs an
// allocation.
func canonicalHost(s string) (string, bool) {
	s, ok := bareHost(s)
	if !ok {
		return "", false
	}
	return lowerASCII(s), true
}

// bareHost is canonicalHost without the lower-casing.
func bareHost(s string) (string, bool) {
	if i := strings.IndexByte(s, ':'); i >= 0 {
		if !isPort(s[i+1:]) {
			return "", false
		}
		s = s[:i]
	}
	s = strings.TrimSuffix(s, ".")
	return s, isHostname(s)
}

func isPort(s string) bool {
	if len(s) == 0 || len(s) > 5 {
		return false
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n <= 65535
}

// isHostname says whether s is made of labels of 1 to 63 letters, digits, underscores
// and inner hyphens. Whoever has a name in another script writes it as xn--….
func isHostname(s string) bool {
	if len(s) == 0 || len(s) > maxHost {
		return false
	}
	start := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c == '_':
		case c == '-':
			if i == start || i+1 == len(s) || s[i+1] == '.' {
				return false
			}
		case c == '.':
			if i == start || i-start > 63 {
				return false
			}
			start = i + 1
		default:
			return false
		}
	}
	return start < len(s) && len(s)-start <= 63
}

// lowerASCII lower-cases the letters A to Z and leaves every other byte alone.
func lowerASCII(s string) string {
	for i := range len(s) {
		if s[i] >= 'A' && s[i] <= 'Z' {
			b := []byte(s)
			lowerBytes(b)
			return string(b)
		}
	}
	return s
}

func lowerBytes(b []byte) {
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
}

// equalFold compares as strings.EqualFold does, but folds the letters A to Z alone: a
// Kelvin sign is no k.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		c, d := a[i], b[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if d >= 'A' && d <= 'Z' {
			d += 'a' - 'A'
		}
		if c != d {
			return false
		}
	}
	return true
}
