// Package policy decides what becomes of a request: which rule matches it, what that
// rule asks for, and whether the subject has proved enough.
//
// It does no I/O, keeps no state and knows no clock: Decide is a pure function of the
// compiled rules, the request, the subject and the time. It does not parse the wire
// protocol, look up sessions, or write an answer.
package policy

import (
	"fmt"
	"strings"
)

// Policy is what a rule asks of a request. The zero value is a policy that nobody wrote:
// it denies, and Compile refuses it in a rule.
type Policy uint8

// The four policies, as they are spelled in the configuration.
const (
	policyUnset Policy = iota
	Deny
	Bypass
	OneFactor
	TwoFactor
)

// String returns the word of the configuration.
func (p Policy) String() string {
	switch p {
	case Bypass:
		return "bypass"
	case OneFactor:
		return "one_factor"
	case TwoFactor:
		return "two_factor"
	}
	return "deny"
}

// MarshalText writes what UnmarshalText reads.
func (p Policy) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads the word of the configuration.
func (p *Policy) UnmarshalText(b []byte) error {
	for _, q := range []Policy{Bypass, OneFactor, TwoFactor, Deny} {
		if q.String() == string(b) {
			*p = q
			return nil
		}
	}
	return fmt.Errorf("%q is no policy; write bypass, one_factor, two_factor or deny", cut(string(b)))
}

// Level is what a session has proved.
type Level uint8

// The levels: 0 anonymous, 1 one factor, 2 two factors.
const (
	Anonymous Level = iota
	LevelOne
	LevelTwo
)

// String returns the level's digit.
func (l Level) String() string {
	switch l {
	case Anonymous:
		return "0"
	case LevelOne:
		return "1"
	}
	return "2"
}

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

// String returns the value of the variable `verdict`.
func (v Verdict) String() string {
	switch v {
	case VerdictAllow:
		return "allow"
	case VerdictLogin:
		return "login"
	case VerdictStepUp:
		return "step_up"
	case VerdictChallenge:
		return "challenge"
	case VerdictDeny:
		return "deny"
	}
	return "error"
}

// MarshalText returns the value of the variable `verdict`.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

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

// String returns the word of the configuration and of logs.
func (f Factor) String() string {
	switch f {
	case Password:
		return "password"
	case TOTP:
		return "totp"
	case WebAuthn:
		return "webauthn"
	case Recovery:
		return "recovery"
	case Mail:
		return "mail"
	case Certificate:
		return "certificate"
	}
	return "unknown"
}

// MarshalText writes what UnmarshalText reads.
func (f Factor) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads the word of the configuration.
func (f *Factor) UnmarshalText(b []byte) error {
	for g := Password; g < factorCount; g++ {
		if g.String() == string(b) {
			*f = g
			return nil
		}
	}
	return fmt.Errorf("%q is no factor; write totp, webauthn, recovery or certificate", cut(string(b)))
}

// Proofs holds when each factor was last proved, in Unix seconds; zero means never.
type Proofs [factorCount]int64

// cut shortens what an operator wrote so that it fits in a message.
func cut(s string) string {
	if len(s) <= 64 {
		return s
	}
	return strings.ToValidUTF8(s[:64], "") + "…"
}
