package portal

import (
	"context"
	"errors"
	"time"

	"postern/agent/policy"
	"postern/portal/factor"
	"postern/portal/journal"
	"postern/portal/users"
)

// noteTimeout bounds what an answer may wait for the journal.
const noteTimeout = time.Second

// note writes an event into the journal: when, from where, in which browser and session
// is filled in from the visit. It never fails the answer; what could not be written is
// logged. An event without a user is nobody's that is known here.
func (s *site) note(v *visit, e journal.Event) {
	if s.Journal == nil {
		return
	}
	if e.At.IsZero() {
		e.At = s.now()
	}
	if e.Session == "" && v.session != nil && v.session.User == e.User {
		e.Session = v.session.ID
	}
	if v.addr.IsValid() {
		e.Addr = v.addr.String()
	}
	e.Request = v.id
	e.Browser = v.agent
	ctx, cancel := context.WithTimeout(context.Background(), noteTimeout)
	defer cancel()
	if err := s.Journal.AddEvent(ctx, e); err != nil {
		s.log().Error("journal not written", "rid", v.id, "kind", string(e.Kind), "user", e.User, "error", err.Error())
	}
}

// refused is an attempt that did not succeed.
type refused struct {
	Kind   journal.Kind // when the proof was looked at
	User   string       // "" when nobody has the name that was typed
	Factor policy.Factor
}

// noteRefused writes down why an attempt was refused, in a word that the person never
// sees. A ban has been noted by whoever found it; a fault of ours is in the log.
func (s *site) noteRefused(v *visit, r refused, err error) {
	e := journal.Event{Kind: r.Kind, User: r.User, Factor: r.Factor.String()}
	switch {
	case errors.As(err, new(waitError)):
		e.Kind, e.Reason = journal.SignInRefused, journal.Wait
	case errors.Is(err, users.ErrBusy):
		e.Kind, e.Reason = journal.SignInRefused, journal.Busy
	case errors.Is(err, users.ErrUnavailable):
		e.Kind, e.Reason = journal.SignInRefused, journal.Unavailable
	case errors.Is(err, users.ErrBadCredentials), errors.Is(err, users.ErrChanged):
		e.Reason = s.whyWrong(r)
	default:
		e.Reason = factorWord(err)
	}
	if e.Reason != "" {
		s.note(v, e)
	}
}

// whyWrong tells apart what one sentence says to whoever tries.
func (s *site) whyWrong(r refused) string {
	if r.User == "" {
		return journal.Unknown
	}
	if u, ok := s.Users.Known(r.User); ok && u.Disabled {
		return journal.Disabled
	}
	return journal.Wrong
}

// factorWord is why a factor was refused; "" for a fault of ours.
func factorWord(err error) string {
	switch {
	case errors.Is(err, factor.ErrWrong):
		return journal.Wrong
	case errors.Is(err, factor.ErrSpent):
		return "spent"
	case errors.Is(err, factor.ErrExpired), errors.Is(err, factor.ErrInvalid):
		return "expired"
	case errors.Is(err, factor.ErrOrigin):
		return "origin"
	case errors.Is(err, factor.ErrUnknownCredential):
		return journal.Unknown
	case errors.Is(err, factor.ErrNotVerified):
		return "not_verified"
	case errors.As(err, new(*factor.CounterError)):
		return "copied"
	case errors.Is(err, factor.ErrDisabled), errors.Is(err, factor.ErrNotFound):
		return "gone"
	case factorSentence(err) != "":
		return "refused"
	}
	return ""
}
