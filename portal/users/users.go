// Package users says who exists and which password fits: the users_database.yml format,
// read, followed while it changes, and rewritten without losing a comment.
//
// It does not know sessions, levels or factors, does not judge how good a new password
// is, does not count failures (portal does all three) and writes no HTTP.
package users

import (
	"errors"
	"time"
)

// What callers tell apart. Everything else is a fault of the file or of the machine and
// says where.
var (
	// ErrBadCredentials is the answer for an unknown name, a wrong password and a
	// disabled user alike; the three cost one hash each.
	ErrBadCredentials = errors.New("bad credentials")
	// ErrBusy says that too many passwords are being checked; try again shortly.
	ErrBusy = errors.New("too many passwords are being checked")
	// ErrNotFound says that there is no such user.
	ErrNotFound = errors.New("no such user")
	// ErrExists says that the name, or one that folds to the same, is taken.
	ErrExists = errors.New("user exists already")
	// ErrPassword says that a new password cannot be stored: empty, longer than
	// MaxPassword, with a NUL or not UTF-8.
	ErrPassword = errors.New("password cannot be used")
	// ErrChanged says that somebody else wrote the file, or changed the password that
	// was to be replaced, in the meantime.
	ErrChanged = errors.New("changed in the meantime")
	// ErrUnavailable says that a directory server cannot be asked now, so that nobody can
	// tell whether there is such a user.
	ErrUnavailable = errors.New("the directory cannot be reached")
	// ErrReadOnly says that the backend which has the user does not let anybody set passwords
	// from here.
	ErrReadOnly = errors.New("passwords of this directory are not set here")
)

// MaxPassword is the longest password that is looked at, in bytes. A longer one is
// refused before any hashing.
const MaxPassword = 1024

// User is one person, without the password.
type User struct {
	Name        string // canonical: the key in the file, in Unicode form NFC
	DisplayName string // Name when the file has none
	Emails      []string
	Groups      []string
	Disabled    bool
}

// Search says how freely a name may be spelled at the sign-in. Whatever the spelling,
// the user comes out with one canonical name.
type Search struct {
	Email           bool `yaml:"email"`            // an address of the user does too
	CaseInsensitive bool `yaml:"case_insensitive"` // upper and lower case are the same
}

// Hashing bounds how much password hashing goes on at once. The zero value means
// DefaultHashing, field by field.
type Hashing struct {
	Parallel int           `yaml:"parallel"` // hashes at once
	Memory   int           `yaml:"memory"`   // MiB that all of them take together; one that needs more runs alone
	Queue    int           `yaml:"queue"`    // people who may wait for their turn
	Wait     time.Duration `yaml:"wait"`     // how long one waits at most
}

// DefaultHashing is four hashes of 64 MiB at once, and 64 people who wait up to ten
// seconds.
func DefaultHashing() Hashing {
	return Hashing{Parallel: 4, Memory: 256, Queue: 64, Wait: 10 * time.Second}
}

// withDefaults fills the fields that are not set.
func (h Hashing) withDefaults() Hashing {
	d := DefaultHashing()
	if h.Parallel <= 0 {
		h.Parallel = d.Parallel
	}
	if h.Memory <= 0 {
		h.Memory = d.Memory / d.Parallel * h.Parallel
	}
	if h.Queue <= 0 {
		h.Queue = d.Queue
	}
	if h.Wait <= 0 {
		h.Wait = d.Wait
	}
	return h
}
