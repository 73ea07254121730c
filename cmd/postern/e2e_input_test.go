package main

import (
	"bufio"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"

	"postern/haproxy/haproxytest"
)

// Threats 1 to 13 of facts/threats.md: what a client can send that might move a
// decision, through the real HAProxy to the real agent.

// ask sends lines of headers after a request line, over HTTP/1.1 as a browser.
func (w *world) ask(t testing.TB, line, host string, headers ...string) haproxytest.Reply {
	t.Helper()
	return w.client.Raw(t, "app.example.com", line+" HTTP/1.1\nHost: "+host+"\nAccept: text/html\n"+strings.Join(append(headers, "\n"), "\n"))
}

func TestThreat01ForgedURI(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		for _, name := range []string{"X-Forwarded-Uri", "X-Original-URL", "X-Original-URI", "X-Rewrite-URL", "X-Forwarded-Path", "X-Forwarded-Method", "X-Auth-Request-Redirect", "X-Envoy-Original-Path"} {
			expect(t, name, w.ask(t, "GET /secret", "mixed.example.com", name+": /open"), 302)
			expect(t, name+" with a host", w.ask(t, "GET /", "app.example.com", name+": https://public.example.com/"), 302)
		}
		w.untouched(t)
		// And the application does not hear of another path than the one decided on.
		expect(t, "bypass", w.ask(t, "GET /open", "mixed.example.com", "X-Original-URL: /secret", "X-Rewrite-URL: /secret"), 200)
		if seen := w.app.Last(t); strings.Contains(seen.Head, "secret") {
			t.Errorf("the application received\n%s", seen.Head)
		}
	})
}

func TestThreat02ForwardedFor(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		for _, name := range []string{"X-Forwarded-For", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP", "X-Cluster-Client-IP"} {
			expect(t, name, w.ask(t, "GET /", "office.example.com", name+": 192.0.2.7"), 302)
		}
		expect(t, "Forwarded", w.ask(t, "GET /", "office.example.com", "Forwarded: for=192.0.2.7;proto=https"), 302)
		w.untouched(t)
		// The portal counts guesses by the address of the connection: another forged
		// address for each guess does not help, nor another name.
		var last haproxytest.Reply
		for i := range 8 {
			last = w.guess(t, fmt.Sprintf("u%03d", i), fmt.Sprintf("X-Forwarded-For: 198.51.100.%d", i))
			if last.Status == http.StatusTooManyRequests {
				return
			}
		}
		t.Errorf("eight guesses at eight users from eight forged addresses: status %d", last.Status)
	})
}

// guess posts a wrong password and returns the answer.
func (w *world) guess(t testing.TB, user, header string) haproxytest.Reply {
	t.Helper()
	c := w.browser(t)
	page := haproxytest.Do(t, c, "GET", "https://auth.example.com/", http.Header{"Accept": {"text/html"}}, "")
	form := url.Values{"username": {user}, "password": {"wrong"}}
	for _, m := range hidden.FindAllStringSubmatch(page.Body, -1) {
		if !form.Has(m[1]) {
			form.Set(m[1], m[2])
		}
	}
	name, value, _ := strings.Cut(header, ": ")
	h := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Origin": {"https://auth.example.com"}, name: {value}}
	return haproxytest.Do(t, c, "POST", "https://auth.example.com/", h, form.Encode())
}

