package portal

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"postern/agent/policy"
	"postern/agent/regulation"
	"postern/portal/factor"
	"postern/portal/journal"
	"postern/portal/users"
)

// passkeyOffer is the ceremony that the sign-in page offers: any passkey of this portal.
// It names nobody, so that it is the same for everybody. nil when passkeys are off.
func (s *site) passkeyOffer(v *visit) *ceremony {
	key := s.Factors.WebAuthn[v.host.Portal]
	if key == nil || key.Config.Disable {
		return nil
	}
	c, err := key.BeginPasskey(v.browser, s.now())
	if err != nil {
		s.log().Warn("passkeys cannot be offered", "rid", v.id, "error", err)
		return nil
	}
	return &ceremony{Options: string(c.Options), Ticket: c.Ticket}
}

// takePasskey is POST /passkey: somebody signs in with a passkey alone.
func (s *site) takePasskey(v *visit) error {
	b := signInBody{Remember: v.field("remember") != ""}
	switch {
	case v.newBrowser:
		b.Say, b.Expired = "error.no_cookie", true
		return s.signInForm(v, status(errNoCookie), b)
	case !v.checkToken(s.Server, "", v.user()):
		b.Say, b.Expired = "error.expired", true
		return s.signInForm(v, status(errExpired), b)
	}
	if err := s.banned(v, ""); err != nil {
		return s.refusePasskey(v, b, err)
	}
	proof, err := s.provePasskey(v)
	if err != nil {
		return s.refusePasskey(v, b, err)
	}
	user, err := s.person(context.Background(), proof.User)
	switch {
	case errors.Is(err, users.ErrNotFound) || err == nil && user.Disabled:
		return s.refusePasskey(v, b, factor.ErrUnknownCredential)
	case err != nil:
		return err
	}
	if err := s.banned(v, user.Name); err != nil {
		return s.refusePasskey(v, b, err)
	}
	who := proved{User: user, Version: s.version(user.Name), Factor: policy.WebAuthn, Level: proof.Level}
	if err := s.begin(v, who, b.Remember); err != nil {
		return err
	}
	return s.onward(v)
}

// provePasskey finishes the ceremony, within the bounds of the limiter for the address:
// who it is about is known only at the end.
func (s *site) provePasskey(v *visit) (factor.Proof, error) {
	key := s.Factors.WebAuthn[v.host.Portal]
	if key == nil {
		return factor.Proof{}, factor.ErrDisabled
	}
	ctx, cancel := context.WithTimeout(context.Background(), guessTimeout)
	defer cancel()
	try, err := s.attempt(ctx, regulation.Address(regulation.WebAuthn, v.addr))
	if err != nil {
		return factor.Proof{}, err
	}
	defer func() { try.Fail(s.now()) }() // a panic; else it is settled by then
	proof, err := key.FinishLogin(ctx, factor.Assertion{
		Browser: v.browser, Ticket: v.field("ticket"), Response: []byte(v.field("response")),
	}, s.now())
	switch {
	case err == nil:
		try.Succeed()
	case guess(err):
		try.Fail(s.now())
	default:
		try.Release()
	}
	s.suspect(v, err)
	return proof, err
}

// refusePasskey shows the sign-in form with a sentence for what went wrong.
func (s *site) refusePasskey(v *visit, b signInBody, err error) error {
	code := http.StatusUnauthorized
	var wait waitError
	if errors.As(err, &wait) {
		b.Say, b.Wait, code = "signin.wait", wait.Seconds, http.StatusTooManyRequests
		v.c.Set(fiber.HeaderRetryAfter, strconv.Itoa(wait.Seconds))
	} else if say := banSentence(err); say != "" {
		b.Say, b.ByKey = say, true
		return s.signInForm(v, status(err), b)
	} else if b.Say = factorSentence(err); b.Say == "" {
		return err
	}
	b.ByKey = true
	s.log().Info("sign-in refused", "rid", v.id, "addr", v.addr.String(), "factor", policy.WebAuthn.String(), "reason", err.Error())
	s.noteRefused(v, refused{Kind: journal.SignInFailed, Factor: policy.WebAuthn}, err)
	return s.signInForm(v, code, b)
}
