package agent

import (
	"cmp"
	"context"
	"net/netip"
	"strings"
	"time"

	"postern/agent/credential"
	"postern/agent/policy"
	"postern/agent/session"
	"postern/portal/journal"
)

// Credentials are what can stand in for a session, where a rule says so. A nil field is
// off; People must be there.
type Credentials struct {
	Book         *credential.Book
	Passwords    *credential.Passwords
	Certificates *credential.Certificates
	People       session.Directory
	Banned       func(user string, addr netip.Addr, now time.Time) bool // nil: nobody is
	Journal      Journal                                                // nil: nothing is noted
}

// Journal keeps events. store.Store is one.
type Journal interface {
	AddEvent(ctx context.Context, e journal.Event) error
}

// What a credential came to: values of `reason`.
const (
	reasonToken       policy.Reason = "token"        // allowed by a token
	reasonApp         policy.Reason = "app_password" // allowed by an application password
	reasonPassword    policy.Reason = "basic"        // allowed by a name and a password
	reasonCertificate policy.Reason = "certificate"  // allowed by a client certificate, or with the help of one

	reasonBadCredential policy.Reason = "bad_credential" // wrong, unknown, revoked, or not of the right form
	reasonExpired       policy.Reason = "expired"        // the token is
	reasonScope         policy.Reason = "scope"          // the token is not for this request
	reasonNoUser        policy.Reason = "no_user"        // whose it is, is gone or disabled
	reasonWait          policy.Reason = "wait"           // too many failures, or banned
)

// carried is what a request's own credential came to.
type carried struct {
	kind    policy.Credential
	reason  policy.Reason     // when it is allowed
	why     policy.Reason     // why it is no good; "" when it is
	entry   *credential.Entry // the token or application password, when one is known
	user    string            // whose it is; canonical
	level   policy.Level
	path    string // of the request, canonical
	limited bool   // too many failures: nothing was looked at
	broken  bool   // it cannot be told who it is
}

// outcome is an answer that a credential had to do with.
type outcome struct {
	carried *carried       // nil: nothing was
	who     *session.Entry // who is told to HAProxy; nil: nobody
	raised  bool           // a certificate makes it level two
	won     bool           // allowed by what was carried
}

// weigh is asked when the answer d for a session, or for a visitor when e is nil, is not
// allow and the request carries something. It changes d, or returns what has to be found
// out first.
func (h *handler) weigh(q *question, e *session.Entry, d *policy.Decision, rules *policy.Rules, now time.Time) (outcome, *check) {
	if e != nil {
		return h.raise(q, e, d, rules, now)
	}
	q.carried = carried{path: cmp.Or(d.Path, q.Path)}
	c, ask := h.read(q, d.Credentials, now)
	if c == nil {
		return outcome{}, ask
	}
	o := outcome{carried: c}
	if c.why == "" {
		if ask := h.settle(q, &o, d, rules, now); ask != nil {
			return outcome{}, ask
		}
	}
	if c.why != "" {
		d.Reason = c.why
		if c.limited || d.Verdict == policy.VerdictLogin && c.kind != policy.CredentialCertificate {
			d.Verdict = policy.VerdictChallenge
		}
	}
	return o, nil
}

// settle decides again, for whoever the credential stands for. The rule that decides then
// must take it, too, else it counts for nothing.
func (h *handler) settle(q *question, o *outcome, d *policy.Decision, rules *policy.Rules, now time.Time) *check {
	c := o.carried
	who := person{c.user, c.level}
	e, standing := h.people.recall(who)
	if standing == session.Unsure {
		if e, standing = q.found.identified(who); standing == session.Unsure {
			return identify(who)
		}
	}
	switch {
	case standing == session.Gone || e == nil:
		c.why = reasonNoUser
		return nil
	case len(e.Prepared) == 0:
		c.why, c.broken = reasonIdentity, true
		return nil
	case h.banned(c.user, q, now):
		c.why, c.limited = reasonWait, true
		return nil
	}
	q.subject = policy.Subject{User: e.User, Groups: e.Groups, Level: e.Level}
	if c.kind == policy.CredentialCertificate {
		q.subject.Proofs[policy.Certificate] = now.Unix()
	}
	switch own := rules.DecideAt(&q.site, &q.Request, &q.subject, now); {
	case !own.Credentials.Has(c.kind):
	case own.Verdict == policy.VerdictAllow:
		o.who, o.won = e, true
		*d = own
		d.Reason = c.reason
	case own.Verdict == policy.VerdictDeny:
		o.who = e
		*d = own
	default:
		d.Reason = own.Reason // it proves too little
	}
	return nil
}

// raise holds a certificate beside a session: the second of two things its user has.
func (h *handler) raise(q *question, e *session.Entry, d *policy.Decision, rules *policy.Rules, now time.Time) (outcome, *check) {
	o := outcome{who: e}
	if h.Credentials.Certificates == nil || len(q.certificate) == 0 || d.Reason == policy.ReasonDenied || d.Rule == policy.BuiltinRule {
		return o, nil
	}
	user, ok := h.holder(q, now)
	if !ok {
		return o, holderOf(q.certificate)
	}
	if user == "" || user != e.User {
		return o, nil
	}
	raised := q.subject
	raised.Level = policy.LevelTwo
	raised.Proofs[policy.Certificate] = now.Unix()
	if own := rules.DecideAt(&q.site, &q.Request, &raised, now); own.Verdict == policy.VerdictAllow {
		o.raised = true
		*d = own
		d.Reason = reasonCertificate
	}
	return o, nil
}

