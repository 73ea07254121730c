package users

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestThreat34UserEnumeration: whoever signs in with what cannot be, exactly one hash is
// computed, of the kind that most users have, and the answer is the same value. It counts
// hashes; it does not measure time.
func TestThreat34UserEnumeration(t *testing.T) {
	f := open(t, people()+"  old:\n    password: \""+vectors[2].hash+"\"\n")
	var kinds []string
	f.counted = func(kind string) { kinds = append(kinds, kind) }
	const most = "argon2id m=32,t=1,p=1"
	for _, tt := range []struct{ why, name, password, kind string }{
		{"wrong password", "alice", "wrong", most},
		{"unknown user", "mallory", "wrong", most},
		{"unknown user with the password of another", "mallory", "wonderland", most},
		{"disabled user, wrong password", "carol", "wrong", most},
		{"disabled user, right password", "carol", "carol's own", most},
		{"no name", "", "wrong", most},
		{"a name that cannot be", "a:b\n", "wrong", most},
		{"a very long name", strings.Repeat("x", 1<<16), "wrong", most},
	} {
		kinds = nil
		u, err := f.Authenticate(t.Context(), tt.name, tt.password)
		if err != ErrBadCredentials || u.Name != "" {
			t.Errorf("%s: user %+v, error %v", tt.why, u, err)
		}
		if len(kinds) != 1 || kinds[0] != tt.kind {
			t.Errorf("%s: hashed %q, want one of %q", tt.why, kinds, tt.kind)
		}
	}
	// What can be no password is refused before the user is looked up.
	for _, password := range []string{"", "a\x00b", strings.Repeat("x", MaxPassword+1)} {
		for _, name := range []string{"alice", "mallory", "carol"} {
			kinds = nil
			if _, err := f.Authenticate(t.Context(), name, password); err != ErrBadCredentials || len(kinds) != 0 {
				t.Errorf("%s: error %v, hashed %q", name, err, kinds)
			}
		}
	}
	// A file without users computes what new users would.
	f = open(t, "users: {}")
	f.counted = func(kind string) { kinds = append(kinds, kind) }
	kinds = nil
	if _, err := f.Authenticate(t.Context(), "alice", "x"); err != ErrBadCredentials || len(kinds) != 1 || kinds[0] != "argon2id m=65536,t=3,p=4" {
		t.Errorf("no users: error %v, hashed %q", err, kinds)
	}
}

// TestThreat35NameCanonicalisation: however a name is spelled, its failures count for one
// name, and no two users can be taken for each other.
func TestThreat35NameCanonicalisation(t *testing.T) {
	for _, search := range []Search{{}, {CaseInsensitive: true}, {Email: true}, {Email: true, CaseInsensitive: true}} {
		d, err := newDirectory("users.yml", []byte(people()+"  café:\n    password: \""+quick("x")+"\"\n"), search)
		if err != nil {
			t.Fatal(err)
		}
		for want, spellings := range map[string][]string{
			"alice": {"alice", "ALICE", " alice", "alice\t", "ａｌｉｃｅ"},
			"café":  {"café", "cafe\u0301", "CAFÉ", "ＣＡＦÉ"},
			"eve":   {"eve", "EVE", " Eve ", "ｅｖｅ"}, // does not exist
		} {
			for _, s := range spellings {
				if got := d.canonical(s); got != want {
					t.Errorf("search %+v: %q counts for %q, want %q", search, s, got, want)
				}
			}
		}
		want := "bob@example.com"
		if search.Email {
			want = "bob"
		}
		if got := d.canonical("BOB@example.com"); got != want {
			t.Errorf("search %+v: the address counts for %q, want %q", search, got, want)
		}
		// Nobody signs in under a spelling that counts for another name.
		for _, s := range []string{"alice", "ALICE", "bob@example.com", "Robert@example.org", "CAFÉ", "cafe\u0301"} {
			if a := d.find(s); a != nil && a.Name != d.canonical(s) {
				t.Errorf("search %+v: %q signs in %q and counts for %q", search, s, a.Name, d.canonical(s))
			}
		}
	}
	// testdata/faults/names.yml and addresses.yml: two that fold to one are a fault.
	if _, err := newDirectory("users.yml", []byte(people()+"  ALICE:\n    password: \""+quick("x")+"\"\n"), Search{}); err == nil {
		t.Error("two users whose names differ in case alone are accepted")
	}
}

