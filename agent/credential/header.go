package credential

import (
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of what is read of an Authorization header, in bytes. What is longer is not
// decoded, let alone hashed.
const (
	// MaxHeader is the longest value.
	MaxHeader = 8 << 10
	// MaxUser is the longest name.
	MaxUser = 256
	// MaxPassword is the longest password, the same as at the portal.
	MaxPassword = 1024
)

// Scheme is how an Authorization header says who somebody is.
type Scheme uint8

// The schemes that Postern reads. All others are somebody else's.
const (
	Foreign Scheme = iota // none, or another one
	Basic                 // RFC 7617
	Bearer                // RFC 6750 2.1
)

// Header is an Authorization header, read.
type Header struct {
	Scheme Scheme
	Bad    bool   // of its scheme, but not as it must be: nothing else is set
	User   []byte // Basic; valid UTF-8 without control characters, not empty
	Secret []byte // Basic: the password, as User; Bearer: the token
}

// ParseHeader reads an Authorization header. What it returns lies in buf, as far as that
// has room, or in value.
func ParseHeader(value string, buf []byte) Header {
	word, rest, _ := strings.Cut(value, " ")
	rest = strings.Trim(rest, " ")
	switch {
	case strings.EqualFold(word, "Basic"):
		return parseBasic(rest, buf)
	case strings.EqualFold(word, "Bearer"):
		if rest == "" || len(rest) > MaxHeader {
			return Header{Scheme: Bearer, Bad: true}
		}
		return Header{Scheme: Bearer, Secret: append(buf[:0], rest...)}
	}
	return Header{}
}

// parseBasic reads the user-pass of RFC 7617 2: base64, and in it a name, a colon, and a
// password that may hold more of them. Passwords with control characters are none there.
func parseBasic(text string, buf []byte) Header {
	bad := Header{Scheme: Basic, Bad: true}
	if text == "" || len(text) > MaxHeader || strings.ContainsAny(text, "\r\n") || // which Decode would skip
		base64.StdEncoding.DecodedLen(len(text)) > MaxUser+1+MaxPassword+2 {
		return bad
	}
	coded := append(buf[:0], text...)
	n, err := base64.StdEncoding.Strict().Decode(coded, coded)
	if err != nil {
		return bad
	}
	pair := coded[:n]
	at := -1
	for i, c := range pair {
		if c == ':' {
			at = i
			break
		}
	}
	if at <= 0 || at > MaxUser || at+1 == n || n-at-1 > MaxPassword || !utf8.Valid(pair) || control(pair) {
		return bad
	}
	return Header{Scheme: Basic, User: pair[:at], Secret: pair[at+1:]}
}

func control(b []byte) bool {
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		if unicode.IsControl(r) {
			return true
		}
		i += size
	}
	return false
}
