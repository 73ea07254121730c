package portal

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

var targetTests = []struct {
	why  string
	rd   string
	host string // "" for refused
}{
	{"a host of the domain", "https://wiki.example.com/", "wiki.example.com"},
	{"the domain itself", "https://example.com/a", "example.com"},
	{"deep below the domain", "https://a.b.c.example.com/", "a.b.c.example.com"},
	{"no path", "https://wiki.example.com", "wiki.example.com"},
	{"a query right after the host", "https://wiki.example.com?x=1", "wiki.example.com"},
	{"a port", "https://wiki.example.com:8443/x", "wiki.example.com"},
	{"capital letters in the host", "https://WIKI.Example.COM/", "wiki.example.com"},
	{"escapes in the path stay", "https://wiki.example.com/%2e%2e/%2F?next=https://evil.test", "wiki.example.com"},
	{"another address inside the query", "https://wiki.example.com/?u=//evil.test/@x", "wiki.example.com"},
	{"an at sign in the path", "https://wiki.example.com/@bob", "wiki.example.com"},
	{"a fragment", "https://wiki.example.com/#/inbox", "wiki.example.com"},
	{"an underscore", "https://my_app.example.com/", "my_app.example.com"},

	{"another site", "https://evil.test/", ""},
	{"plain http", "http://wiki.example.com/", ""},
	{"a websocket", "wss://wiki.example.com/", ""},
	{"capital letters in the scheme", "HTTPS://wiki.example.com/", ""},
	{"a script", "javascript:alert(1)//https://wiki.example.com", ""},
	{"data", "data:text/html,https://wiki.example.com/", ""},
	{"no scheme", "//wiki.example.com/", ""},
	{"no scheme, another site", "//evil.test/", ""},
	{"a path alone", "/settings", ""},
	{"slash and backslash", "/\\evil.test", ""},
	{"backslashes for slashes", "https:\\\\evil.test", ""},
	{"a backslash ends the host for browsers", "https://evil.test\\.example.com/", ""},
	{"a backslash before the at sign", "https://evil.test\\@wiki.example.com/", ""},
	{"a scheme without slashes", "https:evil.test", ""},
	{"a scheme with one slash", "https:/evil.test", ""},
	{"a scheme with three slashes", "https:///evil.test/", ""},
	{"four slashes", "https:////evil.test/.example.com", ""},
	{"a user part", "https://wiki.example.com@evil.test/", ""},
	{"a user part before ours", "https://evil.test@wiki.example.com/", ""},
	{"a password", "https://a:b@wiki.example.com/", ""},
	{"an at sign that is escaped", "https://wiki.example.com%40evil.test/", ""},
	{"ours as the prefix", "https://example.com.evil.test/", ""},
	{"ours as the suffix of a label", "https://evilexample.com/", ""},
	{"ours in the path", "https://evil.test/example.com", ""},
	{"ours in the fragment", "https://evil.test#.example.com", ""},
	{"ours in the query", "https://evil.test?.example.com", ""},
	{"ours after an escaped slash", "https://evil.test%2f.example.com/", ""},
	{"ours after an escaped hash", "https://evil.test%23.example.com/", ""},
	{"an escaped dot", "https://wiki%2eexample.com/", ""},
	{"a tab between slashes", "https:/\t/evil.test", ""},
	{"a tab in the host", "https://wiki.example.com\t.evil.test/", ""},
	{"a newline", "https://wiki.example.com/\r\nSet-Cookie: a=b", ""},
	{"a NUL", "https://wiki.example.com/\x00", ""},
	{"a space in front", " https://wiki.example.com/", ""},
	{"a space in the host", "https://wiki.example.com .evil.test/", ""},
	{"a space in the path", "https://wiki.example.com/a b", ""},
	{"a trailing dot, where no cookie goes", "https://wiki.example.com./", ""},
	{"two dots", "https://wiki..example.com/", ""},
	{"an empty host", "https://", ""},
	{"an empty label in front", "https://.example.com/", ""},
	{"a port without a number", "https://wiki.example.com:/", ""},
	{"a port with letters", "https://wiki.example.com:80a/", ""},
	{"a port out of range", "https://wiki.example.com:65536/", ""},
	{"port zero", "https://wiki.example.com:0/", ""},
	{"two ports", "https://wiki.example.com:1:2/", ""},
	{"a port with a user part", "https://wiki.example.com:443@evil.test/", ""},
	{"an address", "https://192.0.2.1/", ""},
	{"an address in brackets", "https://[::1]/", ""},
	{"brackets around ours", "https://[wiki.example.com]/", ""},
	{"full-width letters", "https://wiki.example.com\uff0eevil.test/", ""},
	{"a letter that only looks like ours", "https://wiki.ex\u0430mple.com/", ""},
	{"an ideographic full stop", "https://evil\u3002example.com/", ""},
	{"a soft hyphen", "https://wiki.exam\u00adple.com/", ""},
	{"bytes that are not UTF-8", "https://wiki.example.com/\xff", ""},
	{"markup", "https://wiki.example.com/\"><script>", ""},
	{"the other domain of this portal", "https://www.example.org/", ""},
	{"a label that begins with a hyphen", "https://-wiki.example.com/", ""},
	{"a long one", "https://wiki.example.com/" + strings.Repeat("a", 8000), ""},
	{"a long label", "https://" + strings.Repeat("a", 64) + ".example.com/", ""},
	{"view-source", "view-source:https://wiki.example.com/", ""},
}

