// Package credential is what machines sign in with: tokens and application passwords,
// kept as hashes and found in memory; names with passwords, checked and remembered for a
// minute; and client certificates, read and mapped to a user.
//
// It does not decide what a request may do (agent/policy), does not know users or hash
// their passwords (portal/users, through Directory), reads no wire protocol and sets no
// header. No secret is kept, listed or logged after Create has handed it out.
package credential

import (
	"context"
	"errors"
	"time"

	"postern/agent/policy"
)

// What callers tell apart.
var (
	// ErrNotFound says that the owner has no such credential.
	ErrNotFound = errors.New("no such credential")
	// ErrTooMany says that the owner has MaxPerOwner credentials already.
	ErrTooMany = errors.New("too many credentials")
	// ErrDraft says that a credential cannot be made as it was asked for.
	ErrDraft = errors.New("credential cannot be made")
)

// Kind is what a credential is for. Its text is stored: it never changes.
type Kind string

// The kinds of credentials that are kept.
const (
	Token Kind = "token" // pst_…, in Authorization: Bearer
	App   Kind = "app"   // psa_…, an application password: in Authorization: Basic, in place of the owner's
)

// Scope is what a credential is good for. An empty field does not restrict.
type Scope struct {
	Hosts    []string // www.example.com, *.example.com; lower case
	Methods  []string // capital letters
	Path     string   // "/api": itself and what lies under it, on the canonical path
	Networks []string // addresses and CIDRs the request may come from
}

// Record is a credential without its secret.
type Record struct {
	ID      string // public: in lists, logs and the journal
	Kind    Kind
	Name    string // what the owner calls it
	Owner   string // canonical name of the user it stands for
	Level   policy.Level
	Scope   Scope
	Created time.Time
	Expires time.Time // zero: never
	Used    time.Time // to the minute or so; zero: never
}

// Draft is a credential that is to be made.
type Draft struct {
	Kind    Kind
	Name    string
	Owner   string       // canonical name
	Level   policy.Level // 0 means one; App is always one
	Scope   Scope
	Expires time.Time // zero: never
}

// Stored is a Record as a Keeper stores it: with the SHA-256 of its secret.
type Stored struct {
	Record
	Hash [32]byte
}

// Touch is one write of a last use.
type Touch struct {
	ID   string
	Used time.Time
}

// Keeper is what survives a restart. store.Store is one.
type Keeper interface {
	// AddCredential inserts one. An id or hash that is there already is an error, and
	// changes nothing; so is a credential whose owner has others already: ErrTooMany.
	AddCredential(ctx context.Context, s Stored, others int) error
	// ListCredentials is ordered by Owner, then Created, then ID; "" means every owner.
	ListCredentials(ctx context.Context, owner string) ([]Stored, error)
	// DeleteCredentials deletes one of an owner's, or with id "" all of them, and returns
	// them; none is no error.
	DeleteCredentials(ctx context.Context, owner, id string) ([]Stored, error)
	// TouchCredentials writes last uses in one transaction; an unknown id is skipped, and
	// a Used never moves back.
	TouchCredentials(ctx context.Context, touches []Touch) error
}
