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

	"postern/agent/regulation"
	"postern/agent/session"
	"postern/portal/factor"
	"postern/portal/journal"
	"postern/portal/strength"
	"postern/portal/users"
)

// The pages of somebody who cannot sign in.
const (
	pageReset    = "/reset"
	pageResetNew = "/reset/new"
)

// passwordTimeout bounds the change of a password, waiting for other hashes included.
const passwordTimeout = 20 * time.Second

// resets says whether passwords can be set by a link from a mail.
func (s *site) resets() bool {
	return s.Letters != nil && s.Password != nil && s.Factors.Tokens != nil
}

// resetBody is what the page shows that asks whose password is forgotten.
type resetBody struct {
	Username string
	Say      sentence
	Wait     int // seconds; with "signin.wait"
}

// showReset is GET /reset.
func (s *site) showReset(v *visit) error {
	if !s.resets() {
		return errNotFound
	}
	return s.resetForm(v, http.StatusOK, resetBody{Username: v.user()})
}

func (s *site) resetForm(v *visit, code int, b resetBody) error {
	return s.render(v, page{Name: "reset", Status: code, Title: "reset.title", Failed: b.Say != "", Body: b})
}

// takeResetAsk is POST /reset. What it answers, and how fast, does not depend on whether
// there is such a user: whatever does is done after the answer.
func (s *site) takeResetAsk(v *visit) error {
	if !s.resets() {
		return errNotFound
	}
	b := resetBody{Username: strings.TrimSpace(v.field("username"))}
	if len(b.Username) > maxUsername || !utf8.ValidString(b.Username) || !printable(b.Username) {
		b.Username = ""
	}
	switch {
	case v.newBrowser:
		b.Say = "error.no_cookie"
		return s.resetForm(v, status(errNoCookie), b)
	case !v.checkToken(s.Server, "", v.user()):
		b.Say = "error.expired"
		return s.resetForm(v, status(errExpired), b)
	case b.Username == "":
		b.Say = "signin.no_username"
		return s.resetForm(v, http.StatusUnauthorized, b)
	}
	if err := s.banned(v, ""); err != nil {
		return err
	}
	name, err := s.counts(context.Background(), b.Username)
	if err != nil { // a directory is away: the page says nothing else than for other names
		name = users.Folded(b.Username)
	}
	var wait waitError
	switch err := s.use(s.counted(v, regulation.Reset, name)...); {
	case errors.As(err, &wait):
		b.Say, b.Wait = "signin.wait", wait.Seconds
		v.c.Set(fiber.HeaderRetryAfter, strconv.Itoa(b.Wait))
		return s.resetForm(v, http.StatusTooManyRequests, b)
	case err != nil:
		return err
	}
	after := *v
	after.c = nil // the request is over by then
	s.later(v.id, func() { s.sendReset(&after, name) })
	return v.leaveOutcome(didAskReset)
}

// sendReset writes the link to a user, when there is one who can have it.
func (s *site) sendReset(v *visit, user string) {
	_, unknown := s.person(context.Background(), user)
	switch err := s.letterReset(v, user); {
	case err == nil:
		s.log().Info("reset link sent", "rid", v.id, "addr", v.addr.String(), "user", user)
		s.note(v, journal.Event{Kind: journal.ResetAsked, User: user})
	case !errors.Is(unknown, users.ErrNotFound):
		s.log().Warn("reset link not sent", "rid", v.id, "addr", v.addr.String(), "user", user, "reason", err.Error())
		s.note(v, journal.Event{Kind: journal.ResetAsked, User: user, Reason: "no_mail"})
	default:
		s.log().Info("reset link asked for an unknown name", "rid", v.id, "addr", v.addr.String())
	}
}

// newPasswordBody is what a page shows on which a password is set.
type newPasswordBody struct {
	Username string
	Slip     string // of the reset link
	Length   int    // the least, in characters
	Tokens   int    // credentials of the user's programs
	Revoke   bool   // they shall end too
	Problem  string // what is wrong with the new password, said already
	Say      sentence
	Wait     int // seconds; with "signin.wait"
}

// showResetNew is GET /reset/new, where the link leads: it reads the slip and spends
// nothing, because mail programs open links too.
func (s *site) showResetNew(v *visit) error {
	user, err := s.readReset(v, v.form("slip"))
	if err != nil {
		return s.resetGone(v, err)
	}
	return s.resetNewForm(v, http.StatusOK, newPasswordBody{Username: user, Slip: v.form("slip")})
}

