package credential

import (
	"context"
	"sync/atomic"
	"time"
)

// flushEvery is how often last uses are written: one that was used in between costs the
// store one row a minute, however often.
const flushEvery = time.Minute

// firstOf is how long after one use that was noted another one is noted again.
const firstOf = time.Hour

// Note counts a use of e at now. It says whether it was the first in an hour.
func (b *Book) Note(e *Entry, now time.Time) (first bool) {
	at := now.Unix()
	if last := e.last.Load(); at > last && e.last.CompareAndSwap(last, at) && at/60 != last/60 {
		b.usedMu.Lock()
		if b.used == nil {
			b.used = map[*Entry]struct{}{}
		}
		b.used[e] = struct{}{}
		b.usedMu.Unlock()
	}
	return firstInHour(&e.noted, at)
}

// Refused says whether a refusal of e at now is the first in an hour.
func (e *Entry) Refused(now time.Time) (first bool) { return firstInHour(&e.refused, now.Unix()) }

func firstInHour(last *atomic.Int64, at int64) bool {
	before := last.Load()
	return at-before >= int64(firstOf/time.Second) && last.CompareAndSwap(before, at)
}

// Run writes last uses, once a minute and once more when ctx ends.
func (b *Book) Run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			b.flush(ctx)
		case <-ctx.Done():
			within, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			b.flush(within)
			return nil
		}
	}
}

// flush writes the uses since the last time. What cannot be written now is written with
// the next use.
func (b *Book) flush(ctx context.Context) {
	b.usedMu.Lock()
	used := b.used
	b.used = nil
	b.usedMu.Unlock()
	if len(used) == 0 {
		return
	}
	touches := make([]Touch, 0, len(used))
	for e := range used {
		touches = append(touches, Touch{ID: e.ID, Used: e.LastUse()})
	}
	if err := b.Keeper.TouchCredentials(ctx, touches); err != nil {
		b.log().Error("last uses of credentials not written", "error", err)
	}
}
