package main

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"postern/haproxy/haproxytest"
)

var totpSecret = regexp.MustCompile(`otpauth://totp/[^"]*secret=([A-Z2-7]+)`)

// visitor is a browser without scripts, at one page of the portal at a time.
type visitor struct {
	t    *testing.T
	http *http.Client
	page haproxytest.Reply
	at   string
}

// open gets a page and follows where it leads.
func (p *visitor) open(address string) haproxytest.Reply {
	p.t.Helper()
	p.at = address
	p.page = haproxytest.Do(p.t, p.http, "GET", address, http.Header{"Accept": {"text/html"}}, "")
	p.follow()
	return p.page
}

// follow goes where the answer leads, at most ten times.
func (p *visitor) follow() {
	p.t.Helper()
	for range 10 {
		if p.page.Status != http.StatusFound && p.page.Status != http.StatusSeeOther {
			return
		}
		base, err := url.Parse(p.at)
		if err != nil {
			p.t.Fatal(err)
		}
		to, err := base.Parse(p.page.Header.Get("Location"))
		if err != nil {
			p.t.Fatal(err)
		}
		p.at = to.String()
		p.page = haproxytest.Do(p.t, p.http, "GET", p.at, http.Header{"Accept": {"text/html"}}, "")
	}
	p.t.Fatalf("going in circles at %s", p.at)
}

// send fills the form of the page that goes to path, and follows where that leads.
func (p *visitor) send(path string, fields ...string) haproxytest.Reply {
	p.t.Helper()
	_, rest, ok := strings.Cut(p.page.Body, `action="`+path+`"`)
	if !ok {
		p.t.Fatalf("%s has no form for %s:\n%s", p.at, path, p.page.Body)
	}
	inside, _, _ := strings.Cut(rest, "</form>")
	form := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(inside, -1) {
		form.Set(m[1], html.UnescapeString(m[2]))
	}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Origin": {"https://auth.example.com"}}
	p.at = "https://auth.example.com" + path
	p.page = haproxytest.Do(p.t, p.http, "POST", p.at, header, form.Encode())
	p.follow()
	return p.page
}

// TestE2ESecondFactor: a rule asks for two factors; who has none is led to set one up, and
// comes back to the page that he asked for; next time the code is asked for, once.
func TestE2ESecondFactor(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		const target = "https://bank.example.com/statement?year=2026&month=%C3%A4"
		alice := &visitor{t: t, http: w.browser(t)}
		alice.open(target)
		alice.send("/", "username", "alice", "password", password)
		if !strings.HasPrefix(alice.at, "https://auth.example.com/settings/factors?") {
			t.Fatalf("at %s, not where a second factor is set up", alice.at)
		}
		w.untouched(t)

		alice.open("https://auth.example.com/settings/factors/app?rd=" + url.QueryEscape(target))
		secret := totpSecret.FindStringSubmatch(html.UnescapeString(alice.page.Body))
		if secret == nil {
			t.Fatalf("no secret on the page:\n%s", alice.page.Body)
		}
		now := time.Now()
		alice.send("/settings/factors/app", "code", appCode(t, secret[1], now), "name", "phone")
		alice.send("/settings/recovery")
		if !strings.Contains(alice.page.Body, `class="codes"`) {
			t.Fatalf("no recovery codes:\n%s", alice.page.Body)
		}
		expect(t, "the page that she asked for", alice.open(target), http.StatusOK)
		if got := w.app.Last(t); got.Value("Remote-User") != "alice" || !strings.Contains(got.Head, "/statement?year=2026&month=%C3%A4 ") {
			t.Errorf("the application received\n%s", got.Head)
		}

		// Another browser: the password alone opens nothing, the code that was used does not
		// either, the next one does.
		w.app.Forget()
		again := &visitor{t: t, http: w.browser(t)}
		again.open(target)
		again.send("/", "username", "alice", "password", password)
		again.send("/prove", "code", appCode(t, secret[1], now))
		if !strings.Contains(again.page.Body, "used already") {
			t.Errorf("a code was taken twice: at %s\n%s", again.at, again.page.Body)
		}
		expect(t, "the bank with one factor", w.get(t, tokenOf(again.http), target), http.StatusFound)
		w.untouched(t)
		before := tokenOf(again.http)
		again.send("/prove", "code", appCode(t, secret[1], now.Add(30*time.Second)))
		expect(t, "the bank with two factors", again.page, http.StatusOK)
		if again.at != target || w.app.Last(t).Value("Remote-User") != "alice" {
			t.Errorf("at %s", again.at)
		}
		if after := tokenOf(again.http); after == before || after == "" {
			t.Error("the token is the same after the second factor")
		}
		expect(t, "the token from before", w.get(t, before, target), http.StatusFound)
	})
}

func appCode(t *testing.T, secret string, at time.Time) string {
	t.Helper()
	code, err := totp.GenerateCode(secret, at)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// tokenOf is the token in a browser's jar.
func tokenOf(c *http.Client) string {
	for _, cookie := range c.Jar.Cookies(&url.URL{Scheme: "https", Host: "bank.example.com"}) {
		if cookie.Name == "__Secure-postern" {
			return cookie.Value
		}
	}
	return ""
}
