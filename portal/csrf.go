package portal

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// Every POST is checked twice. First where it comes from: Sec-Fetch-Site and Origin, as
// far as the browser sends them. Then its token: a MAC over the browser's own cookie and
// over the user who was signed in when the page was made. Nothing is kept on the server,
// so that any number of tabs can be open; a page made for one user cannot act on another.
//
// Tabs that a new browser opens at once are given a name each, and the last one stays. So
// a page that names its browser carries the name in its token, too, and the form counts as
// that browser's when the browser itself vouches that it comes from a page of ours.

// browserBytes is the length of the random name of a browser.
const browserBytes = 18

// newBrowser makes a name for a browser that has none.
func newBrowser() string {
	var b [browserBytes]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// browserName says that s could have been made by newBrowser.
func browserName(s string) bool {
	b, err := base64.RawURLEncoding.DecodeString(s)
	return err == nil && len(b) == browserBytes
}

// csrfToken is the token of a form made for a browser and a user, "" for nobody.
func (s *Server) csrfToken(browser, user string) string {
	m := hmac.New(sha256.New, s.Key)
	m.Write([]byte("postern portal csrf 1\x00" + browser + "\x00" + user))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// sameOrigin refuses a POST that another site sent. With Referrer-Policy no-referrer a
// browser says "Origin: null" for our own forms; then Sec-Fetch-Site must vouch for it.
func sameOrigin(c *fiber.Ctx, origin string) bool {
	site := string(c.Request().Header.Peek("Sec-Fetch-Site"))
	switch site {
	case "", "same-origin", "none":
	default:
		return false
	}
	switch from := string(c.Request().Header.Peek(fiber.HeaderOrigin)); {
	case from == "":
		return true
	case from == "null":
		return site == "same-origin"
	default:
		return strings.EqualFold(from, origin)
	}
}

// checkToken says whether the form's token was made for this browser and one of users.
func (v *visit) checkToken(s *Server, users ...string) bool {
	if v.browser == "" || v.newBrowser {
		return false
	}
	browser, token := v.browser, v.field("csrf")
	if name, rest, carried := strings.Cut(token, "."); carried && (name == v.browser || browserName(name) && vouched(v.c, v.host.origin)) {
		browser, token = name, rest
	}
	ok := false
	for _, u := range users {
		ok = hmac.Equal([]byte(token), []byte(s.csrfToken(browser, u))) || ok
	}
	return ok
}

// pageToken is the token for the forms of a page.
func (v *visit) pageToken(s *Server) string {
	token := s.csrfToken(v.browser, v.user())
	if v.newBrowser {
		return v.browser + "." + token
	}
	return token
}

// vouched says that a browser names our own page as the one that sent a POST. Scripts of
// other sites can set neither header.
func vouched(c *fiber.Ctx, origin string) bool {
	return string(c.Request().Header.Peek("Sec-Fetch-Site")) == "same-origin" ||
		strings.EqualFold(string(c.Request().Header.Peek(fiber.HeaderOrigin)), origin)
}
