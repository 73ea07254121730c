package agent

import (
	"net/http"

	"postern/agent/policy"
	"postern/agent/session"
	"postern/agent/spop"
)

// Why a request was not decided on: the values of `reason` that come from the agent
// itself, beside those of agent/policy.
const (
	reasonMessage  policy.Reason = "bad_message"  // not one message check
	reasonArgument policy.Reason = "bad_argument" // doubled, or of a wrong type
	reasonContract policy.Reason = "bad_contract" // the files in HAProxy are of another version
	reasonBusy     policy.Reason = "busy"         // too many look-ups, or one took too long
	reasonStore    policy.Reason = "store"        // the store cannot tell
	reasonIdentity policy.Reason = "identity"     // the user's name or groups cannot be passed on
	reasonTooBig   policy.Reason = "too_big"      // the answer does not fit the frame
	reasonInternal policy.Reason = "internal"     // a fault of ours
)

// answer writes the variables of a decision: rid first, then who it is, verdict last.
// What does not apply is not set: the variables live in scope txn, which is empty when
// a request begins.
func (h *handler) answer(a *spop.Actions, q *question, e *session.Entry, d *policy.Decision, rule string) {
	a.SetString(spop.Transaction, VarRequestID, q.rid)
	if e != nil {
		a.Raw(e.Prepared)
	}
	h.finish(a, q, e, d, rule, nil)
}

// finish writes what stands behind who it is. o is nil unless credentials had to do with
// the answer.
func (h *handler) finish(a *spop.Actions, q *question, who *session.Entry, d *policy.Decision, rule string, o *outcome) {
	if rule != "" && printable(rule) {
		a.SetString(spop.Transaction, VarRule, rule)
	}
	a.SetString(spop.Transaction, VarReason, string(d.Reason))
	if d.Verdict == policy.VerdictAllow && d.Path != "" {
		if !printable(d.Path) {
			h.refuse(a, q, reasonInternal)
			return
		}
		a.SetString(spop.Transaction, VarPath, d.Path)
	}
	if d.Domain != nil && leads(d, who != nil) {
		q.buf = appendLocation(q.buf[:0], d.Domain.Portal, &q.Request)
		a.SetBytes(spop.Transaction, VarLocation, q.buf)
	}
	if o != nil {
		h.tell(a, q, o, d)
	}
	if o != nil && o.limited() {
		a.Raw(h.limited)
	} else {
		a.Raw(h.ends.of(d.Verdict, q.Method))
	}
	if a.Overflow() {
		h.refuse(a, q, reasonTooBig)
		return
	}
	h.count(q, d.Verdict)
	if h.Decisions.wants(d.Verdict) {
		h.Decisions.add(q, d.Verdict, d.Reason, rule, who)
	}
}

// refuse answers that nothing was decided: verdict error. Since maxRequestID bounds the
// id, that fits the smallest frame that HAProxy can agree to.
func (h *handler) refuse(a *spop.Actions, q *question, why policy.Reason) {
	a.Reset()
	if q.rid != "" {
		a.SetString(spop.Transaction, VarRequestID, q.rid)
	}
	a.SetString(spop.Transaction, VarReason, string(why))
	a.Raw(h.ends.of(policy.VerdictError, ""))
	h.count(q, policy.VerdictError)
	if h.Decisions.wants(policy.VerdictError) {
		h.Decisions.add(q, policy.VerdictError, why, "", nil)
	}
}

// leads says whether an answer names the portal: to sign in there, or, for somebody who
// is signed in and refused by a rule, to come back as somebody else. What is refused
// before any rule is asked is so for everybody.
func leads(d *policy.Decision, signedIn bool) bool {
	switch d.Verdict {
	case policy.VerdictLogin, policy.VerdictStepUp:
		return true
	case policy.VerdictDeny:
		return signedIn && d.Rule != policy.BuiltinRule
	}
	return false
}

// ends are the last two variables of an answer, status and verdict, encoded once for
// each verdict and for methods whose redirect is a 302.
type ends [policy.VerdictDeny + 1][2][]byte

func newEnds() (all ends) {
	for v := range all {
		for i, method := range []string{http.MethodPost, http.MethodGet} {
			v := policy.Verdict(v)
			b := spop.AppendSetInt(nil, spop.Transaction, VarStatus, int64(statusOf(v, method)))
			all[v][i] = spop.AppendSetString(b, spop.Transaction, VarVerdict, v.String())
		}
	}
	return all
}

func (all *ends) of(v policy.Verdict, method string) []byte {
	if v > policy.VerdictDeny {
		v = policy.VerdictError
	}
	if safe(method) {
		return all[v][1]
	}
	return all[v][0]
}

// safe says whether a redirect may be a 302: a browser then asks for the other page with
// the same method, which for POST would be a POST.
func safe(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// statusOf is the HTTP status that HAProxy answers with; 200 lets the request pass.
func statusOf(v policy.Verdict, method string) int {
	switch v {
	case policy.VerdictAllow:
		return http.StatusOK
	case policy.VerdictLogin, policy.VerdictStepUp:
		if safe(method) {
			return http.StatusFound
		}
		return http.StatusSeeOther
	case policy.VerdictChallenge:
		return http.StatusUnauthorized
	case policy.VerdictDeny:
		return http.StatusForbidden
	}
	return http.StatusServiceUnavailable
}
