package agent

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"postern/agent/policy"
	"postern/agent/session"
)

// Which decisions are logged: the values of `log.decisions`.
const (
	DecisionsNone   = "none"
	DecisionsDenied = "denied" // deny, challenge and error; login and step_up are invitations
	DecisionsAll    = "all"
)

const (
	maxDecisions = 8192             // lines that wait to be written; what comes then is lost, and counted
	maxLogged    = 1024             // of a host or path, in bytes
	lostEvery    = 10 * time.Second // how often losses are said
)

// Decisions logs decisions, behind the answers: a line that has no room is lost, and the
// number of those is logged. None of them costs an answer more than a look at a number.
type Decisions struct {
	log   *slog.Logger
	queue chan *decision
	which atomic.Int32
	lost  atomic.Uint64
}

// decision is one line, with strings of its own.
type decision struct {
	at                       time.Time
	verdict                  policy.Verdict
	addr                     netip.Addr
	rid, method, host, path  string
	rule, user, session, why string
}

// NewDecisions makes one that logs none yet. Nothing is written before Run.
func NewDecisions(log *slog.Logger) *Decisions {
	return &Decisions{log: log, queue: make(chan *decision, maxDecisions)}
}

// Set chooses what is logged, at any time.
func (d *Decisions) Set(which string) error {
	for i, name := range []string{DecisionsNone, DecisionsDenied, DecisionsAll} {
		if which == name {
			d.which.Store(int32(i))
			return nil
		}
	}
	return fmt.Errorf("%q is none of none, denied, all", which)
}

// Lost is how many lines were lost since the start.
func (d *Decisions) Lost() uint64 { return d.lost.Load() }

// wants says whether a decision is to be logged.
func (d *Decisions) wants(v policy.Verdict) bool {
	if d == nil {
		return false
	}
	switch d.which.Load() {
	case 1:
		return v == policy.VerdictDeny || v == policy.VerdictChallenge || v == policy.VerdictError
	case 2:
		return true
	}
	return false
}

// add copies what q is a view of, and never waits. Without its id a request has not been
// read, and q is that of another.
func (d *Decisions) add(q *question, v policy.Verdict, why policy.Reason, rule string, who *session.Entry) {
	one := &decision{at: q.now, verdict: v, rule: rule, why: string(why)}
	if who != nil {
		one.user, one.session = who.User, who.ID
	}
	var from [4]string
	if q.rid != "" {
		one.addr = q.Addr
		from = [...]string{q.rid, logged(q.Method), logged(q.Host), logged(q.Path)}
	}
	size := 0
	for _, s := range from {
		size += len(s)
	}
	var all strings.Builder
	all.Grow(size)
	for _, s := range from {
		all.WriteString(s)
	}
	rest := all.String()
	for i, to := range [...]*string{&one.rid, &one.method, &one.host, &one.path} {
		*to, rest = rest[:len(from[i])], rest[len(from[i]):]
	}
	select {
	case d.queue <- one:
	default:
		d.lost.Add(1)
	}
}

func logged(s string) string { return s[:min(len(s), maxLogged)] }

// Run writes until ctx ends, and then what waits.
func (d *Decisions) Run(ctx context.Context) error {
	tick := time.NewTicker(lostEvery)
	defer tick.Stop()
	said := uint64(0)
	lost := func() {
		if n := d.Lost(); n > said {
			d.log.Warn("decisions not logged: there are too many", "lost", n-said)
			said = n
		}
	}
	for {
		select {
		case one := <-d.queue:
			d.write(one)
		case <-tick.C:
			lost()
		case <-ctx.Done():
			for {
				select {
				case one := <-d.queue:
					d.write(one)
				default:
					lost()
					return nil
				}
			}
		}
	}
}

// write writes one line. The query is left out: it may hold secrets.
func (d *Decisions) write(one *decision) {
	attrs := []slog.Attr{
		slog.Time("at", one.at.UTC()), slog.String("rid", one.rid), slog.String("verdict", one.verdict.String()),
		slog.String("method", one.method), slog.String("host", one.host), slog.String("path", one.path),
		slog.String("rule", one.rule), slog.String("reason", one.why),
		slog.String("user", one.user), slog.String("session", one.session),
	}
	if one.addr.IsValid() {
		attrs = append(attrs, slog.String("addr", one.addr.String()))
	}
	d.log.LogAttrs(context.Background(), slog.LevelInfo, "decision", attrs...)
}
