package agent

import (
	"net/http"
	"time"

	"postern/agent/credential"
	"postern/agent/policy"
	"postern/agent/session"
	"postern/agent/spop"
	"postern/portal/journal"
)

// decideCarried answers where the rule that decided takes credentials, or the client has a
// certificate.
func (h *handler) decideCarried(a *spop.Actions, q *question, e *session.Entry, d *policy.Decision, rules *policy.Rules, now time.Time) *check {
	o, ask := outcome{who: e}, (*check)(nil)
	if d.Verdict != policy.VerdictAllow {
		if o, ask = h.weigh(q, e, d, rules, now); ask != nil {
			return ask
		}
	}
	if o.carried != nil {
		h.account(q, &o, now)
		if o.carried.broken {
			h.refuse(a, q, o.carried.why)
			return nil
		}
	}
	h.write(a, q, &o, d, rules.RuleName(d.Rule))
	return nil
}

// missing is what decide would return, without an answer.
func (h *handler) missing(q *question, e *session.Entry, rules *policy.Rules, now time.Time) *check {
	q.subject = policy.Subject{}
	if e != nil {
		if len(e.Prepared) == 0 {
			return nil
		}
		q.subject = policy.Subject{User: e.User, Groups: e.Groups, Level: e.Level, Proofs: e.Proofs}
	}
	d := rules.DecideAt(&q.site, &q.Request, &q.subject, now)
	if d.Verdict == policy.VerdictAllow || h.Credentials == nil || d.Credentials == 0 && len(q.certificate) == 0 {
		return nil
	}
	_, ask := h.weigh(q, e, &d, rules, now)
	q.subject = policy.Subject{}
	return ask
}

// write is answer for what a credential had to do with.
func (h *handler) write(a *spop.Actions, q *question, o *outcome, d *policy.Decision, rule string) {
	a.SetString(spop.Transaction, VarRequestID, q.rid)
	if o.who != nil {
		a.Raw(o.who.Prepared)
	}
	if o.raised {
		a.SetInt(spop.Transaction, VarLevel, int64(policy.LevelTwo))
	}
	h.finish(a, q, o.who, d, rule, o)
}

// tell writes what became of the credentials: that the header goes no further, or which
// ones are taken.
func (h *handler) tell(a *spop.Actions, q *question, o *outcome, d *policy.Decision) {
	if d.Verdict == policy.VerdictAllow {
		if kind, ours := h.consumed(q, o, d.Credentials); ours {
			a.SetString(spop.Transaction, VarCredential, kind.String())
		}
	}
	if d.Verdict == policy.VerdictChallenge && o.who == nil {
		if q.buf = appendChallenge(q.buf[:0], q, o, d); len(q.buf) > 0 {
			a.SetBytes(spop.Transaction, VarChallenge, q.buf)
		}
	}
}

// limited says that there were too many failures.
func (o *outcome) limited() bool { return o.carried != nil && o.carried.limited }

// consumed says whether the Authorization header is Postern's, so that no application may
// see it: it won the verdict, or is of the kind that the rule takes although a session
// was there.
func (h *handler) consumed(q *question, o *outcome, takes policy.Credentials) (policy.Credential, bool) {
	if q.authorization == "" || !takes.Header() {
		return 0, false
	}
	if o.won && o.carried.kind != policy.CredentialCertificate {
		return o.carried.kind, true
	}
	q.buf = grow(q.buf, len(q.authorization))
	hd := credential.ParseHeader(q.authorization, q.buf)
	switch {
	case credential.KindOf(hd.Secret) == credential.Token:
		return policy.CredentialToken, true
	case hd.Scheme == credential.Basic && takes.Has(policy.CredentialBasic):
		return policy.CredentialBasic, true
	}
	return 0, false
}

// appendChallenge appends what WWW-Authenticate says: RFC 7617 2, RFC 6750 3. A script in
// a browser is not told of Basic unless it has sent something: the browser would open a
// password dialog of its own.
func appendChallenge(b []byte, q *question, o *outcome, d *policy.Decision) []byte {
	if d.Domain == nil || !d.Credentials.Header() {
		return b
	}
	script := (q.FetchMode != "" || q.RequestedWith != "") && q.authorization == ""
	if d.Credentials.Has(policy.CredentialBasic) && !script {
		b = append(append(append(b, `Basic realm="`...), d.Domain.Name...), `", charset="UTF-8"`...)
	}
	if !d.Credentials.Has(policy.CredentialToken) {
		return b
	}
	if len(b) > 0 {
		b = append(b, ", "...)
	}
	b = append(append(append(b, `Bearer realm="`...), d.Domain.Name...), '"')
	if c := o.carried; c != nil && c.kind == policy.CredentialToken {
		problem := "invalid_token"
		switch c.why {
		case "":
			problem = "insufficient_user_authentication" // RFC 9470 3
		case reasonScope:
			problem = "insufficient_scope"
		}
		b = append(append(append(b, `, error="`...), problem...), '"')
	}
	return b
}

// newLimited is the end of an answer to somebody who has to wait.
func newLimited() []byte {
	b := spop.AppendSetInt(nil, spop.Transaction, VarStatus, http.StatusTooManyRequests)
	return spop.AppendSetString(b, spop.Transaction, VarVerdict, policy.VerdictChallenge.String())
}

// account notes the use of a token or an application password, and its refusal.
func (h *handler) account(q *question, o *outcome, now time.Time) {
	c := o.carried
	if c.entry == nil {
		return
	}
	if o.won {
		if h.Credentials.Book.Note(c.entry, now) {
			h.note(q, journal.Event{Kind: journal.TokenUsed, User: c.entry.Owner, Detail: c.entry.ID + " " + c.entry.Name})
		}
	} else if c.why != "" && c.entry.Refused(now) {
		h.note(q, journal.Event{Kind: journal.TokenRefused, User: c.entry.Owner, Reason: string(c.why), Detail: c.entry.ID + " " + c.entry.Name})
	}
}
