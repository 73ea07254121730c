package credential

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"net/netip"
	"sync"
	"time"
)

// ErrWrong is the answer for an unknown name and a wrong password alike. Every other error
// of Verify but a *WaitError says that it cannot be told.
var ErrWrong = errors.New("wrong name or password")

// WaitError says that there were too many failures: nothing was looked at.
type WaitError struct {
	For     time.Duration // how long to wait
	Address time.Duration // how long every name has to wait from that address; 0: the others need not
}

// Error says how long to wait.
func (e *WaitError) Error() string { return fmt.Sprintf("too many failures; wait %v", e.For) }

// How long a pair that was right counts without a hash, and for how long after that it
// is not counted as a guess.
const (
	fresh  = time.Minute
	trusty = 12 * time.Hour
)

// Bounds of what is remembered: pairs, at about 250 bytes each, and who has to wait, at 60.
const (
	maxPairs   = 4096
	maxWaiting = 1 << 16
)

// hashTimeout bounds one check, waiting for its turn included. It outlives the request
// that asked: the next one finds what came of it.
const hashTimeout = 10 * time.Second

// Directory checks passwords.
type Directory interface {
	// Authenticate returns the canonical name. Its error is ErrWrong when name or password
	// are; an unknown name takes as long.
	Authenticate(ctx context.Context, name, password string) (user string, err error)
	// Canonical is the name that failures of name count for, for any name.
	Canonical(ctx context.Context, name string) (string, error)
	// Version changes whenever the user's password does; it is answered from memory. ok is
	// false when that is not known: then only Epoch tells.
	Version(user string) (version string, ok bool)
	// Epoch grows whenever somebody may have changed.
	Epoch() uint64
}

// Guesses bounds guessing.
type Guesses interface {
	// Begin counts an attempt before it is made. Its error is a *WaitError when there were
	// too many failures; with every other one nothing may be attempted either. settle must
	// be called once with what came of it.
	Begin(ctx context.Context, user string, addr netip.Addr, now time.Time) (settle func(Outcome), err error)
}

// Outcome is what came of an attempt.
type Outcome uint8

// The outcomes.
const (
	Untold Outcome = iota // nothing was learned about the password
	Wrong
	Right
)

// Pair names a name with a password, from one address: an HMAC under a key that this
// process made when it started. The password cannot be found from it.
//
// The address is a part of it, so that whoever guesses from elsewhere cannot learn from
// what is remembered which guess is right: from there every pair is new, and counted.
type Pair [sha256.Size]byte

// Passwords checks names with passwords, at the price of one hash a minute for a pair
// that is right, however often it comes. Fill the exported fields; the methods may be
// called by any number of goroutines.
type Passwords struct {
	Directory Directory
	Guesses   Guesses          // nil: nothing is counted
	Now       func() time.Time // nil means time.Now

	once    sync.Once
	macs    sync.Pool
	mu      sync.Mutex
	pairs   map[Pair]*remembered
	waiting map[Pair]time.Time // who must wait, by name and address or by address alone, until when
}

// remembered is a pair that was right.
type remembered struct {
	user    string
	version string // of the password that it was right for; "": not known
	epoch   uint64
	checked time.Time
}

// PairOf names a pair from an address: IPv6 by /64, for that is what one line gets.
func (p *Passwords) PairOf(name, password []byte, addr netip.Addr) Pair {
	p.once.Do(func() {
		key := make([]byte, 32)
		rand.Read(key) // never returns an error, crypto/rand
		p.macs.New = func() any { return &macState{mac: hmac.New(sha256.New, key)} }
	})
	s := p.macs.Get().(*macState)
	defer p.macs.Put(s)
	s.head = [18]byte{byte(len(name) >> 8), byte(len(name))}
	if addr.IsValid() {
		from := addr.As16() // IPv4 as IPv6 maps it
		if addr.Is6() && !addr.Is4In6() {
			clear(from[8:])
		}
		copy(s.head[2:], from[:])
	}
	s.mac.Reset()
	for _, part := range [...][]byte{s.head[:], name, password} {
		_, _ = s.mac.Write(part) // a hash takes everything
	}
	return Pair(s.mac.Sum(s.sum[:0]))
}

// macState is what naming one pair needs, kept to allocate nothing.
type macState struct {
	mac  hash.Hash
	head [18]byte
	sum  [sha256.Size]byte
}

// Waiting says that a pair is not to be looked at, because there were too many guesses
// lately: at its name from its address, be the pair remembered, so that the right one
// cannot be told from the others; or from its address, whatever the name. Then who was
// right lately goes on, and whoever was not waits by name, too, for the same reason.
func (p *Passwords) Waiting(pair Pair, name []byte, addr netip.Addr, now time.Time) bool {
	p.mu.Lock()
	nobody := len(p.waiting) == 0
	p.mu.Unlock()
	if nobody {
		return false
	}
	who, all := p.PairOf(name, nil, addr), p.PairOf(nil, nil, addr) // no pair has an empty password
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, waits := p.until(who, now); waits {
		return true
	}
	until, waits := p.until(all, now)
	if !waits || p.standing(pair, now) != nil {
		return false
	}
	p.hold(who, until)
	return true
}

