// Package factor keeps what a person proves besides a password: TOTP devices, passkeys,
// recovery codes and codes sent by mail; and it makes the signed tokens that a mail or a
// cookie carries.
//
// It does not check passwords (portal/users), does not raise a session's level and does
// not count wrong second factors (portal does both), sends no mail, and writes no HTTP
// and no HTML. What it must remember it hands to a Keeper.
package factor

import (
	"context"
	"errors"
	"time"

	"postern/agent/policy"
)

// Errors that callers tell apart. Whatever else comes back is a Keeper's.
var (
	// ErrNotFound says that there is no such device, or none of that kind.
	ErrNotFound = errors.New("no such factor")
	// ErrExists says that the credential is registered already, with this user or another.
	ErrExists = errors.New("already registered")
	// ErrTooMany says that the user has as many devices, or as many codes on their way, as he may.
	ErrTooMany = errors.New("too many")
	// ErrName says that a device's name is empty, too long or not printable.
	ErrName = errors.New("not a name for a device")
	// ErrDisabled says that the configuration switches this kind of factor off.
	ErrDisabled = errors.New("this kind of factor is switched off")
	// ErrNeedsProof says that the session has not proved enough for this: with a second
	// factor in place, only a session that proved it may add another.
	ErrNeedsProof = errors.New("another factor must be proved first")

	// ErrWrong says that a code is not right. It counts as a guess.
	ErrWrong = errors.New("wrong code")
	// ErrSpent says that a code, a token or a ceremony was right and has been used before.
	ErrSpent = errors.New("used already")
	// ErrExpired says that a token or a ceremony was right and is too old.
	ErrExpired = errors.New("expired")
	// ErrInvalid says that a token or a ceremony was not made here, not for this purpose
	// or not for this browser.
	ErrInvalid = errors.New("not valid")
)

// Kind is what a device is. Its text is stored and bound to the sealed record: it never changes.
type Kind string

// The kinds of devices.
const (
	KindTOTP     Kind = "totp"
	KindWebAuthn Kind = "webauthn"
)

// Factor is what policy calls this kind.
func (k Kind) Factor() policy.Factor {
	if k == KindWebAuthn {
		return policy.WebAuthn
	}
	return policy.TOTP
}

// Device is one thing a user has enrolled, as lists show it.
type Device struct {
	ID      string // public and random
	Kind    Kind
	User    string // canonical name
	Name    string // the user's own word for it
	Site    string // WebAuthn: the RP ID it works for; "" works everywhere
	Created time.Time
	Used    time.Time // last time it proved something; zero means never
	Warned  time.Time // last time its counter went backwards, as a copy's would; zero means never
}

// Record is a Device as a Keeper stores it.
type Record struct {
	Device
	Lookup []byte // WebAuthn: finds the credential, unique among all users; nil for the others
	Count  int64  // TOTP: the last time step that was spent; WebAuthn: the signature counter
	Sealed []byte // encrypted and bound to kind, user and id
}

// Filter selects records; empty fields do not restrict.
type Filter struct {
	User   string
	Kind   Kind
	Lookup []byte
}

// Advance is what a use of a device writes.
type Advance struct {
	User   string
	ID     string
	Count  int64
	Used   time.Time
	Sealed []byte // nil leaves it as it is
}

// Amend changes what a user sees of a device; empty fields do not change.
type Amend struct {
	User   string
	ID     string
	Name   string
	Warned time.Time
}

// Keeper keeps devices. store.Store is one. Every method is atomic, across all
// processes that share the store.
type Keeper interface {
	// AddFactor inserts r unless its user has more than others devices, of whatever kind
	// (ErrTooMany), or its ID or Lookup is taken by anybody (ErrExists).
	AddFactor(ctx context.Context, r Record, others int) error
	// ListFactors is ordered by User, then Created, then ID.
	ListFactors(ctx context.Context, f Filter) ([]Record, error)
	// AdvanceFactor writes a only when a.Count is greater than the stored count, or both
	// are zero; else ErrSpent. ErrNotFound when that user has no such device.
	AdvanceFactor(ctx context.Context, a Advance) error
	// AmendFactor returns ErrNotFound when that user has no such device.
	AmendFactor(ctx context.Context, a Amend) error
	// DeleteFactors removes one device of a user, or all of them when id is empty, and
	// returns what it removed. An empty user is an error.
	DeleteFactors(ctx context.Context, user, id string) ([]Record, error)
}

// CodeKeeper keeps recovery codes, as their MACs.
type CodeKeeper interface {
	// ReplaceRecovery forgets all codes of a user, spent ones too, and stores these.
	ReplaceRecovery(ctx context.Context, user string, macs [][32]byte, now time.Time) error
	// SpendRecovery marks one code as spent, for exactly one caller, and says how many are
	// left. ErrNotFound when the user has no such code, ErrSpent when it was spent before.
	SpendRecovery(ctx context.Context, user string, mac [32]byte, now time.Time) (left int, err error)
	// CountRecovery says how many codes are left.
	CountRecovery(ctx context.Context, user string) (left int, err error)
	// ListRecovery says it for every user who has one.
	ListRecovery(ctx context.Context) (left map[string]int, err error)
}

// Mail is a code on its way by mail, as a MailKeeper stores it.
type Mail struct {
	ID      string
	User    string
	Slot    [32]byte // user, session and purpose; one code is open for each
	MAC     [32]byte
	Expires time.Time
}

// MailKeeper keeps codes sent by mail.
type MailKeeper interface {
	// SaveMail stores m and closes the code that was open in its slot. ErrTooMany when
	// max codes of the user, open or closed, have not expired yet. It may forget expired ones.
	SaveMail(ctx context.Context, m Mail, max int, now time.Time) error
	// TryMail counts a try at the slot's open code, before anybody compares anything, and
	// returns it. ErrNotFound when none is open, it has expired, or it was tried max times.
	TryMail(ctx context.Context, slot [32]byte, max int, now time.Time) (Mail, error)
	// CloseMail closes an open code, for exactly one caller; ErrSpent for the others.
	CloseMail(ctx context.Context, id string) error
}

// SpentKeeper remembers what has been used once.
type SpentKeeper interface {
	// Spend remembers key until then and returns nil for exactly one caller; ErrSpent for
	// the others. It may forget keys whose time is before now.
	Spend(ctx context.Context, key [32]byte, until, now time.Time) error
	// Unspend forgets key, for whoever has spent it; nil also when it is not there.
	Unspend(ctx context.Context, key [32]byte) error
}
