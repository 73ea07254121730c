package factor

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

const (
	// ResetLife is how long a password reset link can be used.
	ResetLife = 15 * time.Minute
	// NotMeLife is how long an "it wasn't me" link can be used.
	NotMeLife = 7 * 24 * time.Hour
)

// Tokens makes and reads the tokens of links in mails. They are URL-safe, say nothing
// secret, and work once. A link is opened by mail scanners too: opening one must only
// Read it; the button on its page spends it.
type Tokens struct {
	Keys  *Keys
	Spent SpentKeeper
}

// Reset makes the token of a password reset link. version is the stored password hash,
// or whatever else changes when the password does: the token dies with it.
func (t *Tokens) Reset(user, version string, now time.Time) string {
	return t.Keys.sign(forReset, ticket{user: user, bound: version, expires: now.Add(ResetLife)})
}

// ReadReset says whose password a token resets. version finds what Reset was given, and
// ok false when there is no such user any more; it is asked for a genuine token only.
// Errors: ErrInvalid, ErrExpired. A spent token reads well until its version changes.
func (t *Tokens) ReadReset(token string, version func(user string) (string, bool), now time.Time) (user string, err error) {
	s, err := t.readReset(token, version, now)
	return s.user, err
}

// SpendReset is ReadReset for exactly one caller; ErrSpent for the others. The caller
// sets the password after it, or calls ReturnReset.
func (t *Tokens) SpendReset(ctx context.Context, token string, version func(user string) (string, bool), now time.Time) (user string, err error) {
	s, err := t.readReset(token, version, now)
	if err != nil {
		return "", err
	}
	if err := s.spend(ctx, t.Spent, now); err != nil {
		return "", err
	}
	return s.user, nil
}

// ReturnReset makes a token good again, for the one caller of SpendReset whom it served
// for nothing. Errors: ErrInvalid, ErrExpired.
func (t *Tokens) ReturnReset(ctx context.Context, token string, now time.Time) error {
	return t.giveBack(ctx, forReset, token, now)
}

func (t *Tokens) giveBack(ctx context.Context, purpose, token string, now time.Time) error {
	s, err := t.Keys.read(purpose, token, now)
	if err != nil {
		return err
	}
	return s.unspend(ctx, t.Spent)
}

func (t *Tokens) readReset(token string, version func(user string) (string, bool), now time.Time) (signed, error) {
	s, err := t.Keys.read(forReset, token, now)
	if err != nil {
		return signed{}, err
	}
	v, ok := version(s.user)
	if !ok || !s.boundTo(v) {
		return signed{}, ErrInvalid
	}
	return s, nil
}

// Event is what an "it wasn't me" link is about.
type Event struct {
	User    string    `json:"-"`
	What    string    `json:"what"`             // one word: "signin", "password", "factor", …
	Device  string    `json:"device,omitempty"` // id of the device that was added
	Session string    `json:"session"`          // public id of the session it happened in; may be empty
	Browser string    `json:"browser"`          // in which browser, cut to 256 bytes
	At      time.Time `json:"at"`
}

// NotMe makes the token of an "it wasn't me" link.
func (t *Tokens) NotMe(e Event, now time.Time) (string, error) {
	e.What, e.Session, e.Browser, e.Device = cut(e.What, 64), cut(e.Session, 128), cut(e.Browser, 256), cut(e.Device, 128)
	data, err := json.Marshal(e)
	if err != nil {
		return "", fmt.Errorf("event: %w", err)
	}
	return t.Keys.sign(forNotMe, ticket{user: e.User, expires: now.Add(NotMeLife), data: data}), nil
}

// ReadNotMe says what a token is about. Errors: ErrInvalid, ErrExpired.
func (t *Tokens) ReadNotMe(token string, now time.Time) (Event, error) {
	e, _, err := t.readNotMe(token, now)
	return e, err
}

// SpendNotMe is ReadNotMe for exactly one caller; ErrSpent for the others.
func (t *Tokens) SpendNotMe(ctx context.Context, token string, now time.Time) (Event, error) {
	e, s, err := t.readNotMe(token, now)
	if err != nil {
		return Event{}, err
	}
	if err := s.spend(ctx, t.Spent, now); err != nil {
		return Event{}, err
	}
	return e, nil
}

// ReturnNotMe makes a token good again, for the one caller of SpendNotMe who could not do
// all that it asks for. Errors: ErrInvalid, ErrExpired.
func (t *Tokens) ReturnNotMe(ctx context.Context, token string, now time.Time) error {
	return t.giveBack(ctx, forNotMe, token, now)
}

func (t *Tokens) readNotMe(token string, now time.Time) (Event, signed, error) {
	s, err := t.Keys.read(forNotMe, token, now)
	if err != nil {
		return Event{}, signed{}, err
	}
	e := Event{User: s.user}
	if err := json.Unmarshal(s.data, &e); err != nil {
		return Event{}, signed{}, ErrInvalid
	}
	return e, s, nil
}

// cut shortens text to n bytes, and drops what is not a whole character.
func cut(s string, n int) string { return strings.ToValidUTF8(s[:min(len(s), n)], "") }
