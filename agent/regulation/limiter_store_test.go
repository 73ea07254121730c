package regulation_test

import (
	"errors"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"postern/agent/regulation"
	"postern/store"
)

// openStore opens the database of a test.
func openStore(t *testing.T, path string) *store.Store {
	t.Helper()
	db, err := store.Open(t.Context(), "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestARestartForgetsNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "postern.db")
	db := openStore(t, path)
	l := newLimiter(func(l *regulation.Limiter) { l.Keeper = db })
	for range 6 {
		guess(t, l, noon, password("bob"), from("192.0.2.7"))
	}
	if _, err := l.Ban(t.Context(), regulation.Ban{User: "mallory", By: "os:root"}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	again := newLimiter(func(l *regulation.Limiter) { l.Keeper = openStore(t, path) })
	if err := again.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range []regulation.Subject{password("bob"), from("192.0.2.7")} {
		if wait := guess(t, again, noon, s); wait != 30*time.Second {
			t.Errorf("after a restart the wait is %v, want 30s", wait)
		}
	}
	if err := again.Check("mallory", netip.Addr{}, noon); err == nil {
		t.Error("an operator's ban does not survive a restart")
	}
}

// When the store does not answer nothing may be attempted.
func TestAnOutageRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "postern.db")
	db := openStore(t, path)
	l := newLimiter(func(l *regulation.Limiter) { l.Keeper = db })
	under, err := l.Begin(t.Context(), noon, password("bob"))
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	under.Succeed() // it was right, and stays counted: no fault of his
	_, beginErr := l.Begin(t.Context(), noon, password("bob"))
	_, banErr := l.Ban(t.Context(), regulation.Ban{User: "bob"})
	_, listErr := l.Bans(t.Context())
	_, revokeErr := l.Revoke(t.Context(), regulation.Which{All: true})
	for what, err := range map[string]error{
		"begin": beginErr, "use": l.Use(t.Context(), noon, password("bob")), "load": l.Load(t.Context()),
		"ban": banErr, "bans": listErr, "revoke": revokeErr, "forgive": l.Forgive(t.Context(), password("bob")),
	} {
		if !errors.Is(err, regulation.ErrUnavailable) || !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: %v, want ErrUnavailable", what, err)
		}
	}
	if l.Under() != 0 {
		t.Errorf("%d attempts are left under way", l.Under())
	}
}
