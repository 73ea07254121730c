package users

import (
	"context"
	"log/slog"
	"time"
)

// LDAP is a directory server that people are looked up in and that checks their
// passwords. Fill it and call Run to keep what is known of the users fresh. Its methods
// may be called from many goroutines.
type LDAP struct {
	Config LDAPConfig
	Log    *slog.Logger     // nil: nothing is logged
	Now    func() time.Time // nil: time.Now
	// Live says whether a user has sessions. It is asked now and then, by Run, about those
	// who have not been asked for in a while; without sessions they are no longer followed.
	// nil: everybody is followed for 31 days after he was last asked for.
	Live func(name string) bool
}

// Check connects, binds and reads the folder of the users. Its error begins with
// what failed: the address, TLS, the account, base_dn.
func (l *LDAP) Check(ctx context.Context) error { return ErrUnavailable }

// Authenticate checks a password. name may be spelled as the directory allows, or be a
// mail address; the User has the canonical name. Errors: ErrBadCredentials, ErrBusy,
// ErrUnavailable, ctx's.
func (l *LDAP) Authenticate(ctx context.Context, name, password string) (User, error) {
	return User{}, ErrUnavailable
}

// Find returns the user whom a name means at the sign-in, however it is spelled: from
// memory while that is fresh. A user who may not sign in is ErrNotFound or has Disabled
// set. Errors: ErrNotFound, ErrBusy, ErrUnavailable, ctx's.
func (l *LDAP) Find(ctx context.Context, name string) (User, error) {
	return User{}, ErrUnavailable
}

// Known returns a user by canonical name, from memory. A user who was known and whom the
// directory no longer has, or excludes, is known as disabled. ok is false for somebody
// who was not looked up yet, and for everybody when the directory has been away for
// longer than refresh and grace together: then Find can tell.
func (l *LDAP) Known(name string) (User, bool) { return User{}, false }

// Canonical returns the name under which failures of name are to be counted, for any
// input, known or not; at most 128 bytes. Errors: ErrBusy, ErrUnavailable, ctx's.
func (l *LDAP) Canonical(ctx context.Context, name string) (string, error) {
	return "", ErrUnavailable
}

// Epoch grows whenever what Known says may have changed.
func (l *LDAP) Epoch() uint64 { return 0 }

// Run keeps what is known fresh, until ctx ends; it returns nil then.
func (l *LDAP) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// SetPassword replaces a user's password, by canonical name. Errors: ErrNotFound,
// ErrPassword (the directory's own policy included), ErrReadOnly, ErrUnavailable, ctx's.
func (l *LDAP) SetPassword(ctx context.Context, name, password string) error {
	return ErrUnavailable
}

// ReplacePassword is SetPassword for the holder of a Version: when the password has
// changed since, the answer is ErrChanged and nothing happens.
func (l *LDAP) ReplacePassword(ctx context.Context, name, password, version string) error {
	return ErrUnavailable
}

// Version changes whenever the user's password is set. ok is false when the user is not
// known or disabled, and when the directory keeps nothing that would tell.
func (l *LDAP) Version(name string) (version string, ok bool) { return "", false }
