package agent

import (
	"log/slog"
	"time"

	"postern/agent/policy"
	"postern/agent/session"
	"postern/agent/spop"
	"postern/agent/thread"
	"postern/portal/journal"
)

// handler answers the NOTIFY frames of all connections.
type handler struct {
	*Server
	now  func() time.Time
	log  *slog.Logger
	ends ends

	limited []byte // the end of an answer to somebody who has to wait
	slow    slow

	people  *people
	hashes  checks // of passwords
	again   checks // of those that were right lately
	hashing thread.Crew
	lookups checks // of users and certificates
	notes   chan journal.Event
}

func newHandler(s *Server) *handler {
	h := &handler{Server: s, now: s.Now, log: s.Log}
	if h.now == nil {
		h.now = time.Now
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	h.ends, h.limited = newEnds(), newLimited()
	h.slow.handler = h
	h.slow.timeout = s.Config.Timeout
	if h.slow.timeout <= 0 {
		h.slow.timeout = DefaultConfig().Timeout
	}
	h.slow.jobs = make(chan *job, maxJobs)
	h.hashing.Most = hashWorkers + againWorkers
	if s.Credentials != nil {
		h.people = &people{directory: s.Credentials.People}
		h.hashes.queue, h.again.queue = make(chan *flight, maxHashes), make(chan *flight, maxHashes)
		h.lookups.queue = make(chan *flight, maxLookups)
		h.notes = make(chan journal.Event, maxNotes)
	}
	return h
}

// Notify answers one NOTIFY at once, unless its session has to be looked up.
func (h *handler) Notify(n *spop.Notify, a *spop.Actions) {
	q, ok := n.Scratch.(*question)
	if !ok {
		q = &question{place: h.counts.place()}
		n.Scratch = q
	}
	q.rid = "" // Panicked must not answer with the one before
	if n.First || q.now.IsZero() {
		q.now = h.now()
	}
	if why := q.read(n); why != "" {
		h.refuse(a, q, why)
		return
	}
	rules := h.Rules()
	if rules == nil {
		h.refuse(a, q, reasonInternal)
		return
	}
	now := q.now
	q.site = rules.Site(q.Host)
	domain := q.site.Domain()
	if domain == nil || len(q.token) == 0 || q.tokens != 1 {
		h.decideOr(n, a, q, nil, rules, now)
		return
	}
	switch e, result := h.Sessions.Find(q.token, domain.Name, now); result {
	case session.Hit:
		h.decideOr(n, a, q, e, rules, now)
	case session.Miss:
		h.unseen(n, a, q, rules, domain, now)
	default:
		h.decideOr(n, a, q, nil, rules, now)
	}
}

// decideOr decides, or hands the request over to whoever finds out what is missing.
func (h *handler) decideOr(n *spop.Notify, a *spop.Actions, q *question, e *session.Entry, rules *policy.Rules, now time.Time) {
	ask := h.decide(a, q, e, rules, now)
	if ask == nil {
		return
	}
	r := h.later(n)
	if r == nil {
		h.refuse(a, q, reasonBusy)
		return
	}
	j := h.slow.job(q.clone(), r)
	j.entry = e
	h.ask(j, ask)
}

// later detaches the answer, when one more request may wait.
func (h *handler) later(n *spop.Notify) *spop.Reply {
	if !h.slow.room() {
		return nil
	}
	return n.Later()
}

// decide decides by q.site and answers; e is nil for an anonymous visitor. It does not
// answer when something has to be found out first: it returns what.
func (h *handler) decide(a *spop.Actions, q *question, e *session.Entry, rules *policy.Rules, now time.Time) *check {
	if e != nil {
		if len(e.Prepared) == 0 {
			h.anonymous(a, q, rules, now, reasonIdentity)
			return nil
		}
		q.subject = policy.Subject{User: e.User, Groups: e.Groups, Level: e.Level, Proofs: e.Proofs}
	}
	d := rules.DecideAt(&q.site, &q.Request, &q.subject, now)
	if (d.Credentials != 0 || len(q.certificate) != 0) && h.Credentials != nil {
		return h.decideCarried(a, q, e, &d, rules, now)
	}
	h.answer(a, q, e, &d, rules.RuleName(d.Rule))
	return nil
}

// anonymous answers when it cannot be told who asks: what everybody may have is
// allowed, all else is an error with the reason why.
func (h *handler) anonymous(a *spop.Actions, q *question, rules *policy.Rules, now time.Time, why policy.Reason) {
	q.subject = policy.Subject{}
	d := rules.DecideAt(&q.site, &q.Request, &q.subject, now)
	if d.Verdict != policy.VerdictAllow {
		h.refuse(a, q, why)
		return
	}
	h.answer(a, q, nil, &d, rules.RuleName(d.Rule))
}

// unseen answers for a token that is sound but not in memory. What an anonymous visitor
// is allowed everybody is (policy says so: a rule with a subject never comes to bypass),
// so that is answered at once, and the session looked up for the next request; all
// else waits for the session, off the read loop.
func (h *handler) unseen(n *spop.Notify, a *spop.Actions, q *question, rules *policy.Rules, domain *policy.Domain, now time.Time) {
	d := rules.DecideAt(&q.site, &q.Request, &q.subject, now)
	if d.Verdict == policy.VerdictAllow {
		h.slow.warm(q.token, domain.Name)
		h.answer(a, q, nil, &d, rules.RuleName(d.Rule))
		return
	}
	r := h.later(n)
	if r == nil {
		h.refuse(a, q, reasonBusy)
		return
	}
	h.slow.ask(q.clone(), domain.Name, r)
}

// Panicked answers a NOTIFY whose Notify panicked.
func (h *handler) Panicked(n *spop.Notify, a *spop.Actions) {
	q, ok := n.Scratch.(*question)
	if !ok {
		q = &question{}
	}
	h.refuse(a, q, reasonInternal)
}
