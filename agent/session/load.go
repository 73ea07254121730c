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
	done := m.flight.DoChan(key, func() (_ any, err error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
		defer cancel()
		t.aside(func() { err = t.fetch(ctx, m, key) })
		return nil, err
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
	if r == Miss { // ended between fetch and here, or the directory has moved on and cannot tell at once
		e, r = t.current(m, []byte(key), domain)
	}
	return e, r, nil
}

func (t *Table) aside(work func()) {
	if t.Aside == nil {
		work()
		return
	}
	t.Aside(work)
}

// current is the session of a token as the fetch just left it in memory.
func (t *Table) current(m *memory, token []byte, domain string) (*Entry, Result) {
	e := m.find(token[:selectorLen])
	if e == nil || !e.has(token) || e.state.Load() == ended || e.Domain != domain {
		return nil, None
	}
	at := m.at(t.now())
	if t.over(&e.Session, e.last.Load(), at) != "" {
		return nil, None
	}
	e.last.Store(max(e.last.Load(), at))
	return e, Hit
}

// fetch asks the Keeper about a token that was issued, and the directory about its user.
// Afterwards the session is in memory, or the token is known to name nothing.
func (t *Table) fetch(ctx context.Context, m *memory, token string) error {
	var a *answer
	for {
		user, err := t.read(ctx, m, token, a)
		if err != nil || user == "" {
			return err
		}
		// A directory may take its time: nothing is held meanwhile.
		asked, err := t.ask(ctx, user)
		if err != nil {
			return err
		}
		a = &asked
	}
}

// read looks at the session of a token once, in memory and then at the Keeper. It returns
// the user about whom the directory has to be asked first; "" when all is done.
func (t *Table) read(ctx context.Context, m *memory, token string, a *answer) (user string, err error) {
	if err := m.gate.Acquire(ctx, 1); err != nil {
		return "", fmt.Errorf("session: load: %w", err)
	}
	defer m.gate.Release(1)
	if e := m.get(token[:selectorLen]); e != nil {
		return t.reread(m, e, token, a), nil
	}
	if m.unknown.has([]byte(token)) {
		return "", nil // somebody asked between our Find and here
	}
	hash := sha256.Sum256([]byte(token))
	r, err := t.Keeper.LoadSession(ctx, hash)
	at := m.at(t.now())
	switch {
	case errors.Is(err, ErrNotFound):
		m.unknown.add(token, at)
		return "", nil
	case err != nil:
		return "", fmt.Errorf("session: load: %w", err)
	}
	if a = t.about(r.User, a); a == nil {
		return r.User, nil
	}
	stored := Identity{r.Name, r.Email, r.Groups}
	if e := t.admit(m, token, &r.Session, at, *a); e != nil && r.Hash == hash {
		m.insert(e)
		if !stored.is(&e.Session) {
			m.addChange(e.ID)
		}
		return "", nil
	}
	m.unknown.add(token, at)
	return "", nil
}

// reread is read for a session that is in memory.
func (t *Table) reread(m *memory, e *Entry, token string, a *answer) (user string) {
	if !e.has([]byte(token)) {
		return ""
	}
	if a = t.about(e.User, a); a == nil {
		return e.User
	}
	if _, r := t.settle(m, e, *a); r == Miss {
		return e.User
	}
	return ""
}

// admit makes an entry of a stored session, or nil when it may not be used.
func (t *Table) admit(m *memory, token string, s *Session, at int64, a answer) *Entry {
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
	reason := t.over(s, s.Seen.UnixNano(), at)
	if !a.identify(s) {
		reason = reasonUser
	}
	if reason != "" {
		m.addEnding(s, reason)
		return nil
	}
	return t.newEntry(m, token, s, a.epoch)
}

// sound refuses states that Create never stores, and times that tell nothing.
func sound(s *Session, at int64) bool {
	latest := fromNano(at).Add(skew)
	return s.User != "" && s.Domain != "" && validLevel(s.Level) &&
		!s.Created.After(latest) && !s.Seen.After(latest)
}

func validLevel(l policy.Level) bool { return l == policy.LevelOne || l == policy.LevelTwo }
