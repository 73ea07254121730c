package session

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"postern/agent/policy"
)

// loadTimeout bounds one look at the Keeper, which goes on when the caller that began
// it gives up: others may wait for the same.
const loadTimeout = 5 * time.Second

// skew is how far in the future a stored sign-in or last use may lie. Beyond it the
// clock was wrong then or is wrong now, and the session's age cannot be told.
const skew = 5 * time.Minute

// Load is for a token that missed: it asks the Keeper, once for any number of callers
// that ask at the same time, and keeps what it finds. None and Hit are its only results
// when err is nil; an error is the Keeper's or ctx's and means "cannot tell".
func (t *Table) Load(ctx context.Context, token []byte, domain string) (*Entry, Result, error) {
	if e, r := t.Find(token, domain, t.now()); r != Miss {
		return e, r, nil
	}
	m := t.memory()
	key := string(token)
	done := m.flight.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
		defer cancel()
		return nil, t.fetch(ctx, m, key)
	})
	select {
	case r := <-done:
		if r.Err != nil {
			return nil, None, r.Err
		}
	case <-ctx.Done():
		return nil, None, ctx.Err()
	}
	e, r := t.Find([]byte(key), domain, t.now())
	if r == Miss { // ended between fetch and here
		r = None
	}
	return e, r, nil
}

// fetch asks the Keeper about a token that was issued. Afterwards the session is in
// memory, or the token is known to name nothing.
func (t *Table) fetch(ctx context.Context, m *memory, token string) error {
	if err := m.gate.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("session: load: %w", err)
	}
	defer m.gate.Release(1)
	if m.get(token[:selectorLen]) != nil || m.unknown.has([]byte(token)) {
		return nil // somebody asked between our Find and here
	}
	hash := sha256.Sum256([]byte(token))
	r, err := t.Keeper.LoadSession(ctx, hash)
	at := m.at(t.now())
	switch {
	case errors.Is(err, ErrNotFound):
		m.unknown.add(token, at)
		return nil
	case err != nil:
		return fmt.Errorf("session: load: %w", err)
	}
	if e := t.admit(m, token, &r.Session, at); e != nil && r.Hash == hash {
		m.insert(e)
		return nil
	}
	m.unknown.add(token, at)
	return nil
}

// admit makes an entry of a stored session, or nil when it may not be used.
func (t *Table) admit(m *memory, token string, s *Session, at int64) *Entry {
	if s.ID != token[:selectorLen] || !sound(s, at) || m.hasEnded(s) {
		return nil
	}
	// A shorter lifetime in the configuration is heeded, a longer one extends nothing.
	if end := s.Created.Add(t.Config.Life(s.Remember)); end.Before(s.Expires) {
		s.Expires = end
	}
	if s.Seen.Before(s.Created) {
		s.Seen = s.Created
	}
	epoch, ok := t.identify(s)
	reason := t.over(s, s.Seen.UnixNano(), at)
	if !ok {
		reason = reasonUser
	}
	if reason != "" {
		m.addEnding(s, reason)
		return nil
	}
	return t.newEntry(m, token, s, epoch)
}

// sound refuses states that Create never stores, and times that tell nothing.
func sound(s *Session, at int64) bool {
	latest := fromNano(at).Add(skew)
	return s.User != "" && s.Domain != "" && validLevel(s.Level) &&
		!s.Created.After(latest) && !s.Seen.After(latest)
}

func validLevel(l policy.Level) bool { return l == policy.LevelOne || l == policy.LevelTwo }

// identify fills in who the user is now, and returns the directory's epoch from before
// the question, so that a change in between is noticed at the next use.
func (t *Table) identify(s *Session) (epoch uint64, ok bool) {
	if t.Directory == nil {
		return 0, true
	}
	epoch = t.Directory.Epoch()
	id, ok := t.Directory.Identify(s.User)
	if ok {
		s.Name, s.Email, s.Groups = id.Name, id.Email, id.Groups
	}
	return epoch, ok
}
