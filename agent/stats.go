package agent

import (
	"sync/atomic"

	"postern/agent/policy"
)

// Stats counts what was answered since the start, by verdict, and how many connections
// there are now.
type Stats struct {
	Error, Allow, Login, StepUp, Challenge, Deny uint64
	Connections                                  int64
}

// shards is how many sets of counters there are: connections share them by turns, so
// that cores seldom write to the same line of memory.
const shards = 16

type counts struct {
	next   atomic.Uint64
	shards [shards]shard
}

// shard fills two lines of 64 bytes.
type shard struct {
	verdicts [policy.VerdictDeny + 1]atomic.Uint64
	_        [128 - 8*(policy.VerdictDeny+1)]byte
}

// place is the shard of a new connection.
func (c *counts) place() uint64 { return c.next.Add(1) % shards }

func (h *handler) count(q *question, v policy.Verdict) {
	h.counts.shards[q.place].verdicts[v].Add(1)
}

// Stats returns the counts so far. It is safe for use by any goroutine.
func (s *Server) Stats() Stats {
	var sum [policy.VerdictDeny + 1]uint64
	for i := range s.counts.shards {
		for v := range sum {
			sum[v] += s.counts.shards[i].verdicts[v].Load()
		}
	}
	return Stats{
		Error: sum[policy.VerdictError], Allow: sum[policy.VerdictAllow], Login: sum[policy.VerdictLogin],
		StepUp: sum[policy.VerdictStepUp], Challenge: sum[policy.VerdictChallenge], Deny: sum[policy.VerdictDeny],
		Connections: s.connected.Load(),
	}
}
