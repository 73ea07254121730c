package session_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"postern/agent/policy"
	"postern/agent/session"
)

var errAway = errors.New("the directory cannot be reached")

// forget makes the directory one that remembers nobody, from the next use on.
func (p *people) forget(change func(*people)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgetful = true
	if change != nil {
		change(p)
	}
	p.epoch.Add(1)
}

func (p *people) questions() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.served
}

// places runs a test for a session in memory and for one that only the store has.
func places(t *testing.T, test func(t *testing.T, k *kit, token string, s session.Session)) {
	for _, where := range []string{"in memory", "in the store"} {
		t.Run(where, func(t *testing.T) {
			k := newKit(t)
			token, s := k.signIn(t, "alice")
			if where == "in the store" {
				k.crash()
			}
			test(t, k, token, s)
		})
	}
}

// TestServerIsAskedByLoadAlone: Find never asks a server, and one change costs a session
// one question.
func TestServerIsAskedByLoadAlone(t *testing.T) {
	places(t, func(t *testing.T, k *kit, token string, _ session.Session) {
		k.people.forget(nil)
		for range 3 {
			if _, r := k.Find([]byte(token), domain, k.clock.now()); r != session.Miss {
				t.Fatalf("Find: %d, want Miss", r)
			}
		}
		if n := k.people.questions(); n != 0 {
			t.Fatalf("Find asked %d times", n)
		}
		for range 10 {
			k.want(t, "a request", token, session.Hit)
		}
		if n := k.people.questions(); n != 1 {
			t.Errorf("the server was asked %d times for ten requests", n)
		}
	})
}

// TestThreat30StaleGroupsOfAServer: what a server says of a user counts at once.
func TestThreat30StaleGroupsOfAServer(t *testing.T) {
	places(t, func(t *testing.T, k *kit, token string, _ session.Session) {
		k.people.forget(func(p *people) {
			p.users["alice"] = session.Identity{Name: "Alicia", Groups: []string{"staff"}}
		})
		e, r := k.lookup(t, token, domain)
		if r != session.Hit || e.Name != "Alicia" || !slices.Equal(e.Groups, []string{"staff"}) || string(e.Prepared) != "aliceAlicia" {
			t.Errorf("%d %+v", r, e)
		}
	})
}

// TestThreat31GoneFromAServer: whom a server does not have, or has disabled, is out for
// good.
func TestThreat31GoneFromAServer(t *testing.T) {
	places(t, func(t *testing.T, k *kit, token string, _ session.Session) {
		k.people.forget(func(p *people) { delete(p.users, "alice") })
		k.want(t, "gone", token, session.None)
		k.people.change("alice", &alice)
		k.want(t, "back again", token, session.None)
		k.cycle(t)
		if n := len(k.stored(t)); n != 0 {
			t.Errorf("%d sessions are stored", n)
		}
	})
}

// TestNobodyCanTell: while the directory is away and nothing may be believed, a session
// cannot be used, and does not end.
func TestNobodyCanTell(t *testing.T) {
	places(t, func(t *testing.T, k *kit, token string, _ session.Session) {
		k.people.forget(func(p *people) { p.away = errAway })
		for range 2 {
			e, r, err := k.Load(t.Context(), []byte(token), domain)
			if e != nil || r != session.None || !errors.Is(err, errAway) {
				t.Fatalf("%v %d %v", e, r, err)
			}
		}
		k.cycle(t)
		k.people.forget(func(p *people) { p.away = nil })
		if e, r := k.lookup(t, token, domain); r != session.Hit || e.Name != "Alice" {
			t.Errorf("when it is back: %d %+v", r, e)
		}
	})
}

// TestWhoSomebodyWasIsBelieved: within the grace the session goes on as it was, and asks
// once for each change of the epoch.
func TestWhoSomebodyWasIsBelieved(t *testing.T) {
	places(t, func(t *testing.T, k *kit, token string, _ session.Session) {
		k.people.forget(func(p *people) { p.believe = true })
		for range 5 {
			if e, r := k.lookup(t, token, domain); r != session.Hit || e.Name != "Alice" || !slices.Equal(e.Groups, alice.Groups) {
				t.Fatalf("%d %+v", r, e)
			}
		}
		if n := k.people.questions(); n != 1 {
			t.Errorf("asked %d times", n)
		}
		k.people.forget(func(p *people) {
			p.believe, p.users["alice"] = false, session.Identity{Name: "Alice", Groups: []string{"new"}}
		})
		if e, _ := k.lookup(t, token, domain); !slices.Equal(e.Groups, []string{"new"}) {
			t.Errorf("groups %q when it is back", e.Groups)
		}
	})
}

