package session

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// The pace of Run.
const (
	stepEvery  = time.Second
	stepShards = 4 // of 256: once around takes just over a minute
	batch      = 1000
	// shardTouches is how many last uses a look at a shard writes, those first that have
	// waited longest: a batch a second, not more, however many sessions there are. When a
	// million are in use, writing is behind by a quarter of an hour.
	shardTouches = batch / stepShards
	// writeTimeout bounds a write that goes on when whoever asked for it has left.
	writeTimeout = 10 * time.Second

	// coldAfter is when an entry that need not end leaves memory; Load brings it back.
	coldAfter = int64(time.Hour)
)

// Run writes last uses in batches and sweeps what has expired, until ctx ends; then it
// writes what is left, as far as writeTimeout lets it, and returns. A last use is written
// late (Config.lag), and a bounded number at a time, for writing one costs as much as ten
// decisions. The error is that of the last write.
func (t *Table) Run(ctx context.Context) error {
	r := &runner{table: t, m: t.memory()}
	ticker := time.NewTicker(stepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.note(r.step(ctx, stepShards))
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
			defer cancel()
			return r.finish(ctx)
		}
	}
}

// runner is the state of one Run.
type runner struct {
	table   *Table
	m       *memory
	next    int // shard
	touches []touch
	all     bool // what could wait is written, too
	failing bool
}

// touch is a last use to be written.
type touch struct {
	entry *Entry
	seen  uint32 // Unix seconds
}

// note logs the first of several errors in a row, and their end.
func (r *runner) note(err error) {
	switch {
	case err != nil && !r.failing:
		r.table.log().Error("sessions not written, trying again", "error", err)
	case err == nil && r.failing:
		r.table.log().Info("sessions written again")
	}
	r.failing = err != nil
}

// step looks at the next n shards and writes what there is to write.
func (r *runner) step(ctx context.Context, n int) error {
	var faults []error
	at := r.m.at(r.table.now())
	r.m.unknown.age(at)
	r.m.recent.fit(r.m.count())
	for range n {
		r.sweep(&r.m.shards[r.next], at)
		r.next++
		around := r.next == shardCount
		faults = append(faults, r.writeTouches(ctx, around))
		if around {
			r.next = 0
			faults = append(faults, r.deleteExpired(ctx, at))
		}
	}
	faults = append(faults, r.writeChanges(ctx), r.writeEndings(ctx), r.retryFailed(ctx))
	return errors.Join(faults...)
}

// finish looks at every shard once.
func (r *runner) finish(ctx context.Context) error {
	r.next, r.touches, r.all = 0, nil, true
	return r.step(ctx, shardCount)
}

// sweep ends what is over, gathers the uses that are not written, and lets go of what
// was long not used.
func (r *runner) sweep(s *shard, at int64) {
	before := len(r.touches)
	s.all(func(e *Entry) {
		last := e.last.Load()
		if last > at { // the clock was ahead
			e.last.CompareAndSwap(last, at)
			last = at
		}
		seen, written := uint32(last/int64(time.Second)), e.written.Load()
		switch reason := r.table.over(&e.Session, last, at); {
		case reason != "":
			r.table.end(r.m, e, reason)
		case seen > written:
			if r.all || at-fromSeconds(written) >= e.lag(r.table.Config.lag()) {
				r.touches = append(r.touches, touch{e, seen})
			}
		case at-last > coldAfter:
			r.m.evict(e, last)
		}
	})
	if due := r.touches[before:]; !r.all && len(due) > shardTouches {
		slices.SortFunc(due, func(a, b touch) int { return cmp.Compare(a.entry.written.Load(), b.entry.written.Load()) })
		clear(due[shardTouches:])
		r.touches = r.touches[:before+shardTouches]
	}
}

// writeTouches writes full batches, and at the end of a round what is left. It forgets a
// batch whatever comes of it: the next round gathers again what was not written.
func (r *runner) writeTouches(ctx context.Context, all bool) error {
	for len(r.touches) >= batch || all && len(r.touches) > 0 {
		n := min(len(r.touches), batch)
		touches := r.touches[:n]
		r.touches = r.touches[n:]
		out := make([]Touch, n)
		for i, x := range touches {
			out[i] = Touch{Hash: sha256.Sum256(x.entry.token[:]), Seen: time.Unix(int64(x.seen), 0).UTC()}
		}
		if err := r.table.Keeper.TouchSessions(ctx, out); err != nil {
			r.touches = nil
			return fmt.Errorf("session: last use: %w", err)
		}
		for _, x := range touches {
			x.entry.written.Store(x.seen)
		}
	}
	if len(r.touches) == 0 {
		r.touches = nil // and the entries are free
	}
	return nil
}

