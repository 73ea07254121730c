package policy

import (
	"fmt"
	"strings"
)

// Credential is what a request itself can carry to say who sends it, without a session.
type Credential uint8

// The credentials, as rules spell them.
const (
	CredentialBasic       Credential = iota // a name and a password, or an application password
	CredentialToken                         // a token
	CredentialCertificate                   // a client certificate
	credentialCount
)

// String returns the word of the configuration and of logs.
func (c Credential) String() string {
	switch c {
	case CredentialBasic:
		return "basic"
	case CredentialToken:
		return "token"
	case CredentialCertificate:
		return "certificate"
	}
	return "unknown"
}

// Credentials is a set of Credential. The zero value is empty.
type Credentials uint8

// Has says whether c is in the set.
func (s Credentials) Has(c Credential) bool { return s&(1<<c) != 0 }

// Header says whether something in the set travels in Authorization.
func (s Credentials) Header() bool { return s.Has(CredentialBasic) || s.Has(CredentialToken) }

// String lists the words, "basic, token"; "" when the set is empty.
func (s Credentials) String() string {
	var words []string
	for c := range credentialCount {
		if s.Has(c) {
			words = append(words, c.String())
		}
	}
	return strings.Join(words, ", ")
}

// Credentials is the set of what some rule takes; HAProxy need not send what none does.
func (r *Rules) Credentials() Credentials {
	var all Credentials
	for _, rule := range r.rules {
		all |= rule.credentials
	}
	return all
}

// credentials compiles the key of that name.
func (c *compiler) credentials(in *Rule, out *rule) {
	for i, word := range in.Credentials {
		known := false
		for k := range credentialCount {
			if k.String() == word {
				out.credentials, known = out.credentials|1<<k, true
			}
		}
		if !known {
			c.fault(entry("credentials", i), fmt.Sprintf("%q is no credential", cut(word)), "write basic, token or certificate")
		}
	}
	switch {
	case len(in.Credentials) == 0:
	case in.Policy == Bypass:
		c.fault("credentials", "bypass lets everybody in, so that nobody is asked for any", "take the key away, or write one_factor")
	case in.Policy == Deny && !out.personal:
		c.fault("credentials", "deny lets nobody in, whatever he has", "take the key away, or name a subject")
	}
}

// credentials warns of a rule that asks for more than what it takes can prove.
func (w *warner) credentials(i int, in *Rule, compiled *rule) {
	takes := compiled.credentials
	if takes == 0 {
		return
	}
	at := w.at + ".credentials"
	if by, barred := w.barred(i, takes); barred {
		w.warn(at, "are never looked at: for a visitor, whom nobody knows yet, "+w.rules.RuleName(by)+" decides, which takes none of them", "write the same credentials there")
	}
	if in.Policy == TwoFactor {
		for _, c := range []Credential{CredentialBasic, CredentialCertificate} {
			if takes.Has(c) {
				w.warn(at, c.String()+" proves one factor: it never meets two_factor", "write one_factor in a rule for machines, or give them a token of level 2")
			}
		}
	}
	if takes.Header() && (in.MaxAge != 0 || len(in.Factors) > 0) {
		w.warn(at, "basic and token prove no factor at any time: they never meet max_age or factors", "write a rule without these for machines")
	}
	if takes.Has(CredentialBasic) && len(in.Networks) == 0 {
		w.warn(at, "with basic everybody can guess passwords here; wrong ones are counted as at the portal", "prefer token, or add networks")
	}
}

// barred says whether an earlier rule decides for every visitor of the hosts of a rule,
// and takes nothing of what this one does: subjects count as met while nobody is known.
func (w *warner) barred(i int, takes Credentials) (by int, barred bool) {
	named := w.rules.named[i]
	for _, h := range named {
		n := w.rules.index.hosts[h.name]
		if strings.HasPrefix(h.name, ".") {
			n = w.rules.index.suffixes[h.name]
		}
		found := false
		for c, ok := n.next(-1); ok && int(c.rule) < i && !found; c, ok = n.next(c.rule) {
			r := w.rules.rules[c.rule]
			if c.met && r.subjects != nil && r.methods == nil && r.networks == nil && r.query == nil && r.resources == nil && r.credentials&takes == 0 {
				by, found = int(c.rule), true
			}
		}
		if !found {
			return 0, false
		}
	}
	return by, len(named) > 0
}
