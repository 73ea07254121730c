package haproxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"postern/agent"
	"postern/agent/policy"
	"postern/haproxy"
	"postern/haproxy/haproxytest"
)

// TestThreat04HeaderSpoofing: whatever a client calls itself, the application hears only
// what the agent says; with a user, and without one (threat 6: bypass hosts).
func TestThreat04HeaderSpoofing(t *testing.T) {
	spoofs := []string{
		"Remote-User: mallory", "remote-user: mallory", "REMOTE-USER: mallory", "Remote-User:mallory", "Remote-User:\t mallory ",
		"Remote-User: mallory\nRemote-User: mallory", "Remote-User: a, mallory", "remote_user: mallory", "Remote_User: mallory",
		"REMOTE_USER: mallory", "remote.user: mallory", "Remote-Groups: mallory", "Remote_Groups: mallory", "Remote-Name: mallory",
		"Remote-Email: mallory", "Remote-User!: mallory", "Remote~User: mallory", "Remote-User: mallory\nConnection: Remote-User",
		"Remote-User: x\nConnection: close, Remote-User", "X-Original-URL: /mallory", "X-Rewrite-URL: /mallory",
		"X-HTTP-Method-Override: mallory", "X-Method-Override: mallory", "X-HTTP-Method: mallory",
	}
	eachRig(t, options{}, func(t *testing.T, r *rig) {
		for who, s := range map[string]script{"": say("verdict", "allow"), "alice": allow()} {
			r.script(t, s)
			for _, spoof := range spoofs {
				r.app.Forget()
				got := r.client.Raw(t, "app.example.com", "GET /x HTTP/1.1\nHost: app.example.com\nX-Keep: me\n"+spoof+"\n\n")
				if got.Status != 200 {
					t.Fatalf("%q: status %d", spoof, got.Status)
				}
				seen := r.app.Last(t)
				if strings.Contains(strings.ToLower(seen.Head), "mallory") || seen.Value("Remote-User") != who || len(seen.Values("Remote-User")) > 1 {
					t.Errorf("%q as %q reached the application:\n%s", spoof, who, seen.Head)
				}
				if seen.Value("X-Keep") != "me" {
					t.Errorf("%q: another header is gone:\n%s", spoof, seen.Head)
				}
			}
			// A name with a space behind it is no HTTP: it must not get through as it is.
			for _, spoof := range []string{"Remote-User : mallory", "Remote-User\t: mallory", "X-A: b\n Remote-User: mallory", "Remote-User\x00: mallory"} {
				r.app.Forget()
				got := r.client.Raw(t, "app.example.com", "GET /x HTTP/1.1\nHost: app.example.com\n"+spoof+"\n\n")
				for _, seen := range r.app.Seen() {
					if values := seen.Values("Remote-User"); seen.Value("Remote-User") != who || len(values) > 1 {
						t.Errorf("%q: status %d, reached the application:\n%s", spoof, got.Status, seen.Head)
					}
				}
			}
		}
	})
}

// TestThreat05HopByHop: a client cannot make the next hop take the identity away, nor
// change the protocol of the connection to something that is not asked about.
func TestThreat05HopByHop(t *testing.T) {
	rows := []struct{ name, header string }{
		{"Connection names the identity", "Connection: Remote-User"},
		{"Connection names it beside close", "Connection: close, Remote-User"},
		{"Connection twice", "Connection: keep-alive\nConnection: Remote-User"},
		{"upgrade to h2c", "Connection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"},
		{"h2c behind websocket", "Connection: Upgrade\nUpgrade: websocket, h2c\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="},
		{"h2c before websocket", "Connection: Upgrade\nUpgrade: h2c\nUpgrade: websocket\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="},
		{"another protocol", "Connection: Upgrade\nUpgrade: TLS/1.3"},
	}
	eachRig(t, options{}, func(t *testing.T, r *rig) {
		r.script(t, allow())
		for _, row := range rows {
			r.app.Forget()
			got := r.client.Raw(t, "app.example.com", "GET /x HTTP/1.1\nHost: app.example.com\n"+row.header+"\n\n")
			seen := r.app.Last(t)
			connection, upgrade := strings.ToLower(seen.Value("Connection")), seen.Value("Upgrade")
			// HAProxy 3.0 and later make a list with h2c a plain WebSocket handshake by
			// themselves: that was asked about.
			switch {
			case got.Status == http.StatusSwitchingProtocols && connection == "upgrade" && upgrade == "websocket":
			case got.Status != 200, strings.Contains(connection, "remote"), strings.Contains(connection, "upgrade"), upgrade != "", seen.Value("HTTP2-Settings") != "":
				t.Errorf("%s: status %d, the application received\n%s", row.name, got.Status, seen.Head)
			}
			if seen.Value("Remote-User") != "alice" {
				t.Errorf("%s: Remote-User is %q", row.name, seen.Value("Remote-User"))
			}
		}
	})
}

