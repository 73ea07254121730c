package session_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"postern/agent/session"
)

func TestRestartLosesNobody(t *testing.T) {
	k := newKit(t)
	var tokens []string
	for range 50 {
		token, _ := k.signIn(t, "alice")
		tokens = append(tokens, token)
	}
	k.crash()
	if n := k.Entries(); n != 0 {
		t.Errorf("%d sessions are in memory before anybody asked", n)
	}
	for _, token := range tokens {
		if _, r := k.Find([]byte(token), domain, k.clock.now()); r != session.Miss {
			t.Errorf("first Find after the restart: %d, want %d", r, session.Miss)
		}
		k.want(t, "after the restart", token, session.Hit)
		if e, r := k.Find([]byte(token), domain, k.clock.now()); r != session.Hit || e.User != "alice" || string(e.Prepared) != "aliceAlice" {
			t.Errorf("second Find: %d, %+v", r, e)
		}
	}
	if n := k.keeper.loadCount(); n != len(tokens) {
		t.Errorf("%d loads for %d sessions", n, len(tokens))
	}
}

func TestJunkNeverReachesTheKeeper(t *testing.T) {
	k := newKit(t)
	token, _ := k.signIn(t, "alice")
	k.crash()
	other := k.table()
	other.Key = []byte("another key of thirty-two bytes!")
	k.want(t, "a token under another key", func() string {
		foreign, _, err := other.Create(t.Context(), session.Session{Domain: domain, User: "alice", Level: 1}, "")
		if err != nil {
			t.Fatal(err)
		}
		return foreign
	}(), session.None)
	for i := range token {
		b := []byte(token)
		b[i] ^= 1
		k.want(t, "a token with a bit flipped", string(b), session.None)
	}
	if n := k.keeper.loadCount(); n != 0 {
		t.Errorf("junk reached the keeper %d times", n)
	}
}

func TestLoadAsksOnceForManyCallers(t *testing.T) {
	k := newKit(t)
	token, _ := k.signIn(t, "alice")
	k.crash()
	release, begun := make(chan struct{}), make(chan struct{})
	k.keeper.loaded = func() { close(begun); <-release } // a second call panics

	const callers = 50
	var wg sync.WaitGroup
	load := func() {
		if _, r, err := k.Load(t.Context(), []byte(token), domain); r != session.Hit || err != nil {
			t.Errorf("Load: %d, %v", r, err)
		}
	}
	wg.Go(load)
	<-begun
	for range callers {
		wg.Go(load)
	}
	// One who asks for another domain, and one who leaves, change nothing for the others.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, r, err := k.Load(ctx, []byte(token), domain); !errors.Is(err, context.Canceled) || r != session.None {
		t.Errorf("Load of a caller who left: %d, %v", r, err)
	}
	wg.Go(func() {
		if _, r, err := k.Load(t.Context(), []byte(token), "example.org"); r != session.None || err != nil {
			t.Errorf("Load for another domain: %d, %v", r, err)
		}
	})
	close(release)
	wg.Wait()
	if n := k.keeper.loadCount(); n != 1 {
		t.Errorf("%d loads, want 1", n)
	}
}

func TestFirstCallerLeavesOthersStay(t *testing.T) {
	k := newKit(t)
	token, _ := k.signIn(t, "alice")
	k.crash()
	release, begun := make(chan struct{}), make(chan struct{})
	k.keeper.loaded = func() { close(begun); <-release }
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, _, err := k.Load(ctx, []byte(token), domain); !errors.Is(err, context.Canceled) {
			t.Errorf("the caller who left: %v", err)
		}
	})
	<-begun
	cancel()
	wg.Wait()
	close(release)
	k.want(t, "for a caller who stays", token, session.Hit)
	if n := k.keeper.loadCount(); n != 1 {
		t.Errorf("%d loads, want 1", n)
	}
}

func TestUnknownTokenIsRemembered(t *testing.T) {
	k := newKit(t)
	token, s := k.signIn(t, "alice")
	if _, err := k.Revoke(t.Context(), session.Filter{ID: s.ID}); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		k.want(t, "a revoked token", token, session.None)
	}
	if n := k.keeper.loadCount(); n != 1 {
		t.Errorf("%d loads for a token that is gone, want 1", n)
	}
	for range 3 { // it is forgotten, and asked for again: the memory is bounded
		k.clock.advance(time.Minute)
		k.cycle(t)
	}
	k.want(t, "a revoked token, later", token, session.None)
	if n := k.keeper.loadCount(); n != 2 {
		t.Errorf("%d loads, want 2", n)
	}
}

func TestKeeperErrorIsNotAnAnswer(t *testing.T) {
	k := newKit(t)
	token, _ := k.signIn(t, "alice")
	k.crash()
	k.keeper.failWith(errDisk)
	for range 2 {
		if e, r, err := k.Load(t.Context(), []byte(token), domain); e != nil || r != session.None || !errors.Is(err, errDisk) {
			t.Errorf("Load: %v, %d, %v, want the keeper's error", e, r, err)
		}
	}
	k.keeper.failWith(nil)
	k.want(t, "when the keeper is well again", token, session.Hit)
}

func TestStoredNonsenseIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*session.Record)
	}{
		{"no user", func(r *session.Record) { r.User = "" }},
		{"no domain", func(r *session.Record) { r.Domain = "" }},
		{"level zero", func(r *session.Record) { r.Level = 0 }},
		{"level three", func(r *session.Record) { r.Level = 3 }},
		{"another id", func(r *session.Record) { r.ID = "aaaaaaaaaaaaaaaa" }},
		{"a user whom the directory does not know", func(r *session.Record) { r.User = "mallory" }},
		{"expired", func(r *session.Record) { r.Expires = r.Created }},
		{"never expires", func(r *session.Record) { r.Expires = time.Time{} }},
		{"signed in tomorrow", func(r *session.Record) {
			r.Created, r.Expires = r.Created.Add(24*time.Hour), r.Expires.Add(24*time.Hour)
		}},
		{"used tomorrow", func(r *session.Record) { r.Seen = r.Seen.Add(24 * time.Hour) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newKit(t)
			token, s := k.signIn(t, "alice")
			r := k.stored(t)[0]
			if _, err := k.keeper.Keeper.DeleteSessions(t.Context(), session.Filter{ID: s.ID}); err != nil {
				t.Fatal(err)
			}
			tt.change(&r)
			if err := k.keeper.Keeper.SaveSession(t.Context(), r, nil); err != nil {
				t.Fatal(err)
			}
			k.crash()
			k.want(t, tt.name, token, session.None)
		})
	}
}
