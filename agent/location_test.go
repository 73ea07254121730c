package agent

import (
	"net/url"
	"strings"
	"testing"

	"postern/agent/policy"
)

func TestLocation(t *testing.T) {
	const portal = "https://auth.example.com"
	long := strings.Repeat("x", 5000)
	for _, tt := range []struct {
		name string
		r    policy.Request
		rd   string // what the portal reads as rd
		rm   string
	}{
		{"path and query", policy.Request{Method: "GET", Host: "app.example.com", Path: "/a/b", Query: "c=d&e=f"}, "https://app.example.com/a/b?c=d&e=f", "GET"},
		{"no query", policy.Request{Method: "GET", Host: "app.example.com", Path: "/"}, "https://app.example.com/", "GET"},
		{"a port", policy.Request{Method: "GET", Host: "app.example.com:8443", Path: "/"}, "https://app.example.com:8443/", "GET"},
		{"capitals and a trailing dot", policy.Request{Method: "GET", Host: "App.Example.COM.", Path: "/A"}, "https://app.example.com/A", "GET"},
		{"a trailing dot in front of a port", policy.Request{Method: "GET", Host: "App.example.com.:443", Path: "/A"}, "https://app.example.com:443/A", "GET"},
		{"what is encoded stays as it is", policy.Request{Method: "GET", Host: "a.example.com", Path: "/a%20b%2Fc", Query: "x=%26%3d+1"}, "https://a.example.com/a%20b%2Fc?x=%26%3d+1", "GET"},
		{"a query that could add parameters", policy.Request{Method: "POST", Host: "a.example.com", Path: "/", Query: "rd=https://evil.example&rm=X#y"}, "https://a.example.com/?rd=https://evil.example&rm=X#y", "POST"},
		{"control characters", policy.Request{Method: "GET", Host: "a.example.com", Path: "/a\r\nSet-Cookie: x", Query: "\x00\x7f\xff"}, "https://a.example.com/a\r\nSet-Cookie: x?\x00\x7f\xff", "GET"},
		{"a long query is dropped", policy.Request{Method: "GET", Host: "a.example.com", Path: "/p", Query: long}, "https://a.example.com/p", "GET"},
		{"then a long path", policy.Request{Method: "GET", Host: "a.example.com", Path: "/" + long, Query: "q"}, "https://a.example.com/", "GET"},
		{"a path that grows long when it is encoded", policy.Request{Method: "GET", Host: "a.example.com", Path: strings.Repeat("/", 1400)}, "https://a.example.com/", "GET"},
		{"a long method is not told", policy.Request{Method: strings.Repeat("M", 33), Host: "a.example.com", Path: "/"}, "https://a.example.com/", ""},
		{"no method", policy.Request{Host: "a.example.com", Path: "/"}, "https://a.example.com/", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := string(appendLocation(nil, portal, &tt.r))
			checkLocation(t, got)
			u, err := url.Parse(got)
			if err != nil {
				t.Fatal(err)
			}
			if u.Scheme+"://"+u.Host+u.Path != portal+"/" || u.Fragment != "" {
				t.Errorf("%s does not lead to the portal", got)
			}
			q := u.Query()
			if q.Get("rd") != tt.rd || q.Get("rm") != tt.rm || len(q["rd"]) != 1 {
				t.Errorf("rd %q, rm %q, want %q and %q", q["rd"], q["rm"], tt.rd, tt.rm)
			}
		})
	}
}

func checkLocation(t *testing.T, s string) {
	t.Helper()
	if len(s) > maxLocation {
		t.Errorf("%d bytes, want at most %d", len(s), maxLocation)
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			t.Errorf("byte %#x in %q", s[i], s)
		}
	}
}

// TestLocationIsBounded: the longest of everything stays within the bound while it is
// being written, too: each connection keeps that memory.
func TestLocationIsBounded(t *testing.T) {
	all := strings.Repeat("/", 16000)
	r := policy.Request{Method: strings.Repeat("/", maxMethod), Host: strings.Repeat("a", 253) + ".:65535", Path: all, Query: all}
	got := appendLocation(make([]byte, 0, maxLocation), "https://auth.example.com", &r)
	checkLocation(t, string(got))
	if cap(got) != maxLocation {
		t.Errorf("it took %d bytes to write, want at most %d", cap(got), maxLocation)
	}
}

// FuzzLocation: whatever was asked for, the URL is printable, bounded, leads to the
// portal, and its rd is the target or a part of it that was cut at the query or the path.
func FuzzLocation(f *testing.F) {
	f.Add("GET", "app.example.com:8443", "/a%20b", "c=d&e")
	f.Add("\r\n", "", "\x00", "#")
	f.Fuzz(func(t *testing.T, method, host, path, query string) {
		if len(host) > 300 {
			return // the rules have refused it
		}
		got := string(appendLocation(nil, "https://auth.example.com", &policy.Request{Method: method, Host: host, Path: path, Query: query}))
		checkLocation(t, got)
		u, err := url.Parse(got)
		if err != nil || u.Host != "auth.example.com" || u.Path != "/" || u.Fragment != "" {
			t.Fatalf("%q does not lead to the portal: %v", got, err)
		}
		rd := u.Query().Get("rd")
		if i := strings.IndexByte(host, ':'); i >= 0 || strings.ContainsAny(host, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") || strings.HasSuffix(host, ".") {
			return
		}
		whole := "https://" + host + path
		if rd != whole && rd != whole+"?"+query && rd != "https://"+host+"/" {
			t.Fatalf("rd is %q of %q and %q", rd, whole, query)
		}
	})
}
