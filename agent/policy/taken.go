package policy

import (
	"slices"
	"strings"
)

// Taken is where rules take a credential from somebody.
type Taken struct {
	Any   bool     // some rule does
	Two   bool     // some rule does for two factors
	Hosts []string // in lower case, www.example.com or *.example.com, in the order of the rules; expressions are left out
}

// Taken says where rules take c from sub. It asks no criterion but host and subject: what
// such a credential may do there, Decide says. A rule for two factors counts when sub has
// proved two and c can stand for them.
func (r *Rules) Taken(c Credential, sub *Subject) Taken {
	var t Taken
	for i, rule := range r.rules {
		two := rule.policy == TwoFactor
		switch {
		case !rule.credentials.Has(c), rule.policy == Bypass, rule.policy == Deny:
			continue
		case two && (c != CredentialToken || sub.Level < LevelTwo):
			continue
		case rule.subjects != nil && !rule.matchSubjects(sub):
			continue
		}
		t.Any, t.Two = true, t.Two || two
		for _, s := range r.config.Rules[i].Domain {
			for _, host := range personalHosts(s, sub) {
				if !slices.Contains(t.Hosts, host) {
					t.Hosts = append(t.Hosts, host)
				}
			}
		}
	}
	return t
}

// personalHosts are the hosts that one entry of domain means for sub.
func personalHosts(s string, sub *Subject) []string {
	name := strings.TrimSuffix(lowerASCII(s), ".")
	var labels []string
	if suffix, ok := strings.CutPrefix(name, "{user}."); ok {
		labels, name = []string{sub.User}, suffix
	} else if suffix, ok := strings.CutPrefix(name, "{group}."); ok {
		labels, name = sub.Groups, suffix
	} else if isHostname(strings.TrimPrefix(name, "*.")) {
		return []string{name}
	}
	var hosts []string
	for _, l := range labels {
		if host := lowerASCII(l) + "." + name; isHostname(host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}