func TestThreat49OpenRedirect(t *testing.T) {
	for _, tt := range targetTests {
		got := parseTarget(tt.rd, "GET", "example.com")
		if got.Host != tt.host || (tt.host != "") != (got.URL == tt.rd) || got.Refused != (tt.host == "") {
			t.Errorf("%s: %q gives host %q, address %q, refused %v; want host %q", tt.why, tt.rd, got.Host, got.URL, got.Refused, tt.host)
		}
	}
}

// TestThreat49OpenRedirectEndToEnd signs in with every one of them and looks where the
// browser is sent.
func TestThreat49OpenRedirectEndToEnd(t *testing.T) {
	h := openHouse(t, func(s *Server) { s.Guesses.Config.Requests = 0 })
	for _, tt := range targetTests {
		if len(tt.rd) > 4000 {
			continue
		}
		b := h.browser()
		got := b.signIn("?rd="+url.QueryEscape(tt.rd), "alice", "wonderland")
		to := got.Header.Get("Location")
		if got.StatusCode != http.StatusSeeOther || tt.host == "" && to != "/" {
			t.Errorf("%s: %q leads to status %d, %q", tt.why, tt.rd, got.StatusCode, to)
		}
		// Signed in, the portal sends on at once; signing out takes rd as well.
		again := b.get("https://auth.example.com/?rd=" + url.QueryEscape(tt.rd))
		if to := again.Header.Get("Location"); tt.host == "" && to != "" {
			t.Errorf("%s: signed in, %q leads to %q", tt.why, tt.rd, to)
		}
		page := b.get("https://auth.example.com/signout?rd=" + url.QueryEscape(tt.rd))
		if to := b.send(page, "/signout", "rd", tt.rd).Header.Get("Location"); tt.host == "" && to != "/signed-out" {
			t.Errorf("%s: signing out, %q leads to %q", tt.why, tt.rd, to)
		}
	}
}

// FuzzTarget: whatever is accepted, the standard library reads as https at a host of the
// domain, without a user part; and the next page gets it byte for byte.
func FuzzTarget(f *testing.F) {
	for _, tt := range targetTests {
		f.Add(tt.rd)
	}
	f.Fuzz(func(t *testing.T, rd string) {
		got := parseTarget(rd, "POST", "example.com")
		if got.URL == "" {
			if got.Host != "" || got.Refused != (rd != "") {
				t.Fatalf("%q: %+v", rd, got)
			}
			return
		}
		if got.URL != rd || strings.ContainsAny(rd, "\\\t\r\n\x00 ") {
			t.Fatalf("%q became %q", rd, got.URL)
		}
		u, err := url.Parse(rd)
		if err != nil {
			// The path and query may hold what url.Parse refuses, such as "%zz"; the
			// authority may not.
			head, _, _ := strings.Cut(strings.TrimPrefix(rd, "https://"), "/")
			head = head[:len(head)-len(strings.TrimLeft(head, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:"))]
			u = &url.URL{Scheme: "https", Host: head}
		}
		host := strings.ToLower(u.Hostname())
		if u.Scheme != "https" || u.User != nil || host != got.Host || host != "example.com" && !strings.HasSuffix(host, ".example.com") {
			t.Fatalf("%q: scheme %q, user %v, host %q; accepted as %q", rd, u.Scheme, u.User, host, got.Host)
		}
		next, err := url.Parse(got.at("/"))
		if err != nil || next.Query().Get("rd") != rd || next.Query().Get("rm") != "POST" {
			t.Fatalf("%q does not survive %q", rd, got.at("/"))
		}
	})
}

func TestMethodOfTheTarget(t *testing.T) {
	for rm, want := range map[string]string{
		"": "GET", "GET": "GET", "POST": "POST", "PROPFIND": "PROPFIND", "get": "GET",
		"POST\r\n": "GET", "<b>": "GET", strings.Repeat("A", 17): "GET",
	} {
		if got := parseMethod(rm); got != want {
			t.Errorf("rm %q: %q, want %q", rm, got, want)
		}
	}
}
