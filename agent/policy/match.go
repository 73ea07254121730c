package policy

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// rule is a Rule, compiled.
type rule struct {
	name      string
	policy    Policy
	personal  bool          // depends on who the user is
	hosts     []hostPattern // those that the index alone cannot answer
	methods   []string
	networks  []netip.Prefix
	subjects  [][]subject
	query     [][]*queryItem
	resources []*pattern
	maxAge    time.Duration // 0: no limit
	factors   factors       // second factors that count

	credentials Credentials // what may stand in for a session
}

// subject is one part of a subject criterion.
type subject struct {
	group bool // name is a group, else a user
	name  string
}

// hostPattern is a form of domain that depends on the subject or on an expression.
type hostPattern struct {
	kind   hostKind
	suffix string // ".example.com"; for hostUser and hostGroup
	re     *pattern
}

type hostKind uint8

const (
	hostRegex hostKind = iota
	hostUser
	hostGroup
)

// target is the request in canonical form while rules are asked about it. It holds
// neither the Request nor the Subject: expressions keep hold of what they are given, as
// far as the compiler can tell, and callers should be able to keep both on the stack.
type target struct {
	host    string
	addr    netip.Addr
	path    string // encoded
	text    string // decoded; empty: not yet
	unclean bool   // a rule asked about a query that servers could read differently
}

// criterion names what a rule missed.
type criterion uint8

const (
	nothing criterion = iota // it matches
	missedDomain
	missedMethods
	missedNetworks
	missedSubject
	missedQuery
	missedResources
)

// String returns the key of the configuration.
func (c criterion) String() string {
	switch c {
	case missedDomain:
		return "domain"
	case missedMethods:
		return "methods"
	case missedNetworks:
		return "networks"
	case missedSubject:
		return "subject"
	case missedQuery:
		return "query"
	case missedResources:
		return "resources"
	}
	return ""
}

// match returns the first criterion that a request misses; hostMet says that the index
// has answered for the host.
func (r *rule) match(req *Request, sub *Subject, t *target, hostMet bool) criterion {
	switch {
	case !hostMet && !r.matchHost(sub, t):
		return missedDomain
	case r.methods != nil && !slices.Contains(r.methods, req.Method):
		return missedMethods
	case r.networks != nil && !r.matchNetworks(t.addr):
		return missedNetworks
	case r.subjects != nil && !sub.anonymous() && !r.matchSubjects(sub):
		return missedSubject
	case r.resources != nil && !r.matchResources(sub, t):
		return missedResources
	case r.query != nil && !r.matchQuery(req, t): // last: an unclean one is refused where all else fits
		return missedQuery
	}
	return nothing
}

func (r *rule) matchHost(sub *Subject, t *target) bool {
	for i := range r.hosts {
		if r.hosts[i].match(t.host, sub) {
			return true
		}
	}
	return false
}

func (h *hostPattern) match(host string, sub *Subject) bool {
	if h.kind == hostRegex {
		return h.re.match(host, sub, true)
	}
	name, ok := strings.CutSuffix(host, h.suffix)
	switch {
	case !ok || name == "" || h.kind == hostGroup && strings.IndexByte(name, '.') >= 0:
		return false
	case sub.anonymous():
		return true
	case h.kind == hostUser:
		return equalFold(name, sub.User)
	}
	for _, g := range sub.Groups {
		if equalFold(name, g) {
			return true
		}
	}
	return false
}

func (r *rule) matchNetworks(addr netip.Addr) bool {
	for _, p := range r.networks {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

func (r *rule) matchSubjects(sub *Subject) bool {
	for _, all := range r.subjects {
		if matchAll(all, sub) {
			return true
		}
	}
	return false
}

func matchAll(all []subject, sub *Subject) bool {
	for _, s := range all {
		if s.group && !slices.Contains(sub.Groups, s.name) || !s.group && s.name != sub.User {
			return false
		}
	}
	return true
}

func (r *rule) matchQuery(req *Request, t *target) bool {
	if !checkQuery(req.Query) {
		t.unclean = true
		return false
	}
	for _, all := range r.query {
		if !slices.ContainsFunc(all, func(it *queryItem) bool { return !it.match(req.Query) }) {
			return true
		}
	}
	return false
}

func (r *rule) matchResources(sub *Subject, t *target) bool {
	if t.text == "" {
		t.text = decode(t.path, false)
	}
	for _, p := range r.resources {
		if p.match(t.text, sub, false) {
			return true
		}
	}
	return false
}