// TestWebSocket: a handshake that the agent lets through works, and one that it refuses
// does not reach the application.
func TestWebSocket(t *testing.T) {
	const handshake = "GET /ws HTTP/1.1\nHost: app.example.com\nConnection: keep-alive, Upgrade\nUpgrade: WebSocket\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n"
	eachRig(t, options{}, func(t *testing.T, r *rig) {
		r.script(t, say("status", 401, "verdict", "challenge"))
		if got := r.client.Raw(t, "app.example.com", handshake); got.Status != 401 || len(r.app.Seen()) != 0 {
			t.Errorf("refused: status %d, %d requests", got.Status, len(r.app.Seen()))
		}
		r.script(t, allow())
		nc := r.client.Dial(t, "app.example.com")
		br := bufio.NewReader(nc)
		got, err := haproxytest.Exchange(nc, br, handshake)
		if err != nil || got.Status != http.StatusSwitchingProtocols {
			t.Fatalf("status %d, %v", got.Status, err)
		}
		fmt.Fprint(nc, "ping")
		echo := make([]byte, 4)
		if _, err := io.ReadFull(br, echo); err != nil || string(echo) != "ping" {
			t.Errorf("echo %q, %v", echo, err)
		}
		if seen := r.app.Last(t); !strings.EqualFold(seen.Value("Upgrade"), "websocket") || !strings.EqualFold(seen.Value("Connection"), "upgrade") || seen.Value("Remote-User") != "alice" {
			t.Errorf("the application received\n%s", seen.Head)
		}
	})
}

