package portal

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"time"

	"postern/agent/policy"
	"postern/agent/regulation"
	"postern/portal/journal"
)

// A browser that a user has signed in with before is known: it is counted by itself when
// passwords are guessed, so that strangers who guess at a user, or a neighbour behind the
// same address, cannot lock him out of his own browser; and a sign-in in it is not worth a
// mail. When the password changes, all browsers of the user are strangers again. Who
// copies the cookie gains a few guesses and an unnoticed sign-in, never the password.

const (
	cookieKnown = "__Host-postern-known"
	knownLife   = 365 * 24 * time.Hour
	maxKnown    = 4 // users that one browser is known by
)

// knownMark says, under the server's key, that a user has signed in with a browser, with
// the password that he has now.
func (s *Server) knownMark(browser, user string) string {
	m := hmac.New(sha256.New, s.Key)
	m.Write([]byte("postern portal known browser 2\x00" + browser + "\x00" + s.version(user) + "\x00" + user))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil)[:16])
}

// known returns the lasting name of the browser when user has signed in with it before.
func (s *Server) known(v *visit, user string) (browser string, ok bool) {
	browser, marks := v.knownParts()
	want := s.knownMark(browser, user)
	for _, m := range marks {
		ok = hmac.Equal([]byte(m), []byte(want)) || ok
	}
	return browser, ok
}

// knownParts splits the cookie into the name of the browser and its marks.
func (v *visit) knownParts() (browser string, marks []string) {
	value, _ := v.cookies.get(cookieKnown)
	parts := strings.Split(value, ".")
	if len(parts) > 1+maxKnown || !browserName(parts[0]) {
		return "", nil
	}
	return parts[0], parts[1:]
}

// remember makes the browser known by user, who goes first among those it is known by.
func (s *Server) remember(v *visit, user string) {
	browser, marks := v.knownParts()
	if browser == "" {
		browser = newBrowser()
	}
	kept := []string{browser, s.knownMark(browser, user)}
	for _, m := range marks {
		if m != kept[1] && len(kept) <= maxKnown && plainID(m) {
			kept = append(kept, m)
		}
	}
	setCookie(v.c, cookieKnown, strings.Join(kept, "."), "", "/", knownLife)
}

// welcome ends a sign-in: the browser becomes known, and when it was not, the user is told.
func (s *site) welcome(v *visit, f policy.Factor) {
	user := v.session.User
	_, known := s.known(v, user)
	s.remember(v, user)
	s.note(v, journal.Event{Kind: journal.SignIn, User: user, Factor: f.String()})
	if !known && s.use(regulation.User(regulation.Letter, user)) == nil {
		s.letterSignIn(v)
	}
}
