package portal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/agent/policy"
)

// raw sends bytes to the portal itself and returns all that it answers.
func (h *house) raw(request string) string {
	h.t.Helper()
	c, err := net.Dial("tcp", h.direct)
	must(h.t, err)
	defer c.Close()
	must(h.t, c.SetDeadline(time.Now().Add(20*time.Second)))
	_, _ = io.WriteString(c, request) // the portal may have hung up already
	answer, _ := io.ReadAll(c)
	return string(answer)
}

func TestHealth(t *testing.T) {
	h := openHouse(t)
	got := h.raw("GET /healthz HTTP/1.0\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 200") && !strings.HasPrefix(got, "HTTP/1.0 200") || !strings.HasSuffix(got, "ok\n") {
		t.Errorf("%q", got)
	}
}

func TestOnlyConfiguredHosts(t *testing.T) {
	h := openHouse(t)
	for host, want := range map[string]int{
		"auth.example.com": 200, "AUTH.example.com": 200, "auth.example.com:8443": 200, "auth.example.com.": 200, "login.example.org": 200,
		"example.com": 421, "wiki.example.com": 421, "evil.test": 421, "127.0.0.1": 421, "auth.example.com.evil.test": 421,
		"auth.example.com@evil.test": 421, "xauth.example.com": 421, "[::1]:80": 421,
	} {
		got := h.raw("GET / HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n")
		if !strings.HasPrefix(got, fmt.Sprintf("HTTP/1.1 %d ", want)) {
			t.Errorf("Host %q: %.60q, want %d", host, got, want)
		}
		if want == 421 && (strings.Contains(got, "Set-Cookie") || strings.Contains(got, host)) {
			t.Errorf("Host %q: %q", host, got)
		}
	}
	if got := h.raw("GET / HTTP/1.0\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 4") && !strings.HasPrefix(got, "HTTP/1.0 4") {
		t.Errorf("no Host: %.60q", got)
	}
}

func TestThreat70Slowloris(t *testing.T) {
	h := openHouse(t, func(s *Server) { s.Config.Timeout = 300 * time.Millisecond })
	for why, start := range map[string]string{
		"a request line without an end": "GET / HT",
		"headers without an end":        "GET / HTTP/1.1\r\nHost: auth.example.com\r\nX-A: ",
		"a body without an end":         "POST / HTTP/1.1\r\nHost: auth.example.com\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 10000\r\n\r\nusername=",
	} {
		c, err := net.Dial("tcp", h.direct)
		must(t, err)
		must(t, c.SetDeadline(time.Now().Add(20*time.Second)))
		_, err = io.WriteString(c, start)
		must(t, err)
		// A byte now and then does not buy time.
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				if _, err := io.WriteString(c, "a"); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		}()
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection is kept", why)
		}
		_ = c.Close()
		<-done
	}
}

