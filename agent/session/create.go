package session

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Create stores a new session and returns its token. s.ID and s.Seen are set by the
// table. When old is a live token it is ended in the same transaction (rotation at
// sign-in and at every raise of the level).
//
// A user whom the Directory does not know, or no longer, gets ErrNotFound.
//
// A sign-in leaves s.Created zero; the table sets Created and Expires. A raise gives
// both as the old session has them: then old must be live and of the same user, or the
// answer is ErrNotFound, because what was revoked must not come back by being raised.
func (t *Table) Create(ctx context.Context, s Session, old string) (token string, created Session, err error) {
	if err := t.creatable(&s); err != nil {
		return "", Session{}, err
	}
	raise := !s.Created.IsZero()
	prior, result, err := t.Load(ctx, []byte(old), s.Domain)
	if err != nil {
		return "", Session{}, err
	}
	if raise && (result != Hit || prior.User != s.User) {
		return "", Session{}, ErrNotFound
	}

	// Before the gate: a directory may take its time.
	who, err := t.ask(ctx, s.User)
	if err != nil {
		return "", Session{}, err
	}
	if !who.identify(&s) {
		return "", Session{}, ErrNotFound
	}
	m := t.memory()
	if err := m.gate.Acquire(ctx, 1); err != nil {
		return "", Session{}, fmt.Errorf("session: create: %w", err)
	}
	defer m.gate.Release(1)
	// Of two that rotate the same session at once one gets it; the other signs in
	// beside it, or fails to raise.
	claimed := result == Hit && m.claim(prior.ID)
	if raise && !claimed {
		return "", Session{}, ErrNotFound
	}
	var oldHash *[32]byte
	if claimed {
		h := sha256.Sum256([]byte(old))
		oldHash = &h
	}
	e, err := t.save(ctx, m, s, who.epoch, oldHash)
	if err != nil {
		if claimed {
			m.unclaim(prior.ID)
		}
		return "", Session{}, err
	}
	if claimed && !m.remove(prior.ID) && raise {
		// Revoked between the claim and here: the new one must not outlive it.
		m.addEnding(&e.Session, reasonRevoked)
		return "", Session{}, ErrNotFound
	}
	m.insert(e)
	return string(e.token[:]), e.Session, nil
}

// creatable refuses what must never be stored, an anonymous visitor above all.
func (t *Table) creatable(s *Session) error {
	switch {
	case len(t.Key) < keyLen:
		return fmt.Errorf("session: the key has %d bytes, not %d", len(t.Key), keyLen)
	case t.Config.Lifetime <= 0:
		return errors.New("session: no lifetime is configured")
	case s.User == "" || s.Domain == "":
		return errors.New("session: a session needs a user and a domain")
	case !validLevel(s.Level):
		return fmt.Errorf("session: a session cannot have level %d", s.Level)
	}
	return nil
}

// save mints a token for s and stores it.
func (t *Table) save(ctx context.Context, m *memory, s Session, epoch uint64, old *[32]byte) (*Entry, error) {
	at := m.at(t.now())
	s.Seen = fromNano(at)
	s.Remember = s.Remember && t.Config.RememberMe > 0
	s.Browser = cut(s.Browser, BrowserMax)
	if s.Created.IsZero() {
		s.Created = s.Seen
	}
	if end := s.Created.Add(t.Config.Life(s.Remember)); s.Expires.IsZero() || end.Before(s.Expires) {
		s.Expires = end
	}
	if t.over(&s, at, at) != "" {
		return nil, ErrNotFound
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	token := m.minter.mint()
	e := t.newEntry(m, token, &s, epoch)
	err := t.Keeper.SaveSession(ctx, Record{Hash: sha256.Sum256([]byte(token)), Session: e.Session}, old)
	if err != nil {
		return nil, fmt.Errorf("session: create: %w", err)
	}
	return e, nil
}

// cut shortens s to at most n bytes of whole, valid characters.
func cut(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
