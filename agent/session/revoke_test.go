package session_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/agent/policy"
	"postern/agent/session"
)

// TestThreat26RevocationIsEffectiveEverywhere: what is revoked is refused at the next
// request, in memory, in the store and after a restart; the rest stays.
func TestThreat26RevocationIsEffectiveEverywhere(t *testing.T) {
	for _, tt := range []struct {
		name   string
		filter func(alice1 session.Session) session.Filter
		want   []string // who is left
	}{
		{"by id", func(s session.Session) session.Filter { return session.Filter{ID: s.ID} }, []string{"alice2", "alice3", "bob"}},
		{"by ids", func(s session.Session) session.Filter { return session.Filter{IDs: []string{s.ID, "nobody"}} }, []string{"alice2", "alice3", "bob"}},
		{"by user", func(session.Session) session.Filter { return session.Filter{User: "alice"} }, []string{"bob"}},
		{"everywhere else", func(s session.Session) session.Filter { return session.Filter{User: "alice", Except: s.ID} }, []string{"alice1", "bob"}},
		{"by domain", func(session.Session) session.Filter { return session.Filter{Domain: "example.org"} }, []string{"alice1", "alice2", "bob"}},
		{"an id of another user", func(s session.Session) session.Filter { return session.Filter{ID: s.ID, User: "bob"} }, []string{"alice1", "alice2", "alice3", "bob"}},
		{"an id that is not there", func(session.Session) session.Filter { return session.Filter{ID: "nobody"} }, []string{"alice1", "alice2", "alice3", "bob"}},
		{"all", func(session.Session) session.Filter { return session.Filter{} }, nil},
	} {
		for _, loaded := range []bool{true, false} {
			t.Run(tt.name+map[bool]string{false: ", not in memory"}[loaded], func(t *testing.T) {
				k := newKit(t)
				tokens, domains := map[string]string{}, map[string]string{"alice3": "example.org"}
				var first session.Session
				tokens["alice1"], first = k.signIn(t, "alice")
				tokens["alice2"], _ = k.signIn(t, "alice")
				tokens["alice3"], _ = k.signIn(t, "alice", func(s *session.Session) { s.Domain = "example.org" })
				tokens["bob"], _ = k.signIn(t, "bob")
				if !loaded {
					k.crash()
				}
				revoked, err := k.Revoke(t.Context(), tt.filter(first))
				if err != nil || len(revoked) != len(tokens)-len(tt.want) {
					t.Errorf("revoked %d, %v, want %d", len(revoked), err, len(tokens)-len(tt.want))
				}
				for _, when := range []string{"at the next request", "after a restart"} {
					for name, token := range tokens {
						at := domain
						if d := domains[name]; d != "" {
							at = d
						}
						_, r := k.lookup(t, token, at)
						if got, want := r == session.Hit, slices.Contains(tt.want, name); got != want {
							t.Errorf("%s: %s is let in: %v, want %v", when, name, got, want)
						}
					}
					k.crash()
				}
			})
		}
	}
}

// TestRevocationBeatsLoad: a Load that has read the session from the keeper before it
// was revoked does not bring it back.
func TestRevocationBeatsLoad(t *testing.T) {
	k := newKit(t)
	token, s := k.signIn(t, "alice")
	k.crash()
	var once sync.Once
	done := make(chan error)
	k.keeper.loaded = func() { // the record is on its way
		once.Do(func() {
			go func() {
				_, err := k.Revoke(context.Background(), session.Filter{ID: s.ID})
				done <- err
			}()
		})
	}
	if _, _, err := k.Load(t.Context(), []byte(token), domain); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	k.want(t, "after the revocation", token, session.None)
	if n := k.Entries(); n != 0 {
		t.Errorf("%d entries are in memory", n)
	}
}

