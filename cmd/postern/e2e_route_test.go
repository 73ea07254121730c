package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"postern/haproxy/haproxytest"
)

// Threats 13 to 24 of facts/threats.md: two hosts in one request, hosts and paths that
// nobody thought of, methods, left-overs of other requests, and what is open beside HAProxy.

// frames sends one HTTP/2 request, field by field, and returns its status: 0 when HAProxy
// resets the stream or the connection.
func (w *world) frames(t testing.TB, fields ...string) (status string) {
	t.Helper()
	nc, err := tls.Dial("tcp", w.client.Addr, &tls.Config{RootCAs: w.client.Trust, ServerName: "app.example.com", NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		_ = enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}) // a buffer takes everything
	}
	if _, err := io.WriteString(nc, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	f := http2.NewFramer(nc, nc)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := f.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	end := fields[1] != http.MethodConnect
	if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: end}); err != nil {
		t.Fatal(err)
	}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return "0"
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			return frame.PseudoValue("status")
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return "0"
		}
	}
}

func TestThreat13TwoHosts(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		for _, request := range []string{
			"GET / HTTP/1.1\nHost: public.example.com\nHost: app.example.com\n\n",
			"GET / HTTP/1.1\nHost: app.example.com\nHost: public.example.com\n\n",
			"GET https://public.example.com/ HTTP/1.1\nHost: app.example.com\n\n",
			"GET https://app.example.com/ HTTP/1.1\nHost: public.example.com\n\n",
			"GET http://public.example.com@app.example.com/ HTTP/1.1\nHost: public.example.com\n\n",
			"GET //public.example.com/ HTTP/1.1\nHost: app.example.com\n\n",
			"GET https://app.example.com/ HTTP/1.1\nHost: app.example.com\n\n",
		} {
			w.app.Forget()
			nc := w.client.Dial(t, "app.example.com")
			got, err := haproxytest.Exchange(nc, bufio.NewReader(nc), request)
			nc.Close()
			if err != nil || got.Status != 200 {
				w.untouched(t)
				continue
			}
			// Passing is no fault when one host alone is left, and it is the open one.
			if seen := w.app.Last(t); seen.Value("Host") != "public.example.com" || strings.Contains(seen.Target, "app.example.com") {
				t.Errorf("%q reached the application:\n%s", request, seen.Head)
			}
		}
		w.app.Forget()
		if got := w.frames(t, ":method", "GET", ":scheme", "https", ":path", "/", ":authority", "app.example.com", "host", "public.example.com", "accept", "text/html"); got == "200" {
			t.Errorf(":authority and host differ: status %s\n%v", got, w.app.Seen())
		}
		if got := w.frames(t, ":method", "GET", ":scheme", "https", ":path", "/", ":authority", "public.example.com", "host", "app.example.com", "accept", "text/html"); got == "200" && w.app.Last(t).Value("Host") != "public.example.com" {
			t.Errorf(":authority and host differ: status %s\n%v", got, w.app.Seen())
		}
		// The name in the TLS handshake decides nothing.
		w.app.Forget()
		expect(t, "SNI of an open host", w.client.Raw(t, "public.example.com", "GET / HTTP/1.1\nHost: app.example.com\nAccept: text/html\n\n"), 302)
		w.untouched(t)
	})
}

func TestThreat14UnknownIsDenied(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		token := w.session(t, "ada")
		for _, host := range []string{"nobody.example.com", "example.com", "app.example.org", "localhost", "x", "10.0.0.1"} {
			expect(t, host, w.ask(t, "GET /", host), 403)
			expect(t, host+" as ada", w.ask(t, "GET /", host, "Cookie: __Secure-postern="+token), 403)
		}
		w.untouched(t)
	})
}

func TestThreat15NoCarveOuts(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		for _, agent := range []string{"ELB-HealthChecker/2.0", "GoogleHC/1.0", "kube-probe/1.30", "Consul Health Check", "HAProxy", "Googlebot", "Let's Encrypt validation server"} {
			expect(t, agent, w.ask(t, "GET /", "app.example.com", "User-Agent: "+agent), 302)
		}
		for _, path := range []string{"/healthz", "/health", "/ping", "/ready", "/livez", "/metrics", "/robots.txt", "/favicon.ico", "/.well-known/acme-challenge/x", "/.well-known/security.txt"} {
			expect(t, path, w.ask(t, "GET "+path, "app.example.com"), 302)
		}
		w.untouched(t)
	})
}

