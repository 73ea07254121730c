package portal

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/agent/session"
	"postern/portal/users"
)

func TestSignInReturnsToTheExactAddress(t *testing.T) {
	h := openHouse(t)
	for _, rd := range []string{
		"https://wiki.example.com",
		"https://wiki.example.com/",
		"https://wiki.example.com:8443/a%20b/?q=1&q=2&x=%2F+y",
		"https://WIKI.example.com/?a=%E4&b=;c&&=&%zz",
		"https://wiki.example.com/a?next=https%3A%2F%2Fwiki.example.com%2F%3Fa%3Db",
		"https://wiki.example.com/#/inbox/7",
		"https://wiki.example.com/" + strings.Repeat("long/", 600),
	} {
		b := h.browser()
		page := b.get(auth + "/?rm=GET&rd=" + url.QueryEscape(rd))
		page.want(t, http.StatusOK, "wiki.example.com", `name="username"`, `autocomplete="username webauthn"`,
			`name="password"`, `autocomplete="current-password"`, `name="remember"`)
		b.send(page, "/", "username", "alice", "password", "wonderland").wantRedirect(t, rd)
		if b.session("wiki.example.com") == "" {
			t.Errorf("%s: no cookie for it", rd)
		}
		b.get(auth+"/?rd="+url.QueryEscape(rd)).wantRedirect(t, rd)
	}
}

func TestSignInWithoutATarget(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	b.signIn("", "alice", "wonderland").wantRedirect(t, "/")
	b.get(auth+"/").want(t, http.StatusOK, "You are signed in", "Alice Liddell", "alice@example.com",
		`href="https://wiki.example.com/"`, `href="https://admin.example.com/"`)

	bob := h.browser()
	bob.signIn("", "bob", "builder")
	page := bob.get(auth + "/")
	page.want(t, http.StatusOK, `href="https://wiki.example.com/"`)
	if strings.Contains(page.Body, "admin.example.com") {
		t.Error("bob is shown an application that he may not open")
	}
}

func TestSignInGoesHomeWhereThereIsOne(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	page := b.get("https://login.example.org/")
	b.send(page, "/", "username", "alice", "password", "wonderland").wantRedirect(t, "https://www.example.org/start")
	b.get("https://login.example.org/").want(t, http.StatusOK, "Go to the start page", `href="https://www.example.org/start"`)
}

func TestEachDomainHasItsOwnSession(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	b.signIn("", "alice", "wonderland")
	b.get("https://login.example.org/").want(t, http.StatusOK, "Sign in")
	if b.session("login.example.org") != "" {
		t.Error("the other domain has a cookie")
	}
	// The cookie itself, carried over by hand, is worth nothing there.
	thief := h.browser()
	thief.header.Set("Cookie", "__Secure-postern="+b.session("auth.example.com"))
	thief.get("https://login.example.org/").want(t, http.StatusOK, `name="password"`)
	thief.get(auth+"/").want(t, http.StatusOK, "You are signed in")
}

// challenge is what differs between any two offers of a passkey.
var challenge = regexp.MustCompile(`challenge&#34;:&#34;[A-Za-z0-9_-]+`)

func TestThreat34OneSentenceForEveryCause(t *testing.T) {
	h := openHouse(t)
	var first string
	for n, c := range [][2]string{
		{"alice", "wrong"}, {"nobody", "wrong"}, {"carol", "carol's own"}, {"carol", "wrong"},
		{"alice", strings.Repeat("x", 2000)}, {"alice", "wonderland\x00"},
	} {
		got := h.from(n).signIn("?rd=https://wiki.example.com/", c[0], c[1])
		got.want(t, http.StatusUnauthorized, "User name or password is not right.", `value="`+c[0]+`"`, "<title>Error: ")
		said := strings.ReplaceAll(got.main(), `value="`+c[0]+`"`, "")
		said = challenge.ReplaceAllString(hidden.ReplaceAllString(said, ""), "")
		if first == "" {
			first = said
		}
		if said != first {
			t.Errorf("%q, %q: the page differs:\n%s\n%s", c[0], c[1], said, first)
		}
		if len(got.Header.Values("Set-Cookie")) != 0 {
			t.Errorf("%q: sets %q", c[0], got.Header.Values("Set-Cookie"))
		}
	}
}

