// Package session keeps the signed-in browsers: a Table in memory (go-cache) in front of
// a Keeper that survives a restart.
//
// It does not decide what a session may do (agent/policy), does not check passwords
// (portal/users) and does not set cookies (portal). Nothing is ever kept for an
// anonymous visitor.
package session

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"time"

	"postern/agent/policy"
)

// ErrNotFound says that no live session has that token or id.
var ErrNotFound = errors.New("session not found")

// BrowserMax is how much of a User-Agent is kept, in bytes.
const BrowserMax = 256

// Session is a signed-in browser, for one cookie domain. It is a value: a Table hands
// out copies or read-only entries, never something a caller may change in place.
//
// The fields that each request needs stand first, so that in an Entry they share cache
// lines (see Entry).
type Session struct {
	Level    policy.Level
	Remember bool      // remember-me: no inactivity limit, longer life
	Domain   string    // cookie domain it is for
	Expires  time.Time // absolute end, whatever the use
	User     string    // canonical name
	Groups   []string
	Proofs   policy.Proofs
	ID       string // public: in logs, lists and the settings page
	Name     string // display name
	Email    string
	Created  time.Time // sign-in
	Seen     time.Time // last use as far as it has been written
	Addr     string    // client address at sign-in
	Browser  string    // User-Agent at sign-in, cut to BrowserMax bytes
}

// Record is a Session as a Keeper stores it: under the SHA-256 of its token.
type Record struct {
	Hash [32]byte
	Session
}

// Filter selects sessions; empty fields do not restrict. Keepers treat a Filter with
// no field set as "all".
type Filter struct {
	ID     string
	IDs    []string // any of these; nil does not restrict, empty and not nil selects nothing
	User   string
	Domain string
	Except string    // an id to leave out ("sign out everywhere else")
	Before time.Time // only those whose Expires is before
	Limit  int       // at most so many; 0: no limit
}

// IsZero says whether f restricts nothing.
func (f Filter) IsZero() bool { return reflect.ValueOf(f).IsZero() }

// Match says whether f selects s. Limit is not its business.
func (f Filter) Match(s *Session) bool {
	return (f.ID == "" || f.ID == s.ID) &&
		(f.IDs == nil || slices.Contains(f.IDs, s.ID)) &&
		(f.User == "" || f.User == s.User) &&
		(f.Domain == "" || f.Domain == s.Domain) &&
		(f.Except == "" || f.Except != s.ID) &&
		(f.Before.IsZero() || s.Expires.Before(f.Before))
}

// Touch is one write of last-seen, and of who the user is when that has changed.
type Touch struct {
	Hash [32]byte
	Seen time.Time
	Who  *Identity // nil: as it was
}

// Keeper is what survives a restart. store.Store is one.
type Keeper interface {
	// SaveSession inserts a session; when old is not nil it removes the session with
	// that hash in the same transaction (rotation). A hash or id that is there already
	// is an error, and changes nothing.
	SaveSession(ctx context.Context, r Record, old *[32]byte) error
	// LoadSession returns ErrNotFound when there is none.
	LoadSession(ctx context.Context, hash [32]byte) (Record, error)
	// ListSessions is ordered by User, then Created, then ID.
	ListSessions(ctx context.Context, f Filter) ([]Record, error)
	// DeleteSessions returns what it deleted, in no order.
	DeleteSessions(ctx context.Context, f Filter) ([]Record, error)
	// TouchSessions writes last uses, and who users are, in one transaction; an unknown
	// hash is skipped, and a Seen never moves back.
	TouchSessions(ctx context.Context, touches []Touch) error
}

// Identity is who a user is now, as the directory has it.
type Identity struct {
	Name   string
	Email  string
	Groups []string
}

// Directory says who a user is now. The table asks it when a session enters memory and
// once more for each session after Epoch has changed, so that a disabled user's next
// request is refused at the cost of one atomic load for everybody else's.
type Directory interface {
	Epoch() uint64
	// Recall answers from memory and never blocks. Unsure sends the request to Load, which
	// asks Identify.
	Recall(user string) (Identity, Standing)
	// Identify may ask a server. Unsure says that who the user was at the last answer may
	// be believed for now; an error, that it may not: then the session cannot be used, and
	// does not end either.
	Identify(ctx context.Context, user string) (Identity, Standing, error)
}

// Standing is what a Directory knows of a user.
type Standing uint8

// What a Directory says of a user.
const (
	Unsure  Standing = iota // it cannot tell
	Present                 // he may be signed in
	Gone                    // or disabled: his sessions end
)
