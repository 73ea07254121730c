package regulation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// settling bounds how long the outcome of an attempt takes to be written.
const settling = 5 * time.Second

// maxCounts is how many subjects are kept, about 200 bytes each; pruneEvery is how many may be
// counted before what is over is removed.
const (
	maxCounts  = 1 << 16
	pruneEvery = 1 << 10
)

// Limiter counts failures and imposes waits. Fill it; its methods may be called at any
// time, also before Run, and by any number of goroutines.
type Limiter struct {
	Config Config
	Keeper Keeper
	Key    []byte                      // subjects are hashed under it
	Known  func(canonical string) bool // whether there is such a user; nil: every name is shown
	Tell   func(Notice)                // told of each ban; may be nil
	Now    func() time.Time            // nil means time.Now
	Log    *slog.Logger                // nil: nothing is logged

	mu      sync.Mutex
	under   map[Key][]*Attempt // attempts of this node that are under way
	loading sync.Mutex         // one Load at a time
	bans    atomic.Pointer[index]
	exempt  atomic.Pointer[[]netip.Prefix]
	fresh   atomic.Int64 // keys that were counted since the Limiter was made
	rates   rates
	few     int // that many subjects are kept; 0: maxCounts
}

// Attempt is a guess that may be made. One of its methods must be called, once; more
// calls do nothing, so that Release can be deferred.
type Attempt struct {
	of       *Limiter
	subjects []Subject
	keys     []Key
	marks    []mark
	settle   sync.Once
	begun    bool          // marks are set; under of.mu
	lifted   bool          // a wait that it imposed was taken back; set before done closes
	done     chan struct{} // closed when it has ended
}

// errWait stops a change of counts.
var errWait = errors.New("wait")

// Begin counts an attempt as a failure of every subject, before it is made. Its error is
// a *WaitError when there were too many failures, and ErrUnavailable when they cannot be
// counted: then the secret must not be looked at. An attempt that only waits for others
// of this node to end well waits until ctx ends.
func (l *Limiter) Begin(ctx context.Context, now time.Time, subjects ...Subject) (*Attempt, error) {
	subjects, keys := l.counted(subjects)
	for {
		a := &Attempt{of: l, subjects: subjects, keys: keys, done: make(chan struct{})}
		others := l.enter(a)
		wait, err := a.reserve(ctx, now)
		if err == nil {
			return a, nil
		}
		others = append(others, l.leave(a)...)
		if !errors.Is(err, errWait) {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		lifted := false
		for _, o := range others {
			if !l.imposing(o) {
				continue
			}
			select {
			case <-o.done:
				lifted = lifted || o.lifted
			case <-ctx.Done():
				return nil, &WaitError{For: time.Second}
			}
		}
		if !lifted {
			return nil, wait
		}
	}
}

// Use counts one use of something that nobody may have without end.
func (l *Limiter) Use(ctx context.Context, now time.Time, subjects ...Subject) error {
	use, err := l.Begin(ctx, now, subjects...)
	if err != nil {
		return err
	}
	use.Fail(now)
	return nil
}

// counted leaves out what is not counted: the zero Subject, what comes twice, and
// addresses that are exempt.
func (l *Limiter) counted(subjects []Subject) (list []Subject, keys []Key) {
	for _, s := range subjects {
		if s.kind == "" || s.network.IsValid() && l.Exempt(s.addr) {
			continue
		}
		if k := l.key(s); !slices.Contains(keys, k) {
			list, keys = append(list, s), append(keys, k)
		}
	}
	return list, keys
}

func (l *Limiter) room() int {
	if l.few > 0 {
		return l.few
	}
	return maxCounts
}

func (l *Limiter) limit(s Subject) int {
	if s.network.IsValid() && l.Config.Addresses > 0 {
		return l.Config.Addresses
	}
	return l.Config.Failures
}

// reserve counts the attempt. The error is errWait when it may not be made yet.
func (a *Attempt) reserve(ctx context.Context, now time.Time) (wait *WaitError, err error) {
	var marks []mark
	if len(a.keys) > 0 {
		err = a.of.Keeper.ChangeCounts(ctx, a.keys, func(counts []Count) error {
			marks, wait = nil, &WaitError{}
			for i := range counts {
				counts[i].forget(now, a.of.Config)
				rest := counts[i].Until.Sub(now)
				wait.For = max(wait.For, rest)
				if a.subjects[i].network.IsValid() {
					wait.Address = max(wait.Address, rest)
				}
			}
			if wait.For > 0 {
				return errWait
			}
			for i := range counts {
				marks = append(marks, counts[i].add(now, a.of.limit(a.subjects[i]), a.of.Config))
			}
			return nil
		})
	}
	if err != nil {
		return wait, err
	}
	a.of.mu.Lock()
	a.marks, a.begun = marks, true
	a.of.mu.Unlock()
	a.of.tidy(ctx, now, len(a.keys))
	return nil, nil
}

// tidy has the Keeper pruned once in so many keys: however fast names are made up, there
// is an end to what is kept of them.
func (l *Limiter) tidy(ctx context.Context, now time.Time, keys int) {
	n := l.fresh.Add(int64(keys))
	if n/pruneEvery == (n-int64(keys))/pruneEvery {
		return
	}
	if err := l.Keeper.PruneCounts(ctx, now, l.room()); err != nil {
		l.log().Warn("counts of failures are not pruned", "error", err)
	}
}

// enter makes an attempt known on this node, and returns those that it may have to wait
// for.
func (l *Limiter) enter(a *Attempt) (others []*Attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.under == nil {
		l.under = map[Key][]*Attempt{}
	}
	for _, k := range a.keys {
		others = append(others, l.under[k]...)
		l.under[k] = append(l.under[k], a)
	}
	return others
}

// leave ends an attempt on this node, and returns those that are still under way.
func (l *Limiter) leave(a *Attempt) (others []*Attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range a.keys {
		rest := slices.DeleteFunc(l.under[k], func(o *Attempt) bool { return o == a })
		if len(rest) == 0 {
			delete(l.under, k)
			continue
		}
		l.under[k] = rest
		others = append(others, rest...)
	}
	close(a.done)
	return others
}

// imposing says whether an attempt has imposed a wait, or may yet.
func (l *Limiter) imposing(a *Attempt) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !a.begun || slices.ContainsFunc(a.marks, func(m mark) bool { return !m.until.IsZero() })
}

