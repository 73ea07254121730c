package policy

import "time"

// Decide answers one request. It allocates nothing when host and path are canonical
// already, save where a rule's `resources`, `query` or named groups need text decoded.
func (r *Rules) Decide(req *Request, sub *Subject, now time.Time) Decision {
	site := r.Site(req.Host)
	return r.decide(&site, req, sub, now, nil)
}

// DecideAt is Decide for a caller who has looked the host up already: site must be what
// r.Site says of req.Host.
func (r *Rules) DecideAt(site *Site, req *Request, sub *Subject, now time.Time) Decision {
	return r.decide(site, req, sub, now, nil)
}

// decide is the one way to a decision: Explain gives it a witness.
func (r *Rules) decide(site *Site, req *Request, sub *Subject, now time.Time, saw *witness) Decision {
	n := site.node
	switch {
	case site.host == "":
		return builtin(nil, ReasonBadHost)
	case n == nil || n.domain == nil:
		return builtin(nil, ReasonUnknownHost)
	case !req.TLS && n.domain.TLS != tlsUpstream:
		return builtin(n.domain, ReasonPlainHTTP)
	case n.portal:
		return Decision{Verdict: VerdictAllow, Policy: Bypass, Rule: BuiltinRule, Domain: n.domain, Reason: ReasonPortal}
	case !isMethod(req.Method):
		return builtin(n.domain, ReasonBadMethod)
	}
	found, ok := checkPath(req.Path, n.slashes)
	if !ok {
		return builtin(n.domain, ReasonUncleanPath)
	}
	t := target{host: site.host, addr: req.Addr.Unmap().WithZone(""), path: req.Path}
	d := Decision{Domain: n.domain}
	if found&pathReshape != 0 {
		t.path = reshape(req.Path)
		d.Path = t.path
	}
	rule := r.find(n, req, sub, &t, saw)
	if !t.unclean && found&(pathParams|pathSlashes) != 0 && !r.agree(n, req, sub, &t, found, rule) {
		return builtin(n.domain, ReasonUncleanPath)
	}
	if t.unclean {
		return builtin(n.domain, ReasonUncleanQuery)
	}
	d.Rule = rule
	r.answer(&d, req, sub, now)
	return d
}

// tlsUpstream is the value of Domain.TLS that says that TLS ends in front of HAProxy.
const tlsUpstream = "upstream"

func builtin(d *Domain, why Reason) Decision {
	return Decision{Verdict: VerdictDeny, Policy: Deny, Rule: BuiltinRule, Domain: d, Reason: why}
}

// isMethod says whether s is a method as HTTP writes them: RFC 9110 9.1 makes "get"
// another method than GET, and servers that are lenient about it would be asked past
// a rule for GET.
func isMethod(s string) bool {
	if s == "" || len(s) > 32 || s[0] == '-' {
		return false
	}
	for i := range len(s) {
		if (s[i] < 'A' || s[i] > 'Z') && s[i] != '-' {
			return false
		}
	}
	return true
}

// find returns the first rule that matches, or DefaultRule.
func (r *Rules) find(n *node, req *Request, sub *Subject, t *target, saw *witness) int {
	if n.parent == nil {
		for _, c := range n.list {
			if r.asks(c, req, sub, t, saw) {
				return int(c.rule)
			}
		}
		return DefaultRule
	}
	for c, ok := n.next(-1); ok; c, ok = n.next(c.rule) {
		if r.asks(c, req, sub, t, saw) {
			return int(c.rule)
		}
	}
	return DefaultRule
}

// asks says whether no further rule needs to be asked.
func (r *Rules) asks(c candidate, req *Request, sub *Subject, t *target, saw *witness) bool {
	missed := r.rules[c.rule].match(req, sub, t, c.met)
	if saw != nil {
		saw.note(int(c.rule), missed, req, sub, t)
	}
	return missed == nothing || t.unclean
}

// agree says whether the other ways to read a path lead to the same rule: without the
// parameters of its segments, and with encoded slashes that are no separators.
func (r *Rules) agree(n *node, req *Request, sub *Subject, t *target, found uint8, rule int) bool {
	readings := [3]string{}
	whole := decode(t.path, false)
	if found&pathParams != 0 {
		readings[0] = withoutParams(whole)
	}
	if found&pathSlashes != 0 {
		whole = decode(t.path, true)
		readings[1] = whole
		if found&pathParams != 0 {
			readings[2] = withoutParams(whole)
		}
	}
	for _, text := range readings {
		b := *t
		b.text = text
		if text != "" && r.find(n, req, sub, &b, nil) != rule {
			return false
		}
	}
	return true
}

// answer says what the rule that was found asks of the subject: DESIGN 5's table.
func (r *Rules) answer(d *Decision, req *Request, sub *Subject, now time.Time) {
	asked := &r.fallback
	if d.Rule >= 0 {
		asked = r.rules[d.Rule]
	}
	d.Policy, d.Credentials = asked.policy, asked.credentials
	switch asked.policy {
	case Bypass:
		d.Verdict, d.Reason = VerdictAllow, ReasonBypass
	case OneFactor, TwoFactor:
		d.Verdict, d.Reason = asked.proved(sub, now)
	default:
		d.Policy, d.Verdict, d.Reason = Deny, VerdictDeny, ReasonDenied
		if sub.anonymous() && asked.personal {
			d.Verdict, d.Reason = VerdictLogin, ReasonSignIn
		}
	}
	if (d.Verdict == VerdictLogin || d.Verdict == VerdictStepUp) && !req.navigation(asked.credentials != 0) {
		d.Verdict = VerdictChallenge
	}
}
