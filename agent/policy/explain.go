package policy

import (
	"strings"
	"time"
)

// Trace says what one rule made of a request.
type Trace struct {
	Rule      int
	Name      string // as RuleName
	Criterion string // the first that missed: domain, methods, networks, subject, resources, query; empty: the rule matches
	Value     string // what the request had to offer for it
	Maybe     bool   // it matches while nobody is signed in; after that it depends on who it is
}

// witness keeps what each rule that was asked made of a request.
type witness struct {
	rules *Rules
	asked []Trace
}

// Explain decides as Decide does, on the same way, and says what every rule up to the
// deciding one made of the request.
func (r *Rules) Explain(req *Request, sub *Subject, now time.Time) (Decision, []Trace) {
	saw := &witness{rules: r}
	site := r.Site(req.Host)
	d := r.decide(&site, req, sub, now, saw)
	asked, last := saw.asked, d.Rule
	if d.Rule == DefaultRule {
		last = r.Len() - 1
	} else if len(asked) > 0 {
		last = asked[len(asked)-1].Rule
	}
	var out []Trace
	for i := 0; i <= last; i++ {
		if len(asked) > 0 && asked[0].Rule == i {
			out, asked = append(out, asked[0]), asked[1:]
			continue
		}
		// The index has not even brought it up: the host misses.
		out = append(out, Trace{Rule: i, Name: r.RuleName(i), Criterion: missedDomain.String(), Value: site.host})
	}
	return d, out
}

func (w *witness) note(rule int, missed criterion, req *Request, sub *Subject, t *target) {
	w.asked = append(w.asked, Trace{
		Rule: rule, Name: w.rules.RuleName(rule), Criterion: missed.String(),
		Value: strings.Clone(offered(missed, req, sub, t)),
		Maybe: missed == nothing && sub.anonymous() && w.rules.rules[rule].personal,
	})
}

// offered is what a request has for a criterion.
func offered(c criterion, req *Request, sub *Subject, t *target) string {
	switch c {
	case missedDomain:
		return t.host
	case missedMethods:
		return req.Method
	case missedNetworks:
		if !t.addr.IsValid() {
			return "no address"
		}
		return t.addr.String()
	case missedSubject:
		s := "user:" + sub.User
		for _, g := range sub.Groups {
			s += " group:" + g
		}
		return s
	case missedQuery:
		return req.Query
	case missedResources:
		return t.text
	}
	return ""
}

// Application is a host that a subject may open.
type Application struct {
	Host string
	URL  string // with the port of the domain's portal, and a slash
}

// Applications lists the hosts that rules name in full, in their order, that sub could
// open at "/", at once or after a second factor. Rules with networks count as missed,
// since no address is given.
func (r *Rules) Applications(sub *Subject, now time.Time) []Application {
	var out []Application
	for _, host := range r.exactHosts() {
		d := r.Decide(&Request{Method: "GET", Host: host, Path: "/", TLS: true, FetchMode: "navigate"}, sub, now)
		if d.Reason == ReasonPortal || d.Verdict != VerdictAllow && d.Verdict != VerdictStepUp {
			continue
		}
		out = append(out, Application{Host: host, URL: "https://" + host + r.ports[d.Domain.Name] + "/"})
	}
	return out
}
