package haproxy_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"testing"

	"postern/haproxy"
)

// Threats 2, 36, 63: one address, or one line of IPv6, sends so many forms to the portal
// in a minute and no more; whoever it says it is, and whoever asks besides.
func TestThreat36AFloodOfFormsStopsAtHAProxy(t *testing.T) {
	const allowed, sent = 10, 30
	config := func(c *haproxy.Config) {
		c.Requests = allowed
		c.Exempt = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("2001:db8:f::/48")}
	}
	source := "    http-request set-src req.fhdr(x-test-source) if { req.fhdr(x-test-source) -m found }\n"
	eachRig(t, options{config: config, more: source}, func(t *testing.T, r *rig) {
		r.script(t, allow())
		ask := func(method, host, source, more string) (int, http.Header) {
			got := r.client.Raw(t, host, method+" / HTTP/1.1\nHost: "+host+"\nX-Test-Source: "+source+"\n"+more+"Content-Length: 0\n\n")
			return got.Status, got.Header
		}
		for _, tt := range []struct {
			why, source string
			next        func(n int) string // of the same line
		}{
			{"IPv4", "192.0.2.7", func(int) string { return "192.0.2.7" }},
			{"IPv6", "2001:db8::7", func(n int) string { return fmt.Sprintf("2001:db8::%x:%x", n, n) }},
		} {
			r.portal.Forget()
			passed := 0
			for n := range sent {
				code, h := ask("POST", "auth.example.com", tt.next(n), fmt.Sprintf("X-Forwarded-For: 203.0.113.%d\n", n))
				switch {
				case code == http.StatusOK:
					passed++
				case code != http.StatusTooManyRequests || h.Get("Retry-After") != "60":
					t.Fatalf("%s: form %d: status %d, Retry-After %q", tt.why, n, code, h.Get("Retry-After"))
				case passed < allowed:
					t.Fatalf("%s: form %d is refused", tt.why, n)
				}
			}
			if passed > allowed+2 { // HAProxy's rate is a little forgetful
				t.Errorf("%s: %d forms passed, want %d", tt.why, passed, allowed)
			}
			forms := 0
			for _, seen := range r.portal.Seen() {
				if seen.Method == "POST" {
					forms++
				}
			}
			if forms != passed {
				t.Errorf("%s: the portal received %d forms, and %d passed", tt.why, forms, passed)
			}
			for _, other := range []struct{ why, method, host, source string }{
				{"a page, not a form", "GET", "auth.example.com", tt.source},
				{"a form for an application", "POST", "app.example.com", tt.source},
				{"a neighbour in IPv4", "POST", "auth.example.com", "192.0.2.8"},
				{"a neighbour in IPv6", "POST", "auth.example.com", "2001:db8:0:1::7"},
			} {
				if code, _ := ask(other.method, other.host, other.source, ""); code != http.StatusOK {
					t.Errorf("%s, while %s floods: status %d", other.why, tt.why, code)
				}
			}
		}
		for n := range sent {
			for _, exempt := range []string{"198.51.100.9", fmt.Sprintf("2001:db8:f::%x", n)} {
				if code, _ := ask("POST", "auth.example.com", exempt, ""); code != http.StatusOK {
					t.Fatalf("form %d of an exempt address: status %d", n, code)
				}
			}
		}
	})
}
