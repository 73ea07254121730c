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
	stepProve                // prove something more, or prove it again
	stepEnrol                // a second factor is asked for: set one up
	stepNoSecond             // a second factor is asked for, and none can be had here
	stepDenied               // signed in, and the rules say no
	stepDone                 // go to the page or the target, or stay when there is none
	stepBroken               // the rules cannot be asked; nobody goes anywhere
)

// place is where somebody stands in a sign-in.
type place struct {
	Session *session.Session // nil: nobody is signed in
	Page    string           // of the person's own; it comes before Target
	Target  target
	Addr    netip.Addr // the client's
	Having  having
}

// next is the one place that picks the next step of a sign-in. It is a pure function:
// every handler calls it after what it did, and goes where it says.
func next(rules *policy.Rules, p place, now time.Time) step {
	if p.Session == nil || p.Session.Level < policy.LevelOne {
		return stepPassword
	}
	switch reached(rules, p, p.Session, now) {
	case policy.VerdictAllow:
		return stepDone
	case policy.VerdictStepUp:
		switch {
		case len(ways(rules, p, now)) > 0:
			return stepProve
		case len(enrols(rules, p, now)) > 0:
			return stepEnrol
		}
		return stepNoSecond
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
