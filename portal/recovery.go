package portal

import (
	"context"
	"errors"
	"net/http"

	"postern/agent/policy"
	"postern/portal/journal"
)

// recoveryBody is what the page of recovery codes shows.
type recoveryBody struct {
	Codes []string // the new ones, shown this once; empty: none were made now
	Left  int      // how many can still be used
	Next  string   // where "continue" leads
}

// showRecovery is GET /settings/recovery: how many codes are left, and a button for new ones.
func (s *site) showRecovery(v *visit) error {
	if ok, err := s.gate(v, pageRecovery); !ok {
		return err
	}
	if s.Factors.Recovery == nil {
		return errNotFound
	}
	if h, err := s.having(v); err != nil || !h.Any {
		return s.toFactors(v, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	left, err := s.Factors.Recovery.Left(ctx, v.session.User)
	if err != nil {
		return err
	}
	return s.recoveryPage(v, recoveryBody{Left: left})
}

// toFactors leads to the second factors: codes recover what is there, and are none to
// begin with.
func (s *site) toFactors(v *visit, err error) error {
	if err != nil {
		return err
	}
	return v.leave(v.goal(pageFactors))
}

func (s *site) recoveryPage(v *visit, b recoveryBody) error {
	b.Next = v.goal("/")
	if v.target.URL == "" {
		b.Next = pageFactors
	}
	return s.render(v, page{Name: "recovery", Status: http.StatusOK, Title: "recovery.title", Body: b})
}

// takeRecovery is POST /settings/recovery: it replaces all codes and shows the new ones.
func (s *site) takeRecovery(v *visit) error {
	if ok, err := s.change(v, pageRecovery); !ok {
		return err
	}
	if s.Factors.Recovery == nil {
		return errNotFound
	}
	if h, err := s.having(v); err != nil || !h.Any {
		return s.toFactors(v, err)
	}
	if err := s.once(v); errors.Is(err, errTwice) {
		return v.leaveDone(v.goal(pageFactors), "settings.again")
	} else if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	codes, err := s.Factors.Recovery.Generate(ctx, v.session.User, s.now())
	if err != nil {
		return err
	}
	s.note(v, journal.Event{Kind: journal.CodesMade, User: v.session.User, Factor: policy.Recovery.String()})
	return s.recoveryPage(v, recoveryBody{Codes: codes, Left: len(codes)})
}

// codeUsed tells the user that one of his recovery codes was used.
func (s *site) codeUsed(v *visit, left int) {
	s.note(v, journal.Event{Kind: journal.CodeUsed, User: v.session.User, Factor: policy.Recovery.String()})
	s.letterCodeUsed(v, left)
}
