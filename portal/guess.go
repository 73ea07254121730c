package portal

import (
	"context"
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"
)

// maxCounts bounds the memory of a guess limiter: about 200 bytes each.
const maxCounts = 1 << 16

// limiter counts wrong passwords by user and by address. An attempt is reserved before
// the password is looked at, so that guesses sent at the same moment cannot pass together.
type limiter struct {
	limits  Guesses
	room    int // counts that are kept at most
	mu      sync.Mutex
	counts  map[subject]*count
	settled chan struct{} // closed, and replaced, whenever an attempt ends
}

// subject is what is counted: a user, an address, or a user in a browser that he has
// signed in with before; hashed so that all take the same room.
type subject struct {
	kind byte
	hash [16]byte
}

// The kinds of subject.
const (
	byUser    = 'u'
	byAddress = 'a'
	byBrowser = 'b'
	bySecond  = '2' // a user's second factor of one kind
	byReset   = 'r' // who asks for a reset link, and for whom
	byLetter  = 'l' // whom letters are written to
)

// count is what is known of one subject.
type count struct {
	failed  []time.Time // the latest failures, oldest first; never more than the limit
	pending int         // attempts under way
	waits   int         // waits imposed without a quiet window between them
	until   time.Time   // end of the wait
}

// attempt is a reserved guess. Exactly one of its methods must be called, once.
type attempt struct {
	of       *limiter
	subjects []subject
}

func newLimiter(limits Guesses) *limiter {
	if limits.Addresses == 0 {
		limits.Addresses = limits.Failures
	}
	return &limiter{limits: limits, room: maxCounts, counts: map[subject]*count{}, settled: make(chan struct{})}
}

// subjectUser counts guesses at a user, by canonical name.
func subjectUser(canonical string) subject { return makeSubject(byUser, canonical) }

// subjectBrowser counts guesses at a user from a browser that is known by him.
func subjectBrowser(browser, canonical string) subject {
	return makeSubject(byBrowser, browser+"\x00"+canonical)
}

// subjectAddress counts guesses from an address: IPv6 by /64, for that is what one line gets.
func subjectAddress(a netip.Addr) (subject, bool) {
	a = a.Unmap().WithZone("")
	if !a.IsValid() {
		return subject{}, false
	}
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	return makeSubject(byAddress, p.String()), err == nil
}

func makeSubject(kind byte, name string) subject {
	sum := sha256.Sum256([]byte(name))
	return subject{kind: kind, hash: [16]byte(sum[:16])}
}

// begin reserves an attempt. When there were too many failures it returns nil and how
// long to wait. When only attempts under way are in the way it waits for them, until ctx
// ends; then it returns nil and a second.
func (l *limiter) begin(ctx context.Context, now time.Time, subjects ...subject) (*attempt, time.Duration) {
	for {
		l.mu.Lock()
		wait, crowded := l.standing(now, subjects)
		if wait > 0 {
			l.mu.Unlock()
			return nil, wait
		}
		if !crowded {
			for _, s := range subjects {
				l.at(s, now).pending++
			}
			l.mu.Unlock()
			return &attempt{of: l, subjects: subjects}, 0
		}
		settled := l.settled
		l.mu.Unlock()
		select {
		case <-settled:
		case <-ctx.Done():
			return nil, time.Second
		}
	}
}

// standing says how long subjects must wait, or else whether attempts under way already
// use up what they have left.
func (l *limiter) standing(now time.Time, subjects []subject) (wait time.Duration, crowded bool) {
	for _, s := range subjects {
		c := l.counts[s]
		if c == nil {
			continue
		}
		wait = max(wait, c.until.Sub(now))
		c.forget(now, l.limits.Window)
		left := l.limit(s) - len(c.failed)
		if c.waits > 0 {
			left = 1
		}
		crowded = crowded || c.pending > 0 && c.pending >= left
	}
	return wait, crowded
}

func (l *limiter) limit(s subject) int {
	if s.kind == byAddress {
		return l.limits.Addresses
	}
	return l.limits.Failures
}

// at returns the count of s, making room for it when it is new.
func (l *limiter) at(s subject, now time.Time) *count {
	c := l.counts[s]
	if c == nil {
		if len(l.counts) >= l.room {
			l.evict(now)
		}
		c = &count{}
		l.counts[s] = c
	}
	return c
}

// evict drops the least telling of a few counts, picked at random: those at rest first,
// then those with the fewest failures. Who is waiting stays longest.
func (l *limiter) evict(now time.Time) {
	var victim subject
	best, seen := -1, 0
	for s, c := range l.counts {
		if c.pending == 0 {
			c.forget(now, l.limits.Window)
			if score := 100*c.waits + len(c.failed); best < 0 || score < best {
				victim, best = s, score
			}
		}
		if seen++; best == 0 || best > 0 && seen >= 32 {
			break
		}
	}
	delete(l.counts, victim)
}

// forget drops what is older than window.
func (c *count) forget(now time.Time, window time.Duration) {
	if c.waits > 0 && now.Sub(c.until) >= window {
		c.waits, c.failed = 0, nil
	}
	for len(c.failed) > 0 && now.Sub(c.failed[0]) >= window {
		c.failed = c.failed[1:]
	}
}

// fail counts a failure against every subject.
func (a *attempt) fail(now time.Time) {
	a.settle(func(s subject, c *count) {
		l := a.of.limits
		c.forget(now, l.Window)
		limit := a.of.limit(s)
		c.failed = append(c.failed, now)
		if over := len(c.failed) - limit; over > 0 {
			c.failed = append([]time.Time(nil), c.failed[over:]...)
		}
		if len(c.failed) < limit && c.waits == 0 {
			return
		}
		wait := l.Longest
		if c.waits < 20 {
			wait = min(l.Longest, l.Wait<<c.waits)
		}
		c.until = now.Add(wait)
		c.waits++
	})
}

// succeed forgets the user's failures. The address keeps its own: whoever has one good
// password could otherwise guess at others without end.
func (a *attempt) succeed() {
	a.settle(func(s subject, c *count) {
		if s.kind != byAddress {
			c.failed, c.waits, c.until = nil, 0, time.Time{}
		}
	})
}

// release ends an attempt that said nothing about the password.
func (a *attempt) release() { a.settle(func(subject, *count) {}) }

func (a *attempt) settle(change func(subject, *count)) {
	l := a.of
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range a.subjects {
		c := l.counts[s]
		if c == nil {
			continue
		}
		c.pending--
		change(s, c)
		if c.pending <= 0 && len(c.failed) == 0 && c.waits == 0 {
			delete(l.counts, s)
		}
	}
	close(l.settled)
	l.settled = make(chan struct{})
}

// allow counts one use, by subjects, of something that nobody may have without end. It
// returns how long to wait when there were too many, 0 when this one may pass.
func (s *site) allow(subjects ...subject) time.Duration {
	ctx, cancel := context.WithTimeout(context.Background(), guessTimeout)
	defer cancel()
	use, wait := s.guesses.begin(ctx, s.now(), subjects...)
	if use == nil {
		return wait
	}
	use.fail(s.now())
	return 0
}

// forgive forgets the failures of a subject: of a user who has set a new password.
func (l *limiter) forgive(s subject) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.counts[s]; c != nil {
		c.failed, c.waits, c.until = nil, 0, time.Time{}
		if c.pending <= 0 {
			delete(l.counts, s)
		}
	}
}