func TestThreat70OversizeAndMalformed(t *testing.T) {
	h := openHouse(t)
	const head = "Host: auth.example.com\r\nConnection: close\r\n"
	for _, tt := range []struct {
		why, request string
		want         string // status; "" for any refusal, or none
	}{
		{"a large header", "GET / HTTP/1.1\r\n" + head + "X-A: " + strings.Repeat("a", maxHeader) + "\r\n\r\n", "431"},
		{"a large cookie header", "GET / HTTP/1.1\r\n" + head + "Cookie: a=" + strings.Repeat("a", 60<<10) + "\r\n\r\n", "431"},
		{"a large body", "POST / HTTP/1.1\r\n" + head + fmt.Sprintf("Content-Length: %d\r\n\r\n", maxBody+1) + strings.Repeat("a", maxBody+1), "413"},
		{"a huge length", "POST / HTTP/1.1\r\n" + head + "Content-Length: 99999999999\r\n\r\n", ""},
		{"two lengths", "POST / HTTP/1.1\r\n" + head + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", ""},
		{"no request", "\x16\x03\x01\x02\x00\r\n\r\n", ""},
		{"another method", "BREW / HTTP/1.1\r\n" + head + "\r\n", ""},
		{"an unknown page by POST", "POST /nowhere HTTP/1.1\r\n" + head + "Content-Length: 0\r\n\r\n", "404"},
		{"dots", "GET /assets/../signin HTTP/1.1\r\n" + head + "\r\n", "404"},
		{"dots, escaped", "GET /assets/x/%2e%2e%2f%2e%2e%2fetc%2fpasswd HTTP/1.1\r\n" + head + "\r\n", "404"},
		{"bytes in the path", "GET /\xff\xfe HTTP/1.1\r\n" + head + "\r\n", "404"},
		{"a broken escape", "GET /%zz HTTP/1.1\r\n" + head + "\r\n", "404"},
		{"a broken query", "GET /?rd=%zz&%=%&rm=%00 HTTP/1.1\r\n" + head + "\r\n", "200"},
	} {
		got := h.raw(tt.request)
		code := ""
		if len(got) > 12 {
			code = got[9:12]
		}
		if tt.want != "" && code != tt.want || tt.want == "" && code == "200" {
			t.Errorf("%s: %.70q, want %s", tt.why, got, tt.want)
		}
	}
	h.browser().get(auth+"/").want(t, http.StatusOK)
}

func TestServeEndsWithItsContext(t *testing.T) {
	h := openHouse(t)
	// A second portal of the same making, on a unix socket.
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "portal.sock"))
	must(t, err)
	second := *h.server
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- second.Serve(ctx, ln) }()

	c, err := net.Dial("unix", ln.Addr().String())
	must(t, err)
	defer c.Close()
	_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: auth.example.com\r\nX-Forwarded-For: 198.51.100.4\r\nX-Request-Id: by-socket\r\n\r\n")
	must(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	must(t, err)
	if resp.StatusCode != http.StatusOK {
		t.Errorf("status %d", resp.StatusCode)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if _, err := net.Dial("unix", ln.Addr().String()); err == nil {
		t.Error("the socket still answers")
	}
	// A context that has ended already does not keep Serve.
	early, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	third := *h.server
	if err := third.Serve(ctx, early); err != nil {
		t.Errorf("Serve after the end: %v", err)
	}
}

func TestServeRefusesAHalfFilledServer(t *testing.T) {
	h := openHouse(t)
	for why, change := range map[string]func(*Server){
		"no rules":     func(s *Server) { s.Rules = nil },
		"no users":     func(s *Server) { s.Users = nil },
		"no sessions":  func(s *Server) { s.Sessions = nil },
		"no domains":   func(s *Server) { s.Domains = nil },
		"a short key":  func(s *Server) { s.Key = s.Key[:31] },
		"no such logo": func(s *Server) { s.Config.Brand.Logo = "/nowhere/logo.svg" },
		"no such css":  func(s *Server) { s.Config.Brand.CSS = "/nowhere/extra.css" },
		"no colour":    func(s *Server) { s.Config.Brand.Accent = "green" },
		"no portal":    func(s *Server) { s.Domains = []policy.Domain{{Name: "example.com", Portal: "://"}} },
	} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		s := *h.server
		change(&s)
		if err := s.Serve(t.Context(), ln); err == nil {
			t.Errorf("%s: served all the same", why)
		}
	}
}

func TestAPanicIsOneVisitorsOwn(t *testing.T) {
	h := openHouse(t, func(s *Server) { s.Rules = func() *policy.Rules { panic("out of rules") } })
	b := h.browser()
	got := b.signIn("?rd=https://wiki.example.com/", "bob", "builder")
	got.want(t, http.StatusInternalServerError, "Something went wrong on our side.")
	if strings.Contains(got.Body, "out of rules") || !strings.Contains(h.log.String(), "out of rules") {
		t.Error("the cause belongs into the log, not onto the page")
	}
	h.browser().get(auth+"/signed-out").want(t, http.StatusOK)
}