// TestCookieStaysHome: no application receives Postern's cookie, in whatever place and
// however often it comes; other cookies arrive byte for byte.
func TestCookieStaysHome(t *testing.T) {
	rows := []struct{ name, sent, want string }{
		{"alone", "Cookie: __Secure-postern=tok", ""},
		{"first", "Cookie: __Secure-postern=tok; a=1; b=2", "a=1; b=2"},
		{"between", "Cookie: a=1; __Secure-postern=tok; b=2", "a=1; b=2"},
		{"last", "Cookie: a=1; b=2; __Secure-postern=tok", "a=1; b=2"},
		{"without spaces", "Cookie: a=1;__Secure-postern=tok;b=2", "a=1;b=2"},
		{"twice", "Cookie: __Secure-postern=tok; a=1; __Secure-postern=tok", "a=1"},
		{"thrice in a row", "Cookie: __Secure-postern=tok; __Secure-postern=tok; __Secure-postern=tok", ""},
		{"others keep their bytes", `Cookie: a="x y"; __Secure-postern=tok; b=%20%3b=, é\"; c`, `a="x y"; b=%20%3b=, é\"; c`},
		{"behind an open quote", `Cookie: a="; __Secure-postern=tok; b="`, `a="; b="`},
		{"behind a comma", "Cookie: a=1,__Secure-postern=tok; b=2", "a=1; b=2"},
		{"with spaces around =", "Cookie: a=1; __Secure-postern = tok; b=2", "a=1; b=2"},
		{"quoted", `Cookie: a=1; __Secure-postern="tok"; b=2`, "a=1; b=2"},
		{"empty", "Cookie: a=1; __Secure-postern=; b=2", "a=1; b=2"},
		{"in two headers", "Cookie: a=1; __Secure-postern=tok\nCookie: b=2", "a=1; b=2"},
		{"in each of four headers", "Cookie: a=1; __Secure-postern=tok\nCookie: __Secure-postern=tok; b=2\nCookie: c=3; __Secure-postern=tok\nCookie: d=4", "a=1; b=2; c=3; d=4"},
		{"names that look like ours stay", "Cookie: x__Secure-postern=1; __Secure-postern=tok; __Secure-postern2=2; a=__Secure-postern", "x__Secure-postern=1; __Secure-postern2=2; a=__Secure-postern"},
		{"none of ours", "Cookie: a=1;  b=2", "a=1;  b=2"},
		{"none of ours in two headers", "Cookie: a=1\nCookie: b=2", "a=1 | b=2"},
		{"no cookie at all", "X-A: b", ""},
		{"many others", "Cookie: __Secure-postern=tok; " + strings.Repeat("k=0123456789abcdef; ", 400) + "end=1", strings.Repeat("k=0123456789abcdef; ", 400) + "end=1"},
	}
	eachRig(t, options{}, func(t *testing.T, r *rig) {
		r.script(t, allow())
		for _, row := range rows {
			r.app.Forget()
			got := r.client.Raw(t, "app.example.com", "GET /x HTTP/1.1\nHost: app.example.com\n"+row.sent+"\n\n")
			if got.Status != 200 {
				t.Errorf("%s: status %d", row.name, got.Status)
				continue
			}
			seen := r.app.Last(t)
			if seen.Value("Cookie") != row.want || strings.Contains(seen.Head, "tok") {
				t.Errorf("%s: the application received Cookie %q, want %q", row.name, seen.Value("Cookie"), row.want)
			}
			if row.want == "" && len(seen.Values("Cookie")) != 0 {
				t.Errorf("%s: an empty Cookie header reached the application", row.name)
			}
		}
		// More Cookie headers than any browser sends.
		r.app.Forget()
		got := r.client.Raw(t, "app.example.com", "GET /x HTTP/1.1\nHost: app.example.com\n"+strings.Repeat("Cookie: __Secure-postern=tok\n", 5)+"\n")
		if got.Status != 400 || len(r.app.Seen()) != 0 {
			t.Errorf("five headers: status %d, %d requests", got.Status, len(r.app.Seen()))
		}
		// HTTP/2 sends crumbs.
		r.app.Forget()
		header := http.Header{"Cookie": {"a=1; __Secure-postern=tok; b=2"}}
		if got := haproxytest.Do(t, r.client.HTTP(t, true), "GET", "https://app.example.com/", header, ""); got.Status != 200 {
			t.Fatalf("HTTP/2: status %d", got.Status)
		}
		if seen := r.app.Last(t); seen.Value("Cookie") != "a=1; b=2" {
			t.Errorf("HTTP/2: Cookie %q", seen.Value("Cookie"))
		}
	})
}

// TestThreat12HostAsDecided: the host that the application and use_backend see is the
// one that was decided on.
func TestThreat12HostAsDecided(t *testing.T) {
	eachRig(t, options{}, func(t *testing.T, r *rig) {
		r.script(t, allow())
		for _, host := range []string{"app.example.com", "APP.Example.COM", "app.example.com.", "app.example.com:443", "app.example.com:8443", "App.example.com.:443"} {
			r.app.Forget()
			got := r.client.Raw(t, "app.example.com", "GET /x HTTP/1.1\nHost: "+host+"\n\n")
			if got.Status != 200 {
				t.Errorf("%s: status %d", host, got.Status)
				continue
			}
			if seen := r.app.Last(t); seen.Value("Host") != "app.example.com" {
				t.Errorf("%s: the application received host %q", host, seen.Value("Host"))
			}
		}
		// The portal is found by every spelling of its host, and never mistaken for an
		// application: else its exemption would open whatever stands behind default_backend.
		for _, host := range []string{"auth.example.com", "AUTH.example.com", "auth.example.com.", "auth.example.com:443"} {
			r.app.Forget()
			r.portal.Forget()
			got := r.client.Raw(t, "auth.example.com", "GET /signin HTTP/1.1\nHost: "+host+"\nCookie: a=1; __Secure-postern=tok\nX-Forwarded-For: 6.6.6.6\nX-Forwarded-Host: evil\nX-Forwarded-Proto: http\nForwarded: for=6.6.6.6\nX-Request-ID: mine\n\n")
			if got.Status != 200 || len(r.app.Seen()) != 0 {
				t.Errorf("%s: status %d, the application received %d requests", host, got.Status, len(r.app.Seen()))
				continue
			}
			seen := r.portal.Last(t)
			for name, want := range map[string]string{"Host": "auth.example.com", "Cookie": "a=1; __Secure-postern=tok", "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "", "Forwarded": ""} {
				if seen.Value(name) != want {
					t.Errorf("%s: the portal received %s %q, want %q", host, name, seen.Value(name), want)
				}
			}
			if id := seen.Value("X-Request-ID"); len(id) != 36 {
				t.Errorf("%s: X-Request-ID is %q", host, id)
			}
		}
	})
}

