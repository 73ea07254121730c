package portal

import (
	"context"
	"errors"
	"math"
	"time"

	"postern/agent/policy"
	"postern/agent/regulation"
	"postern/portal/journal"
)

// attempt reserves an attempt within the bounds of regulation. Its error is a waitError when
// there were too many.
func (s *site) attempt(ctx context.Context, subjects ...regulation.Subject) (*regulation.Attempt, error) {
	try, err := s.Guesses.Begin(ctx, s.now(), subjects...)
	return try, waiting(err)
}

// waiting makes an error of regulation one of this package's.
func waiting(err error) error {
	var wait *regulation.WaitError
	if errors.As(err, &wait) {
		return waitError{Seconds: int(math.Ceil(wait.For.Seconds()))}
	}
	return err
}

// use counts one use, by subjects, of something that nobody may have without end.
func (s *site) use(subjects ...regulation.Subject) error {
	ctx, cancel := context.WithTimeout(context.Background(), guessTimeout)
	defer cancel()
	return waiting(s.Guesses.Use(ctx, s.now(), subjects...))
}

// pass counts a form against what one address may send in a minute.
func (s *site) pass(v *visit) error {
	if wait := s.Guesses.Take(v.addr, s.now()); wait > 0 {
		return waitError{Seconds: int(math.Ceil(wait.Seconds()))}
	}
	return nil
}

// banned says whether an operator has banned the visitor's network, or a user. Of a user
// it is asked only when it is sure that he is the visitor: nobody else is told.
func (s *site) banned(v *visit, user string) error {
	err := s.Guesses.Check(user, v.addr, s.now())
	if err != nil {
		s.log().Info("sign-in refused", "rid", v.id, "addr", v.addr.String(), "user", user, "reason", err.Error())
		s.note(v, journal.Event{Kind: journal.SignInRefused, User: user, Reason: journal.IsBanned})
	}
	return err
}

// banSentence is what the banned are told; empty for another error.
func banSentence(err error) sentence {
	var ban *regulation.BanError
	switch {
	case !errors.As(err, &ban):
		return ""
	case ban.Ban.User != "":
		return "signin.banned_user"
	}
	return "signin.banned_network"
}

// counted is what a guess at a user counts against.
func (s *site) counted(v *visit, k regulation.Kind, user string) []regulation.Subject {
	if browser, ok := s.known(v, user); ok {
		return []regulation.Subject{regulation.Browser(k, browser, user)}
	}
	return []regulation.Subject{regulation.User(k, user), regulation.Address(k, v.addr)}
}

// kindOf is how a second factor is counted.
func kindOf(f policy.Factor) regulation.Kind { return regulation.Kind(f.String()) }

// forgive forgets wrong passwords of a user who has set a new one.
func (s *site) forgive(v *visit, user string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := s.Guesses.Forgive(ctx, regulation.User(regulation.Password, user), regulation.User(regulation.Basic, user))
	if err != nil {
		s.log().Warn("wrong passwords stay counted after a new one", "rid", v.id, "user", user, "error", err)
	}
}
