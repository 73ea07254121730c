package portal

import (
	"context"
	"errors"
	"math"
	"time"

	"postern/agent/policy"
	"postern/agent/regulation"
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
