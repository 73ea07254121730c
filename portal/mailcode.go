package portal

import (
	"context"
	"errors"
	"net/http"

	"postern/agent/policy"
	"postern/portal/factor"
)

// sendCode mails a one-time code to the visitor and shows the form that asks for it.
func (s *site) sendCode(v *visit, list []policy.Factor) error {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	b := proveBody{Way: policy.Mail}
	code, err := s.Factors.Mailed.Issue(ctx, v.session.User, v.session.ID, factor.PurposeStepUp, s.now())
	switch {
	case errors.Is(err, factor.ErrTooMany):
		b.Say = "prove.too_many_mails"
		return s.proveForm(v, http.StatusTooManyRequests, list, b)
	case err != nil:
		return err
	}
	if err := s.letterCode(v, code); err != nil {
		b.Say = "prove.no_mail"
		s.log().Error("code not mailed", "rid", v.id, "user", v.session.User, "error", err)
		return s.proveForm(v, http.StatusServiceUnavailable, list, b)
	}
	return v.leave(with(v.goal("/prove"), "sent=yes"))
}

// codeSent says that the page comes after sendCode.
func (s *site) codeSent(v *visit) bool { return v.form("sent") == "yes" }
