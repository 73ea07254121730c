package policy

import (
	"bytes"
	"strings"
)

// reshape returns a path that checkPath accepted with dot segments resolved, slashes
// merged and encoded unreserved characters decoded; every other byte stays as received.
// It is what the application gets.
func reshape(p string) string {
	out := make([]byte, 0, len(p))
	for p != "" { // p begins with a slash
		p = p[1:]
		i := strings.IndexByte(p, '/')
		if i < 0 {
			i = len(p)
		}
		seg, last := p[:i], i == len(p)
		p = p[i:]
		switch n := dots(seg); {
		case seg == "" && !last: // a double slash
		case n == 0:
			out = appendUnreserved(append(out, '/'), seg)
		default:
			if n == 2 {
				out = out[:max(bytes.LastIndexByte(out, '/'), 0)]
			}
			if last {
				out = append(out, '/')
			}
		}
	}
	return string(out)
}

func appendUnreserved(out []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c, ok := unhex(s[i:]); ok && isUnreserved(c) {
			out = append(out, c)
			i += 2
			continue
		}
		out = append(out, s[i])
	}
	return out
}

// decode returns a reshaped path percent-decoded once. Encoded slashes, of which several
// in a row count as one, become slashes or, where literal, stay as they were received.
func decode(p string, literal bool) string {
	if strings.IndexByte(p, '%') < 0 {
		return p
	}
	out := make([]byte, 0, len(p))
	for i := 0; i < len(p); {
		if n := slashLen(p[i:]); n != 0 {
			if n > 1 && literal {
				out = append(out, p[i:i+n]...)
			} else if k := len(out); k == 0 || out[k-1] != '/' {
				out = append(out, '/')
			}
			i += n
			continue
		}
		if c, ok := unhex(p[i:]); ok {
			out = append(out, c)
			i += 3
			continue
		}
		out = append(out, p[i])
		i++
	}
	return string(out)
}

// withoutParams cuts every segment of a decoded path at its first semicolon, as Java's
// servers do, and merges the slashes that this leaves.
func withoutParams(p string) string {
	out := make([]byte, 0, len(p))
	cutting := false
	for i := range len(p) {
		switch c := p[i]; {
		case c == '/':
			cutting = false
			if len(out) == 0 || out[len(out)-1] != '/' {
				out = append(out, c)
			}
		case c == ';':
			cutting = true
		case !cutting:
			out = append(out, c)
		}
	}
	return string(out)
}
