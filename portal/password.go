package portal

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"postern/agent/policy"
	"postern/portal/journal"
	"postern/portal/strength"
	"postern/portal/users"
)

// showPassword is GET /settings/password.
func (s *site) showPassword(v *visit) error {
	if ok, err := s.gate(v, pagePassword); !ok {
		return err
	}
	if err := s.settable(v.user()); err != nil {
		return err
	}
	return s.passwordForm(v, http.StatusOK, newPasswordBody{})
}

func (s *site) passwordForm(v *visit, code int, b newPasswordBody) error {
	b.Username, b.Length = v.user(), s.Strength.MinLength
	b.Tokens, b.Revoke = s.countTokens(v, b.Username), v.field("tokens") == "yes"
	return s.render(v, page{Name: "password", Status: code, Title: "password.title", Failed: b.Say != "" || b.Problem != "", Body: b})
}

// takePassword is POST /settings/password: the old password and the new one. Everybody
// else who is signed in as the user is signed out.
func (s *site) takePassword(v *visit) error {
	if ok, err := s.change(v, pagePassword); !ok {
		return err
	}
	if err := s.settable(v.user()); err != nil {
		return err
	}
	old, password, user := v.field("password"), v.field("new"), v.user()
	u, err := s.person(context.Background(), user)
	if err != nil {
		return err
	}
	j, err := s.judge(password, u)
	if err != nil {
		return err
	}
	b := newPasswordBody{}
	switch {
	case old == "":
		b.Say = "password.no_old"
		return s.passwordForm(v, http.StatusUnprocessableEntity, b)
	case j.Fault != strength.Fine:
		b.Problem = s.verdict(v, j)
		return s.passwordForm(v, http.StatusUnprocessableEntity, b)
	case password == old:
		b.Problem = v.words.say("password.same")
		return s.passwordForm(v, http.StatusUnprocessableEntity, b)
	}
	version := s.version(user)
	_, err = s.prove(v, user, old)
	if err == nil {
		err = s.changePassword(v, user, password, version)
	}
	if err != nil {
		return s.refusePassword(v, b, err)
	}
	return v.leaveOutcome(didChangePassword)
}

// refusePassword shows the form again after a wrong old password.
func (s *site) refusePassword(v *visit, b newPasswordBody, err error) error {
	code := status(err)
	var wait waitError
	switch {
	case errors.Is(err, users.ErrPassword): // the directory has rules of its own
		code, b.Problem = http.StatusUnprocessableEntity, v.words.say("password.refused")
	case errors.As(err, &wait):
		b.Say, b.Wait = "signin.wait", wait.Seconds
		v.c.Set(fiber.HeaderRetryAfter, strconv.Itoa(wait.Seconds))
	case errors.Is(err, users.ErrBadCredentials), errors.Is(err, users.ErrChanged):
		code = http.StatusUnauthorized
		b.Say = "password.wrong_old"
	default:
		return err
	}
	s.noteRefused(v, refused{Kind: journal.StepUpFailed, User: v.user(), Factor: policy.Password}, err)
	s.log().Info("password change refused", "rid", v.id, "addr", v.addr.String(), "user", v.user(), "status", code)
	return s.passwordForm(v, code, b)
}

// changePassword sets the password, when it is still the one that was proved, and leaves
// the visitor's session as the only one, under a new token.
func (s *site) changePassword(v *visit, user, password, version string) error {
	ctx, cancel := context.WithTimeout(context.Background(), passwordTimeout)
	defer cancel()
	if err := s.Password.ReplacePassword(ctx, user, password, version); err != nil {
		return err
	}
	s.log().Info("password changed", "rid", v.id, "addr", v.addr.String(), "user", user, "session", v.session.ID)
	s.note(v, journal.Event{Kind: journal.PasswordChanged, User: user})
	s.letterPassword(v, user)
	s.remember(v, user)
	ended := s.revokeAsked(v, user)
	if err := s.raise(v, policy.Password); err != nil {
		return errors.Join(err, ended, s.signOutAll(v, user, ""))
	}
	return errors.Join(ended, s.signOutAll(v, user, v.session.ID))
}

// version is that of a user's password, "" where there is none that is kept here.
func (s *Server) version(user string) string {
	if s.Password == nil {
		return ""
	}
	version, _ := s.Password.Version(user)
	return version
}

// wellKnown is /.well-known/change-password, by which password managers find the page
// (W3C, A Well-Known URL for Changing Passwords).
func (s *site) wellKnown(v *visit) error { return v.leave(pagePassword) }
