// Package users says who exists and which password fits.
//
// It does not know sessions, levels or factors, does not count failures (portal does)
// and writes no HTTP.
package users

import (
	"context"
	"errors"
	"log/slog"
)

var (
	// ErrBadCredentials is the answer for an unknown name, a wrong password and a
	// disabled user alike; the three take the same time.
	ErrBadCredentials = errors.New("bad credentials")
	// ErrBusy says that too many passwords are being checked; try again shortly.
	ErrBusy = errors.New("too many passwords are being checked")
	// ErrNotFound says that there is no such user.
	ErrNotFound = errors.New("no such user")
)

// User is one person, without the password.
type User struct {
	Name        string // canonical: the key in the file
	DisplayName string
	Emails      []string
	Groups      []string
	Disabled    bool
}

// Config is `users` of the configuration.
type Config struct {
	File    string  `yaml:"file"`
	Hashing Hashing `yaml:"hashing"`
}

// Hashing bounds and parametrises password hashing.
type Hashing struct {
	Parallel int `yaml:"parallel"` // hashes at once; 0: 4
}

// File is the users_database.yml format. Fill it, call Load once, then Run to follow changes.
type File struct {
	Path    string
	Hashing Hashing
	Log     *slog.Logger
}

// Load reads the file; an error leaves the users as they were.
func (f *File) Load() error { return nil }

// Run reloads the file when it changes, until ctx ends.
func (f *File) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Authenticate checks a password. name may be spelled as the directory accepts it; the
// User has the canonical name. Errors: ErrBadCredentials, ErrBusy, ctx's.
func (f *File) Authenticate(ctx context.Context, name, password string) (User, error) {
	return User{}, ErrBadCredentials
}

// Canonical returns the name under which failures of name are to be counted, for any
// input, known or not.
func (f *File) Canonical(name string) string { return name }

// Find returns a user by canonical name.
func (f *File) Find(name string) (User, bool) { return User{}, false }

// Epoch changes whenever the users do; the caller asks Find again then.
func (f *File) Epoch() uint64 { return 0 }

// SetPassword replaces a user's password; the file is rewritten atomically and keeps
// comments and order.
func (f *File) SetPassword(ctx context.Context, name, password string) error { return nil }