// TestThreat14OnePortal: a host that Postern takes for the portal and HAProxy's files do
// not, because they were not written anew, leads into no application; and one that only
// the files take for the portal is an application's: the cookie stays out of it.
func TestThreat14OnePortal(t *testing.T) {
	eachRig(t, options{}, func(t *testing.T, r *rig) {
		const request = "GET /x HTTP/1.1\nHost: %s\nCookie: a=1; __Secure-postern=tok\n\n"
		r.script(t, say(agent.VarReason, string(policy.ReasonPortal), "verdict", "allow"))
		for _, host := range []string{"login.example.com", "auth.example.org", "app.example.com"} {
			if got := r.client.Raw(t, "app.example.com", fmt.Sprintf(request, host)); got.Status != 503 {
				t.Errorf("%s: status %d, want 503", host, got.Status)
			}
		}
		if n := len(r.app.Seen()) + len(r.portal.Seen()); n != 0 {
			t.Errorf("%d requests passed", n)
		}
		r.script(t, say("user", "alice", agent.VarReason, string(policy.ReasonProved), "verdict", "allow"))
		if got := r.client.Raw(t, "auth.example.com", fmt.Sprintf(request, "auth.example.com")); got.Status != 200 {
			t.Errorf("the portal of before: status %d", got.Status)
		}
		if seen := r.portal.Last(t); seen.Value("Cookie") != "a=1" {
			t.Errorf("the portal of before received Cookie %q", seen.Value("Cookie"))
		}
	})
}

// TestPortalPort: where the portal has a port of its own, a host with that port keeps
// it, and plain HTTP is sent there.
func TestPortalPort(t *testing.T) {
	config := func(c *haproxy.Config) {
		c.Domains[0].Portal = "https://auth.example.com:8443"
		c.Domains = append(c.Domains, wide().Domains[2], policy.Domain{Name: "near.example.com", Portal: "https://auth.near.example.com"}, policy.Domain{Name: "far.example.net", Portal: "https://auth.far.example.net"})
	}
	eachRig(t, options{config: config}, func(t *testing.T, r *rig) {
		r.script(t, allow())
		for host, want := range map[string]string{"app.example.com:8443": "app.example.com:8443", "APP.example.com.:8443": "app.example.com:8443", "app.example.com": "app.example.com", "app.example.com:9": "app.example.com", "app.example.org:8443": "app.example.org", "app.near.example.com:8443": "app.near.example.com"} {
			r.app.Forget()
			r.client.Raw(t, "app.example.com", "GET /x HTTP/1.1\nHost: "+host+"\n\n")
			if seen := r.app.Last(t); seen.Value("Host") != want {
				t.Errorf("%s: the application received host %q, want %q", host, seen.Value("Host"), want)
			}
		}
		r.app.Forget()
		for host, want := range map[string]string{"app.example.com": "https://app.example.com:8443/a%20b?c=d", "App.example.com:80": "https://app.example.com:8443/a%20b?c=d", "app.example.org": "https://app.example.org/a%20b?c=d", "near.example.com": "https://near.example.com/a%20b?c=d", "far.example.net": "https://far.example.net/a%20b?c=d"} {
			got := r.plain.Raw(t, "", "POST /a%20b?c=d HTTP/1.1\nHost: "+host+"\nContent-Length: 0\n\n")
			if got.Status != http.StatusPermanentRedirect || got.Header.Get("Location") != want {
				t.Errorf("%s: status %d, Location %q, want %q", host, got.Status, got.Header.Get("Location"), want)
			}
		}
		for _, request := range []string{"OPTIONS * HTTP/1.1\nHost: app.example.com\n\n", "GET / HTTP/1.0\n\n"} {
			if got := r.plain.Raw(t, "", request); got.Status != 400 {
				t.Errorf("%q: status %d, want 400", request, got.Status)
			}
		}
		if n := len(r.app.Seen()); n != 0 {
			t.Errorf("the application received %d plain requests", n)
		}
		// TLS ends in front of HAProxy for this domain: plain HTTP counts as HTTPS.
		if got := r.plain.Raw(t, "", "GET / HTTP/1.1\nHost: app.example.net\n\n"); got.Status != 200 {
			t.Errorf("upstream: status %d", got.Status)
		}
	})
}

