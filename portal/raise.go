package portal

import (
	"context"
	"errors"
	"net/http"
	"time"

	"postern/agent/policy"
	"postern/agent/session"
)

// having asks what the visitor can prove here. It is asked once for each request.
func (s *site) having(v *visit) (having, error) {
	if v.session == nil || v.had != nil {
		return v.hadOrNothing(), nil
	}
	h := having{Mail: s.mailable(v)}
	f := s.Factors
	if f.Devices == nil {
		v.had = &h
		return h, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	sum, err := f.Devices.Has(ctx, v.session.User)
	if err != nil {
		return having{}, errors.Join(errNoSessions, err)
	}
	h.Any = sum.Any()
	if key := f.WebAuthn[v.host.Portal]; key != nil && !key.Config.Disable {
		h.Enrol = append(h.Enrol, policy.WebAuthn)
		if sum.Sites[key.Site.RPID] > 0 {
			h.Second = append(h.Second, policy.WebAuthn)
		}
	}
	if f.TOTP != nil && !f.TOTP.Config.Disable {
		h.Enrol = append(h.Enrol, policy.TOTP)
		if sum.TOTP > 0 {
			h.Second = append(h.Second, policy.TOTP)
		}
	}
	if f.Recovery != nil && sum.Recovery > 0 {
		h.Second = append(h.Second, policy.Recovery)
	}
	v.had = &h
	return h, nil
}

func (v *visit) hadOrNothing() having {
	if v.had == nil {
		return having{}
	}
	return *v.had
}

// mailable says whether a code can be mailed to the visitor.
func (s *site) mailable(v *visit) bool {
	return s.Letters != nil && s.Factors.Mailed != nil && v.session != nil && v.session.Email != ""
}

// place is where a visit stands.
func (s *site) place(v *visit) (place, error) {
	p := place{Session: v.session, Page: v.page, Target: v.target, Addr: v.addr}
	var err error
	p.Having, err = s.having(v)
	return p, err
}

// next asks the flow where this visit stands.
func (s *site) next(v *visit) (step, error) {
	p, err := s.place(v)
	if err != nil {
		return stepBroken, err
	}
	return next(s.Rules(), p, s.now()), nil
}

// raise adds a proof to the visitor's session. The session gets another token and id,
// and the one before it ends in the same stroke.
func (s *site) raise(v *visit, f policy.Factor) error {
	now := s.now()
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	token, created, err := s.Sessions.Create(ctx, proven(*v.session, f, now), v.token)
	if errors.Is(err, session.ErrNotFound) {
		return errEnded
	}
	if err != nil {
		return errors.Join(errNoSessions, err)
	}
	life := time.Duration(0)
	if created.Remember {
		life = created.Expires.Sub(now)
	}
	v.setSession(s.Cookie.Cookie, token, life)
	v.token, v.session, v.had = token, &created, nil
	s.log().Info("factor proved", "rid", v.id, "addr", v.addr.String(), "user", created.User, "session", created.ID, "factor", f.String(), "level", int(created.Level))
	return nil
}

// onward goes to the next step of a visit by an address that shows it.
func (s *site) onward(v *visit) error {
	step, err := s.next(v)
	if err != nil {
		return err
	}
	switch {
	case step == stepProve:
		return v.leave(v.goal("/prove"))
	case step == stepDone && v.page != "":
		page := v.page
		v.page = ""
		return v.leave(v.goal(page))
	case step == stepDone && v.target.URL != "":
		return v.leave(v.target.URL)
	case step == stepDone && v.host.Home != "":
		return v.leave(v.host.Home)
	}
	return v.leave(v.goal("/"))
}

// gate lets a visit pass to a page of the person's own, or sends it to prove what the
// page wants. ok is false when the answer has been given.
func (s *site) gate(v *visit, page string) (ok bool, err error) {
	v.page = page
	if v.doubled {
		return false, v.leave("/")
	}
	step, err := s.next(v)
	if err != nil {
		return false, err
	}
	switch step {
	case stepDone:
		v.page = ""
		return true, nil
	case stepProve:
		return false, v.leave(v.goal("/prove"))
	case stepPassword:
		return false, v.leave(v.goal("/"))
	case stepNoSecond, stepEnrol:
		return false, s.secondPage(v)
	}
	return false, errRules
}

// secondBody is what the page shows that can lead no further.
type secondBody struct {
	Session *session.Session
	Why     sentence
}

// secondPage says that a second factor is asked for and none can be had here.
func (s *site) secondPage(v *visit) error {
	h, err := s.having(v)
	if err != nil {
		return err
	}
	b := secondBody{Session: v.session, Why: "second.none"}
	switch {
	case len(h.Second) > 0:
		b.Why = "second.kind"
	case h.Any:
		b.Why = "second.elsewhere"
	}
	return s.render(v, page{Name: "second", Status: http.StatusForbidden, Title: "second.title", Body: b})
}
