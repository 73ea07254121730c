package policy

import (
	"net/netip"
	"time"
)

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

// Trace says what one rule made of a request.
type Trace struct {
	Rule      int
	Name      string
	Criterion string // the first that missed: domain, subject, networks, methods, resources, query; empty: the rule matches
	Value     string // what the criterion was held against
	Maybe     bool   // it matches as far as an anonymous visitor can tell: who signs in decides
}

// Explain decides as Decide does and says what every rule up to the deciding one made
// of the request.
func (r *Rules) Explain(req *Request, sub *Subject, now time.Time) (Decision, []Trace) {
	return Decision{}, nil
}

// Application is a host that a subject may open.
type Application struct {
	Host string
	URL  string
}

// Applications lists the hosts that rules name in full and that sub could open at "/",
// at once or after a second factor.
func (r *Rules) Applications(sub *Subject, addr netip.Addr, now time.Time) []Application { return nil }

// Warnings lists what is risky in the configuration, or stricter than in Authelia.
func (r *Rules) Warnings() []*Fault { return nil }

// RuleName returns the name of a rule for logs: its own, or "rules[3]".
func (r *Rules) RuleName(i int) string { return "" }

// Len returns the number of rules.
func (r *Rules) Len() int { return 0 }

// Domains returns the cookie domains.
func (r *Rules) Domains() []Domain { return nil }
