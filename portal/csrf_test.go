package portal

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"postern/agent/policy"
)

func TestThreat66FormsOfOtherSites(t *testing.T) {
	h := openHouse(t)
	for _, tt := range []struct {
		why          string
		origin, site string
		want         int
	}{
		{"a browser, with our Referrer-Policy", "null", "same-origin", 303},
		{"a browser that names its origin", auth, "same-origin", 303},
		{"an old browser that names its origin", auth, "", 303},
		{"a text browser", "", "", 303},
		{"typed by the user", "", "none", 303},
		{"capital letters", "https://AUTH.example.com", "same-origin", 303},
		{"another site", "https://evil.test", "cross-site", 403},
		{"another site, as an old browser says it", "https://evil.test", "", 403},
		{"a neighbour in the domain", "https://wiki.example.com", "same-site", 403},
		{"a neighbour, as an old browser says it", "https://wiki.example.com", "", 403},
		{"the other portal", "https://login.example.org", "cross-site", 403},
		{"plain http", "http://auth.example.com", "", 403},
		{"another port", "https://auth.example.com:8443", "", 403},
		{"a sandboxed frame", "null", "cross-site", 403},
		{"a sandboxed frame in an old browser", "null", "", 403},
		{"ours as a prefix", "https://auth.example.com.evil.test", "", 403},
		{"our origin but another site", auth, "cross-site", 403},
		{"something new", auth, "same-planet", 403},
	} {
		for _, path := range []string{"/", "/signout", "/language", "/reset-cookies"} {
			b := h.browser()
			page := b.get(auth + "/")
			b.header["Origin"], b.header["Sec-Fetch-Site"] = one(tt.origin), one(tt.site)
			got := b.send(page, path, "username", "bob", "password", "builder", "lang", "de")
			if got.StatusCode != tt.want {
				t.Errorf("%s: POST %s: status %d, want %d", tt.why, path, got.StatusCode, tt.want)
			}
			if tt.want == 403 && (sessionLine(got) != "" || strings.Contains(got.main(), "bob")) {
				t.Errorf("%s: POST %s did something", tt.why, path)
			}
		}
	}
}

func TestOriginOfAPortalWithItsDefaultPort(t *testing.T) {
	for portal, want := range map[string]string{
		"https://auth.example.com:443": "https://auth.example.com", "https://Auth.Example.com:8443": "https://auth.example.com:8443",
	} {
		hosts, err := openHosts([]policy.Domain{{Name: "Example.com", Portal: portal}})
		must(t, err)
		if h := hosts["auth.example.com"]; h == nil || h.origin != want || h.Name != "example.com" {
			t.Errorf("%s: %+v", portal, h)
		}
	}
}

