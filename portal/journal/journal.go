// Package journal names what happens to an account, for the person whose it is and for
// the operator: sign-ins, failures, changes.
//
// Stream takes events, cleans and numbers them, seals each into a chain with the one
// before, and hands them to a Ledger; Copy writes them out as lines of JSON.
//
// It has no table itself (store does), decides nothing, and has no field in which a
// secret could stand.
package journal

import (
	"context"
	"net/netip"
	"time"
)

// Kind says what happened. Its text is stored: it never changes.
type Kind string

// The kinds of events of an account.
const (
	SignIn           Kind = "sign_in"           // a session was made; Factor says with what
	SignInFailed     Kind = "sign_in_failed"    // Reason: Unknown, Wrong, Disabled …
	SignInRefused    Kind = "sign_in_refused"   // nothing was looked at; Reason: Wait, Banned, Busy …
	StepUp           Kind = "step_up"           // a second factor was proved
	StepUpFailed     Kind = "step_up_failed"    //
	SignOut          Kind = "sign_out"          //
	Revoked          Kind = "session_revoked"   // Detail: the id that was ended
	PasswordChanged  Kind = "password_changed"  //
	PasswordReset    Kind = "password_reset"    // by a link from a mail
	ResetAsked       Kind = "reset_asked"       //
	FactorAdded      Kind = "factor_added"      // Detail: the device's name
	FactorRemoved    Kind = "factor_removed"    //
	FactorRenamed    Kind = "factor_renamed"    //
	FactorSuspicious Kind = "factor_suspicious" // a passkey's counter went backwards
	CodesMade        Kind = "codes_made"        // new recovery codes
	CodeUsed         Kind = "code_used"         // a recovery code
	NotMe            Kind = "not_me"            // somebody followed "it wasn't me"
	TokenCreated     Kind = "token_created"     // a token or an application password; Detail: its id and name
	TokenRevoked     Kind = "token_revoked"     // Detail: its id and name
	TokenUsed        Kind = "token_used"        // for the first time in an hour; Detail: its id
	TokenRefused     Kind = "token_refused"     // Reason: Revoked, Expired, Scope …; Detail: its id, when one is known
	BasicFailed      Kind = "basic_failed"      // a name and password in Authorization; Reason as for SignInFailed
	Admin            Kind = "admin"             // an operator's command; Detail: which; By: who gave it
)

// The kinds of events that are nobody's own.
const (
	Banned        Kind = "banned"         // Detail: whom or what, and until when
	Unbanned      Kind = "unbanned"       //
	Started       Kind = "started"        // the daemon; Detail: its version
	Stopped       Kind = "stopped"        //
	Reloaded      Kind = "reloaded"       // the configuration; Detail: what changed
	ReloadRefused Kind = "reload_refused" // Detail: the first fault
	SecretMade    Kind = "secret_made"    // the secret that all keys are derived from
	Pruned        Kind = "journal_pruned" // Detail: the number of the last event that was removed
)

// Why something was refused: values of Event.Reason, for the operator. Other words are
// allowed; these are shared, so that one search finds them all.
const (
	Unknown     = "unknown"     // nobody has the name
	Wrong       = "wrong"       // the password, code or key
	Disabled    = "disabled"    // the account
	Wait        = "wait"        // too many guesses
	IsBanned    = "banned"      // the user or the address
	Busy        = "busy"        // too much is being worked on
	Unavailable = "unavailable" // a directory or the store does not answer
)

// Event is one thing that happened. The texts may be anything that a browser sent: they
// are cleaned and clipped by Stream before they are kept.
type Event struct {
	At      time.Time
	Kind    Kind
	User    string // canonical name; "" when it is not known whose
	By      string // who did it, when it was not the user: "os:root", "operator"
	Factor  string // policy's name of the factor, when one was used or changed
	Reason  string // one word: Wrong, Wait, Disabled …
	Detail  string // for people: a device's name, a session's id; at most 256 bytes
	Session string // public id of the session it happened in
	Request string // HAProxy's id of the request
	Addr    string // the client's address
	Browser string // User-Agent, at most 256 bytes
}

// Filter selects events; empty fields do not restrict.
type Filter struct {
	User   string
	Kinds  []Kind
	Addr   netip.Prefix // of the client; zero: any
	Since  time.Time    // that moment included
	Until  time.Time    // that moment not included
	After  uint64       // only those with a greater number
	Limit  int          // 0: 1000
	Oldest bool         // oldest first, so that Limit keeps the oldest; else newest first
}

// Keeper is what everybody writes to who has something to tell. Stream is one.
type Keeper interface {
	// AddEvent appends; events are never changed.
	AddEvent(ctx context.Context, e Event) error
	// ListEvents returns what f selects, in the order in which it was written.
	ListEvents(ctx context.Context, f Filter) ([]Event, error)
}
