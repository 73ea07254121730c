package session_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/agent/policy"
	"postern/agent/session"
)

// raise is what the portal does when a second factor was proved.
func (k *kit) raise(t *testing.T, old string, s session.Session) (string, session.Session, error) {
	t.Helper()
	s.Level = policy.LevelTwo
	return k.Create(t.Context(), s, old)
}

func TestRaiseKeepsTheEnd(t *testing.T) {
	k := newKit(t)
	old, s := k.signIn(t, "alice", remember)
	k.clock.advance(time.Hour)
	token, raised, err := k.raise(t, old, s)
	if err != nil {
		t.Fatal(err)
	}
	if raised.ID == s.ID || raised.Level != policy.LevelTwo {
		t.Errorf("raised to %+v", raised)
	}
	if !raised.Created.Equal(s.Created) || !raised.Expires.Equal(s.Expires) || !raised.Remember {
		t.Errorf("raised from %v–%v to %v–%v", s.Created, s.Expires, raised.Created, raised.Expires)
	}
	for _, when := range []string{"at once", "after a restart"} {
		k.want(t, "the old token, "+when, old, session.None)
		k.want(t, "the new token, "+when, token, session.Hit)
		k.restart(t)
	}
	if n := len(k.stored(t)); n != 1 {
		t.Errorf("%d sessions are stored, want 1", n)
	}
}

func TestRaiseNeedsALiveSessionOfTheUser(t *testing.T) {
	for _, tt := range []struct {
		name string
		old  func(k *kit, token string, s *session.Session) string
	}{
		{"no token", func(*kit, string, *session.Session) string { return "" }},
		{"junk", func(_ *kit, token string, _ *session.Session) string { return token[1:] + "a" }},
		{"a revoked token", func(k *kit, token string, s *session.Session) string {
			if _, err := k.Revoke(t.Context(), session.Filter{ID: s.ID}); err != nil {
				t.Fatal(err)
			}
			return token
		}},
		{"a token that expired", func(k *kit, token string, _ *session.Session) string {
			k.clock.advance(2 * time.Hour)
			return token
		}},
		{"another user's token", func(_ *kit, token string, s *session.Session) string { s.User = "bob"; return token }},
		{"a token for another domain", func(_ *kit, token string, s *session.Session) string { s.Domain = "example.org"; return token }},
		{"a user who was disabled", func(k *kit, token string, _ *session.Session) string { k.people.change("alice", nil); return token }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newKit(t)
			token, s := k.signIn(t, "alice")
			if _, _, err := k.raise(t, tt.old(k, token, &s), s); !errors.Is(err, session.ErrNotFound) {
				t.Errorf("raise: %v, want ErrNotFound", err)
			}
			if n := len(k.stored(t)); n > 1 {
				t.Errorf("%d sessions are stored", n)
			}
		})
	}
}

// TestThreat25SessionFixation: nothing that a browser brought to a sign-in is the
// session after it, or stays one.
func TestThreat25SessionFixation(t *testing.T) {
	k := newKit(t)
	unborn := func() string { // well-formed, never stored: from a table that failed to save
		w := k.table()
		w.Keeper = &watched{Keeper: openStore(t, t.TempDir()+"/other.db")}
		token, _, err := w.Create(t.Context(), session.Session{Domain: domain, User: "alice", Level: 1}, "")
		if err != nil {
			t.Fatal(err)
		}
		return token
	}()
	for _, old := range []string{"", "attacker's choice", unborn} {
		token, _ := k.signInOver(t, old, "alice")
		if token == old {
			t.Errorf("the session has the token %q that was brought along", old)
		}
		k.want(t, "the token that was brought along", old, session.None)
		k.want(t, "the new token", token, session.Hit)
	}

	attacker, _ := k.signIn(t, "bob")
	victim, s := k.signInOver(t, attacker, "alice") // signs in over a session of somebody else
	k.want(t, "the session before the sign-in", attacker, session.None)
	if e, _ := k.lookup(t, victim, domain); e == nil || e.User != "alice" {
		t.Errorf("after the sign-in: %+v", e)
	}
	raised, _, err := k.raise(t, victim, s)
	if err != nil {
		t.Fatal(err)
	}
	k.want(t, "the session before the second factor", victim, session.None)
	k.want(t, "the session after the second factor", raised, session.Hit)
	k.crash()
	k.want(t, "the session before the sign-in, after a restart", attacker, session.None)
	k.want(t, "the session before the second factor, after a restart", victim, session.None)
}

func TestTwoTabsSignInOverTheSameSession(t *testing.T) {
	k := newKit(t)
	old, _ := k.signIn(t, "bob")
	var wg sync.WaitGroup
	tokens := make([]string, 8)
	for i := range tokens {
		wg.Go(func() {
			s := session.Session{Domain: domain, User: "alice", Level: policy.LevelOne}
			token, _, err := k.Create(t.Context(), s, old)
			if err != nil {
				t.Errorf("tab %d: %v", i, err)
			}
			tokens[i] = token
		})
	}
	wg.Wait()
	for _, token := range tokens {
		k.want(t, "a tab's session", token, session.Hit)
	}
	k.want(t, "the session before", old, session.None)
	k.crash()
	k.want(t, "the session before, after a restart", old, session.None)
}

func TestOneOfManyRaises(t *testing.T) {
	k := newKit(t)
	old, s := k.signIn(t, "alice")
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, _, err := k.raise(t, old, s)
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, session.ErrNotFound):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || len(k.stored(t)) != 1 {
		t.Errorf("%d raises succeeded and %d sessions are stored, want 1 and 1", won.Load(), len(k.stored(t)))
	}
}

func TestFailedRotationLeavesTheOldSession(t *testing.T) {
	k := newKit(t)
	old, s := k.signIn(t, "alice")
	k.keeper.failWith(errDisk)
	if _, _, err := k.raise(t, old, s); !errors.Is(err, errDisk) {
		t.Errorf("raise: %v, want the keeper's error", err)
	}
	k.want(t, "the old session", old, session.Hit)
	k.keeper.failWith(nil)
	if _, _, err := k.raise(t, old, s); err != nil {
		t.Errorf("raise when the keeper is well again: %v", err)
	}
}

// TestRaiseLosesToRevocation: a session that is revoked while it is being raised does
// not live on as the raised one.
func TestRaiseLosesToRevocation(t *testing.T) {
	for _, by := range []string{"id", "user"} {
		t.Run("by "+by, func(t *testing.T) {
			k := newKit(t)
			old, s := k.signIn(t, "alice")
			f := session.Filter{User: s.User}
			if by == "id" {
				f = session.Filter{ID: s.ID}
			}
			revoked := make(chan error)
			k.keeper.saved = func() { // the raise is stored, and not yet in memory
				go func() {
					_, err := k.Revoke(t.Context(), f)
					revoked <- err
				}()
				for _, r := k.Find([]byte(old), domain, k.clock.now()); r == session.Hit; {
					_, r = k.Find([]byte(old), domain, k.clock.now())
				}
			}
			token, _, err := k.raise(t, old, s)
			if err := <-revoked; err != nil {
				t.Fatal(err)
			}
			if !errors.Is(err, session.ErrNotFound) {
				t.Errorf("raise: %v, want ErrNotFound", err)
			}
			k.keeper.saved = nil
			k.cycle(t)
			k.want(t, "the raised session", token, session.None)
			if n := len(k.stored(t)); n != 0 {
				t.Errorf("%d sessions are stored", n)
			}
		})
	}
}