// writeChanges tells the Keeper who users are by now.
func (r *runner) writeChanges(ctx context.Context) error {
	for {
		ids := r.m.someChanges(batch)
		if len(ids) == 0 {
			return nil
		}
		touches := make([]Touch, 0, len(ids))
		for _, id := range ids {
			if e := r.m.get(id); e != nil {
				touches = append(touches, Touch{Hash: sha256.Sum256(e.token[:]), Seen: e.LastUse(),
					Who: &Identity{Name: e.Name, Email: e.Email, Groups: e.Groups}})
			}
		}
		if err := r.table.Keeper.TouchSessions(ctx, touches); err != nil {
			for _, id := range ids {
				r.m.addChange(id)
			}
			return fmt.Errorf("session: who users are: %w", err)
		}
	}
}

// someChanges takes at most n of the changes; one that comes meanwhile is another.
func (m *memory) someChanges(n int) (ids []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id := range m.changed {
		if len(ids) == n {
			break
		}
		ids = append(ids, id)
		delete(m.changed, id)
	}
	return ids
}

// deleteExpired removes from the Keeper what expired, in memory or not.
func (r *runner) deleteExpired(ctx context.Context, at int64) error {
	for {
		gone, err := r.table.Keeper.DeleteSessions(ctx, Filter{Before: fromNano(at), Limit: batch})
		if err != nil {
			return fmt.Errorf("session: sweep: %w", err)
		}
		if len(gone) < batch {
			return nil
		}
	}
}

// writeEndings tells the Keeper, and the log, what ended by itself.
func (r *runner) writeEndings(ctx context.Context) error {
	for {
		endings := r.m.someEndings(batch)
		if len(endings) == 0 {
			return nil
		}
		if err := r.delete(ctx, slices.Collect(maps.Keys(endings))); err != nil {
			return err
		}
		r.m.dropEndings(endings)
		for id, e := range endings {
			r.table.log().Info("session ended", "session", id, "user", e.user, "reason", e.reason)
		}
	}
}

// someEndings returns a copy of at most n of the endings.
func (m *memory) someEndings(n int) map[string]ending {
	m.mu.Lock()
	defer m.mu.Unlock()
	some := make(map[string]ending, min(n, len(m.endings)))
	for id, e := range m.endings {
		if len(some) == n {
			break
		}
		some[id] = e
	}
	return some
}

func (m *memory) dropEndings(endings map[string]ending) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id := range endings {
		delete(m.endings, id)
	}
}

// delete removes sessions from the Keeper. The gate is held so that no Load that read a
// session before its deletion looks for its ending after.
func (r *runner) delete(ctx context.Context, ids []string) error {
	if err := r.m.gate.Acquire(ctx, gateAll); err != nil {
		return fmt.Errorf("session: sweep: %w", err)
	}
	defer r.m.gate.Release(gateAll)
	if _, err := r.table.Keeper.DeleteSessions(ctx, Filter{IDs: ids}); err != nil {
		return fmt.Errorf("session: sweep: %w", err)
	}
	return nil
}

// retryFailed tries again the revocations that the Keeper did not take, for the
// sessions of before alone: who signed in since then stays.
func (r *runner) retryFailed(ctx context.Context) error {
	r.m.mu.Lock()
	failed := r.m.failed
	r.m.mu.Unlock()
	for _, f := range failed {
		if err := r.retry(ctx, f); err != nil {
			return err
		}
		r.m.succeed(f)
	}
	return nil
}

func (r *runner) retry(ctx context.Context, f revocation) error {
	r.m.all(func(e *Entry) {
		if f.hits(&e.Session) {
			r.m.remove(e.ID)
		}
	})
	records, err := r.table.Keeper.ListSessions(ctx, f.filter)
	if err != nil {
		return fmt.Errorf("session: revoke again: %w", err)
	}
	var ids []string
	for i := range records {
		if f.hits(&records[i].Session) {
			ids = append(ids, records[i].ID)
		}
	}
	for some := range slices.Chunk(ids, batch) {
		if err := r.delete(ctx, some); err != nil {
			return err
		}
	}
	return nil
}
