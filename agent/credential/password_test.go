package credential

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// people know alice and bob, and count what they are asked.
type people struct {
	mu       sync.Mutex
	epoch    uint64
	password map[string]string
	versions bool // versions are known
	hashes   int
	hold     chan struct{} // a hash waits for it; nil: it does not
	err      error
}

func newPeople() *people {
	return &people{password: map[string]string{"alice": "right", "bob": "right"}, versions: true}
}

func (p *people) Authenticate(_ context.Context, name, password string) (string, error) {
	p.mu.Lock()
	p.hashes++
	hold := p.hold
	fits := p.password[strings.ToLower(name)] == password
	err := p.err
	p.mu.Unlock()
	if hold != nil {
		<-hold
	}
	switch {
	case err != nil:
		return "", err
	case !fits:
		return "", ErrWrong
	}
	return strings.ToLower(name), nil
}

func (p *people) Canonical(_ context.Context, name string) (string, error) {
	return strings.ToLower(name), p.err
}

func (p *people) Version(user string) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return "v" + p.password[user], p.versions && p.password[user] != ""
}

func (p *people) Epoch() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.epoch
}

// change is a new epoch, perhaps with another password of alice.
func (p *people) change(password string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.epoch++
	p.password["alice"] = password
}

func (p *people) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hashes
}

// guesses notes what came of attempts; full, it lets nobody try.
type guesses struct {
	mu      sync.Mutex
	full    bool
	address bool // it is the address that is full
	log     []string
}

func (g *guesses) Begin(_ context.Context, user string, addr netip.Addr, _ time.Time) (func(Outcome), error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.full && g.address:
		return nil, &WaitError{For: time.Minute, Address: time.Minute}
	case g.full:
		return nil, &WaitError{For: time.Minute}
	}
	at := len(g.log)
	g.log = append(g.log, user+" begun")
	return func(o Outcome) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.log[at] = fmt.Sprintf("%s %s", user, [...]string{"untold", "wrong", "right"}[o])
	}, nil
}

// waits says that somebody has to wait.
func waits(err error) bool { return errors.As(err, new(*WaitError)) }

var addr = netip.MustParseAddr("192.0.2.7")

func at(t *testing.T, p *Passwords, name, password string, now time.Time) (string, bool) {
	t.Helper()
	return p.Recall(p.PairOf([]byte(name), []byte(password), addr), now)
}

func waiting(p *Passwords, name, password string, from netip.Addr, now time.Time) bool {
	return p.Waiting(p.PairOf([]byte(name), []byte(password), from), []byte(name), from, now)
}