func TestThreat16NoPrefixOfOurOwn(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		for _, path := range []string{"/postern", "/.postern", "/signin", "/signout", "/signed-out", "/assets/style.css", "/api/verify", "/oauth2/auth", "/oauth2x", "/outpost.goauthentik.io/ping", "/settings", "/?rd=https://app.example.com/"} {
			expect(t, path, w.ask(t, "GET "+path, "app.example.com"), 302)
		}
		w.untouched(t)
	})
}

func TestThreat17Methods(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		preflight := []string{"Origin: https://evil.test", "Access-Control-Request-Method: DELETE", "Access-Control-Request-Headers: x"}
		for _, method := range []string{"OPTIONS", "TRACE", "PUT", "DELETE", "PATCH", "PROPFIND", "PURGE", "DEBUG", "X", "get", "GETX"} {
			got := w.ask(t, method+" /", "app.example.com", "Content-Length: 0")
			if got.Status < 300 {
				t.Errorf("%s: status %d", method, got.Status)
			}
			if got := w.ask(t, method+" /x", "api.example.com", "Content-Length: 0"); got.Status < 300 {
				t.Errorf("%s under a rule for GET: status %d", method, got.Status)
			}
		}
		if got := w.ask(t, "OPTIONS /", "app.example.com", preflight...); got.Status < 300 {
			t.Errorf("preflight: status %d", got.Status)
		}
		for _, line := range []string{"CONNECT app.example.com:443", "CONNECT public.example.com:443", "OPTIONS *"} {
			if got := w.ask(t, line, "public.example.com"); got.Status < 300 {
				t.Errorf("%s: status %d", line, got.Status)
			}
		}
		// A WebSocket over HTTP/2 (RFC 8441) is a request like any other.
		if got := w.frames(t, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":path", "/ws", ":authority", "app.example.com", "sec-websocket-version", "13"); got != "401" {
			t.Errorf("WebSocket over HTTP/2: status %s, want 401", got)
		}
		w.untouched(t)
		expect(t, "GET under a rule for GET", w.ask(t, "GET /", "api.example.com", "X-HTTP-Method-Override: DELETE", "X-Method-Override: DELETE", "X-HTTP-Method: DELETE", "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"), 200)
		if seen := w.app.Last(t); strings.Contains(seen.Head, "DELETE") || strings.Contains(seen.Head, "h2c") {
			t.Errorf("the application received\n%s", seen.Head)
		}
	})
}

func TestThreat18NobodyIsTrustedByAddress(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		// The client's address is the connection's, even if it is this machine's own.
		expect(t, "from loopback", w.ask(t, "GET /", "office.example.com"), 302)
		nc, err := net.Dial("tcp", w.Addrs[1])
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
		got, err := haproxytest.Exchange(nc, bufio.NewReader(nc), "PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\nGET / HTTP/1.1\nHost: office.example.com\n\n")
		if err == nil && got.Status < 300 {
			t.Errorf("a PROXY line: status %d", got.Status)
		}
		w.untouched(t)
	})
}

func TestThreat19StaleAnswers(t *testing.T) {
	eachWorld(t, worldOptions{timeout: "1s"}, func(t *testing.T, w *world) {
		token := w.session(t, "alice")
		nc := w.client.Dial(t, "app.example.com")
		br := bufio.NewReader(nc)
		ask := func(what, cookie string, want int) {
			t.Helper()
			got, err := haproxytest.Exchange(nc, br, "GET / HTTP/1.1\nHost: app.example.com\nAccept: text/html\nCookie: "+cookie+"\n\n")
			if err != nil {
				t.Fatal(err)
			}
			expect(t, what, got, want)
		}
		ask("signed in", "__Secure-postern="+token, 200)
		w.app.Forget()
		ask("nobody, on the same connection", "a=b", 302)
		w.postern.freeze(t)
		ask("no answer, on the same connection", "__Secure-postern="+token, 503)
		w.postern.signal(t, syscall.SIGCONT)
		w.untouched(t)
	})
}

