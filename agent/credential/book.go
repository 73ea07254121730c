package credential

import (
	"context"
	"crypto/subtle"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Book is the tokens and application passwords of everybody: in memory, behind it a
// Keeper. Fill the exported fields, call Load once, then Run to have last uses written.
type Book struct {
	Keeper Keeper
	Now    func() time.Time // nil means time.Now
	Log    *slog.Logger     // nil: silent

	changing sync.Mutex // one change at a time
	mu       sync.RWMutex
	loaded   bool
	entries  map[[32]byte]*Entry
	used     map[*Entry]struct{} // with a use that is not written yet
	usedMu   sync.Mutex
}

// Entry is a credential in memory. All but its last use is read-only.
type Entry struct {
	Record
	hash     [32]byte
	networks []netip.Prefix
	last     atomic.Int64 // last use, Unix seconds
	noted    atomic.Int64 // when a use was last said to be the first of an hour, Unix seconds
	refused  atomic.Int64 // the same of a refusal
}

func newEntry(s Stored) *Entry {
	e := &Entry{Record: s.Record, hash: s.Hash, networks: s.Scope.networks()}
	if !s.Used.IsZero() {
		e.last.Store(s.Used.Unix())
	}
	return e
}

// Load reads every credential into memory, in place of what was there.
func (b *Book) Load(ctx context.Context) error {
	b.changing.Lock()
	defer b.changing.Unlock()
	all, err := b.Keeper.ListCredentials(ctx, "")
	if err != nil {
		return err
	}
	entries := make(map[[32]byte]*Entry, len(all))
	for _, s := range all {
		entries[s.Hash] = newEntry(s)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.entries, b.loaded = entries, true
	return nil
}

// Create makes a credential. secret is shown once: it is kept nowhere. Errors: ErrDraft,
// which says what is wrong; ErrTooMany; the Keeper's.
func (b *Book) Create(ctx context.Context, d Draft) (secret string, r Record, err error) {
	if d, err = d.clean(); err != nil {
		return "", Record{}, err
	}
	now := b.now().UTC().Truncate(time.Second)
	if !d.Expires.IsZero() && !d.Expires.After(now) {
		return "", Record{}, fault("it would have expired already")
	}
	secret = mint(d.Kind)
	s := Stored{Hash: hashOf([]byte(secret)), Record: Record{
		ID: string(appendRandom(nil, 12)), Kind: d.Kind, Name: d.Name, Owner: d.Owner, Level: d.Level,
		Scope: d.Scope, Created: now, Expires: d.Expires.UTC(),
	}}
	if d.Expires.IsZero() {
		s.Expires = time.Time{}
	}
	b.changing.Lock()
	defer b.changing.Unlock()
	if err := b.Keeper.AddCredential(ctx, s, MaxPerOwner-1); err != nil {
		return "", Record{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.loaded {
		b.entries[s.Hash] = newEntry(s)
	}
	return secret, s.Record, nil
}

// List returns an owner's credentials, or with "" everybody's, ordered by owner, then
// age, with their last uses.
func (b *Book) List(ctx context.Context, owner string) ([]Record, error) {
	all, err := b.Keeper.ListCredentials(ctx, owner)
	if err != nil {
		return nil, err
	}
	records := make([]Record, len(all))
	b.mu.RLock()
	defer b.mu.RUnlock()
	for i, s := range all {
		if e := b.entries[s.Hash]; e != nil {
			if last := e.LastUse(); last.After(s.Used) {
				s.Used = last
			}
		}
		records[i] = s.Record
	}
	return records, nil
}

// Revoke ends one of an owner's credentials: the next request with it is refused. Errors:
// ErrNotFound; the Keeper's, which may still have it: then this book refuses it until Load.
func (b *Book) Revoke(ctx context.Context, owner, id string) error {
	if id == "" {
		return ErrNotFound
	}
	gone, err := b.remove(ctx, owner, id)
	if err == nil && len(gone) == 0 {
		return ErrNotFound
	}
	return err
}

// RevokeAll ends all credentials of an owner and returns them: for a user who is deleted,
// so that another one of that name does not inherit them.
func (b *Book) RevokeAll(ctx context.Context, owner string) ([]Record, error) {
	return b.remove(ctx, owner, "")
}

func (b *Book) remove(ctx context.Context, owner, id string) ([]Record, error) {
	if owner == "" {
		return nil, errors.New("credential: no owner")
	}
	b.changing.Lock()
	defer b.changing.Unlock()
	gone, err := b.Keeper.DeleteCredentials(ctx, owner, id)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		maps.DeleteFunc(b.entries, func(_ [32]byte, e *Entry) bool {
			return e.Owner == owner && (id == "" || e.ID == id)
		})
		return nil, err
	}
	records := make([]Record, len(gone))
	for i, s := range gone {
		delete(b.entries, s.Hash)
		records[i] = s.Record
	}
	return records, nil
}

// Why a credential is refused: words for logs and the journal.
const (
	Unknown = "unknown" // never given out, or revoked
	Expired = "expired"
	Scoped  = "scope" // not for this request
)

// Find looks a secret up, in memory only, and returns why it is no good for u, "" when it
// is. The entry is there whenever the secret is one that was given out and not revoked.
// It allocates nothing unless the path has to be decoded.
func (b *Book) Find(secret []byte, kind Kind, u *Use, now time.Time) (e *Entry, why string) {
	if KindOf(secret) != kind {
		return nil, Unknown
	}
	hash := hashOf(secret)
	b.mu.RLock()
	e = b.entries[hash]
	b.mu.RUnlock()
	switch {
	case e == nil || subtle.ConstantTimeCompare(e.hash[:], hash[:]) != 1 || e.Kind != kind:
		return nil, Unknown
	case !e.Expires.IsZero() && !now.Before(e.Expires):
		return e, Expired
	case !e.Scope.covers(u, e.networks):
		return e, Scoped
	}
	return e, ""
}

func (b *Book) now() time.Time {
	if b.Now != nil {
		return b.Now()
	}
	return time.Now()
}

func (b *Book) log() *slog.Logger {
	if b.Log != nil {
		return b.Log
	}
	return slog.New(slog.DiscardHandler)
}

// LastUse is when the credential was last used, to the second; zero: never.
func (e *Entry) LastUse() time.Time {
	if n := e.last.Load(); n != 0 {
		return time.Unix(n, 0).UTC()
	}
	return time.Time{}
}