func TestAPairIsRememberedForAMinute(t *testing.T) {
	d, g, c := newPeople(), &guesses{}, &clock{at: start}
	p := &Passwords{Directory: d, Guesses: g, Now: c.now}
	if user, ok := at(t, p, "Alice", "right", c.now()); ok {
		t.Fatalf("%s was known before anything was checked", user)
	}
	if user, err := p.Verify(t.Context(), "Alice", "right", addr); user != "alice" || err != nil {
		t.Fatalf("%s, %v", user, err)
	}
	for _, tt := range []struct {
		name, user, password string
		after                time.Duration
		want                 bool
	}{
		{"at once", "Alice", "right", 0, true},
		{"just within the minute", "Alice", "right", time.Minute - time.Nanosecond, true},
		{"after a minute", "Alice", "right", time.Minute, false},
		{"while it was checked", "Alice", "right", -time.Second, true},
		{"long before", "Alice", "right", -time.Minute, false},
		{"another spelling of the name", "alice", "right", 0, false},
		{"another password", "Alice", "Right", 0, false},
		{"a part of the password taken for the name", "Alicer", "ight", 0, false},
	} {
		if user, ok := at(t, p, tt.user, tt.password, start.Add(tt.after)); ok != tt.want || ok && user != "alice" {
			t.Errorf("%s: %q, %v", tt.name, user, ok)
		}
		if tt.after == -time.Minute { // that forgets it
			if _, err := p.Verify(t.Context(), "Alice", "right", addr); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestPollingCostsOneHashAMinute: what is polled for an hour every second.
func TestPollingCostsOneHashAMinute(t *testing.T) {
	d, g, c := newPeople(), &guesses{}, &clock{at: start}
	p := &Passwords{Directory: d, Guesses: g, Now: c.now}
	for range 3600 {
		if _, ok := at(t, p, "alice", "right", c.now()); !ok {
			if _, err := p.Verify(t.Context(), "alice", "right", addr); err != nil {
				t.Fatal(err)
			}
		}
		c.pass(time.Second)
	}
	if d.hashes != 60 || fmt.Sprint(g.log) != "[alice right]" {
		t.Errorf("%d hashes in an hour, counted %v", d.hashes, g.log)
	}
}

func TestAPairIsForgotten(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*people)
		want   bool
	}{
		{"nothing changes", func(*people) {}, true},
		{"somebody else changes", func(d *people) { d.change("right") }, true},
		{"the password changes", func(d *people) { d.change("new") }, false},
		{"the user is gone", func(d *people) { d.change("") }, false},
		{"somebody changes, and versions are not known", func(d *people) { d.versions = false; d.change("right") }, false},
	} {
		d, c := newPeople(), &clock{at: start}
		p := &Passwords{Directory: d, Now: c.now}
		if _, err := p.Verify(t.Context(), "alice", "right", addr); err != nil {
			t.Fatal(err)
		}
		tt.change(d)
		if _, ok := at(t, p, "alice", "right", start); ok != tt.want {
			t.Errorf("%s: known %v, want %v", tt.name, ok, tt.want)
		}
	}
}

// TestAChangeDuringTheHash: a password that is changed while the old one is hashed is not
// remembered as the new one.
func TestAChangeDuringTheHash(t *testing.T) {
	for _, versions := range []bool{true, false} {
		d, c := newPeople(), &clock{at: start}
		d.versions, d.hold = versions, make(chan struct{})
		p := &Passwords{Directory: d, Now: c.now}
		done := make(chan error, 1)
		go func() { _, err := p.Verify(t.Context(), "alice", "right", addr); done <- err }()
		for d.count() == 0 {
			time.Sleep(time.Millisecond)
		}
		d.change("new")
		close(d.hold)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if _, ok := at(t, p, "alice", "right", start); ok {
			t.Errorf("versions %v: the old password is remembered", versions)
		}
	}
}

func TestWrongPairs(t *testing.T) {
	d, g, c := newPeople(), &guesses{}, &clock{at: start}
	p := &Passwords{Directory: d, Guesses: g, Now: c.now}
	for _, tt := range []struct{ name, password string }{{"ALICE", "wrong"}, {"nobody", "right"}} {
		user, err := p.Verify(t.Context(), tt.name, tt.password, addr)
		if !errors.Is(err, ErrWrong) || user != strings.ToLower(tt.name) {
			t.Errorf("%s: %s, %v", tt.name, user, err)
		}
		if _, ok := at(t, p, tt.name, tt.password, start); ok {
			t.Errorf("%s with a wrong password is remembered", tt.name)
		}
	}
	d.err = errDisk
	if _, err := p.Verify(t.Context(), "alice", "right", addr); !errors.Is(err, errDisk) {
		t.Errorf("a directory that cannot tell: %v", err)
	}
	if got := fmt.Sprint(g.log); got != "[alice wrong nobody wrong]" {
		t.Errorf("counted %s", got)
	}
}

// TestThreat43LockedOutByOthers: while alice is locked by somebody's guesses nothing is
// hashed for new pairs, but the pair that her program used all along goes on.
func TestThreat43LockedOutByOthers(t *testing.T) {
	d, g, c := newPeople(), &guesses{}, &clock{at: start}
	p := &Passwords{Directory: d, Guesses: g, Now: c.now}
	if _, err := p.Verify(t.Context(), "alice", "right", addr); err != nil {
		t.Fatal(err)
	}
	g.full = true
	elsewhere := netip.MustParseAddr("198.51.100.1")
	if _, err := p.Verify(t.Context(), "alice", "guess", elsewhere); !waits(err) || d.hashes != 1 {
		t.Errorf("a guess: %v, %d hashes", err, d.hashes)
	}
	c.pass(2 * time.Minute)
	if _, err := p.Verify(t.Context(), "alice", "right", addr); err != nil {
		t.Errorf("the program is shut out: %v", err)
	}
	c.pass(trusty)
	if _, err := p.Verify(t.Context(), "alice", "right", addr); !waits(err) {
		t.Errorf("after %v: %v", trusty, err)
	}
}

// TestThreat36OldPasswordIsAGuess: a pair that was right once is counted again as soon as
// it has been wrong.
func TestThreat36OldPasswordIsAGuess(t *testing.T) {
	d, g, c := newPeople(), &guesses{}, &clock{at: start}
	d.versions = true
	p := &Passwords{Directory: d, Guesses: g, Now: c.now}
	if _, err := p.Verify(t.Context(), "alice", "right", addr); err != nil {
		t.Fatal(err)
	}
	d.password["alice"] = "new" // without an epoch: nobody has said so yet
	for range 3 {
		c.pass(time.Minute)
		if _, err := p.Verify(t.Context(), "alice", "right", addr); !errors.Is(err, ErrWrong) {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(g.log); got != "[alice right alice wrong alice wrong]" {
		t.Errorf("counted %s", got)
	}
}

// TestPairsSayNothing: two processes name one pair differently, and no name holds any of
// its parts.
func TestPairsSayNothing(t *testing.T) {
	p, q := &Passwords{}, &Passwords{}
	a, b := p.PairOf([]byte("alice"), []byte("secret"), addr), q.PairOf([]byte("alice"), []byte("secret"), addr)
	if a == b || a != p.PairOf([]byte("alice"), []byte("secret"), addr) || a == (Pair{}) {
		t.Error("the name of a pair is not under a key of the process")
	}
}

func TestPairsAreBounded(t *testing.T) {
	d, c := newPeople(), &clock{at: start}
	p := &Passwords{Directory: d, Now: c.now}
	for i := range maxPairs + 100 {
		c.pass(time.Millisecond)
		var pair Pair
		pair[0], pair[1] = byte(i), byte(i>>8)
		p.remember(pair, &remembered{user: "alice", checked: c.now()})
	}
	if n := len(p.pairs); n != maxPairs {
		t.Errorf("%d pairs, want %d", n, maxPairs)
	}
}

func TestVerifyOutlivesWhoeverAsked(t *testing.T) {
	d, c := newPeople(), &clock{at: start}
	p := &Passwords{Directory: d, Now: c.now}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Verify(ctx, "alice", "right", addr); err != nil {
		t.Fatal(err)
	}
	if _, ok := at(t, p, "alice", "right", start); !ok {
		t.Error("what was found out is not remembered")
	}
}

// TestThreat36WhatIsRememberedTellsNothing: while somebody has to wait, the right password
// is answered like the wrong ones, although it is remembered for another program.
func TestThreat36WhatIsRememberedTellsNothing(t *testing.T) {
	d, g, c := newPeople(), &guesses{}, &clock{at: start}
	p := &Passwords{Directory: d, Guesses: g, Now: c.now}
	if _, err := p.Verify(t.Context(), "alice", "right", addr); err != nil {
		t.Fatal(err)
	}
	g.full = true
	for _, from := range []string{"198.51.100.1", "2001:db8::1", "192.0.2.7"} {
		other := netip.MustParseAddr(from)
		if waiting(p, "alice", "guess", other, c.now()) {
			t.Errorf("%s waits before a guess", from)
		}
		if _, err := p.Verify(t.Context(), "alice", "guess", other); !waits(err) {
			t.Fatalf("a guess from %s: %v", from, err)
		}
		if !waiting(p, "alice", "guess", other, c.now()) || waiting(p, "bob", "guess", other, c.now()) {
			t.Errorf("who guesses from %s does not wait, or others do", from)
		}
		if _, err := p.Verify(t.Context(), "alice", "right", other); !waits(err) {
			t.Errorf("the right one from %s: %v", from, err)
		}
		if other != addr {
			if _, ok := p.Recall(p.PairOf([]byte("alice"), []byte("right"), other), c.now()); ok {
				t.Errorf("the right one is remembered for %s", from)
			}
		}
	}
	if waiting(p, "alice", "guess", addr, c.now().Add(time.Minute)) {
		t.Error("waits longer than was said")
	}
	if d.hashes != 1 {
		t.Errorf("%d hashes", d.hashes)
	}
}

// TestThreat43AnAddressThatGuessesNames: once an address has to wait, none of the names that
// it goes on to make up is asked for or counted. The program behind the same address goes
// on, but its pair is not told from the guesses at it.
func TestThreat43AnAddressThatGuessesNames(t *testing.T) {
	d, g, c := newPeople(), &guesses{}, &clock{at: start}
	p := &Passwords{Directory: d, Guesses: g, Now: c.now}
	if _, err := p.Verify(t.Context(), "alice", "right", addr); err != nil {
		t.Fatal(err)
	}
	g.full, g.address = true, true
	if _, err := p.Verify(t.Context(), "name 0", "guess", addr); !waits(err) {
		t.Fatal(err)
	}
	g.full = false // nobody may come to ask
	for i := range 10 {
		name := fmt.Sprint("name ", i)
		if !waiting(p, name, "guess", addr, c.now()) {
			t.Errorf("%s does not wait", name)
		}
		if _, err := p.Verify(t.Context(), name, "guess", addr); !waits(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if waiting(p, "alice", "right", addr, c.now()) {
		t.Error("the program that was right lately waits")
	}
	if waiting(p, "name 1", "guess", netip.MustParseAddr("192.0.2.8"), c.now()) {
		t.Error("another address waits")
	}
	if !waiting(p, "alice", "guess", addr, c.now()) || !waiting(p, "alice", "right", addr, c.now()) {
		t.Error("after a guess at her, alice's password is told from the others")
	}
	c.pass(time.Minute)
	if waiting(p, "name 3", "guess", addr, c.now()) {
		t.Error("waits longer than was said")
	}
	if got := fmt.Sprint(g.log); got != "[alice right]" || d.hashes != 1 {
		t.Errorf("counted %s, %d hashes", got, d.hashes)
	}
}

func TestAddressesOfPairs(t *testing.T) {
	p := &Passwords{}
	of := func(a string) Pair {
		addr, _ := netip.ParseAddr(a)
		return p.PairOf([]byte("alice"), []byte("secret"), addr)
	}
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.7", "192.0.2.7", true},
		{"192.0.2.7", "::ffff:192.0.2.7", true},
		{"192.0.2.7", "192.0.2.8", false},
		{"2001:db8::1", "2001:db8::ffff:1", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"192.0.2.7", "", false},
		{"", "", true},
	} {
		if same := of(tt.a) == of(tt.b); same != tt.same {
			t.Errorf("%q and %q: the same %v", tt.a, tt.b, same)
		}
	}
}

func TestWaitingIsBounded(t *testing.T) {
	p := &Passwords{}
	for i := range maxWaiting + 10 {
		p.wait([]byte(fmt.Sprint(i)), addr, start, &WaitError{For: time.Minute, Address: time.Minute})
	}
	if n := len(p.waiting); n != maxWaiting {
		t.Errorf("%d wait, want %d", n, maxWaiting)
	}
}

// When a ban is lifted nobody has to wait it out.
func TestRelieved(t *testing.T) {
	p := &Passwords{}
	p.Relieve() // nobody waits yet
	p.wait([]byte("alice"), addr, start, &WaitError{For: time.Minute, Address: time.Minute})
	for _, name := range []string{"alice", "bob"} {
		if !waiting(p, name, "right", addr, start) {
			t.Fatalf("%s does not wait", name)
		}
	}
	p.Relieve()
	for _, name := range []string{"alice", "bob"} {
		if waiting(p, name, "right", addr, start) {
			t.Errorf("%s waits for a ban that was lifted", name)
		}
	}
}
