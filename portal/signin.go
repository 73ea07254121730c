package portal

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"postern/agent/policy"
	"postern/agent/regulation"
	"postern/agent/session"
	"postern/portal/journal"
	"postern/portal/users"
)

// Bounds of what is typed, in bytes. A longer password is wrong without being hashed.
const (
	maxUsername = 256
	maxPassword = 1024
	maxBrowser  = 256 // of the User-Agent that a session keeps
)

// guessTimeout bounds one attempt, waiting for others at the same user included.
const guessTimeout = 15 * time.Second

// signInBody is what the sign-in page shows.
type signInBody struct {
	Username string
	Remember bool     // ticked
	Offer    bool     // remember-me can be had
	Say      sentence // what went wrong; empty: nothing
	Wait     int      // seconds; with "signin.wait"
	Missing  string   // "username" or "password": the field that was left empty
	Expired  bool     // the page had expired; nothing is known about the password
	Unjudged bool     // nobody could look at the password
	ByKey    bool     // it was a passkey that did not do
	Passkey  *ceremony
}

// OnPassword says that the password is the field to go on with.
func (b signInBody) OnPassword() bool { return b.Username != "" && b.Missing != "username" }

// OnUsername says that the user name is what is wrong.
func (b signInBody) OnUsername() bool { return b.Missing == "username" }

// WrongPassword says that the password field is among what is wrong.
func (b signInBody) WrongPassword() bool {
	return b.Say != "" && !b.Expired && !b.Unjudged && !b.ByKey && b.Missing != "username"
}

// showSignIn is GET /: the next step, whatever it is.
func (s *site) showSignIn(v *visit) error {
	if v.doubled {
		return s.render(v, page{Name: "cookies", Status: http.StatusOK, Title: "cookies.title"})
	}
	step, err := s.next(v)
	if err != nil {
		return err
	}
	switch step {
	case stepPassword:
		return s.signInForm(v, http.StatusOK, signInBody{})
	case stepProve:
		return v.leave(v.goal("/prove"))
	case stepEnrol:
		return v.leave(v.goal(pageFactors))
	case stepNoSecond:
		return s.secondPage(v)
	case stepDenied:
		return s.render(v, page{Name: "denied", Status: http.StatusForbidden, Title: "denied.title", Body: v.session})
	case stepDone:
		if v.page != "" {
			return s.onward(v)
		}
		if v.target.URL == "" {
			return s.showSignedIn(v)
		}
		if s.bounced(v) {
			return s.render(v, page{Name: "bounce", Status: http.StatusOK, Title: "bounce.title", Body: v.session})
		}
		return v.leave(v.target.URL)
	}
	return errRules
}

// leave answers 303, which makes every browser send a GET.
func (v *visit) leave(to string) error {
	v.c.Set(fiber.HeaderLocation, to)
	v.c.Set(fiber.HeaderCacheControl, "no-store")
	v.c.Set("Referrer-Policy", "no-referrer")
	return v.c.SendStatus(http.StatusSeeOther)
}

func (s *site) signInForm(v *visit, code int, b signInBody) error {
	b.Offer = s.Cookie.RememberMe > 0
	b.Passkey = s.passkeyOffer(v)
	return s.render(v, page{Name: "signin", Status: code, Title: "signin.title", Failed: b.Say != "", Body: b})
}

// takeSignIn is POST /: it proves the password, makes the session, and goes to the next step.
func (s *site) takeSignIn(v *visit) error {
	b := signInBody{Username: strings.TrimSpace(v.field("username")), Remember: v.field("remember") != ""}
	if len(b.Username) > maxUsername || !utf8.ValidString(b.Username) || !printable(b.Username) {
		b.Username = ""
	}
	if v.newBrowser {
		b.Say, b.Expired = "error.no_cookie", true
		return s.signInForm(v, status(errNoCookie), b)
	}
	if !v.checkToken(s.Server, "", v.user()) {
		b.Say, b.Expired = "error.expired", true
		return s.signInForm(v, status(errExpired), b)
	}
	password := v.field("password")
	switch {
	case b.Username == "":
		b.Say, b.Missing = "signin.no_username", "username"
	case password == "":
		b.Say, b.Missing = "signin.no_password", "password"
	}
	if b.Missing != "" {
		return s.signInForm(v, http.StatusUnauthorized, b)
	}
	who, err := s.prove(v, b.Username, password)
	if err != nil {
		return s.refuse(v, b, err)
	}
	if err := s.begin(v, who, b.Remember); err != nil {
		return err
	}
	return s.onward(v)
}

// proved is who somebody is, by a first factor.
type proved struct {
	users.User
	Version string // of the password, when the proof was given
	Factor  policy.Factor
	Level   policy.Level
}