func TestThreat03ForwardedHost(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		forged := []string{"X-Forwarded-Proto: http", "X-Forwarded-Host: evil.test", "X-Forwarded-Port: 80", "X-Forwarded-Server: evil.test", "X-Host: evil.test", "Forwarded: host=evil.test;proto=http"}
		got := w.ask(t, "GET /x", "app.example.com", forged...)
		expect(t, "login", got, 302)
		if want := "https://auth.example.com/?rd=https%3A%2F%2Fapp.example.com%2Fx&rm=GET"; got.Header.Get("Location") != want {
			t.Errorf("Location %q, want %q", got.Header.Get("Location"), want)
		}
		page := w.ask(t, "GET /", "auth.example.com", forged...)
		expect(t, "portal", page, 200)
		if strings.Contains(page.Body, "evil.test") || strings.Contains(strings.Join(page.Header.Values("Set-Cookie"), "\n"), "evil.test") {
			t.Errorf("the portal believes a forged host:\n%v\n%s", page.Header, page.Body)
		}
		for _, cookie := range page.Header.Values("Set-Cookie") {
			if !strings.Contains(cookie, "Secure") && !strings.Contains(cookie, "secure") {
				t.Errorf("a cookie without Secure: %s", cookie)
			}
		}
	})
}

func TestThreat04IdentityIsOursAlone(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		token := w.session(t, "alice")
		for _, spoof := range []string{"Remote-User: mallory", "REMOTE-USER: mallory", "remote_user: mallory", "Remote-User: mallory\nRemote-User: mallory", "Remote-User:  mallory  ", "remote.user: mallory", "Remote-Groups: admins,mallory", "Remote_Groups: mallory", "Remote-Name: mallory", "Remote-Email: mallory@x"} {
			for _, row := range []struct{ host, cookie, user string }{
				{"public.example.com", "a=b", ""}, {"public.example.com", "__Secure-postern=" + token, "alice"}, {"app.example.com", "__Secure-postern=" + token, "alice"},
			} {
				w.app.Forget()
				expect(t, row.host, w.ask(t, "GET /", row.host, "Cookie: "+row.cookie, spoof), 200)
				if seen := w.app.Last(t); strings.Contains(seen.Head, "mallory") || seen.Value("Remote-User") != row.user {
					t.Errorf("%q at %s as %q: the application received\n%s", spoof, row.host, row.user, seen.Head)
				}
			}
		}
	})
}

func TestThreat05ConnectionHeader(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		token := w.session(t, "alice")
		expect(t, "Connection", w.ask(t, "GET /", "app.example.com", "Cookie: __Secure-postern="+token, "Connection: close, Remote-User, Remote-Groups"), 200)
		seen := w.app.Last(t)
		if seen.Value("Remote-User") != "alice" || strings.Contains(strings.ToLower(seen.Value("Connection")), "remote") {
			t.Errorf("the application received\n%s", seen.Head)
		}
	})
}

func TestThreat06MalformedCookie(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		token := w.session(t, "alice")
		cookies := map[string]string{
			"empty": "__Secure-postern=", "no value": "__Secure-postern", "cut short": "__Secure-postern=" + token[:len(token)-1],
			"one more": "__Secure-postern=" + token + "A", "another letter": "__Secure-postern=" + flip(token), "another case": "__Secure-postern=" + strings.ToUpper(token),
			"twice": "__Secure-postern=" + token + "; __Secure-postern=" + token, "beside junk": "__Secure-postern=junk; __Secure-postern=" + token,
			"percent": "__Secure-postern=%00%ff", "long": "__Secure-postern=" + strings.Repeat("A", 4000), "quotes": `__Secure-postern="` + token + `"`,
			"another name": "__Host-postern=" + token, "a prefix": "x__Secure-postern=" + token,
		}
		for name, cookie := range cookies {
			expect(t, name, w.ask(t, "GET /", "app.example.com", "Cookie: "+cookie), 302)
		}
		w.untouched(t)
		// A bypass host does not care about the cookie, and nobody is named there.
		for name, cookie := range cookies {
			w.app.Forget()
			expect(t, name+" at a bypass host", w.ask(t, "GET /", "public.example.com", "Cookie: "+cookie, "Remote-User: alice"), 200)
			if seen := w.app.Last(t); len(seen.Values("Remote-User")) != 0 {
				t.Errorf("%s: the application received\n%s", name, seen.Head)
			}
		}
	})
}

