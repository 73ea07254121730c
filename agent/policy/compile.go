package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Compile checks and compiles the configuration. Its error joins every fault, each a
// *Fault.
func Compile(domains []Domain, cfg Config) (*Rules, error) {
	c := compiler{patterns: map[patternKey]*pattern{}}
	r := &Rules{config: cfg, fallback: rule{name: "default_policy", policy: cfg.DefaultPolicy}}
	r.domains = c.checkDomains(domains)
	portals := make([]string, len(r.domains))
	r.ports = make(map[string]string, len(r.domains))
	for i := range r.domains {
		portals[i], r.ports[r.domains[i].Name] = c.portal(i, &r.domains[i])
	}
	c.nameNetworks(cfg.Networks)
	r.named = make([][]namedHost, len(cfg.Rules))
	names := map[string]int{}
	for i := range cfg.Rules {
		c.at = fmt.Sprintf("access_control.rules[%d]", i)
		compiled := c.rule(&cfg.Rules[i])
		compiled.name = c.ruleName(cfg.Rules[i].Name, i, names)
		r.rules = append(r.rules, compiled)
		r.named[i] = c.named
	}
	if len(c.faults) > 0 {
		return nil, errors.Join(c.faults...)
	}
	r.index = *buildIndex(r.domains, portals, r.rules, r.named, flattenBudget)
	return r, nil
}

// compiler collects the faults of a configuration while it is compiled.
type compiler struct {
	faults   []error
	at       string // path of the rule or domain
	domains  []Domain
	networks map[string][]netip.Prefix
	named    []namedHost // of the rule
	patterns map[patternKey]*pattern
}

type patternKey struct {
	source string
	fold   bool
}

// fault notes a fault of the rule at hand.
func (c *compiler) fault(key, message, hint string) { c.faultAt(c.at+"."+key, message, hint) }

func (c *compiler) faultAt(path, message, hint string) {
	c.faults = append(c.faults, &Fault{Path: path, Message: message, Hint: hint})
}

// entry is the key of one entry of a list.
func entry(key string, i int) string { return key + "[" + strconv.Itoa(i) + "]" }

// ruleName returns the name that logs give a rule.
func (c *compiler) ruleName(name string, i int, seen map[string]int) string {
	position := entry("rules", i)
	if name == "" {
		return position
	}
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
	first, twice := seen[name]
	switch {
	case len(name) > 64 || strings.Trim(name, letters) != "" || name == "default_policy" || name == "builtin":
		c.fault("name", fmt.Sprintf("%q cannot be a name", cut(name)), "write up to 64 letters, digits, hyphens, dots and underscores")
	case twice:
		c.fault("name", fmt.Sprintf("%q is the name of %s already", name, entry("rules", first)), "")
	}
	seen[name] = i
	return name
}

// rule compiles one rule.
func (c *compiler) rule(in *Rule) *rule {
	out := &rule{policy: in.Policy, maxAge: in.MaxAge}
	c.named = nil
	if in.Policy == policyUnset {
		c.faultAt(c.at, "has no policy", "write policy: bypass, one_factor, two_factor or deny")
	}
	c.notEmpty(in)
	personal := []string{}
	if c.hosts(in, out) {
		personal = append(personal, "domain")
	}
	c.methods(in.Methods, out)
	c.matchNetworks(in.Networks, out)
	c.subjects(in.Subject, out)
	if len(in.Subject) > 0 {
		personal = append(personal, "subject")
	}
	c.query(in.Query, out)
	if c.resources(in.Resources, out) {
		personal = append(personal, "resources")
	}
	out.personal = len(personal) > 0
	if in.Policy == Bypass && out.personal {
		c.fault("policy", "bypass lets everybody in, but "+strings.Join(personal, " and ")+" asks who the user is",
			"write one_factor, or take that criterion away")
	}
	c.freshness(in, out)
	c.credentials(in, out)
	return out
}

// notEmpty refuses criteria that were written down without an entry: they would match
// everything.
func (c *compiler) notEmpty(in *Rule) {
	for _, l := range []struct {
		key   string
		empty bool
	}{
		{"domain", in.Domain != nil && len(in.Domain) == 0},
		{"domain_regex", in.DomainRegex != nil && len(in.DomainRegex) == 0},
		{"subject", in.Subject != nil && len(in.Subject) == 0},
		{"networks", in.Networks != nil && len(in.Networks) == 0},
		{"methods", in.Methods != nil && len(in.Methods) == 0},
		{"resources", in.Resources != nil && len(in.Resources) == 0},
		{"query", in.Query != nil && len(in.Query) == 0},
		{"factors", in.Factors != nil && len(in.Factors) == 0},
		{"credentials", in.Credentials != nil && len(in.Credentials) == 0},
	} {
		if l.empty {
			c.fault(l.key, "is empty", "take the key away if it is not meant to restrict anything")
		}
	}
}

// freshness compiles max_age and factors.
func (c *compiler) freshness(in *Rule, out *rule) {
	proves := in.Policy == OneFactor || in.Policy == TwoFactor
	switch {
	case in.MaxAge < 0:
		c.fault("max_age", "is negative", "")
	case in.MaxAge != 0 && !proves:
		c.fault("max_age", in.Policy.String()+" asks for no proof that could be too old", "")
	}
	for i, word := range in.Factors {
		var f Factor
		err := f.UnmarshalText([]byte(word))
		switch {
		case err != nil:
			c.fault(entry("factors", i), err.Error(), "")
		case !secondFactors.has(f):
			c.fault(entry("factors", i), word+" is no second factor", "write totp, webauthn, recovery or certificate")
		default:
			out.factors |= 1 << f
		}
	}
	if len(in.Factors) > 0 && in.Policy != TwoFactor {
		c.fault("factors", in.Policy.String()+" asks for no second factor", "write policy: two_factor")
	}
}

// pattern compiles an expression, once however often it is written.
func (c *compiler) pattern(key, source string, fold bool) *pattern {
	if p := c.patterns[patternKey{source, fold}]; p != nil {
		return p
	}
	p, err := compilePattern(source, fold)
	if err != nil {
		c.fault(key, strings.TrimPrefix(err.Error(), "error parsing regexp: ")+" in the expression", "the syntax is RE2's: no look-around, no back-references")
		return nil
	}
	if source == "" {
		c.fault(key, "is an empty expression, which matches everything", "")
	}
	c.patterns[patternKey{source, fold}] = p
	return p
}
