// Package regulation bounds how often a secret may be guessed, and knows who is banned.
//
// It never sees a secret and does not know whether a guess was right: whoever checks a
// secret begins an attempt first, and says afterwards what came of it. An attempt is
// counted as a failure before the secret is looked at, in the Keeper, and taken back when
// it was none; so guesses that are made at the same moment, on several nodes, or just
// before a crash are never free. When the Keeper cannot be asked, nothing is attempted.
package regulation

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrUnavailable says that attempts cannot be counted now; so none may be made.
var ErrUnavailable = errors.New("attempts cannot be counted now")

// WaitError says that there were too many failures.
type WaitError struct {
	For     time.Duration // how long to wait; positive
	Address time.Duration // how long whatever comes from that address has to wait; 0: it need not
}

func (e *WaitError) Error() string { return fmt.Sprintf("too many attempts; wait %v", e.For) }

// BanError says that an operator has banned whoever it is.
type BanError struct{ Ban Ban }

func (e *BanError) Error() string {
	if e.Ban.User != "" {
		return "the user is banned"
	}
	return "the network is banned"
}

// Kind is what is guessed. Each kind is counted by itself: a right password forgives no
// wrong code.
type Kind string

// The kinds. Second factors go by their names in package policy.
const (
	Password Kind = "password" // at the portal
	Basic    Kind = "basic"    // a password in an Authorization header
	TOTP     Kind = "totp"
	Recovery Kind = "recovery"
	Mail     Kind = "mail" // a mailed code
	WebAuthn Kind = "webauthn"
	Reset    Kind = "reset"  // asking for a reset link
	Letter   Kind = "letter" // mails to a user that he has not asked for
)

// Kinds lists all kinds.
func Kinds() []Kind {
	return []Kind{Password, Basic, TOTP, Recovery, Mail, WebAuthn, Reset, Letter}
}

// Keeper keeps counts and bans for all nodes. store.Store is one, Memory another. Errors
// of change are returned as they are; every other error means that nothing was changed.
type Keeper interface {
	// ChangeCounts reads the counts of keys, which are distinct, has change alter them in
	// place, and writes them back, in one transaction: no other change of any of them
	// comes between. A key that has none is given the zero Count, and a Count that is
	// zero afterwards is kept no longer. When change returns an error nothing is written.
	// change may be called more than once.
	ChangeCounts(ctx context.Context, keys []Key, change func(counts []Count) error) error
	// PruneCounts removes what has ended by now and then, of what is more than room, the counts
	// that tell least: those with the fewest waits, then the fewest failures; and the
	// bans by failures that end first.
	PruneCounts(ctx context.Context, now time.Time, room int) error
	// PutBan keeps a ban. One with the same ID, or the same Key when that is not zero, is
	// replaced.
	PutBan(ctx context.Context, b Ban) error
	// ListBans lists the bans that have not ended by now, the latest first.
	ListBans(ctx context.Context, now time.Time) ([]Ban, error)
	// LiftBans removes the bans with these IDs and the counts of these keys.
	LiftBans(ctx context.Context, ids []string, keys []Key) error
}
