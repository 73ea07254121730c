package portal

import (
	"net/netip"
	"time"

	"postern/agent/policy"
	"postern/agent/session"
)

// step is one stop of a sign-in.
type step uint8

// The steps. Handlers show them and take their forms; none of them names another.
const (
	stepPassword step = iota // prove a first factor
	stepSecond               // prove a second factor
	stepNoSecond             // a second factor is asked for and the user has none
	stepDenied               // signed in, and the rules say no
	stepDone                 // go to the target, or stay when there is none
	stepBroken               // the rules cannot be asked; nobody goes anywhere
)

// place is where somebody stands in a sign-in.
type place struct {
	Session *session.Session // nil: nobody is signed in
	Target  target
	Addr    netip.Addr      // the client's
	Second  []policy.Factor // second factors that the user can prove
}

// next is the one place that picks the next step of a sign-in. It is a pure function:
// every handler calls it after what it did, and goes where it says.
func next(rules *policy.Rules, p place, now time.Time) step {
	if p.Session == nil || p.Session.Level < policy.LevelOne {
		return stepPassword
	}
	if p.Target.URL == "" {
		return stepDone
	}
	request, subject := p.Target.request(p.Addr), subjectOf(p.Session)
	switch rules.Decide(&request, &subject, now).Verdict {
	case policy.VerdictAllow:
		return stepDone
	case policy.VerdictStepUp:
		if len(p.Second) == 0 {
			return stepNoSecond
		}
		return stepSecond
	case policy.VerdictDeny:
		return stepDenied
	case policy.VerdictLogin, policy.VerdictChallenge:
		return stepPassword
	}
	return stepBroken
}

// subjectOf is a session as the rules see it.
func subjectOf(s *session.Session) policy.Subject {
	return policy.Subject{User: s.User, Groups: s.Groups, Level: s.Level, Proofs: s.Proofs}
}
