// Package policy decides what becomes of a request: which rule matches it, what that
// rule asks for, and whether the subject has proved enough.
//
// It does no I/O, keeps no state and knows no clock: Decide is a pure function of the
// compiled rules, the request, the subject and the time. It does not parse the wire
// protocol, look up sessions, or write an answer.
package policy

import (
	"net/netip"
	"time"
)

// Policy is what a rule asks of a request. The zero value denies.
type Policy uint8

// The four policies, as they are spelled in the configuration.
const (
	Deny Policy = iota
	Bypass
	OneFactor
	TwoFactor
)

// Level is what a session has proved.
type Level uint8

// The levels: 0 anonymous, 1 one factor, 2 two factors.
const (
	Anonymous Level = iota
	LevelOne
	LevelTwo
)

// Verdict is what the agent answers. The zero value is VerdictError, which HAProxy
// turns into 503, so that a decision nobody made never lets anything through.
type Verdict uint8

// The verdicts; DESIGN's names for them are their String forms.
const (
	VerdictError Verdict = iota
	VerdictAllow
	VerdictLogin
	VerdictStepUp
	VerdictChallenge
	VerdictDeny
)

// Factor is one kind of proof. Proofs is indexed by it.
type Factor uint8

// The factors a user can prove.
const (
	Password Factor = iota
	TOTP
	WebAuthn
	Recovery
	Mail
	Certificate
	factorCount
)

// Proofs holds when each factor was last proved, in Unix seconds; zero means never.
type Proofs [factorCount]int64

// Request is one request as HAProxy sampled it. Strings may be views into a buffer
// that is reused after Decide returns: Decide keeps none of them, save Decision.Path,
// which is either empty or a string of its own.
type Request struct {
	Method string     // as received
	Host   string     // as received, with port
	Path   string     // as received, percent-encoded
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

// Subject is who asks. The zero value is an anonymous visitor.
type Subject struct {
	User   string
	Groups []string
	Level  Level
	Proofs Proofs
}

// Decision is the answer to one request.
type Decision struct {
	Verdict Verdict
	Policy  Policy
	Rule    int     // index into the rules; DefaultRule or BuiltinRule otherwise
	Domain  *Domain // the cookie domain of the host; nil when it has none
	Path    string  // canonical path, only when it differs from the one received
	Reason  Reason  // one constant word for logs
}

// Rule indexes that name no entry of access_control.rules.
const (
	DefaultRule = -1 // access_control.default_policy decided
	BuiltinRule = -2 // no rule was asked: portal host, unknown host, unclean request
)

// Reason is a constant word that says why, for logs and for `postern explain`.
type Reason string

// Domain is one cookie domain with its portal. It is one entry of `domains`.
type Domain struct {
	Name           string   `yaml:"domain"`          // "example.com"
	Portal         string   `yaml:"portal"`          // "https://auth.example.com", port allowed, no path
	Home           string   `yaml:"home"`            // where to go when a sign-in has no target; may be empty
	TLS            string   `yaml:"tls"`             // "" (HAProxy ends TLS) or "upstream"
	EncodedSlashes []string `yaml:"encoded_slashes"` // hosts whose paths may hold %2f
}

// Config is `access_control` as the operator writes it; Rule and its parts live in
// rule.go. Compile turns it, with the domains, into Rules.
type Config struct {
	DefaultPolicy Policy              `yaml:"default_policy"`
	Networks      map[string][]string `yaml:"-"` // named networks, see Rule.Networks
	Rules         []Rule              `yaml:"rules"`
}

// Rules is the compiled form of domains and access control: immutable and safe for
// use by any number of goroutines.
type Rules struct{}

// Compile checks and compiles the configuration. Its error joins every fault.
func Compile(domains []Domain, c Config) (*Rules, error) { return &Rules{}, nil }

// Decide answers one request. It allocates nothing when the path is canonical already.
func (r *Rules) Decide(req *Request, sub *Subject, now time.Time) Decision { return Decision{} }

// DomainOf returns the cookie domain of a host as received (any case, port, one
// trailing dot), or nil. It allocates nothing.
func (r *Rules) DomainOf(host string) *Domain { return nil }

// Rule is one entry of access_control.rules.
type Rule struct{}