func one(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func TestThreat66TokenIsCheckedAndBound(t *testing.T) {
	h := openHouse(t)
	other := h.browser()
	other.get(auth + "/")
	foreign := tokenOf(other.get(auth + "/"))
	signedIn := h.browser()
	signedIn.signIn("", "alice", "wonderland")
	forAlice := tokenOf(signedIn.get(auth + "/"))

	b := h.browser()
	page := b.get(auth + "/")
	for why, csrf := range map[string]string{
		"none": "", "junk": "x", "another browser's": foreign, "another user's": forAlice,
		"cut short": tokenOf(page)[:20], "too long": tokenOf(page) + "A", "long": strings.Repeat("A", 10000),
	} {
		got := b.send(page, "/", "username", "bob", "password", "builder", "csrf", csrf)
		got.want(t, http.StatusForbidden, "Please send it again.", `value="bob"`)
		if sessionLine(got) != "" {
			t.Errorf("%s: signed in", why)
		}
		// The page that comes back works.
		again := h.browser()
		again.jar = b.jar
		if csrf == "x" {
			b.send(got, "/", "username", "bob", "password", "builder").wantRedirect(t, "/")
			b.send(b.get(auth+"/"), "/signout").wantRedirect(t, "/signed-out")
		}
	}
	b.send(page, "/language", "lang", "de", "csrf", foreign).want(t, http.StatusForbidden)
	signedIn.send(page, "/signout").want(t, http.StatusForbidden)
	signedIn.get(auth+"/").want(t, http.StatusOK, "You are signed in")
}

func TestAPageOfOneUserDoesNotActOnAnother(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	b.signIn("", "alice", "wonderland")
	old := b.get(auth + "/")
	b.send(b.get(auth+"/"), "/signout")
	b.signIn("", "bob", "builder")
	b.send(old, "/signout").want(t, http.StatusForbidden)
	b.get(auth+"/").want(t, http.StatusOK, "You are signed in", "Bob")
	// A page of the same user works after a sign-in that renewed the session.
	page := b.get(auth + "/")
	b.send(page, "/", "username", "bob", "password", "builder").wantRedirect(t, "/")
	b.send(page, "/signout").wantRedirect(t, "/signed-out")
}

func TestTwoTabsSignInAtOnce(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	first := b.get(auth + "/?rd=https://wiki.example.com/1")
	second := b.get(auth + "/?rd=https://calendar.example.com/2")
	b.send(first, "/", "username", "bob", "password", "builder").wantRedirect(t, "https://wiki.example.com/1")
	b.send(second, "/", "username", "bob", "password", "builder", "remember", "yes").wantRedirect(t, "https://calendar.example.com/2")
	b.get(auth+"/").want(t, http.StatusOK, "You are signed in")
}

// TestTabsThatANewBrowserOpensAtOnce: a browser that starts asks for all its tabs before
// it has a cookie; each page brings one, and the last stays.
func TestTabsThatANewBrowserOpensAtOnce(t *testing.T) {
	h := openHouse(t)
	b, at := h.browser(), h.browser()
	first := b.get(auth + "/?rd=https://wiki.example.com/1")
	second := at.get(auth + "/?rd=https://calendar.example.com/2")
	b.client.Jar, b.jar = at.jar, at.jar
	b.send(first, "/", "username", "bob", "password", "builder").wantRedirect(t, "https://wiki.example.com/1")
	b.send(second, "/", "username", "bob", "password", "builder").wantRedirect(t, "https://calendar.example.com/2")

	// So it is with "remember me", whose session is there when the browser starts.
	reopened := func() (*browser, answer) {
		c := h.browser()
		for _, k := range b.jar.Cookies(&url.URL{Scheme: "https", Host: "auth.example.com", Path: "/"}) {
			if k.Name == "__Secure-postern" {
				c.jar.SetCookies(&url.URL{Scheme: "https", Host: "auth.example.com", Path: "/"}, []*http.Cookie{k})
			}
		}
		return c, c.get(auth + "/")
	}
	_, early := reopened()
	late, _ := reopened()
	late.send(early, "/signout").wantRedirect(t, "/signed-out")
}

// TestThreat66ACarriedNameIsVouchedFor: a page that anybody can have of us does nothing in
// another browser, unless that browser says that it shows the page.
func TestThreat66ACarriedNameIsVouchedFor(t *testing.T) {
	h := openHouse(t)
	theirs := tokenOf(h.browser().get(auth + "/"))
	if !strings.Contains(theirs, ".") {
		t.Fatalf("the token %q carries no name", theirs)
	}
	name, mac, _ := strings.Cut(theirs, ".")
	for _, tt := range []struct {
		why, csrf, origin, site string
		want                    int
	}{
		{"an old browser, at another site", theirs, "", "", 403},
		{"typed", theirs, "", "none", 403},
		{"another site", theirs, "https://evil.test", "cross-site", 403},
		{"a neighbour", theirs, "https://wiki.example.com", "same-site", 403},
		{"a token without its name", mac, "null", "same-origin", 403},
		{"a name without its token", name + ".", "null", "same-origin", 403},
		{"another name", newBrowser() + "." + mac, "null", "same-origin", 403},
		{"no name", "." + mac, "null", "same-origin", 403},
		{"another tab", theirs, "null", "same-origin", 303},
		{"another tab of an old browser", theirs, auth, "", 303},
	} {
		b := h.browser()
		page := b.get(auth + "/")
		b.header["Origin"], b.header["Sec-Fetch-Site"] = one(tt.origin), one(tt.site)
		got := b.send(page, "/", "username", "bob", "password", "builder", "csrf", tt.csrf)
		if got.StatusCode != tt.want || (sessionLine(got) != "") != (tt.want == 303) {
			t.Errorf("%s: status %d, want %d", tt.why, got.StatusCode, tt.want)
		}
	}
	// A browser's own page works without any such word.
	b := h.browser()
	page := b.get(auth + "/")
	b.header["Origin"], b.header["Sec-Fetch-Site"] = nil, nil
	b.send(page, "/", "username", "bob", "password", "builder").wantRedirect(t, "/")
}

// TestThreat66TokensAreNotTakenFromTheQuery, where they would be logged.
func TestThreat66TokensAreNotTakenFromTheQuery(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	b.signIn("", "bob", "builder")
	token := tokenOf(b.get(auth + "/"))
	b.do("POST", auth+"/signout?csrf="+token, strings.NewReader("")).want(t, http.StatusForbidden)
	b.do("POST", auth+"/signout", strings.NewReader("csrf="+token)).wantRedirect(t, "/signed-out")
}

func TestABrowserWithoutCookies(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	page := b.get(auth + "/?rd=https://wiki.example.com/")
	b.client.Jar = nil
	b.send(page, "/", "username", "bob", "password", "builder").
		want(t, http.StatusForbidden, "Allow cookies for this site", `value="bob"`, `value="https://wiki.example.com/"`)
}

func TestFormsOfAnotherKind(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	page := b.get(auth + "/")
	for _, kind := range []string{"text/plain", "multipart/form-data; boundary=x", "application/json", ""} {
		b.header.Set("Content-Type", kind)
		b.send(page, "/", "username", "bob", "password", "builder").want(t, http.StatusBadRequest)
	}
	b.header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	b.send(page, "/", "username", "bob", "password", "builder").wantRedirect(t, "/")
}

func TestSecretsAreNotTakenFromTheQuery(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	page := b.get(auth + "/")
	query := "?" + url.Values{"username": {"bob"}, "password": {"builder"}}.Encode()
	b.send(page, "/"+query).want(t, http.StatusUnauthorized, "Enter your user name.")
}

// tokenOf is the token in a page's forms.
func tokenOf(a answer) string {
	for _, m := range hidden.FindAllStringSubmatch(a.Body, -1) {
		if m[1] == "csrf" {
			return m[2]
		}
	}
	return ""
}