// prove checks a password, within the bounds of the limiter.
func (s *site) prove(v *visit, name, password string) (proved, error) {
	ctx, cancel := context.WithTimeout(context.Background(), guessTimeout)
	defer cancel()
	if err := s.banned(v, ""); err != nil {
		return proved{}, err
	}
	as, err := s.counts(ctx, name)
	if err != nil {
		return proved{}, err
	}
	try, err := s.attempt(ctx, s.counted(v, regulation.Password, as)...)
	if err != nil {
		return proved{}, err
	}
	defer func() { try.Fail(s.now()) }() // a panic; else it is settled by then
	who := proved{Factor: policy.Password, Level: policy.LevelOne}
	err = users.ErrBadCredentials
	if len(password) <= maxPassword {
		who.User, err = s.Users.Authenticate(ctx, name, password)
	}
	if err == nil {
		who.Version = s.version(who.Name)
		err = s.banned(v, who.Name)
	}
	switch {
	case err == nil:
		try.Succeed()
	case errors.Is(err, users.ErrBadCredentials):
		try.Fail(s.now())
	default:
		try.Release()
	}
	return who, err
}

// refuse shows the form again. One sentence serves every cause that has to do with who
// the user is.
func (s *site) refuse(v *visit, b signInBody, err error) error {
	code := status(err)
	var wait waitError
	switch {
	case errors.As(err, &wait):
		b.Say, b.Wait = "signin.wait", wait.Seconds
		v.c.Set(fiber.HeaderRetryAfter, strconv.Itoa(wait.Seconds))
	case errors.Is(err, users.ErrBusy):
		b.Say = "signin.busy"
		v.c.Set(fiber.HeaderRetryAfter, "2")
	case errors.Is(err, users.ErrUnavailable):
		b.Say, b.Unjudged = "error.directory", true
		v.c.Set(fiber.HeaderRetryAfter, "60")
		s.log().Warn("sign-in impossible", "rid", v.id, "addr", v.addr.String(), "error", err.Error())
		s.noteRefused(v, refused{Kind: journal.SignInFailed, Factor: policy.Password}, err)
		return s.signInForm(v, code, b)
	case errors.Is(err, users.ErrBadCredentials):
		b.Say = "signin.wrong"
	case banSentence(err) != "":
		b.Say, b.Unjudged = banSentence(err), true
		return s.signInForm(v, code, b)
	default:
		return err
	}
	// A name that nobody has is not logged: it may be a password, typed in the wrong field.
	name := s.nameOf(b.Username)
	s.log().Info("sign-in refused", "rid", v.id, "addr", v.addr.String(), "user", name, "status", code)
	s.noteRefused(v, refused{Kind: journal.SignInFailed, User: name, Factor: policy.Password}, err)
	return s.signInForm(v, code, b)
}

// begin makes the session of a user who proved a first factor, and sets its cookie. A
// session that the browser had is ended in the same stroke.
func (s *site) begin(v *visit, u proved, remember bool) error {
	now := s.now()
	remember = remember && s.Cookie.RememberMe > 0
	fresh := session.Session{
		Domain: v.host.Name, User: u.Name, Name: u.DisplayName, Groups: u.Groups,
		Level: u.Level, Remember: remember, Browser: v.agent,
	}
	if len(u.Emails) > 0 {
		fresh.Email = u.Emails[0]
	}
	if v.addr.IsValid() {
		fresh.Addr = v.addr.String()
	}
	fresh.Proofs[u.Factor] = now.Unix()
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	token, created, err := s.Sessions.Create(ctx, fresh, v.token)
	if err != nil {
		return errors.Join(errNoSessions, err)
	}
	if s.version(u.Name) != u.Version { // set anew meanwhile, when this session was not there to be ended
		_, err := s.Sessions.Revoke(ctx, session.Filter{ID: created.ID})
		return errors.Join(errEnded, err)
	}
	if v.doubled {
		v.expire(s.Cookie.Cookie)
	}
	life := time.Duration(0)
	if remember {
		life = created.Expires.Sub(now)
	}
	v.setSession(s.Cookie.Cookie, token, life)
	v.token, v.session, v.had = token, &created, nil
	s.welcome(v, u.Factor)
	s.log().Info("signed in", "rid", v.id, "addr", v.addr.String(), "user", u.Name, "session", created.ID, "domain", v.host.Name, "factor", u.Factor.String())
	return nil
}

// clip cuts s to at most n bytes of valid, printable text.
func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	s = strings.ToValidUTF8(s, "")
	return strings.Map(func(r rune) rune {
		if !printable(string(r)) {
			return ' '
		}
		return r
	}, s)
}
