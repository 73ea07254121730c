package portal

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"postern/agent/session"
)

func TestThreat28CookieAttributes(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	page := b.get(auth + "/")
	lines := page.Header.Values("Set-Cookie")
	got := b.send(page, "/", "username", "bob", "password", "builder", "remember", "yes")
	lines = append(lines, got.Header.Values("Set-Cookie")...)
	lines = append(lines, b.send(page, "/language", "lang", "de").Header.Values("Set-Cookie")...)
	names := []string{}
	for _, line := range lines {
		name, rest, _ := strings.Cut(line, "=")
		names = append(names, name)
		if !strings.HasSuffix(rest, "; Secure; HttpOnly; SameSite=Lax") || !strings.Contains(rest, "; Path=/;") {
			t.Errorf("attributes of %q", line)
		}
		if hasDomain := strings.Contains(rest, "; Domain="); hasDomain != (name == "__Secure-postern") {
			t.Errorf("domain of %q", line)
		}
	}
	slices.Sort(names)
	if want := []string{"__Host-postern-csrf", "__Host-postern-known", "__Host-postern-lang", "__Secure-postern"}; !slices.Equal(names, want) {
		t.Errorf("cookies %q, want %q", names, want)
	}
	if line := sessionLine(got); !strings.Contains(line, "; Path=/; Domain=example.com; Max-Age=") {
		t.Errorf("session cookie %q", line)
	}
}

func TestThreat25TheSessionIsRenewedAtSignIn(t *testing.T) {
	h := openHouse(t)
	mallory := h.browser()
	mallory.signIn("", "bob", "builder")
	planted := mallory.session("auth.example.com")
	// Alice's browser was given mallory's cookie; she signs in.
	b := h.browser()
	b.jar.SetCookies(&url.URL{Scheme: "https", Host: "auth.example.com"}, []*http.Cookie{
		{Name: "__Secure-postern", Value: planted, Domain: "example.com", Path: "/", Secure: true},
	})
	page := b.get(auth + "/signout")
	b.send(page, "/", "username", "alice", "password", "wonderland").wantRedirect(t, "/")
	own := b.session("auth.example.com")
	if own == planted || own == "" {
		t.Fatal("the cookie is the planted one")
	}
	mallory.get(auth+"/").want(t, http.StatusOK, `name="password"`)
	b.get(auth+"/").want(t, http.StatusOK, "Alice Liddell")
	all, err := h.table.List(t.Context(), session.Filter{})
	must(t, err)
	if len(all) != 1 || all[0].User != "alice" {
		t.Errorf("sessions %+v", all)
	}
	// Signing in once more ends the session before.
	b.send(b.get(auth+"/"), "/", "username", "alice", "password", "wonderland")
	if b.session("auth.example.com") == own {
		t.Error("the second sign-in keeps the token")
	}
}

func TestThreat26SignOutEndsTheSession(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	b.signIn("", "bob", "builder")
	token := b.session("auth.example.com")
	asked := b.get(auth + "/signout")
	asked.want(t, http.StatusOK, "Sign out?")
	if b.session("auth.example.com") != token {
		t.Fatal("a GET signed out")
	}
	b.send(asked, "/signout").wantRedirect(t, "/signed-out")
	b.get(auth+"/signed-out").want(t, http.StatusOK, "You are signed out")
	if b.session("wiki.example.com") != "" {
		t.Error("the cookie is still there")
	}
	copied := h.browser()
	copied.header.Set("Cookie", "__Secure-postern="+token)
	copied.get(auth+"/").want(t, http.StatusOK, `name="password"`)
	b.get(auth+"/signout").wantRedirect(t, "/signed-out")
}

func TestSignOutToATarget(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	b.signIn("", "bob", "builder")
	page := b.get(auth + "/signout?rd=https://public.example.com/bye")
	b.send(page, "/signout").wantRedirect(t, "https://public.example.com/bye")
	b.get(auth+"/signed-out").want(t, http.StatusOK, "You are signed out")
}

