package portal

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"time"

	"postern/portal/factor"
	"postern/portal/journal"
	"postern/portal/users"
)

const pageNotMe = "/not-me"

// What an "it wasn't me" link can be about; the word stands in the link.
const (
	notMeSignIn   = "signin"
	notMePassword = "password"
	notMeAdded    = "added"
	notMeRemoved  = "removed"
	notMeCode     = "code"
	notMeToken    = "token"
)

// notMeBody is what the page shows before anything is done.
type notMeBody struct {
	What    sentence
	User    string
	When    string
	Browser string // as the letter said it
	Slip    string
	Added   bool // a device was, and will be removed
	Tokens  bool // there are some, and they will be revoked
	Resets  bool // a new password will be needed
}

// showNotMe is GET /not-me, where the link of a letter leads: it says what would be done,
// and does nothing, because mail programs open links too.
func (s *site) showNotMe(v *visit) error {
	e, err := s.readNotMe(v, v.form("slip"))
	if err != nil {
		return s.notMeGone(v, err)
	}
	return s.render(v, page{Name: "notme", Status: http.StatusOK, Title: "notme.title", Body: notMeBody{
		What: whatHappened(e.What), User: e.User, When: e.At.UTC().Format("2006-01-02 15:04 UTC"),
		Browser: e.Browser, Slip: v.form("slip"), Added: e.Device != "", Tokens: s.countTokens(v, e.User) > 0, Resets: s.resetsFor(e.User),
	}})
}

func (s *site) readNotMe(v *visit, slip string) (factor.Event, error) {
	if s.Factors.Tokens == nil {
		return factor.Event{}, errNotFound
	}
	return s.Factors.Tokens.ReadNotMe(slip, s.now())
}

func (s *site) notMeGone(v *visit, err error) error {
	if errors.Is(err, factor.ErrInvalid) || errors.Is(err, factor.ErrExpired) || errors.Is(err, factor.ErrSpent) {
		s.log().Info("it-wasn't-me link refused", "rid", v.id, "addr", v.addr.String(), "reason", err.Error())
		return s.notice(v, notice{Status: http.StatusGone, Title: "notme.gone_title", Text: "notme.gone_text", Link: "/", LinkText: "signedout.again"})
	}
	return err
}

// whatHappened is a link's subject in words.
func whatHappened(what string) sentence {
	switch what {
	case notMeSignIn:
		return "notme.signin"
	case notMePassword:
		return "notme.password"
	case notMeAdded:
		return "notme.added"
	case notMeRemoved:
		return "notme.removed"
	case notMeCode:
		return "notme.code"
	case notMeToken:
		return "notme.token"
	}
	return "notme.something"
}

// takeNotMe is POST /not-me: it spends the link and shuts whoever it was out. The
// password opens nothing any more, everybody is signed out, no program comes in, a device
// that was added is gone, and a link for a new password is on its way to the account's own address.
func (s *site) takeNotMe(v *visit) error {
	slip := v.field("slip")
	if _, err := s.readNotMe(v, slip); err != nil {
		return s.notMeGone(v, err)
	}
	if !v.checkToken(s.Server, "", v.user()) {
		return errExpired
	}
	ctx, cancel := context.WithTimeout(context.Background(), passwordTimeout)
	defer cancel()
	e, err := s.Factors.Tokens.SpendNotMe(ctx, slip, s.now())
	if err != nil {
		return s.notMeGone(v, err)
	}
	s.log().Warn("a user says that it was not him", "rid", v.id, "addr", v.addr.String(), "user", e.User, "what", e.What, "at", e.At.Format(time.RFC3339))
	s.note(v, journal.Event{Kind: journal.NotMe, User: e.User, Detail: e.What})
	// All of it is tried, whatever fails; then the link can be used again.
	err = errors.Join(s.lock(ctx, e.User), s.dropDevice(ctx, v, e), s.revokeTokens(v, e.User, "not_me"), s.signOutAll(v, e.User, ""))
	done := didEndSessions
	if s.resetsFor(e.User) {
		done = didLock
		if mailed := s.letterReset(v, e.User); mailed != nil {
			s.log().Error("reset link not sent", "rid", v.id, "user", e.User, "reason", mailed.Error())
		} else {
			done = didLockAndMail
		}
	}
	if err != nil {
		s.giveBack(v, slip, s.Factors.Tokens.ReturnNotMe)
		return err
	}
	return v.leaveOutcome(done)
}

// lock makes the password of a user one that nobody knows. Where no password is set by
// mail, or not here, it stays.
func (s *site) lock(ctx context.Context, user string) error {
	if !s.resets() {
		return nil
	}
	if ok, err := s.changes(user); !ok {
		return err
	}
	for range 3 { // whoever holds the account may be changing it, too
		version, ok := s.passwordVersion(user)
		if !ok {
			return nil
		}
		err := s.Password.ReplacePassword(ctx, user, rand.Text()+rand.Text(), version)
		if !errors.Is(err, users.ErrChanged) {
			return err
		}
	}
	return users.ErrChanged
}

// dropDevice removes the device whose coming an event was about.
func (s *site) dropDevice(ctx context.Context, v *visit, e factor.Event) error {
	if e.What != notMeAdded || s.Factors.Devices == nil {
		return nil
	}
	d, err := s.Factors.Devices.Delete(ctx, e.User, e.Device)
	if errors.Is(err, factor.ErrNotFound) {
		return nil
	}
	if err == nil {
		s.note(v, journal.Event{Kind: journal.FactorRemoved, User: e.User, Factor: d.Kind.Factor().String(), Detail: d.Name, Reason: "not_me"})
	}
	return err
}
