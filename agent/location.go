package agent

import (
	"strings"

	"postern/agent/policy"
)

// maxLocation is the longest portal URL, in bytes: browsers and HAProxy take far more,
// but the whole of it comes back to us in a request line.
const maxLocation = 4 << 10

// maxMethod is the longest method that is told to the portal.
const maxMethod = 32

// appendLocation appends the portal's URL that brings a person back to the request:
// portal/?rd=target&rm=method. The target is absolute, with the path and the query as
// they were received; what is too long loses the query, and then the path.
func appendLocation(dst []byte, portal string, r *policy.Request) []byte {
	at := len(dst)
	dst = append(append(dst, portal...), "/?rd="...)
	dst = appendHost(dst, r.Host)
	method := 0
	if r.Method != "" && len(r.Method) <= maxMethod {
		method = len("&rm=") + escapedLen(r.Method)
	}
	room := maxLocation - method - (len(dst) - at)
	if n := escapedLen(r.Path); n <= room {
		dst = appendEscaped(dst, r.Path)
		if mark := len("%3F"); r.Query != "" && mark+escapedLen(r.Query) <= room-n {
			dst = appendEscaped(append(dst, "%3F"...), r.Query)
		}
	} else {
		dst = append(dst, "%2F"...)
	}
	if method > 0 {
		dst = appendEscaped(append(dst, "&rm="...), r.Method)
	}
	return dst
}

// escapedLen is the number of bytes that appendEscaped appends, or some number above
// maxLocation.
func escapedLen(s string) int {
	n := len(s)
	if n > maxLocation {
		return n
	}
	for i := range len(s) {
		if !unreserved(s[i]) {
			n += 2
		}
	}
	return n
}

// appendHost appends "https://" and the host, lower-cased and without a trailing dot in
// its name, with its port.
func appendHost(dst []byte, host string) []byte {
	name, port := host, ""
	if i := strings.IndexByte(host, ':'); i >= 0 {
		name, port = host[:i], host[i:]
	}
	dst = append(dst, "https%3A%2F%2F"...)
	at := len(dst)
	dst = appendEscaped(dst, strings.TrimSuffix(name, "."))
	for i := at; i < len(dst); i++ {
		if c := dst[i]; c >= 'A' && c <= 'Z' {
			dst[i] = c + 'a' - 'A'
		}
	}
	return appendEscaped(dst, port)
}

// appendEscaped appends s percent-encoded: everything but the unreserved characters of
// RFC 3986 2.3, so that nothing in it means anything to whoever reads the URL.
func appendEscaped(dst []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		if c := s[i]; unreserved(c) {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		}
	}
	return dst
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}