// flip changes one letter in the middle of a token.
func flip(token string) string {
	i := len(token) / 2
	if token[i] == 'A' {
		return token[:i] + "B" + token[i+1:]
	}
	return token[:i] + "A" + token[i+1:]
}

func TestThreat07Unparseable(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		for _, request := range []string{
			"GET http:// HTTP/1.1\nHost: app.example.com\n\n", "GET ? HTTP/1.1\nHost: app.example.com\n\n", "GET x HTTP/1.1\nHost: app.example.com\n\n",
			"GET /%zz HTTP/1.1\nHost: app.example.com\n\n", "GET /% HTTP/1.1\nHost: app.example.com\n\n", "GET /\x80 HTTP/1.1\nHost: app.example.com\n\n",
			"GET / HTTP/1.1\nHost: \n\n", "GET / HTTP/1.1\n\n", "GET / HTTP/0.9\nHost: app.example.com\n\n", "GET / HTTP/3.0\nHost: app.example.com\n\n", "\x16\x03\x01\n\n",
		} {
			nc := w.client.Dial(t, "app.example.com")
			if got, err := haproxytest.Exchange(nc, bufio.NewReader(nc), request); err == nil && got.Status < 300 {
				t.Errorf("%q: status %d", request, got.Status)
			}
			nc.Close()
		}
		w.untouched(t)
	})
}

// TestThreat08Paths: whatever is written below an open path, the application is reached
// only with a path that is below it however it is read.
func TestThreat08Paths(t *testing.T) {
	tricks := []string{
		"/open/../secret", "/open/./../secret", "/open/.././secret", "/open//../secret", "/open/%2e%2e/secret", "/open/.%2e/secret", "/open/%2E%2E/secret",
		"/open/..%2fsecret", "/open/..%2Fsecret", "/open%2f..%2fsecret", "/open/..%5csecret", `/open/..\secret`, `/open\..\secret`, "/open/..;/secret", "/open/..;x=y/secret",
		"/open/;/../secret", "/open/%00/../secret", "/open/%252e%252e/secret", "/open/..%252fsecret", "/open/%c0%ae%c0%ae/secret", "/open/%e0%80%ae%e0%80%ae/secret",
		"/open/..%c0%afsecret", "//open/../secret", "/./secret", "/secret/.", "//secret", "///secret", "/%73ecret", "/secret/../open/../secret", "/openx", "/open.", "/Open", "/OPEN/x",
		"/open%20", "/open%09", "/open%0d%0a", "/open;/../secret", "/open?/../secret", "/open/..", "/open/../", "/..", "/open/...", "/open/%2e", "/open/%u002e%u002e/secret", "/open/..%00/secret",
		"/open/..%ff/secret", "/open/x/%2e%2e/%2e%2e/secret", "/open/../open/../secret", "/open/.;/../secret", "/open/..%3b/secret", "/open/..%23/secret", "/open/%2e%2e%3fsecret",
	}
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		expect(t, "/open", w.ask(t, "GET /open", "mixed.example.com"), 200)
		expect(t, "/open/x", w.ask(t, "GET /open/x", "mixed.example.com"), 200)
		expect(t, "/secret", w.ask(t, "GET /secret", "mixed.example.com"), 302)
		for _, trick := range tricks {
			w.app.Forget()
			nc := w.client.Dial(t, "app.example.com")
			got, err := haproxytest.Exchange(nc, bufio.NewReader(nc), "GET "+trick+" HTTP/1.1\nHost: mixed.example.com\nAccept: text/html\n\n")
			nc.Close()
			if err != nil || got.Status != 200 {
				w.untouched(t)
				continue
			}
			seen := w.app.Last(t)
			for _, reading := range readings(seen.Target) {
				if reading != "/open" && !strings.HasPrefix(reading, "/open/") {
					t.Errorf("%s reached the application as %s, which can be read as %s", trick, seen.Target, reading)
				}
			}
		}
	})
}