// TestThreat43HashDoS: whatever is sent, only so much is hashed at once, and only so many
// wait.
func TestThreat43HashDoS(t *testing.T) {
	f := open(t, people())
	f.Hashing = Hashing{Parallel: 2, Memory: 1, Queue: 3, Wait: time.Minute}
	var running, over atomic.Int32
	inside, outside := make(chan bool), make(chan bool)
	f.counted = func(string) {
		if running.Add(1) > 2 {
			over.Add(1)
		}
		inside <- true
		<-outside
		running.Add(-1)
	}
	ctx := deadline(t)
	results := make(chan error, 20)
	try := func() {
		_, err := f.Authenticate(ctx, "alice", "wonderland")
		results <- err
	}
	go try()
	go try()
	<-inside
	<-inside
	for range 3 { // who may wait
		go try()
	}
	for f.gate.waiting.Load() < 3 {
		if ctx.Err() != nil {
			t.Fatal("nobody waits")
		}
		time.Sleep(time.Millisecond)
	}
	for range 10 { // who may not
		if _, err := f.Authenticate(ctx, "alice", "wonderland"); !errors.Is(err, ErrBusy) {
			t.Errorf("over the bound: %v, want ErrBusy", err)
		}
	}
	// A password of a megabyte waits for nothing.
	if _, err := f.Authenticate(ctx, "alice", strings.Repeat("x", 1<<20)); err != ErrBadCredentials {
		t.Errorf("a megabyte: %v", err)
	}
	go func() {
		for range 3 {
			outside <- true
			<-inside
		}
		outside <- true
		outside <- true
	}()
	for range 5 {
		if err := <-results; err != nil {
			t.Errorf("in turn: %v", err)
		}
	}
	if over.Load() != 0 || f.gate.waiting.Load() != 0 {
		t.Errorf("more than 2 at once %d times; %d still wait", over.Load(), f.gate.waiting.Load())
	}
}

// TestThreat43DearHashRunsAlone: hashes that take more memory than all may take together
// run one at a time, and do not starve behind cheap ones.
func TestThreat43DearHashRunsAlone(t *testing.T) {
	g := newGate(Hashing{Parallel: 4, Memory: 1, Wait: time.Minute})
	leave, err := g.enter(deadline(t), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.enter(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("who gave up: %v", err)
	}
	short := newGate(Hashing{Parallel: 1, Wait: time.Nanosecond})
	hold, err := short.enter(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := short.enter(t.Context(), 1); !errors.Is(err, ErrBusy) {
		t.Errorf("whose turn did not come: %v, want ErrBusy", err)
	}
	hold()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			leave, err := g.enter(deadline(t), 1)
			if err != nil {
				t.Errorf("in turn: %v", err)
				return
			}
			leave()
		})
	}
	leave()
	wg.Wait()
	if !g.turns.TryAcquire(g.size) {
		t.Error("a turn was not given back")
	}
}

// TestThreat45ResetLink: what a link was bound to is gone once the password was set by
// anybody, also to the same one, and two uses at once change it once.
func TestThreat45ResetLink(t *testing.T) {
	f := open(t, people())
	f.cheap = nil // salts are random
	ctx := deadline(t)
	mark, ok := f.Version("alice")
	other, _ := f.Version("bob")
	if !ok || mark == other {
		t.Fatal("versions do not tell users apart")
	}
	if err := f.ReplacePassword(ctx, "bob", "by the link of alice", mark); !errors.Is(err, ErrChanged) {
		t.Errorf("a link for alice at bob: %v", err)
	}
	errs := make(chan error, 2)
	for range 2 {
		go func() { errs <- f.ReplacePassword(ctx, "alice", "wonderland", mark) }()
	}
	one, two := <-errs, <-errs
	if (one == nil) == (two == nil) || !errors.Is(errors.Join(one, two), ErrChanged) {
		t.Errorf("two uses of one link: %v and %v", one, two)
	}
	if now, _ := f.Version("alice"); now == mark {
		t.Error("the same password again has the same version")
	}
	if err := f.ReplacePassword(ctx, "alice", "by nobody's link", ""); !errors.Is(err, ErrChanged) {
		t.Errorf("a link without a version: %v", err)
	}
	if err := f.SetDisabled(ctx, "bob", true); err != nil {
		t.Fatal(err)
	}
	if _, ok := f.Version("bob"); ok {
		t.Error("who is disabled has a version")
	}
	if len(mark) != len(other) || len(mark) != 32 {
		t.Errorf("versions %q and %q", mark, other)
	}
	if _, ok := f.Version("mallory"); ok {
		t.Error("nobody has a version")
	}
}
