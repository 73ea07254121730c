package regulation

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Count is what is known of one subject.
type Count struct {
	Failed  []Failure // the latest failures, oldest first; never more than the limit
	Waits   int       // waits imposed without a quiet window between them
	Until   time.Time // end of the wait
	Expires time.Time // when all of it is forgotten
}

// Failure is an attempt that has not been taken back.
type Failure struct {
	At time.Time
	ID int64 // drawn by chance: several may be of the same moment
}

// IsZero says that there is nothing to keep.
func (c Count) IsZero() bool { return len(c.Failed) == 0 && c.Waits == 0 }

// skew is how far ahead another node's clock may be.
const skew = 5 * time.Minute

// forget drops what is older than the window, and what lies further ahead than it can: a
// clock that was wrong has written it, and would lock somebody out for as long.
func (c *Count) forget(now time.Time, cfg Config) {
	if c.Waits > 0 && now.Sub(c.Until) >= cfg.Window || c.Until.Sub(now) > cfg.Longest+skew {
		*c = Count{}
	}
	c.Failed = slices.DeleteFunc(slices.Clone(c.Failed), func(f Failure) bool {
		return now.Sub(f.At) >= cfg.Window || f.At.Sub(now) > skew
	})
}

// mark is what an attempt did to a count, so that it can be undone.
type mark struct {
	id     int64     // of the failure
	before time.Time // Until, when the attempt imposed a wait
	until  time.Time // the wait that it imposed; zero when it did not
	failed int       // failures that the wait is for
}

// add counts a failure, and imposes a wait when it is one too many.
func (c *Count) add(now time.Time, limit int, cfg Config) mark {
	m := mark{id: rand.Int64()}
	failed := append(slices.Clone(c.Failed), Failure{At: now, ID: m.id})
	c.Failed = failed[max(0, len(failed)-limit):]
	if len(c.Failed) >= limit || c.Waits > 0 {
		wait := cfg.Longest
		if c.Waits < 20 {
			wait = min(cfg.Longest, cfg.Wait<<c.Waits)
		}
		m.before, m.until, m.failed = c.Until, now.Add(wait), len(c.Failed)
		c.Until = m.until
		c.Waits++
	}
	c.expire(cfg.Window)
	return m
}

// undo takes back what add did. Where the failure has been forgotten meanwhile, what there
// is now is of others, and stays.
func (c *Count) undo(m mark, window time.Duration) {
	i := slices.IndexFunc(c.Failed, func(f Failure) bool { return f.ID == m.id })
	if i < 0 {
		return
	}
	c.Failed = slices.Delete(slices.Clone(c.Failed), i, i+1)
	if !m.until.IsZero() && c.Until.Equal(m.until) {
		c.Until = m.before
		c.Waits = max(0, c.Waits-1)
	}
	c.expire(window)
}

// expire says when the count is worth nothing any more.
func (c *Count) expire(window time.Duration) {
	if c.IsZero() {
		*c = Count{}
		return
	}
	c.Expires = c.Until
	if n := len(c.Failed); n > 0 && c.Failed[n-1].At.After(c.Expires) {
		c.Expires = c.Failed[n-1].At
	}
	c.Expires = c.Expires.Add(window)
}
