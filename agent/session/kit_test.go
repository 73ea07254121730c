package session_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/agent/policy"
	"postern/agent/session"
	"postern/store"
)

const domain = "example.com"

var errDisk = errors.New("disk on fire")

// kit is a table over a real store, with a clock and a directory that the test holds.
type kit struct {
	*session.Table
	clock  *clock
	people *people
	keeper *watched
	log    *bytes.Buffer
	path   string
}

func newKit(t *testing.T) *kit {
	t.Helper()
	k := &kit{
		clock:  &clock{},
		people: &people{users: map[string]session.Identity{"alice": alice, "bob": {Name: "Bob"}}},
		log:    new(bytes.Buffer),
		path:   filepath.Join(t.TempDir(), "postern.db"),
	}
	k.clock.set(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	k.people.epoch.Store(7)
	k.keeper = &watched{Keeper: openStore(t, k.path)}
	k.Table = k.table()
	return k
}

var alice = session.Identity{Name: "Alice", Email: "alice@example.com", Groups: []string{"admins", "staff"}}

func openStore(t *testing.T, path string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (k *kit) table() *session.Table {
	return &session.Table{
		Config:    session.DefaultConfig(),
		Keeper:    k.keeper,
		Directory: k.people,
		Key:       bytes.Repeat([]byte{1}, 32),
		Prepare:   func(s *session.Session) []byte { return []byte(s.User + s.Name) },
		Now:       k.clock.now,
		Log:       slog.New(slog.NewTextHandler(k.log, nil)),
	}
}

// restart is a new process over the same store: first the old one stops in good order.
func (k *kit) restart(t *testing.T) {
	t.Helper()
	k.stop(t)
	k.crash()
}

// stop is the end of Run's context.
func (k *kit) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := k.Run(ctx); err != nil {
		t.Fatalf("Run: %v", err)
	}
}

// crash is a new process after one that could write nothing more.
func (k *kit) crash() { k.Table = k.table() }

func (k *kit) cycle(t *testing.T) {
	t.Helper()
	if err := k.Cycle(t.Context()); err != nil {
		t.Fatalf("cycle: %v", err)
	}
}

// signIn creates a session of level one.
func (k *kit) signIn(t *testing.T, user string, change ...func(*session.Session)) (token string, s session.Session) {
	t.Helper()
	return k.signInOver(t, "", user, change...)
}

func (k *kit) signInOver(t *testing.T, old, user string, change ...func(*session.Session)) (token string, s session.Session) {
	t.Helper()
	s = session.Session{Domain: domain, User: user, Level: policy.LevelOne, Addr: "192.0.2.1", Browser: "test"}
	for _, f := range change {
		f(&s)
	}
	token, s, err := k.Create(t.Context(), s, old)
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	return token, s
}

func remember(s *session.Session) { s.Remember = true }

// result is what a request with that token gets: Find, then Load when that misses.
func (k *kit) result(t *testing.T, token string) session.Result {
	t.Helper()
	_, r := k.lookup(t, token, domain)
	return r
}

func (k *kit) lookup(t *testing.T, token, domain string) (*session.Entry, session.Result) {
	t.Helper()
	e, r := k.Find([]byte(token), domain, k.clock.now())
	if r != session.Miss {
		return e, r
	}
	e, r, err := k.Load(t.Context(), []byte(token), domain)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return e, r
}

func (k *kit) want(t *testing.T, what, token string, want session.Result) {
	t.Helper()
	if got := k.result(t, token); got != want {
		t.Errorf("%s: result %d, want %d", what, got, want)
	}
}

// clock is a wall clock without a monotonic one: it goes where the test sets it.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time               { return time.Unix(0, c.at.Load()).UTC() }
func (c *clock) set(t time.Time)              { c.at.Store(t.UnixNano()) }
func (c *clock) advance(d time.Duration)      { c.at.Add(int64(d)) }
func (c *clock) in(d time.Duration) time.Time { return c.now().Add(d) }

// people is a directory in memory.
type people struct {
	epoch atomic.Uint64
	mu    sync.Mutex
	users map[string]session.Identity
	asked int // from memory

	forgetful bool          // memory has nobody: the server has to be asked
	served    int           // questions to the server
	away      error         // its answer
	believe   bool          // it is away, and who people were may be believed
	hold      chan struct{} // it answers when this is closed
	restless  bool          // each of its answers is followed by a change
}

func (p *people) Epoch() uint64 { return p.epoch.Load() }

func (p *people) Recall(user string) (session.Identity, session.Standing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.forgetful {
		return session.Identity{}, session.Unsure
	}
	p.asked++
	return p.standing(user)
}

// standing is what the directory has, wherever it keeps it.
func (p *people) standing(user string) (session.Identity, session.Standing) {
	if id, ok := p.users[user]; ok {
		return id, session.Present
	}
	return session.Identity{}, session.Gone
}

func (p *people) Identify(_ context.Context, user string) (session.Identity, session.Standing, error) {
	p.mu.Lock()
	hold := p.hold
	p.served++
	p.mu.Unlock()
	if hold != nil {
		<-hold
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away != nil {
		return session.Identity{}, session.Unsure, p.away
	}
	if p.believe {
		return session.Identity{}, session.Unsure, nil
	}
	if p.restless {
		p.epoch.Add(1)
	}
	id, standing := p.standing(user)
	return id, standing, nil
}

// change sets or, with nil, removes a user, and moves the epoch on.
func (p *people) change(user string, id *session.Identity) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.users, user)
	if id != nil {
		p.users[user] = *id
	}
	p.epoch.Add(1)
}

// watched is a Keeper that counts, and fails or waits when it is told to.
type watched struct {
	session.Keeper
	mu      sync.Mutex
	err     error
	loads   int
	touches [][]session.Touch
	loaded  func() // called after a load, before its answer is given
	saved   func() // called after a save
}

func (w *watched) failWith(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

func (w *watched) fault() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

func (w *watched) loadCount() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.loads
}

func (w *watched) LoadSession(ctx context.Context, hash [32]byte) (session.Record, error) {
	w.mu.Lock()
	w.loads++
	loaded := w.loaded
	w.mu.Unlock()
	if err := w.fault(); err != nil {
		return session.Record{}, err
	}
	r, err := w.Keeper.LoadSession(ctx, hash)
	if loaded != nil {
		loaded()
	}
	return r, err
}

func (w *watched) SaveSession(ctx context.Context, r session.Record, old *[32]byte) error {
	if err := w.fault(); err != nil {
		return err
	}
	err := w.Keeper.SaveSession(ctx, r, old)
	if w.saved != nil {
		w.saved()
	}
	return err
}

func (w *watched) ListSessions(ctx context.Context, f session.Filter) ([]session.Record, error) {
	if err := w.fault(); err != nil {
		return nil, err
	}
	return w.Keeper.ListSessions(ctx, f)
}

func (w *watched) DeleteSessions(ctx context.Context, f session.Filter) ([]session.Record, error) {
	if err := w.fault(); err != nil {
		return nil, err
	}
	return w.Keeper.DeleteSessions(ctx, f)
}

func (w *watched) TouchSessions(ctx context.Context, touches []session.Touch) error {
	if err := w.fault(); err != nil {
		return err
	}
	w.mu.Lock()
	w.touches = append(w.touches, touches)
	w.mu.Unlock()
	return w.Keeper.TouchSessions(ctx, touches)
}

// stored is what the store has, whatever the table says.
func (k *kit) stored(t *testing.T) []session.Record {
	t.Helper()
	records, err := k.keeper.Keeper.ListSessions(t.Context(), session.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	return records
}
