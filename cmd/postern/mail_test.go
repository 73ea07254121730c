package main

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"postern/cmd/postern/config"
	"postern/portal/factor"
)

// writeMailSite is writeSite with mail into a file and an address for alice.
func writeMailSite(t *testing.T, dir, more string) {
	t.Helper()
	writeSite(t, dir)
	path := filepath.Join(dir, "postern.yml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(text, "mail: {file: mail.txt}\n"+more...), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := typed("", "postern", "--config", path, "user", "add", "dora", "--email", "dora@example.com", "--generate"); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
}

// person is somebody at the portal of a house, past HAProxy.
func person(t *testing.T, h *house) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, Transport: &secure{&http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(h.dir, "portal.sock"))
	}}}}
}

// secure sends in the clear what was asked for over TLS, as HAProxy does.
type secure struct{ *http.Transport }

func (s *secure) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme = "http"
	return s.Transport.RoundTrip(r)
}

// TestMailIsSent: the daemon sends what its portal writes, and the link in it works.
func TestMailIsSent(t *testing.T) {
	dir := shortDir(t)
	writeMailSite(t, dir, "")
	h := startHouse(t, dir)
	c := person(t, h)
	page := visitPortal(t, c, "GET", "https://auth.example.com/reset", nil)
	token := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(page)
	if token == nil {
		t.Fatalf("no form:\n%s", page)
	}
	visitPortal(t, c, "POST", "https://auth.example.com/reset", url.Values{"csrf": {token[1]}, "username": {"dora"}})
	var mail []byte
	until(t, "a mail", func() bool {
		mail, _ = os.ReadFile(filepath.Join(dir, "mail.txt"))
		return bytes.Contains(mail, []byte("/reset/new?slip="))
	})
	link := regexp.MustCompile(`https://auth\.example\.com/reset/new\?slip=\S+`).FindString(string(mail))
	if page := visitPortal(t, c, "GET", link, nil); !strings.Contains(page, `autocomplete="new-password"`) || !strings.Contains(page, "dora") {
		t.Errorf("the link %s leads to\n%s", link, page)
	}
	if info, err := os.Stat(filepath.Join(dir, "mail.txt")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the file: %v, %v", info.Mode(), err)
	}
}

func visitPortal(t *testing.T, c *http.Client, method, address string, form url.Values) string {
	t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(t.Context(), method, address, body)
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s, %v\n%s", method, address, res.Status, err, text)
	}
	return string(text)
}

// TestMailThatCannotBeSentStopsNobody: the log says so, and people sign in.
func TestMailThatCannotBeSentStopsNobody(t *testing.T) {
	dir := shortDir(t)
	writeMailSite(t, dir, "")
	path := filepath.Join(dir, "postern.yml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("{file: mail.txt}"), []byte(`{smtp: {address: "smtp://127.0.0.1:1", sender: sso@example.com}}`), 1)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	h := startHouse(t, dir)
	until(t, "a warning", func() bool { return strings.Contains(h.said.String(), "mail cannot be sent as things are") })
	if page := visitPortal(t, person(t, h), "GET", "https://auth.example.com/", nil); !strings.Contains(page, `name="password"`) {
		t.Errorf("the portal says\n%s", page)
	}
}

func TestFactorsFollowTheConfiguration(t *testing.T) {
	dir := shortDir(t)
	writeMailSite(t, dir, "")
	cfg, err := readConfig(filepath.Join(dir, "postern.yml"))
	if err != nil {
		t.Fatal(err)
	}
	k := keys{seal: bytes.Repeat([]byte{7}, 32)}
	log := slog.New(slog.DiscardHandler)
	f, err := newFactors(cfg, k, nil, log)
	if err != nil || f.TOTP == nil || f.Mailed == nil || f.Recovery == nil || f.Tokens == nil || f.Devices == nil {
		t.Fatalf("%+v, %v", f, err)
	}
	if w := f.WebAuthn["https://auth.example.com"]; w == nil || w.Site != (factor.Site{RPID: "auth.example.com", Origin: "https://auth.example.com"}) {
		t.Errorf("passkeys: %+v", w)
	}
	cfg.Mail.File, cfg.Factors.TOTP.Disable, cfg.Factors.WebAuthn.Disable = "", true, true
	if f, err = newFactors(cfg, k, nil, log); err != nil || f.TOTP != nil || f.Mailed != nil || len(f.WebAuthn) != 0 || f.Tokens == nil {
		t.Errorf("switched off: %+v, %v", f, err)
	}
	if _, err := newFactors(cfg, keys{}, nil, log); err == nil {
		t.Error("factors without a key")
	}
}

func TestMailBrand(t *testing.T) {
	dir := t.TempDir()
	var small bytes.Buffer
	if err := png.Encode(&small, image.NewGray(image.Rect(0, 0, 8, 8))); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"logo.png": small.Bytes(), "large.png": append(small.Bytes(), make([]byte, maxMailLogo)...), "logo.svg": []byte("<svg/>"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name, logo string
		sent       bool
		fails      bool
	}{
		{"none", "", false, false}, {"a picture that mail programs show", "logo.png", true, false},
		{"one that they do not", "logo.svg", false, false}, {"one that is too large", "large.png", false, false},
		{"one that is not there", "none.png", false, true},
	} {
		cfg := config.Default()
		cfg.Portal.Brand.Name = "Example"
		if tt.logo != "" {
			cfg.Portal.Brand.Logo = filepath.Join(dir, tt.logo)
		}
		b, err := mailBrand(&cfg)
		if (err != nil) != tt.fails || (len(b.Logo) > 0) != tt.sent || b.Name != "Example" || b.Accent != cfg.Portal.Brand.Accent {
			t.Errorf("%s: %s, %d bytes, %v", tt.name, b.Name, len(b.Logo), err)
		}
		if tt.fails && !strings.HasPrefix(fmt.Sprint(err), "portal.branding.logo: ") {
			t.Errorf("%s: the error does not name its key: %v", tt.name, err)
		}
	}
}