// until is when the wait of somebody ends; p.mu is held.
func (p *Passwords) until(who Pair, now time.Time) (until time.Time, waits bool) {
	until, waits = p.waiting[who]
	if waits && !now.Before(until) {
		delete(p.waiting, who)
		return until, false
	}
	return until, waits
}

// wait has a name from an address wait and, when it must, the whole address.
func (p *Passwords) wait(name []byte, addr netip.Addr, now time.Time, w *WaitError) {
	who, all := p.PairOf(name, nil, addr), p.PairOf(nil, nil, addr)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold(who, now.Add(w.For))
	if w.Address > 0 {
		p.hold(all, now.Add(w.Address))
	}
}

// hold has somebody wait; p.mu is held.
func (p *Passwords) hold(who Pair, until time.Time) {
	if p.waiting == nil {
		p.waiting = map[Pair]time.Time{}
	}
	if _, there := p.waiting[who]; !there && len(p.waiting) >= maxWaiting {
		for k := range p.waiting { // any: to push one out takes as many as there are
			delete(p.waiting, k)
			break
		}
	}
	p.waiting[who] = until
}

// Relieve has everybody looked at again who had to wait: a ban was lifted.
func (p *Passwords) Relieve() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.waiting)
}

// Recall returns the user whose pair that is, when it was right within the last minute
// and nothing has changed since.
func (p *Passwords) Recall(pair Pair, now time.Time) (user string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.standing(pair, now)
	if r == nil || now.Sub(r.checked) >= fresh {
		return "", false
	}
	return r.user, true
}

// Lately says that a pair was right in the last twelve hours, so that to check it again is
// no guess.
func (p *Passwords) Lately(pair Pair, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.standing(pair, now) != nil
}

// standing returns what is remembered of a pair and still holds. p.mu is held.
func (p *Passwords) standing(pair Pair, now time.Time) *remembered {
	r := p.pairs[pair]
	if r == nil {
		return nil
	}
	if epoch := p.Directory.Epoch(); epoch != r.epoch {
		version, ok := p.Directory.Version(r.user)
		if !ok || r.version == "" || version != r.version {
			delete(p.pairs, pair)
			return nil
		}
		r.epoch = epoch
	}
	// A request that came while the password was hashed has an earlier time than the outcome.
	if age := now.Sub(r.checked); age >= trusty || age <= -fresh {
		delete(p.pairs, pair)
		return nil
	}
	return r
}

// Verify checks a pair that Recall does not know. It counts as a guess at the user and
// from the address, unless the very same pair was right lately: a program that polls is
// not shut out by somebody's guesses from elsewhere. On ErrWrong user is the one that failures of
// name count for.
func (p *Passwords) Verify(ctx context.Context, name, password string, addr netip.Addr) (user string, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), hashTimeout)
	defer cancel()
	pair := p.PairOf([]byte(name), []byte(password), addr)
	now := p.now()
	if p.Waiting(pair, []byte(name), addr, now) {
		return "", &WaitError{For: time.Second}
	}
	known := p.Lately(pair, now)
	r := &remembered{epoch: p.Directory.Epoch()} // before the check: a change during it is seen
	as, err := p.Directory.Canonical(ctx, name)
	if err != nil {
		return "", err
	}
	r.version, _ = p.Directory.Version(as)
	settle := func(Outcome) {}
	if p.Guesses != nil && !known {
		if settle, err = p.Guesses.Begin(ctx, as, addr, now); err != nil {
			if wait := new(WaitError); errors.As(err, &wait) {
				p.wait([]byte(name), addr, now, wait)
			}
			return as, err
		}
	}
	outcome := Untold
	defer func() { settle(outcome) }() // a panic too
	user, err = p.Directory.Authenticate(ctx, name, password)
	switch {
	case errors.Is(err, ErrWrong):
		outcome = Wrong
		p.forget(pair)
		return as, err
	case err != nil:
		return as, err
	}
	outcome = Right
	if user != as {
		r.version = ""
	}
	r.user, r.checked = user, p.now()
	p.remember(pair, r)
	return user, nil
}

func (p *Passwords) forget(pair Pair) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.pairs, pair)
}

// remember keeps a pair. When there is no room one goes that has not been checked for
// long, of a few.
func (p *Passwords) remember(pair Pair, r *remembered) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pairs == nil {
		p.pairs = map[Pair]*remembered{}
	}
	if len(p.pairs) >= maxPairs {
		var victim Pair
		var oldest *remembered
		seen := 0
		for k, v := range p.pairs {
			if oldest == nil || v.checked.Before(oldest.checked) {
				victim, oldest = k, v
			}
			if seen++; seen >= 32 {
				break
			}
		}
		delete(p.pairs, victim)
	}
	p.pairs[pair] = r
}

func (p *Passwords) now() time.Time {
	if p.Now != nil {
		return p.Now()
	}
	return time.Now()
}