// holder is whose certificate it is, "" nobody's; ok is false when that has to be found out.
func (h *handler) holder(q *question, now time.Time) (user string, ok bool) {
	if user, ok = h.Credentials.Certificates.Recall(q.certificate, now); ok {
		return user, true
	}
	return q.found.held(q.certificate)
}

// read reads what the request carries of what the rule takes. It returns nil, nil when
// that is nothing.
func (h *handler) read(q *question, takes policy.Credentials, now time.Time) (*carried, *check) {
	if takes.Header() && q.authorization != "" {
		q.buf = grow(q.buf, len(q.authorization))
		switch hd := credential.ParseHeader(q.authorization, q.buf); {
		case hd.Scheme == credential.Bearer && takes.Has(policy.CredentialToken):
			return h.token(q, &hd, now), nil
		case hd.Scheme == credential.Basic:
			if c, ask := h.basic(q, &hd, takes, now); c != nil || ask != nil {
				return c, ask
			}
		}
	}
	if takes.Has(policy.CredentialCertificate) && h.Credentials.Certificates != nil && len(q.certificate) > 0 {
		user, ok := h.holder(q, now)
		if !ok {
			return nil, holderOf(q.certificate)
		}
		c := &q.carried
		c.kind, c.reason, c.user, c.level = policy.CredentialCertificate, reasonCertificate, user, policy.LevelOne
		if user == "" {
			c.why = reasonBadCredential
		}
		return c, nil
	}
	return nil, nil
}

// basic reads a name with a password, an application password, or a token in place of the
// password from a client that can do nothing else. Whatever has the form of a secret is
// looked up in memory and never hashed.
func (h *handler) basic(q *question, hd *credential.Header, takes policy.Credentials, now time.Time) (*carried, *check) {
	kind := credential.KindOf(hd.Secret)
	switch {
	case kind == credential.Token && takes.Has(policy.CredentialToken):
		c := h.token(q, hd, now)
		if c.why == "" && string(hd.User) != anyName && !strings.EqualFold(string(hd.User), c.user) {
			c.why = reasonBadCredential
		}
		return c, nil
	case !takes.Has(policy.CredentialBasic):
		return nil, nil
	case hd.Bad, kind == credential.Token:
		q.carried.kind, q.carried.why = policy.CredentialBasic, reasonBadCredential
		return &q.carried, nil
	case kind == credential.App:
		c := h.kept(q, hd.Secret, credential.App, now)
		c.kind, c.reason = policy.CredentialBasic, reasonApp
		if c.why == "" && !h.named(hd.User, c.user) {
			c.why = reasonBadCredential
		}
		return c, nil
	}
	return h.password(q, hd, now)
}

// anyName is what may stand for the name beside a token.
const anyName = "token"

// password is a name with the user's own password: from memory, or to be checked.
func (h *handler) password(q *question, hd *credential.Header, now time.Time) (*carried, *check) {
	c := &q.carried
	c.kind, c.reason, c.level = policy.CredentialBasic, reasonPassword, policy.LevelOne
	p := h.Credentials.Passwords
	if p == nil {
		c.why = reasonBadCredential
		return c, nil
	}
	pair := p.PairOf(hd.User, hd.Secret, q.Addr)
	if h.banned("", q, now) || p.Waiting(pair, hd.User, q.Addr, now) {
		c.why, c.limited = reasonWait, true
		return c, nil
	}
	user, ok := p.Recall(pair, now)
	if !ok {
		var why policy.Reason
		if user, why, ok = q.found.verified(pair); !ok {
			check := verify(pair, string(hd.User), string(hd.Secret), q.Addr)
			check.again = p.Lately(pair, now)
			return nil, check
		}
		c.why, c.limited = why, why == reasonWait
	}
	c.user = user
	return c, nil
}

// token is a token in Bearer, or in place of a password.
func (h *handler) token(q *question, hd *credential.Header, now time.Time) *carried {
	c := &q.carried
	c.why = reasonBadCredential
	if !hd.Bad {
		c = h.kept(q, hd.Secret, credential.Token, now)
	}
	c.kind, c.reason = policy.CredentialToken, reasonToken
	return c
}

// kept looks a secret up.
func (h *handler) kept(q *question, secret []byte, kind credential.Kind, now time.Time) *carried {
	c := &q.carried
	c.why = reasonBadCredential
	if h.Credentials.Book == nil {
		return c
	}
	use := credential.Use{Method: q.Method, Host: q.Host, Path: c.path, Addr: q.Addr}
	e, why := h.Credentials.Book.Find(secret, kind, &use, now)
	if c.entry = e; e != nil {
		c.user, c.level = e.Owner, e.Level
	}
	switch why {
	case "":
		c.why = ""
	case credential.Expired:
		c.why = reasonExpired
	case credential.Scoped:
		c.why = reasonScope
	}
	return c
}

// banned says whether an operator has banned a user, "" for any, or where the request
// comes from.
func (h *handler) banned(user string, q *question, now time.Time) bool {
	return h.Credentials.Banned != nil && h.Credentials.Banned(user, q.Addr, now)
}

// named says whether somebody means a user by a name: the canonical one, or his mail
// address. The secret beside it has proved who it is.
func (h *handler) named(name []byte, user string) bool {
	if strings.EqualFold(string(name), user) {
		return true
	}
	id, standing := h.people.directory.Recall(user)
	return standing == session.Present && id.Email != "" && strings.EqualFold(string(name), id.Email)
}

// grow returns b with room for n bytes.
func grow(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, 0, n)
	}
	return b[:0]
}