// TestFailedRevocationIsRefusedAndTriedAgain: a keeper that fails does not make a
// revoked session usable, and who signs in afterwards is not touched.
func TestFailedRevocationIsRefusedAndTriedAgain(t *testing.T) {
	for _, tt := range []struct {
		name   string
		filter func(session.Session) session.Filter
	}{
		{"by id", func(s session.Session) session.Filter { return session.Filter{ID: s.ID} }},
		{"by id and user", func(s session.Session) session.Filter { return session.Filter{ID: s.ID, User: s.User} }},
		{"by user", func(s session.Session) session.Filter { return session.Filter{User: s.User} }},
		{"all", func(session.Session) session.Filter { return session.Filter{} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newKit(t)
			token, s := k.signIn(t, "alice")
			k.keeper.failWith(errDisk)
			for range 2 {
				if _, err := k.Revoke(t.Context(), tt.filter(s)); !errors.Is(err, errDisk) {
					t.Fatalf("Revoke: %v, want the keeper's error", err)
				}
			}
			if err := k.Cycle(t.Context()); !errors.Is(err, errDisk) {
				t.Errorf("cycle: %v, want the keeper's error", err)
			}
			k.keeper.failWith(nil)
			k.want(t, "while the keeper still has it", token, session.None)
			if list, err := k.List(t.Context(), session.Filter{}); err != nil || len(list) != 0 {
				t.Errorf("listed %v, %v", list, err)
			}
			if _, _, err := k.raise(t, token, s); !errors.Is(err, session.ErrNotFound) {
				t.Errorf("raise: %v, want ErrNotFound", err)
			}
			k.clock.advance(time.Second)
			later, _ := k.signIn(t, "alice")
			k.cycle(t)
			if stored := k.stored(t); len(stored) != 1 || stored[0].ID != later[:16] {
				t.Errorf("stored %v, want the later sign-in alone", stored)
			}
			if n := k.Waiting(); n != 0 {
				t.Errorf("%d revocations wait", n)
			}
			k.want(t, "the later sign-in", later, session.Hit)
			k.crash()
			k.want(t, "the revoked session, after a restart", token, session.None)
			k.want(t, "the later sign-in, after a restart", later, session.Hit)
		})
	}
}

func TestRevocationDoesNotStopWithItsCaller(t *testing.T) {
	k := newKit(t)
	token, s := k.signIn(t, "alice")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := k.Revoke(ctx, session.Filter{ID: s.ID}); err != nil {
		t.Errorf("Revoke: %v", err)
	}
	k.crash()
	k.want(t, "after a restart", token, session.None)
}

// TestManyAtOnce: sign-ins, requests, restarts of memory and revocations in parallel.
// Once Revoke has returned, no request is let in.
func TestManyAtOnce(t *testing.T) {
	k := newKit(t)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 15 {
				s := session.Session{Domain: domain, User: "alice", Level: policy.LevelOne}
				token, s, err := k.Create(t.Context(), s, "")
				if err != nil {
					t.Error(err)
					return
				}
				var revoked atomic.Bool
				var requests sync.WaitGroup
				for range 3 {
					requests.Go(func() {
						for over := false; !over; {
							over = revoked.Load()
							_, r := k.Find([]byte(token), domain, k.clock.now())
							if r == session.Miss {
								_, r, _ = k.Load(t.Context(), []byte(token), domain)
							}
							if over && r == session.Hit {
								t.Error("let in after the revocation")
							}
						}
					})
				}
				k.people.epoch.Add(1)
				if _, err := k.Revoke(t.Context(), session.Filter{ID: s.ID}); err != nil {
					t.Error(err)
				}
				revoked.Store(true)
				requests.Wait()
			}
		})
	}
	stop := make(chan struct{})
	var cycles sync.WaitGroup
	cycles.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if err := k.Cycle(t.Context()); err != nil {
					t.Error(err)
				}
			}
		}
	})
	group.Wait()
	close(stop)
	cycles.Wait()
	if n := len(k.stored(t)) + k.Entries(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}
