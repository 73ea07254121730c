package policy

import "net/netip"

// Request is one request as HAProxy sampled it. Strings may be views into a buffer
// that is reused after Decide returns: Decide keeps none of them, save Decision.Path,
// which is either empty or a string of its own.
type Request struct {
	Method string     // as received
	Host   string     // as received, with port
	Path   string     // as received, percent-encoded; empty for CONNECT and OPTIONS *
	Query  string     // as received, without the question mark
	Addr   netip.Addr // the client's; invalid when it came over a unix socket
	TLS    bool       // the client's connection to HAProxy was TLS

	Accept          string
	RequestedWith   string // X-Requested-With
	FetchMode       string // Sec-Fetch-Mode
	FetchDest       string // Sec-Fetch-Dest
	Origin          string
	PreflightMethod string // Access-Control-Request-Method
	Upgrade         string
}

// Subject is who asks. The zero value is an anonymous visitor; so is one without a user
// or without a level.
type Subject struct {
	User   string
	Groups []string
	Level  Level
	Proofs Proofs
}

// anonymous says that nobody is signed in.
func (s *Subject) anonymous() bool { return s.Level == Anonymous || s.User == "" }

// Decision is the answer to one request.
type Decision struct {
	Verdict Verdict
	Policy  Policy

	// Credentials is what the rule that decided takes in place of a session.
	Credentials Credentials

	Rule   int     // index into the rules; DefaultRule or BuiltinRule otherwise
	Domain *Domain // the cookie domain of the host; nil when it has none
	Path   string  // canonical path, only when it differs from the one received
	Reason Reason  // one constant word for logs
}

// Rule indexes that name no entry of access_control.rules.
const (
	DefaultRule = -1 // access_control.default_policy decided
	BuiltinRule = -2 // no rule was asked: portal host, unknown host, unclean request
)

// Reason is a constant word that says why, for logs and for `postern explain`.
type Reason string

// Why a request was answered without asking a rule (BuiltinRule).
const (
	ReasonPortal       Reason = "portal"        // the host is a portal: everybody may sign in
	ReasonBadHost      Reason = "bad_host"      // not a hostname
	ReasonUnknownHost  Reason = "unknown_host"  // in no cookie domain
	ReasonPlainHTTP    Reason = "plain_http"    // no TLS, and the domain does not say tls: upstream
	ReasonBadMethod    Reason = "bad_method"    // not a word of capital letters
	ReasonUncleanPath  Reason = "unclean_path"  // servers could read the path in more than one way
	ReasonUncleanQuery Reason = "unclean_query" // a rule asks about the query and it does not decode
)

// Why a rule, or the default policy, answered as it did.
const (
	ReasonBypass       Reason = "bypass"        // the policy asks nothing
	ReasonProved       Reason = "proved"        // the session has proved what the policy asks
	ReasonDenied       Reason = "denied"        // the policy is deny
	ReasonSignIn       Reason = "sign_in"       // nobody is signed in
	ReasonSecondFactor Reason = "second_factor" // one factor proved, two asked
	ReasonOtherFactor  Reason = "other_factor"  // two proved, but none that the rule lists
	ReasonStale        Reason = "stale"         // proved longer ago than the rule's max_age
)