func (s *site) readReset(v *visit, slip string) (user string, err error) {
	if !s.resets() {
		return "", errNotFound
	}
	var away error
	user, err = s.Factors.Tokens.ReadReset(slip, func(name string) (string, bool) {
		if _, err := s.person(context.Background(), name); err != nil && !errors.Is(err, users.ErrNotFound) {
			away = err // nobody can tell whether the link is good
			return "", false
		}
		return s.passwordVersion(name)
	}, s.now())
	if away != nil {
		return "", away
	}
	return user, err
}

func (s *site) resetNewForm(v *visit, code int, b newPasswordBody) error {
	b.Length, b.Tokens, b.Revoke = s.Strength.MinLength, s.countTokens(v, b.Username), v.field("tokens") == "yes"
	return s.render(v, page{Name: "resetnew", Status: code, Title: "resetnew.title", Failed: b.Say != "" || b.Problem != "", Body: b})
}

// resetGone says that a link cannot be used, and offers another.
func (s *site) resetGone(v *visit, err error) error {
	if errors.Is(err, factor.ErrInvalid) || errors.Is(err, factor.ErrExpired) || errors.Is(err, factor.ErrSpent) || errors.Is(err, users.ErrChanged) {
		s.log().Info("reset link refused", "rid", v.id, "addr", v.addr.String(), "reason", err.Error())
		return s.notice(v, notice{Status: http.StatusGone, Title: "reset.gone_title", Text: "reset.gone_text", Link: pageReset, LinkText: "reset.again"})
	}
	return err
}

// takeResetNew is POST /reset/new: it spends the link and sets the password. Whoever was
// signed in as the user is signed out; a second factor is asked for as ever.
func (s *site) takeResetNew(v *visit) error {
	if err := s.banned(v, ""); err != nil {
		return err
	}
	slip, password := v.field("slip"), v.field("new")
	name, err := s.readReset(v, slip)
	if err != nil {
		return s.resetGone(v, err)
	}
	version := s.version(name)
	b := newPasswordBody{Username: name, Slip: slip}
	if !v.checkToken(s.Server, "", v.user()) {
		b.Say = "error.expired"
		return s.resetNewForm(v, status(errExpired), b)
	}
	u, err := s.person(context.Background(), name)
	if err != nil {
		return err
	}
	j, err := s.judge(password, u)
	if err != nil {
		return err
	}
	if j.Fault != strength.Fine {
		b.Problem = s.verdict(v, j)
		return s.resetNewForm(v, http.StatusUnprocessableEntity, b)
	}
	name, err = s.spendReset(v, slip, password, version)
	switch {
	case errors.Is(err, users.ErrPassword): // the directory's own rules; the link goes on
		b.Problem = v.words.say("password.refused")
		return s.resetNewForm(v, http.StatusUnprocessableEntity, b)
	case err != nil:
		return s.resetGone(v, err)
	}
	s.forgive(v, name)
	s.log().Info("password reset", "rid", v.id, "addr", v.addr.String(), "user", name)
	s.note(v, journal.Event{Kind: journal.PasswordReset, User: name})
	s.letterPassword(v, name)
	if err := errors.Join(s.revokeAsked(v, name), s.signOutAll(v, name, "")); err != nil {
		return err
	}
	return v.leaveOutcome(didSetPassword)
}

// spendReset spends a link and sets the password of its user, who is named. It is spent
// first, so that of many at once, on whatever nodes, only one sets a password; and given
// back when none was set.
func (s *site) spendReset(v *visit, slip, password, version string) (name string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), passwordTimeout)
	defer cancel()
	if name, err = s.Factors.Tokens.SpendReset(ctx, slip, s.passwordVersion, s.now()); err != nil {
		return "", err
	}
	if err = s.Password.ReplacePassword(ctx, name, password, version); err != nil {
		s.giveBack(v, slip, s.Factors.Tokens.ReturnReset)
	}
	return name, err
}

// giveBack makes a link good again that this request has spent for nothing.
func (s *site) giveBack(v *visit, slip string, how func(ctx context.Context, slip string, now time.Time) error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	if err := how(ctx, slip, s.now()); err != nil {
		s.log().Warn("link is spent for nothing", "rid", v.id, "addr", v.addr.String(), "error", err.Error())
	}
}

// signOutAll ends the sessions of a user on all domains, but for one.
func (s *site) signOutAll(v *visit, user, except string) error {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	ended, err := s.Sessions.Revoke(ctx, session.Filter{User: user, Except: except})
	if err != nil {
		return errors.Join(errNoSessions, err)
	}
	for _, e := range ended {
		s.note(v, journal.Event{Kind: journal.Revoked, User: user, Detail: e.ID})
		if v.session != nil && e.ID == v.session.ID {
			v.setSession(s.Cookie.Cookie, "", -1)
			v.session = nil
		}
	}
	return nil
}

// plainSlip says that s could be the token of a link.
func plainSlip(s string) bool {
	return s != "" && len(s) <= 4096 &&
		strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == ""
}
