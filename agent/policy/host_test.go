package policy

import (
	"strings"
	"testing"
)

func TestCanonicalHost(t *testing.T) {
	label := strings.Repeat("a", 63)
	long := strings.Repeat("a.", 126) + "a" // 253 bytes
	for _, tt := range []struct {
		name, host, want string // want "": refused
	}{
		{"stays", "www.example.com", "www.example.com"},
		{"capitals", "WWW.Example.COM", "www.example.com"},
		{"a port", "www.example.com:8443", "www.example.com"},
		{"a trailing dot", "www.example.com.", "www.example.com"},
		{"a trailing dot and a port", "www.example.com.:443", "www.example.com"},
		{"an underscore", "my_host.example.com", "my_host.example.com"},
		{"a name in another script", "xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"the longest label", label + ".com", label + ".com"},
		{"the longest name", long, long},
		{"a longer label", label + "a.com", ""},
		{"a longer last label", "www." + label + "a", ""},
		{"a longer name", long + "a", ""},
		{"nothing", "", ""},
		{"a dot", ".", ""},
		{"a port alone", ":80", ""},
		{"two trailing dots", "www.example.com..", ""},
		{"a leading dot", ".example.com", ""},
		{"an empty label", "www..example.com", ""},
		{"a dot behind the port", "www.example.com:443.", ""},
		{"an empty port", "www.example.com:", ""},
		{"a port of letters", "www.example.com:https", ""},
		{"a port with a sign", "www.example.com:+80", ""},
		{"a port too big", "www.example.com:65536", ""},
		{"a port too long", "www.example.com:000443", ""},
		{"two ports", "www.example.com:80:80", ""},
		{"two hosts", "www.example.com,evil.example", ""},
		{"two hosts and a space", "www.example.com, evil.example", ""},
		{"user information", "evil@www.example.com", ""},
		{"a path", "www.example.com/x", ""},
		{"IPv6", "[2001:db8::1]:443", ""},
		{"IPv6 without brackets", "2001:db8::1", ""},
		{"letters beyond ASCII", "bücher.example", ""},
		{"a wide dot", "www。example.com", ""},
		{"a Kelvin sign", "\u212aelvin.example", ""},
		{"an escape", "www%2eexample.com", ""},
		{"a leading hyphen", "-www.example.com", ""},
		{"a trailing hyphen", "www-.example.com", ""},
		{"a last hyphen", "www.example-", ""},
		{"a space", "www.example.com ", ""},
		{"a NUL", "www.example.com\x00", ""},
		{"a line break", "www.example.com\r\nx", ""},
	} {
		got, ok := canonicalHost(tt.host)
		if got != tt.want && ok || ok != (tt.want != "") {
			t.Errorf("%s: %q is %q (%v), want %q", tt.name, tt.host, got, ok, tt.want)
		}
	}
}

// FuzzHost: what is accepted has one canonical form, which stays as it is and lies in
// the letters of a hostname.
func FuzzHost(f *testing.F) {
	for _, s := range []string{"WWW.example.com.:443", "a", "a-b_c.d", "[::1]", "a..b", "a:99999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, ok := canonicalHost(s)
		if !ok {
			return
		}
		again, ok := canonicalHost(host)
		if !ok || again != host || strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" || !equalFold(s[:len(host)], host) {
			t.Fatalf("%q is %q, then %q (%v)", s, host, again, ok)
		}
	})
}

func TestEqualFold(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"alice", "ALICE", true}, {"a[", "A{", false}, {"k", "\u212a", false}, {"s", "ſ", false}, {"ä", "Ä", false}, {"a", "ab", false}, {"", "", true},
	} {
		if got := equalFold(tt.a, tt.b); got != tt.want {
			t.Errorf("equalFold(%q, %q) = %v", tt.a, tt.b, got)
		}
	}
}
