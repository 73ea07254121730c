package portal

import (
	"context"

	"postern/portal/factor"
	"postern/portal/mail"
)

// Factors are what people prove besides a password. A nil part is switched off.
type Factors struct {
	Devices  *factor.Devices
	TOTP     *factor.TOTP
	WebAuthn map[string]*factor.WebAuthn // by the portal's address, policy.Domain.Portal
	Recovery *factor.Recovery
	Mailed   *factor.Mailed
	Tokens   *factor.Tokens
	Programs Credentials // what programs prove in their name
}

// Letters takes mail to be sent soon. mail.Outbox is one.
type Letters interface {
	Enqueue(m mail.Message) error
}

// Passwords changes passwords. users.File and users.Backends are such.
type Passwords interface {
	// ReplacePassword sets a password when it still has that version, and returns
	// users.ErrChanged when it has not.
	ReplacePassword(ctx context.Context, name, password, version string) error
	// Version changes whenever the password does; ok is false when there is no such user,
	// he is disabled, or his password is not set here. It is no secret, but nobody needs
	// to see it.
	Version(name string) (version string, ok bool)
}
