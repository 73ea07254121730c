// Package journal names what happens to an account, for the person whose it is and for
// the operator: sign-ins, failures, changes.
//
// It keeps nothing itself (store does), decides nothing, and has no field in which a
// secret could stand.
package journal

import (
	"context"
	"time"
)

// Kind says what happened. Its text is stored: it never changes.
type Kind string

// The kinds of events.
const (
	SignIn           Kind = "sign_in"           // a session was made; Factor says with what
	SignInFailed     Kind = "sign_in_failed"    // Reason says why, for the operator
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
	TokenCreated     Kind = "token_created"     // a token or application password was made; Detail: its name
	TokenRevoked     Kind = "token_revoked"     // Detail: its name
	Admin            Kind = "admin"             // an operator's command; Detail: which
)

// Event is one thing that happened.
type Event struct {
	At      time.Time
	Kind    Kind
	User    string // canonical name; "" when it is not known whose
	Factor  string // policy's name of the factor, when one was used or changed
	Reason  string // one word: "wrong", "wait", "disabled" …
	Detail  string // for people: a device's name, a session's id; at most 256 bytes
	Session string // public id of the session it happened in
	Request string // HAProxy's id of the request
	Addr    string // the client's address
	Browser string // User-Agent, at most 256 bytes
}

// Filter selects events; empty fields do not restrict.
type Filter struct {
	User  string
	Since time.Time
	Limit int // newest first; 0: 1000
}

// Keeper keeps events. store.Store is one.
type Keeper interface {
	// AddEvent appends; events are never changed.
	AddEvent(ctx context.Context, e Event) error
	// ListEvents is newest first.
	ListEvents(ctx context.Context, f Filter) ([]Event, error)
	// PruneEvents removes those before a time and says how many.
	PruneEvents(ctx context.Context, before time.Time) (int, error)
}
