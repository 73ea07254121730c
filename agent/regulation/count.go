package regulation

import "time"

// Count is what is known of one subject.
type Count struct {
	Failed  []time.Time // the latest failures, oldest first; never more than the limit
	Waits   int         // waits imposed without a quiet window between them
	Until   time.Time   // end of the wait
	Expires time.Time   // when all of it is forgotten
}

// IsZero says that there is nothing to keep.
func (c Count) IsZero() bool { return len(c.Failed) == 0 && c.Waits == 0 }

// forget drops what is older than window.
func (c *Count) forget(now time.Time, window time.Duration) {
	if c.Waits > 0 && now.Sub(c.Until) >= window {
		*c = Count{}
	}
	for len(c.Failed) > 0 && now.Sub(c.Failed[0]) >= window {
		c.Failed = c.Failed[1:]
	}
}

// mark is what an attempt did to a count, so that it can be undone.
type mark struct {
	at     time.Time // the failure
	before time.Time // Until, when the attempt imposed a wait
	until  time.Time // the wait that it imposed; zero when it did not
	failed int       // failures that the wait is for
}

// add counts a failure, and imposes a wait when it is one too many.
func (c *Count) add(now time.Time, limit int, cfg Config) mark {
	m := mark{at: now}
	failed := append(append([]time.Time(nil), c.Failed...), now)
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

// undo takes back what add did. What others have done to the count since stays.
func (c *Count) undo(m mark, window time.Duration) {
	for i, at := range c.Failed {
		if at.Equal(m.at) {
			c.Failed = append(append([]time.Time(nil), c.Failed[:i]...), c.Failed[i+1:]...)
			break
		}
	}
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
	if n := len(c.Failed); n > 0 && c.Failed[n-1].After(c.Expires) {
		c.Expires = c.Failed[n-1]
	}
	c.Expires = c.Expires.Add(window)
}