func TestThreat20OneDecisionForEachRequest(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		alice, ada := w.session(t, "alice"), w.session(t, "ada")
		rows := []struct {
			token, host, path string
			want              int
		}{
			{alice, "app", "/", 200}, {"", "app", "/", 302}, {alice, "admin", "/", 403}, {ada, "admin", "/", 200}, {alice, "admin", "/", 403}, {alice, "bank", "/", 302},
			{"", "mixed", "/open", 200}, {"", "mixed", "/secret", 302}, {"", "mixed", "/open?x=/secret", 200}, {alice, "mixed", "/secret", 200}, {"", "mixed", "/secret", 302}, {ada, "shut", "/", 403}, {"", "public", "/", 200},
		}
		client := w.client.HTTP(t, true)
		var all sync.WaitGroup
		for k := range 4 {
			all.Go(func() {
				for n := range rows {
					row := rows[(n*(k+1))%len(rows)]
					header := http.Header{"Accept": {"text/html"}}
					if row.token != "" {
						header.Set("Cookie", "__Secure-postern="+row.token)
					}
					expect(t, fmt.Sprint(row), haproxytest.Do(t, client, "GET", "https://"+row.host+".example.com"+row.path, header, ""), row.want)
				}
			})
		}
		all.Wait()
	})
}

func TestThreat22AgentSocketIsPrivate(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		for _, name := range []string{"agent.sock", "portal.sock", "control.sock"} {
			info, err := os.Stat(filepath.Join(w.dir, name))
			if err != nil || info.Mode()&fs.ModeSocket == 0 || info.Mode().Perm()&0o007 != 0 {
				t.Errorf("%s: mode %v, %v; others must have no access", name, info.Mode(), err)
			}
		}
		// Whoever gets there all the same and talks nonsense harms nobody else.
		for _, nonsense := range []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\xff\xff\xff\xff", "\x00\x00\x00\x00", "\x7f\xff\xff\xff\x01", "\x00\x00\x00\x07\x03\x00\x00\x00\x01\x00\x00"} {
			nc, err := net.Dial("unix", filepath.Join(w.dir, "agent.sock"))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(nc, nonsense)
			_ = nc.SetReadDeadline(time.Now().Add(10 * time.Second))
			if answer, _ := io.ReadAll(nc); bytes.Contains(answer, []byte("allow")) {
				t.Errorf("%q: %q", nonsense, answer)
			}
			nc.Close()
		}
		expect(t, "afterwards", w.ask(t, "GET /", "public.example.com"), 200)
	})
}

func TestThreat23NothingElseIsOpen(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		token := w.session(t, "ada")
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/vars", "/metrics", "/stats", "/admin", "/api", "/config", "/.env", "/sessions", "/sessions/revoke", "/reload"} {
			for _, cookie := range []string{"a=b", "__Secure-postern=" + token} {
				if got := w.ask(t, "GET "+path, "auth.example.com", "Cookie: "+cookie); got.Status < 400 {
					t.Errorf("%s: status %d\n%.300s", path, got.Status, got.Body)
				}
			}
		}
		health := w.ask(t, "GET /healthz", "auth.example.com")
		if len(health.Body) > 64 || strings.Contains(health.Body, w.dir) {
			t.Errorf("/healthz tells too much: %q", health.Body)
		}
	})
}

// TestThreat24Revocation: a handshake after the session's end is refused, and so is a
// stream on a connection that was open before. A WebSocket that is open stays open until
// HAProxy's `timeout tunnel`: HAProxy asks once, at its handshake.
func TestThreat24Revocation(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		token := w.session(t, "alice")
		handshake := "GET /ws HTTP/1.1\nHost: app.example.com\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nCookie: __Secure-postern=" + token + "\n\n"
		expect(t, "handshake", w.client.Raw(t, "app.example.com", handshake), 101)
		client, header := w.client.HTTP(t, true), http.Header{"Cookie": {"__Secure-postern=" + token}, "Accept": {"text/html"}}
		expect(t, "stream", haproxytest.Do(t, client, "GET", "https://app.example.com/", header, ""), 200)
		w.run(t, "session", "revoke", "--user", "alice")
		w.app.Forget()
		expect(t, "handshake after the end", w.client.Raw(t, "app.example.com", handshake), 401)
		expect(t, "stream after the end", haproxytest.Do(t, client, "GET", "https://app.example.com/", header, ""), 302)
		w.untouched(t)
	})
}
