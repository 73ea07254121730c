package credential

import (
	"encoding/base64"
	"strings"
	"testing"
	"unicode/utf8"
)

func basic(pair string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair)) }

func TestParseHeader(t *testing.T) {
	for _, tt := range []struct {
		name, value  string
		scheme       Scheme
		bad          bool
		user, secret string
	}{
		{"none", "", Foreign, false, "", ""},
		{"Basic, RFC 7617 2", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", Basic, false, "Aladdin", "open sesame"},
		{"UTF-8, RFC 7617 2.1", "Basic dGVzdDoxMjPCow==", Basic, false, "test", "123£"},
		{"in another case, with blanks", "bAsIc   QWxhZGRpbjpvcGVuIHNlc2FtZQ==  ", Basic, false, "Aladdin", "open sesame"},
		{"colons in the password", basic("a:b:c:"), Basic, false, "a", "b:c:"},
		{"a blank password", basic("a: "), Basic, false, "a", " "},
		{"the longest name and password", basic(strings.Repeat("u", MaxUser) + ":" + strings.Repeat("p", MaxPassword)), Basic, false, strings.Repeat("u", MaxUser), strings.Repeat("p", MaxPassword)},
		{"a name too long", basic(strings.Repeat("u", MaxUser+1) + ":p"), Basic, true, "", ""},
		{"a password too long", basic("u:" + strings.Repeat("p", MaxPassword+1)), Basic, true, "", ""},
		{"no name", basic(":secret"), Basic, true, "", ""},
		{"no password", basic("alice:"), Basic, true, "", ""},
		{"no colon", basic("alice"), Basic, true, "", ""},
		{"nothing behind the scheme", "Basic", Basic, true, "", ""},
		{"blanks behind the scheme", "Basic   ", Basic, true, "", ""},
		{"not base64", "Basic !!!", Basic, true, "", ""},
		{"base64 for URLs", "Basic _-__", Basic, true, "", ""},
		{"padding that is missing", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ", Basic, true, "", ""},
		{"spare bits", "Basic YTpiYh==", Basic, true, "", ""},
		{"a second word", "Basic YTpi YTpi", Basic, true, "", ""},
		{"a line break in the base64", "Basic YTpi\r\nYTpi", Basic, true, "", ""},
		{"Latin-1", basic("a:\xa3"), Basic, true, "", ""},
		{"a NUL", basic("a:b\x00c"), Basic, true, "", ""},
		{"a line break", basic("a\n:b"), Basic, true, "", ""},
		{"a C1 control", basic("a:\u0085"), Basic, true, "", ""},
		{"Bearer", "Bearer abc.def-ghi", Bearer, false, "", "abc.def-ghi"},
		{"Bearer in another case", "BEARER  x", Bearer, false, "", "x"},
		{"Bearer and nothing", "Bearer ", Bearer, true, "", ""},
		{"Bearer without end", "Bearer " + strings.Repeat("x", MaxHeader+1), Bearer, true, "", ""},
		{"Digest", `Digest username="a"`, Foreign, false, "", ""},
		{"a longer word", "Basically YTpi", Foreign, false, "", ""},
		{"a tab", "Basic\tYTpi", Foreign, false, "", ""},
		{"a blank in front", " Basic YTpi", Foreign, false, "", ""},
	} {
		h := ParseHeader(tt.value, make([]byte, 0, len(tt.value)))
		if h.Scheme != tt.scheme || h.Bad != tt.bad || string(h.User) != tt.user || string(h.Secret) != tt.secret {
			t.Errorf("%s: %d bad %v %q %q", tt.name, h.Scheme, h.Bad, h.User, h.Secret)
		}
	}
}

// TestThreat43HugeHeader: a password of a megabyte is not even decoded.
func TestThreat43HugeHeader(t *testing.T) {
	value := basic("alice:" + strings.Repeat("x", 1<<20))
	buf := make([]byte, 0, 16)
	if n := testing.AllocsPerRun(10, func() {
		if h := ParseHeader(value, buf); !h.Bad || h.Scheme != Basic {
			t.Fatalf("taken: %+v", h)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestParseHeaderAllocatesNothing(t *testing.T) {
	value, buf := basic("alice:secret"), make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() { ParseHeader(value, buf) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzParseHeader: no input panics, the bounds hold, and what was read is what was sent.
func FuzzParseHeader(f *testing.F) {
	for _, s := range []string{"", "Basic", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "basic Og==", "Bearer x", "Bearer", basic("a:b:c"), basic("\x00:\xff"), "Basic ====", "Digest x"} {
		f.Add(s, 0)
		f.Add(s, 64)
	}
	f.Fuzz(func(t *testing.T, value string, room int) {
		h := ParseHeader(value, make([]byte, 0, min(max(room, 0), 4096)))
		switch {
		case h.Bad || h.Scheme == Foreign:
			if len(h.User)+len(h.Secret) != 0 {
				t.Errorf("%q: bad, and yet %q %q", value, h.User, h.Secret)
			}
		case h.Scheme == Bearer:
			if len(h.Secret) == 0 || !strings.HasSuffix(strings.Trim(value, " "), string(h.Secret)) {
				t.Errorf("%q: token %q", value, h.Secret)
			}
		default:
			pair := string(h.User) + ":" + string(h.Secret)
			if len(h.User) == 0 || len(h.User) > MaxUser || len(h.Secret) == 0 || len(h.Secret) > MaxPassword || strings.Contains(string(h.User), ":") || !utf8.ValidString(pair) {
				t.Errorf("%q: %q %q", value, h.User, h.Secret)
			}
			if _, rest, _ := strings.Cut(value, " "); base64.StdEncoding.EncodeToString([]byte(pair)) != strings.Trim(rest, " ") {
				t.Errorf("%q: read as %q", value, pair)
			}
		}
	})
}