// Fail says that the guess was wrong. A wait that it brought about is recorded as a ban.
func (a *Attempt) Fail(now time.Time) {
	a.settle.Do(func() {
		defer a.of.leave(a)
		for i, m := range a.marks {
			if !m.until.IsZero() {
				a.of.record(a.subjects[i], a.keys[i], m, now)
			}
		}
	})
}

// Succeed says that it was right: the user's failures of this kind are forgotten. The
// address keeps its own: whoever has one good password could otherwise guess at others
// without end.
func (a *Attempt) Succeed() {
	a.end(func(s Subject, c *Count, m mark) {
		if s.network.IsValid() {
			c.undo(m, a.of.Config.Window)
			return
		}
		*c = Count{}
	})
}

// Release says that nothing came of it: it is not counted.
func (a *Attempt) Release() {
	a.end(func(_ Subject, c *Count, m mark) { c.undo(m, a.of.Config.Window) })
}

// end changes every count. When the Keeper cannot be asked, the attempt stays a failure.
func (a *Attempt) end(change func(Subject, *Count, mark)) {
	a.settle.Do(func() {
		defer a.of.leave(a)
		if len(a.keys) == 0 {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), settling)
		defer cancel()
		err := a.of.Keeper.ChangeCounts(ctx, a.keys, func(counts []Count) error {
			for i := range counts {
				change(a.subjects[i], &counts[i], a.marks[i])
			}
			return nil
		})
		if err != nil {
			a.of.log().Warn("an attempt stays counted as a failure", "error", err)
			return
		}
		a.lifted = true
	})
}

// Forgive forgets the failures of subjects: of a user who has set a new password.
func (l *Limiter) Forgive(ctx context.Context, subjects ...Subject) error {
	var keys []Key
	for _, s := range subjects {
		keys = append(keys, l.key(s))
	}
	_, err := l.lift(ctx, func(b Ban) bool { return slices.Contains(keys, b.Key) }, keys, "")
	return err
}

func (l *Limiter) now() time.Time {
	if l.Now != nil {
		return l.Now()
	}
	return time.Now()
}

func (l *Limiter) log() *slog.Logger {
	if l.Log != nil {
		return l.Log
	}
	return slog.New(slog.DiscardHandler)
}
