package session

import (
	"context"
	"log/slog"
	"time"
)

// Table finds the session that a cookie names: from memory, and behind it from the Keeper.
// Fill the exported fields, then call Run; Find works before and after.
type Table struct {
	Config    Config
	Keeper    Keeper
	Directory Directory
	Key       []byte                // 32 bytes; the key of the tokens' MAC
	Prepare   func(*Session) []byte // may be nil; its result is kept in Entry.Prepared
	Now       func() time.Time      // nil means time.Now
	Log       *slog.Logger
}

// Entry is a session in memory. All fields but the last use are read-only.
type Entry struct {
	Session
	Prepared []byte // what Table.Prepare made of the session
}

// Result says how a Find ended.
type Result uint8

// The results of Find.
const (
	None Result = iota // no token, junk, expired, revoked, or for another domain
	Hit                // in memory
	Miss               // well-formed but not in memory: Load can tell
)

// Find looks in memory only and never blocks: it is called on the agent's read loop.
// token is a view that it does not keep. A hit counts as a use of the session.
func (t *Table) Find(token []byte, domain string, now time.Time) (*Entry, Result) { return nil, None }

// Load is for a token that missed: it asks the Keeper, once for any number of callers
// that ask at the same time, and keeps what it finds. None and Hit are its only results
// when err is nil; an error is the Keeper's and means "cannot tell".
func (t *Table) Load(ctx context.Context, token []byte, domain string) (*Entry, Result, error) {
	return nil, None, nil
}

// Create stores a new session and returns its token. s.ID, Created, Expires and Seen are
// set by the table. When old is a live token it is ended in the same transaction
// (rotation at sign-in and at every raise of the level).
func (t *Table) Create(ctx context.Context, s Session, old string) (token string, created Session, err error) {
	return "", s, nil
}

// List and Revoke work on memory and Keeper alike; a revoked session is refused from
// the next Find on.
func (t *Table) List(ctx context.Context, f Filter) ([]Session, error)   { return nil, nil }
func (t *Table) Revoke(ctx context.Context, f Filter) ([]Session, error) { return nil, nil }

// Run writes last uses in batches and sweeps what has expired, until ctx ends; then it
// writes what is left and returns.
func (t *Table) Run(ctx context.Context) error { <-ctx.Done(); return nil }