// TestThreat08PathAsDecided: the application receives the path that was decided on, the
// query as it was.
func TestThreat08PathAsDecided(t *testing.T) {
	eachRig(t, options{}, func(t *testing.T, r *rig) {
		r.script(t, say(agent.VarPath, "/admin/%20x", "verdict", "allow"))
		r.client.Raw(t, "app.example.com", "GET /a/../admin/%20x?q=/../%2e HTTP/1.1\nHost: app.example.com\n\n")
		if seen := r.app.Last(t); seen.Target != "/admin/%20x?q=/../%2e" {
			t.Errorf("the application received %q", seen.Target)
		}
	})
}

// TestIdentity: every header has its variable; an application without a user sees none.
func TestIdentity(t *testing.T) {
	config := func(c *haproxy.Config) {
		c.Headers = haproxy.Headers{User: "X-User", Groups: "X-Groups", Email: "X-Mail", Assertion: "X-Proof"}
	}
	eachRig(t, options{config: config}, func(t *testing.T, r *rig) {
		r.script(t, say("user", "jürgen", "name", "J. Ü", "email", "j@example.com", "groups", "a,b c", "assertion", "eyJ.x.y", "verdict", "allow"))
		r.client.Raw(t, "app.example.com", "GET / HTTP/1.1\nHost: app.example.com\nX-Proof: mine\nRemote-User: mallory\n\n")
		seen := r.app.Last(t)
		for name, want := range map[string]string{"X-User": "jürgen", "X-Groups": "a,b c", "X-Mail": "j@example.com", "X-Proof": "eyJ.x.y", "Remote-User": "", "Remote-Name": ""} {
			if seen.Value(name) != want {
				t.Errorf("%s is %q, want %q", name, seen.Value(name), want)
			}
		}
		r.script(t, say("verdict", "allow"))
		r.client.Raw(t, "app.example.com", "GET / HTTP/1.1\nHost: app.example.com\nX-User: mallory\n\n")
		if seen := r.app.Last(t); strings.Contains(seen.Head, "X-User") || strings.Contains(seen.Head, "mallory") {
			t.Errorf("nobody is signed in, but the application received\n%s", seen.Head)
		}
	})
}

// TestLog: a line says who was let through by which rule, and a client cannot write into it.
func TestLog(t *testing.T) {
	eachRig(t, options{}, func(t *testing.T, r *rig) {
		if r.form == haproxy.Block {
			return // the log is the operator's
		}
		r.script(t, say("user", `al"ice`, "rule", "wiki", "reason", "one_factor", "session", "s1", "verdict", "allow"))
		r.client.Raw(t, "app.example.com", "GET /x?token=hunter2 HTTP/1.1\nHost: app.example.com\n\n")
		line := r.LogLine(t, " /x ", "verdict=allow", `rule="wiki"`, "reason=one_factor", `user="al\"ice"`, "session=s1")
		if strings.Contains(line, "hunter2") {
			t.Errorf("the query is in the log: %s", line)
		}
		r.script(t, say("status", 403, "verdict", "deny"))
		got := r.client.Raw(t, "app.example.com", "GET /y HTTP/1.1\nHost: app.example.com\" verdict=allow user=\n\n")
		if got.Status == 400 {
			return // from 3.0 on HAProxy refuses such a host before it asks
		}
		if line := r.LogLine(t, " /y "); strings.Contains(line, " verdict=allow ") && !strings.Contains(line, `\" verdict=allow`) {
			t.Errorf("the host writes into the log: %s", line)
		}
	})
}
