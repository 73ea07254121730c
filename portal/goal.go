package portal

import (
	"net/url"
	"strings"
	"time"

	"postern/agent/policy"
	"postern/agent/session"
)

// freshFor is how old the proof may be that opens a sensitive page.
const freshFor = 5 * time.Minute

// Pages of a person's own. All of them want whatever the person can prove to have been
// proved in this session; the sensitive ones want it proved just now.
const (
	pageSettings = "/settings"
	pageFactors  = "/settings/factors"
	pageAddTOTP  = "/settings/factors/app"
	pageAddKey   = "/settings/factors/passkey"
	pageRecovery = "/settings/recovery"
	pagePassword = "/settings/password"
	pageSessions = "/settings/sessions"
	pageActivity = "/settings/activity"
	pageTokens   = "/settings/tokens"
	pageAddToken = "/settings/tokens/token"
	pageAddApp   = "/settings/tokens/password"
)

// sensitive says that a page changes how the person, or a program of his, gets in.
func sensitive(page string) bool {
	for _, p := range []string{pageFactors, pageRecovery, pagePassword, pageTokens} {
		if page == p || strings.HasPrefix(page, p+"/") {
			return true
		}
	}
	return false
}

// parsePage accepts the path of a page under /settings and nothing else, "" otherwise.
func parsePage(path string) string {
	if len(path) > 100 || path != pageSettings && !strings.HasPrefix(path, pageSettings+"/") {
		return ""
	}
	if strings.Trim(path, "abcdefghijklmnopqrstuvwxyz-/") != "" || strings.Contains(path, "//") {
		return ""
	}
	return path
}

// goal returns the address of path with everything in its query that says where the
// person is going: a page of his own, an application, or first the one and then the other.
func (v *visit) goal(path string) string {
	query := url.Values{}
	if v.page != "" {
		query.Set("next", v.page)
	}
	if v.target.URL != "" {
		query.Set("rd", v.target.URL)
		query.Set("rm", v.target.Method)
	}
	if len(query) == 0 {
		return path
	}
	return with(path, query.Encode())
}

// with adds to the query of an address.
func with(address, query string) string {
	if strings.Contains(address, "?") {
		return address + "&" + query
	}
	return address + "?" + query
}

// having is what a person can prove on this portal.
type having struct {
	Second []policy.Factor // second factors, the strongest first
	Any    bool            // there is a second factor, though it may not work on this portal
	Mail   bool            // a code can be mailed
	Enrol  []policy.Factor // second factors that can be set up here
}

// proven is a session after one more proof.
func proven(s session.Session, f policy.Factor, now time.Time) session.Session {
	before := s.Proofs
	s.Proofs[f] = now.Unix()
	if s.Level != policy.LevelOne || f == policy.Mail {
		return s
	}
	for other, at := range before {
		if policy.Factor(other) != f && policy.Factor(other) != policy.Mail && at != 0 {
			s.Level = policy.LevelTwo
		}
	}
	return s
}

// opens says whether a session may see a page of its person's own.
func opens(s *session.Session, page string, h having, now time.Time) bool {
	since := now.Add(-freshFor).Unix()
	if h.Any {
		if s.Level < policy.LevelTwo {
			return false
		}
		if !sensitive(page) {
			return true
		}
		for _, f := range []policy.Factor{policy.TOTP, policy.WebAuthn, policy.Recovery} {
			if s.Proofs[f] >= since {
				return true
			}
		}
		return false
	}
	return !sensitive(page) || s.Proofs[policy.Password] >= since && (!h.Mail || s.Proofs[policy.Mail] >= since)
}

// reached says whether a session is where it wants to go, and if not, whether a proof
// could help.
func reached(rules *policy.Rules, p place, s *session.Session, now time.Time) policy.Verdict {
	if p.Page != "" {
		if opens(s, p.Page, p.Having, now) {
			return policy.VerdictAllow
		}
		return policy.VerdictStepUp
	}
	if p.Target.URL == "" {
		return policy.VerdictAllow
	}
	request, subject := p.Target.request(p.Addr), subjectOf(s)
	return rules.Decide(&request, &subject, now).Verdict
}

// ways are the proofs that bring a person nearer to where he wants to go, the best first.
// They are found by asking the same question again for a session that has proved it.
func ways(rules *policy.Rules, p place, now time.Time) []policy.Factor {
	helps := func(f policy.Factor) bool {
		after := proven(*p.Session, f, now)
		return reached(rules, p, &after, now) != policy.VerdictStepUp
	}
	var list []policy.Factor
	for _, f := range append(append([]policy.Factor(nil), p.Having.Second...), policy.Password) {
		if helps(f) {
			list = append(list, f)
		}
	}
	if len(list) > 0 || p.Page == "" || p.Having.Any {
		return list
	}
	// Without a second factor a sensitive page wants two proofs: password, then mail.
	if p.Session.Proofs[policy.Password] < now.Add(-freshFor).Unix() {
		return []policy.Factor{policy.Password}
	}
	if p.Having.Mail {
		return []policy.Factor{policy.Mail}
	}
	return nil
}

// enrols are the second factors that a person could set up to get further. Who has one
// already proves it first; where he cannot, nothing can be set up.
func enrols(rules *policy.Rules, p place, now time.Time) []policy.Factor {
	if p.Page != "" || p.Having.Any && len(p.Having.Second) == 0 {
		return nil
	}
	var list []policy.Factor
	for _, f := range p.Having.Enrol {
		after := proven(*p.Session, f, now)
		if reached(rules, p, &after, now) != policy.VerdictStepUp {
			list = append(list, f)
		}
	}
	return list
}