// readings are the ways in which applications read a target: decoded once and twice, with
// parameters of segments and without, with backslashes as slashes.
func readings(target string) []string {
	p, _, _ := strings.Cut(target, "?")
	all := []string{p}
	for range 2 {
		if d, err := url.PathUnescape(all[len(all)-1]); err == nil {
			all = append(all, d)
		}
	}
	for _, q := range all[:len(all):len(all)] {
		segments := strings.Split(q, "/")
		for i, s := range segments {
			segments[i], _, _ = strings.Cut(s, ";")
		}
		all = append(all, strings.Join(segments, "/"), strings.ReplaceAll(q, `\`, "/"))
	}
	for i, q := range all {
		all[i] = path.Clean(q)
	}
	return all
}

func TestThreat09Fragment(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		for _, target := range []string{"/open#/../secret", "/secret#/open", "/open%23/../../secret", "#", "/#"} {
			w.app.Forget()
			got := w.ask(t, "GET "+target, "mixed.example.com")
			if got.Status == 200 {
				t.Errorf("%s: status 200, the application received %s", target, w.app.Last(t).Target)
			}
		}
	})
}

func TestThreat10QueryIsNoPath(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		for _, target := range []string{"/secret?x=/open", "/secret?/open", "/?/open/x", "/secret?a=b&c=/open/", "/secret?%2Fopen"} {
			expect(t, target, w.ask(t, "GET "+target, "mixed.example.com"), 302)
		}
		// A query that a rule asks for must be there with every value, and unambiguous.
		expect(t, "open=no", w.ask(t, "POST /x?open=no", "api.example.com", "Content-Length: 0"), 303)
		expect(t, "open twice", w.ask(t, "POST /x?open=yes&open=no", "api.example.com", "Content-Length: 0"), 303)
		expect(t, "in the body", w.ask(t, "POST /x", "api.example.com", "Content-Type: application/x-www-form-urlencoded", "Content-Length: 8", "", "open=yes"), 303)
		w.untouched(t)
		expect(t, "open=yes", w.ask(t, "POST /x?open=yes", "api.example.com", "Content-Length: 0"), 200)
	})
}

func TestThreat11PatternsAreWhole(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		for _, host := range []string{"publicxexample.com", "public-example.com", "xpublic.example.com", "a.public.example.com", "public.example.com.evil.test", "public.example.comx", "evil.test", "public.example.co"} {
			expect(t, host, w.ask(t, "GET /", host), 403)
		}
		expect(t, "the path's end", w.ask(t, "GET /openly", "mixed.example.com"), 302)
		expect(t, "inside the path", w.ask(t, "GET /x/open", "mixed.example.com"), 302)
		w.untouched(t)
	})
}

func TestThreat12HostSpellings(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		for _, host := range []string{"APP.EXAMPLE.COM", "App.Example.Com", "app.example.com.", "app.example.com:443", "app.example.com:1", "APP.example.com.:8080"} {
			expect(t, host, w.ask(t, "GET /", host), 302)
		}
		for _, host := range []string{"app.example.com..", ".app.example.com", "app..example.com", "[::1]", "[::1]:443", "127.0.0.1", "app.example.com:x", "app.example.com:443:443", "app.example.com,public.example.com", "public.example.com app.example.com", "аpp.example.com", "app.example.com\t", "*.example.com", "public.example.com/", "x@public.example.com"} {
			if got := w.ask(t, "GET /", host); got.Status != 400 && got.Status != 403 && got.Status != 302 {
				t.Errorf("host %q: status %d", host, got.Status)
			}
		}
		w.untouched(t)
		// What a bypass host lets through arrives under the one name of that host, so that
		// no spelling of it reaches what stands behind default_backend.
		for _, host := range []string{"PUBLIC.example.com", "public.example.com.", "public.example.com:8443"} {
			expect(t, host, w.ask(t, "GET /", host), 200)
			if seen := w.app.Last(t); seen.Value("Host") != "public.example.com" {
				t.Errorf("%s: the application received host %q", host, seen.Value("Host"))
			}
		}
	})
}
