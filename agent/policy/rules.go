package policy

import (
	"slices"
	"strings"
)

// Rules is the compiled form of domains and access control: immutable and safe for
// use by any number of goroutines. The zero value knows no host and denies.
type Rules struct {
	domains  []Domain
	ports    map[string]string // ":8443" of each domain's portal, "" for 443
	config   Config
	named    [][]namedHost // what each rule says about hosts
	rules    []*rule
	fallback rule // default_policy
	index    index
}

// DomainOf returns the cookie domain of a host as received (any case, port, one
// trailing dot), or nil. It allocates nothing.
func (r *Rules) DomainOf(host string) *Domain {
	host, ok := bareHost(host)
	if !ok {
		return nil
	}
	var buf [maxHost + 1]byte
	lower := buf[:copy(buf[1:], host)+1]
	lower[0] = '.'
	lowerBytes(lower)
	if n := r.index.hosts[string(lower[1:])]; n != nil {
		return n.domain
	}
	for i := 1; i < len(lower); i++ {
		if lower[i] == '.' {
			if n := r.index.suffixes[string(lower[i:])]; n != nil {
				return n.domain
			}
		}
	}
	return nil
}

// Site is what the rules know of one host: its cookie domain, and which of them can match.
// The zero value is that of something that is no host.
type Site struct {
	host string // canonical; may be a view of the host that was asked for
	node *node
}

// Site looks up a host as received. It keeps no part of the string but in what it
// returns, and allocates only for a host with capitals.
func (r *Rules) Site(host string) Site {
	host, ok := canonicalHost(host)
	if !ok {
		return Site{}
	}
	return Site{host, r.index.lookup(host)}
}

// Domain returns the cookie domain, or nil.
func (s *Site) Domain() *Domain {
	if s.node == nil {
		return nil
	}
	return s.node.domain
}

// RuleName returns the name of a rule for logs: its own, or its place, as in "rules[3]".
// It allocates nothing.
func (r *Rules) RuleName(i int) string {
	switch {
	case i == DefaultRule:
		return "default_policy"
	case i < 0 || i >= len(r.rules):
		return "builtin"
	}
	return r.rules[i].name
}

// Len returns the number of rules.
func (r *Rules) Len() int { return len(r.rules) }

// Domains returns the cookie domains, in canonical form.
func (r *Rules) Domains() []Domain { return slices.Clone(r.domains) }

// exactHosts lists the hosts that rules name in full, in the order of the rules.
func (r *Rules) exactHosts() []string {
	var out []string
	seen := map[string]bool{}
	for i := range r.config.Rules {
		for _, s := range r.config.Rules[i].Domain {
			s = strings.TrimSuffix(lowerASCII(s), ".")
			if isHostname(s) && !seen[s] {
				seen[s] = true
				out = append(out, s)
			}
		}
	}
	return out
}