func TestTheFormComesBackAsItWas(t *testing.T) {
	h := openHouse(t)
	const rd = "https://wiki.example.com/?a=1&b=2"
	b := h.browser()
	page := b.get(auth + "/?rm=POST&rd=" + url.QueryEscape(rd))
	page.want(t, http.StatusOK, "What you were sending has not been sent.")
	got := b.send(page, "/", "username", `<b>"bob`, "password", "wrong", "remember", "yes")
	got.want(t, http.StatusUnauthorized, `value="<b>"bob"`, `value="yes" checked`, "What you were sending",
		`autofocus aria-invalid="true" aria-describedby="problem caps"`, `id="problem" role="alert"`)
	if strings.Contains(got.Body, "<b>\"bob") || strings.Contains(got.Body, "wrong\"") {
		t.Error("the name is not escaped, or the password came back")
	}
	b.send(got, "/", "username", "bob", "password", "builder").wantRedirect(t, rd)
}

func TestFieldsLeftEmpty(t *testing.T) {
	h := openHouse(t)
	h.browser().signIn("", "", "builder").want(t, http.StatusUnauthorized, "Enter your user name.")
	h.browser().signIn("", " \t ", "builder").want(t, http.StatusUnauthorized, "Enter your user name.")
	h.browser().signIn("", "bob\x00", "builder").want(t, http.StatusUnauthorized, "Enter your user name.")
	h.browser().signIn("", "bob", "").want(t, http.StatusUnauthorized, "Enter your password.")
	h.browser().signIn("", " bob ", "builder").wantRedirect(t, "/")
}

func TestDenied(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	at := "/?rd=" + url.QueryEscape("https://admin.example.com/x?y=1") + "&rm=GET"
	b.signIn(at[1:], "bob", "builder").wantRedirect(t, at)
	page := b.get(auth + at)
	page.want(t, http.StatusForbidden, "bob may not open admin.example.com.", "Sign in as someone else", "rid-of-the-proxy")
	b.send(page, "/signout", "again", "yes").wantRedirect(t, at)
	form := b.get(auth + at)
	form.want(t, http.StatusOK, "to continue to", "admin.example.com")
	b.send(form, "/", "username", "alice", "password", "wonderland").wantRedirect(t, "https://admin.example.com/x?y=1")
}

func TestSecondFactorAskedForAndNoneCanBeHad(t *testing.T) {
	h := openHouse(t, func(s *Server) { s.Factors = Factors{} })
	b := h.browser()
	at := "/?rd=" + url.QueryEscape("https://bank.example.com/") + "&rm=GET"
	b.signIn(at[1:], "bob", "builder").wantRedirect(t, at)
	b.get(auth+at).want(t, http.StatusForbidden, "bank.example.com asks for a second factor besides your password.", "None is set up")
}

func TestRememberMe(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	got := b.send(b.get(auth+"/"), "/", "username", "bob", "password", "builder", "remember", "yes")
	if line := sessionLine(got); !strings.Contains(line, "; Max-Age=2591999;") && !strings.Contains(line, "; Max-Age=2592000;") {
		t.Errorf("remembered: %q", line)
	}
	got = h.browser().signIn("", "bob", "builder")
	if line := sessionLine(got); line == "" || strings.Contains(line, "Max-Age") {
		t.Errorf("not remembered: %q", line)
	}
	never := openHouse(t, func(s *Server) { s.Cookie.RememberMe = 0 })
	b = never.browser()
	page := b.get(auth + "/")
	if strings.Contains(page.Body, `name="remember"`) {
		t.Error("offered although it cannot be had")
	}
	got = b.send(page, "/", "username", "bob", "password", "builder", "remember", "yes")
	if line := sessionLine(got); line == "" || strings.Contains(line, "Max-Age") {
		t.Errorf("had although it is not offered: %q", line)
	}
}