func TestThreat27CookieTossing(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	b.signIn("", "bob", "builder")
	token := b.session("auth.example.com")
	for _, line := range []string{
		"__Secure-postern=" + token + "; __Secure-postern=planted",
		"__Secure-postern=planted; a=b; __Secure-postern=" + token,
		"__Secure-postern=" + token + "; __Secure-postern=" + token,
		"__Secure-postern=" + token + ";__Secure-postern",
		"__Secure-postern=; __Secure-postern=" + token,
	} {
		tossed := h.browser()
		tossed.header.Set("Cookie", line)
		page := tossed.get(auth + "/?rd=https://wiki.example.com/a/b")
		page.want(t, http.StatusOK, "Your browser sent two sign-ins", "Remove them and sign in again")
		got := tossed.send(page, "/reset-cookies")
		got.wantRedirect(t, "/?rd=https%3A%2F%2Fwiki.example.com%2Fa%2Fb&rm=GET")
		gone := strings.Join(got.Header.Values("Set-Cookie"), "\n")
		for _, want := range []string{
			"__Secure-postern=; Path=/; Max-Age=0;", "__Secure-postern=; Path=/; Domain=example.com; Max-Age=0;",
			"__Secure-postern=; Path=/; Domain=auth.example.com; Max-Age=0;", "__Secure-postern=; Path=/a; Domain=example.com; Max-Age=0;",
			"__Secure-postern=; Path=/a/b; Domain=example.com; Max-Age=0;",
		} {
			if !strings.Contains(gone, want) {
				t.Errorf("%q: lacks %q:\n%s", line, want, gone)
			}
		}
		// Signing in at once heals as well: every variant goes, one comes.
		got = tossed.send(page, "/", "username", "bob", "password", "builder")
		got.wantRedirect(t, "https://wiki.example.com/a/b")
		last := got.Header.Values("Set-Cookie")
		var lines []string
		for _, l := range last {
			if strings.HasPrefix(l, "__Secure-postern=") {
				lines = append(lines, l)
			}
		}
		if len(lines) < 4 || strings.Contains(lines[len(lines)-1], "Max-Age=0") || !strings.Contains(lines[0], "Max-Age=0") {
			t.Errorf("%q: sets %q", line, lines)
		}
	}
	b.get(auth+"/").want(t, http.StatusOK, "You are signed in")
}

func TestThreat29MalformedCookiesAreNobody(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	b.signIn("", "bob", "builder")
	token := b.session("auth.example.com")
	for _, value := range []string{
		"", "x", token + "x", token[:len(token)-1], strings.ToUpper(token), `"` + token + `"`, "%" + token,
		strings.Repeat("A", len(token)), strings.Repeat("A", 8000), "\xff\xfe", "a,b",
	} {
		other := h.browser()
		other.header.Set("Cookie", "__Secure-postern="+value)
		other.get(auth+"/").want(t, http.StatusOK, `name="password"`)
	}
	// The name must fit to the letter.
	for _, name := range []string{"__secure-postern", "__Secure-Postern", "Secure-postern", " __Secure-postern x"} {
		other := h.browser()
		other.header.Set("Cookie", name+"="+token)
		other.get(auth+"/").want(t, http.StatusOK, `name="password"`)
	}
}

// TestExpiryFitsIntoAnAnswer: what removes planted cookies stays far below the one buffer
// that HAProxy has for the headers of an answer.
func TestExpiryFitsIntoAnAnswer(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	rd := "https://wiki.example.com/" + strings.Repeat("a", 1500) + "/" + strings.Repeat("b", 1500) + "/" + strings.Repeat("c", 1500)
	got := b.send(b.get(auth+"/?rd="+url.QueryEscape(rd)), "/reset-cookies")
	got.want(t, http.StatusSeeOther)
	size := 0
	for name, lines := range got.Header {
		for _, line := range lines {
			size += len(name) + len(line) + 4
		}
	}
	if size > 12<<10 {
		t.Errorf("the headers have %d bytes", size)
	}
	if lines := got.Header["Set-Cookie"]; len(lines) < 4 || !strings.Contains(lines[0], "; Path=/; Max-Age=0") {
		t.Errorf("cookies %.2000q", lines)
	}
}

func TestFolders(t *testing.T) {
	for path, want := range map[string]string{
		"":                   "/",
		"/":                  "/",
		"/a":                 "/ /a",
		"/a/":                "/ /a /a/",
		"/a/b":               "/ /a /a/ /a/b",
		"/a;b/c":             "/",
		"/1/2/3/4/5/6/7/8/9": "/ /1 /1/ /1/2 /1/2/ /1/2/3 /1/2/3/ /1/2/3/4 /1/2/3/4/",
	} {
		if got := strings.Join(folders(path), " "); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}
