package portal

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"time"

	"postern/portal/factor"
)

// A form whose answer shows a secret is done once, however often it is sent: who reloads
// the answer, or goes back and forth, would otherwise make another token, or recovery
// codes in place of those that he has just written down.

// onceLife is how long a form that was done is remembered. Its page asks for a proof of
// the last minutes, so that it has long been of no use by then.
const onceLife = 24 * time.Hour

// errTwice says that a form was done before.
var errTwice = errors.New("the form has been done already")

// Once names one showing of a form.
func (p page) Once() string { return rand.Text() }

// once lets each showing of a form through a single time; errTwice after that.
func (s *site) once(v *visit) error {
	name := v.field("once")
	if !plainID(name) {
		return errForm
	}
	if s.Factors.Tokens == nil || s.Factors.Tokens.Spent == nil {
		return nil // nothing can be remembered
	}
	m := hmac.New(sha256.New, s.Key)
	m.Write([]byte("postern portal form once 1\x00" + v.user() + "\x00" + name))
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	now := s.now()
	err := s.Factors.Tokens.Spent.Spend(ctx, [32]byte(m.Sum(nil)), now.Add(onceLife), now)
	if errors.Is(err, factor.ErrSpent) {
		return errTwice
	}
	return err
}