// TestSlowDirectoryHoldsNothing: while a server takes its time, other sessions are used,
// made and ended; and a session that ends meanwhile does not come back by the answer.
func TestSlowDirectoryHoldsNothing(t *testing.T) {
	places(t, func(t *testing.T, k *kit, token string, s session.Session) {
		hold := make(chan struct{})
		k.people.forget(func(p *people) { p.hold = hold })
		answer := make(chan session.Result)
		go func() {
			_, r, err := k.Load(t.Context(), []byte(token), domain)
			if err != nil {
				t.Error(err)
			}
			answer <- r
		}()
		for k.people.questions() == 0 {
			time.Sleep(time.Millisecond)
		}
		k.people.mu.Lock()
		k.people.forgetful = false
		k.people.mu.Unlock()
		other, _ := k.signIn(t, "bob")
		k.want(t, "another's session", other, session.Hit)
		if ended, err := k.Revoke(t.Context(), session.Filter{ID: s.ID}); err != nil || len(ended) != 1 {
			t.Errorf("revoke: %d, %v", len(ended), err)
		}
		close(hold)
		if r := <-answer; r != session.None {
			t.Errorf("the revoked session: %d", r)
		}
		k.want(t, "afterwards", token, session.None)
	})
}

func TestCreateAsksTheServer(t *testing.T) {
	for _, tt := range []struct {
		about  string
		change func(*people)
		want   error
		groups []string
	}{
		{"who has him", nil, nil, alice.Groups},
		{"who does not", func(p *people) { delete(p.users, "alice") }, session.ErrNotFound, nil},
		{"who is away", func(p *people) { p.away = errAway }, errAway, nil},
		{"who is away, within the grace", func(p *people) { p.believe = true }, nil, []string{"as it was"}},
	} {
		t.Run(tt.about, func(t *testing.T) {
			k := newKit(t)
			k.people.forget(tt.change)
			_, s, err := k.Create(t.Context(), session.Session{Domain: domain, User: "alice", Level: policy.LevelOne, Groups: []string{"as it was"}}, "")
			if !errors.Is(err, tt.want) || !slices.Equal(s.Groups, tt.groups) {
				t.Errorf("%v, groups %q", err, s.Groups)
			}
		})
	}
}

// TestDirectoryThatDoesNotRest: a change between the answer and its use costs no request
// its answer.
func TestDirectoryThatDoesNotRest(t *testing.T) {
	places(t, func(t *testing.T, k *kit, token string, _ session.Session) {
		k.people.forget(func(p *people) { p.restless = true })
		for range 5 {
			k.want(t, "a request", token, session.Hit)
		}
	})
}

// TestThreat30WhoSomebodyWasIsWritten: after a restart while the directory is away, the
// groups that are believed are the last ones, not those of the sign-in.
func TestThreat30WhoSomebodyWasIsWritten(t *testing.T) {
	places(t, func(t *testing.T, k *kit, token string, _ session.Session) {
		k.people.change("alice", &session.Identity{Name: "Alicia", Email: "alicia@example.com", Groups: []string{"staff"}})
		k.want(t, "a request", token, session.Hit)
		k.keeper.failWith(errDisk)
		_ = k.Cycle(t.Context()) // not written, and tried again
		k.keeper.failWith(nil)
		k.cycle(t)
		if r := k.stored(t); len(r) != 1 || r[0].Name != "Alicia" || r[0].Email != "alicia@example.com" || !slices.Equal(r[0].Groups, []string{"staff"}) {
			t.Fatalf("stored: %+v", r)
		}
		k.crash()
		k.people.forget(func(p *people) { p.believe = true })
		if e, r := k.lookup(t, token, domain); r != session.Hit || !slices.Equal(e.Groups, []string{"staff"}) {
			t.Errorf("%d %+v", r, e)
		}
	})
}