func TestThreat43ManyPasswordsAtOnce(t *testing.T) {
	h := openHouse(t, func(s *Server) { s.Users = busy{s.Users.(*users.File)} })
	got := h.browser().signIn("", "bob", "builder")
	got.want(t, http.StatusTooManyRequests, "Many people are signing in right now.", `value="bob"`)
	if got.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

// busy has no room for another password.
type busy struct{ *users.File }

func (busy) Authenticate(context.Context, string, string) (users.User, error) {
	return users.User{}, users.ErrBusy
}

func TestTheStoreCannotBeReached(t *testing.T) {
	h := openHouse(t, func(s *Server) { s.Sessions = broken{s.Sessions} })
	got := h.browser().signIn("", "bob", "builder")
	got.want(t, http.StatusServiceUnavailable, "Signing in is not possible right now.", "rid-of-the-proxy")
	if sessionLine(got) != "" {
		t.Error("a cookie is set all the same")
	}
	if !strings.Contains(h.log.String(), "disk is full") {
		t.Error("the cause is not in the log")
	}
	if strings.Contains(got.Body, "disk is full") {
		t.Error("the cause is on the page")
	}
}

// broken cannot keep a session.
type broken struct{ Sessions }

func (broken) Create(context.Context, session.Session, string) (string, session.Session, error) {
	return "", session.Session{}, fmt.Errorf("disk is full")
}

func TestThreat32NothingSecretIsLogged(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	b.signIn("", "bob", "wrong-secret").want(t, http.StatusUnauthorized)
	b.signIn("", "typed-my-password", "x").want(t, http.StatusUnauthorized)
	b.signIn("?rd=https://wiki.example.com/%3Fkey=secret-in-rd", "bob", "builder")
	token := b.session("auth.example.com")
	b.get(auth + "/nowhere?token=secret-in-query")
	for _, secret := range []string{"wrong-secret", "typed-my-password", "builder", token, "secret-in-rd", "secret-in-query"} {
		if strings.Contains(h.log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	for _, fact := range []string{"signed in", "user=bob", "rid=rid-of-the-proxy", "addr=127.0.0.1"} {
		if !strings.Contains(h.log.String(), fact) {
			t.Errorf("the log lacks %q:\n%s", fact, h.log)
		}
	}
}

func TestThreat31ADisabledUserIsOut(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	b.signIn("", "bob", "builder")
	b.get(auth+"/").want(t, http.StatusOK, "You are signed in")
	must(t, h.users.SetDisabled(t.Context(), "bob", true))
	b.get(auth+"/").want(t, http.StatusOK, `name="password"`)
}

func TestThreat40StepsCannotBeSkipped(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	page := b.get(auth + "/?rd=https://wiki.example.com/")
	for _, fields := range [][]string{
		{}, {"username", "bob"}, {"password", "builder"}, {"username", "bob", "password", "builder", "csrf", ""},
		{"username", "", "password", ""}, {"code", "123456"}, {"again", "yes"},
	} {
		got := b.send(page, "/", fields...)
		if got.StatusCode < 400 || b.session("auth.example.com") != "" {
			t.Errorf("%q: status %d", fields, got.StatusCode)
		}
	}
	// A sign-out of nobody, with a target, leads nowhere but to the target, as nobody.
	b.send(page, "/signout").wantRedirect(t, "https://wiki.example.com/")
	if b.session("auth.example.com") != "" {
		t.Error("signed in by signing out")
	}
}

func TestABounceIsStopped(t *testing.T) {
	h := openHouse(t)
	now := time.Now()
	b := h.browser()
	const rd = "https://wiki.example.com/a?n=1"
	b.signIn("?rd="+url.QueryEscape(rd), "bob", "builder").wantRedirect(t, rd)
	for range 3 {
		b.get(auth+"/?rd="+url.QueryEscape(rd)).wantRedirect(t, rd)
	}
	page := b.get(auth + "/?rd=" + url.QueryEscape(rd))
	page.want(t, http.StatusOK, "You are going in circles", "wiki.example.com keeps sending you back here", "Try wiki.example.com again")
	b.get(auth+"/?rd=https://calendar.example.com/").wantRedirect(t, "https://calendar.example.com/")
	got := b.send(page, "/reset-cookies")
	got.wantRedirect(t, "/?rd="+url.QueryEscape(rd)+"&rm=GET")
	if b.session("auth.example.com") != "" {
		t.Error("the cookie is still there")
	}
	if time.Since(now) > time.Minute {
		t.Log("slow machine: the bounces may have been forgotten in between")
	}
}

// sessionLine is the Set-Cookie line of an answer that gives a session.
func sessionLine(a answer) string {
	for _, line := range a.Header.Values("Set-Cookie") {
		if strings.HasPrefix(line, "__Secure-postern=") && !strings.Contains(line, "Max-Age=0;") {
			return line
		}
	}
	return ""
}
