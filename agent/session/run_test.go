package session_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"postern/agent/policy"
	"postern/agent/session"
	"postern/store"
)

// touched is how often a last use was written, by session.
func (k *kit) touched() map[[32]byte]int {
	k.keeper.mu.Lock()
	defer k.keeper.mu.Unlock()
	n := map[[32]byte]int{}
	for _, batch := range k.keeper.touches {
		for _, touch := range batch {
			n[touch.Hash]++
		}
	}
	return n
}

func TestLastUseIsWrittenInBatches(t *testing.T) {
	k := newKit(t)
	const n = 1200
	tokens := make([]string, n)
	records := make([]session.Session, n)
	for i := range tokens {
		tokens[i], records[i] = k.signIn(t, "alice")
	}
	if len(k.touched()) != 0 {
		t.Error("a sign-in wrote a last use")
	}
	for range 3 { // three uses within a minute
		k.clock.advance(10 * time.Second)
		for _, token := range tokens {
			k.want(t, "a request", token, session.Hit)
		}
	}
	if len(k.touched()) != 0 {
		t.Error("a request wrote a last use")
	}
	used := k.clock.now()
	k.clock.advance(time.Minute)
	k.cycle(t)
	if len(k.touched()) != 0 {
		t.Error("a last use is written at once")
	}
	k.clock.advance(time.Minute + 30*time.Second)
	k.cycle(t)
	if got := len(k.touched()); got == 0 || got == n {
		t.Errorf("%d of %d last uses are written halfway", got, n)
	}
	k.clock.advance(2*time.Minute + 30*time.Second)
	k.cycle(t)
	if got := k.touched(); len(got) != n {
		t.Errorf("the last uses of %d sessions were written, want %d", len(got), n)
	}
	for _, batch := range k.keeper.touches {
		if len(batch) > 1000 {
			t.Errorf("a batch of %d", len(batch))
		}
	}
	if len(k.keeper.touches) > 3 {
		t.Errorf("%d transactions for %d last uses", len(k.keeper.touches), n)
	}
	for _, r := range k.stored(t) {
		if !r.Seen.Equal(used) {
			t.Fatalf("stored last use %v, want %v", r.Seen, used)
		}
	}
	k.cycle(t)
	for hash, times := range k.touched() {
		if times != 1 {
			t.Fatalf("session %x: written %d times for one use", hash[:4], times)
		}
	}
}

// TestLastUseIsWrittenNowAndThen: what is stored of a session in use is never older than
// the lag and one look at all sessions.
func TestLastUseIsWrittenNowAndThen(t *testing.T) {
	for inactivity, most := range map[time.Duration]int{time.Hour: 20, 0: 10, 2 * time.Minute: 60} {
		k := newKit(t)
		k.Config.Inactivity = inactivity
		token, s := k.signIn(t, "alice")
		for minute := range 60 {
			k.clock.advance(time.Minute)
			k.want(t, "a request", token, session.Hit)
			k.cycle(t)
			if behind := k.clock.now().Sub(k.stored(t)[0].Seen); behind > max(inactivity/12, time.Minute) && inactivity > 0 || behind > 10*time.Minute {
				t.Fatalf("inactivity %v, minute %d: what is stored is %v old", inactivity, minute, behind)
			}
		}
		writes := 0
		for _, times := range k.touched() {
			writes += times
		}
		if writes == 0 || writes > most {
			t.Errorf("inactivity %v: %d writes of session %s in an hour, want at most %d", inactivity, writes, s.ID, most)
		}
		k.stop(t)
		if got := k.stored(t)[0].Seen; !got.Equal(k.clock.now()) {
			t.Errorf("inactivity %v: stored last use %v after the end, want %v", inactivity, got, k.clock.now())
		}
	}
}

func TestInactivityCountsAcrossRestarts(t *testing.T) {
	k := newKit(t)
	token, _ := k.signIn(t, "alice")
	idle, _ := k.signIn(t, "alice")
	k.clock.advance(50 * time.Minute)
	k.want(t, "a use", token, session.Hit)
	k.restart(t) // writes what is left
	k.clock.advance(50 * time.Minute)
	k.want(t, "the session that was used", token, session.Hit)
	k.want(t, "the session that was not", idle, session.None)
}

func TestFailedWriteOfLastUseIsMadeUpFor(t *testing.T) {
	k := newKit(t)
	token, _ := k.signIn(t, "alice")
	k.clock.advance(10 * time.Minute)
	k.want(t, "a use", token, session.Hit)
	k.keeper.failWith(errDisk)
	if err := k.Cycle(t.Context()); !errors.Is(err, errDisk) {
		t.Errorf("cycle: %v, want the keeper's error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := k.Run(ctx); !errors.Is(err, errDisk) {
		t.Errorf("Run that could not write what was left: %v, want the keeper's error", err)
	}
	k.keeper.failWith(nil)
	k.stop(t)
	if got := k.stored(t)[0].Seen; !got.Equal(k.clock.now()) {
		t.Errorf("stored last use %v, want %v", got, k.clock.now())
	}
}

func TestSweepForgetsWhatIsOver(t *testing.T) {
	k := newKit(t)
	k.signIn(t, "alice")
	k.signIn(t, "bob", remember)
	k.crash() // alice's is in the store alone
	k.signIn(t, "alice", func(s *session.Session) { s.Expires = k.clock.in(30 * time.Minute) })
	for _, tt := range []struct {
		after           time.Duration
		entries, stored int
	}{
		{0, 1, 3},
		{29 * time.Minute, 1, 3},
		{time.Minute, 0, 2},     // the short one
		{12 * time.Hour, 0, 1},  // alice's, which nobody asked for
		{700 * time.Hour, 0, 1}, // bob's is remembered
		{8 * time.Hour, 0, 0},   // and is over too
		{1000 * time.Hour, 0, 0},
	} {
		k.clock.advance(tt.after)
		k.cycle(t)
		if e, s := k.Entries(), len(k.stored(t)); e != tt.entries || s != tt.stored {
			t.Errorf("after %v: %d in memory and %d stored, want %d and %d", tt.after, e, s, tt.entries, tt.stored)
		}
	}
}

func TestManyExpiredAreDeletedInPieces(t *testing.T) {
	k := newKit(t)
	const n = 2100
	_, err := k.keeper.Keeper.(*store.Store).ImportSessions(t.Context(), func(yield func(session.Record) bool) {
		for i := range n {
			s := session.Session{ID: fmt.Sprint(i), Domain: domain, User: "alice", Level: 1, Created: k.clock.now(), Expires: k.clock.in(12 * time.Hour)}
			if !yield(session.Record{Hash: sha256.Sum256([]byte(s.ID)), Session: s}) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := len(k.stored(t)); got != n {
		t.Fatalf("%d sessions are stored, want %d", got, n)
	}
	k.clock.advance(13 * time.Hour)
	k.cycle(t)
	if n := len(k.stored(t)); n != 0 {
		t.Errorf("%d sessions are stored", n)
	}
}

// TestColdSessionLeavesMemory: remember-me sessions live for weeks, but not in memory.
func TestColdSessionLeavesMemory(t *testing.T) {
	k := newKit(t)
	token, _ := k.signIn(t, "alice", remember)
	k.clock.advance(time.Minute)
	k.want(t, "a use", token, session.Hit)
	used := k.clock.now()
	k.clock.advance(2 * time.Hour)
	k.cycle(t) // writes the use
	k.cycle(t) // lets go
	if n := k.Entries(); n != 0 {
		t.Errorf("%d entries are in memory", n)
	}
	if stored := k.stored(t); len(stored) != 1 || !stored[0].Seen.Equal(used) {
		t.Errorf("stored %v, want one session used at %v", stored, used)
	}
	k.want(t, "when it is used again", token, session.Hit)
}

func TestRunEndsWithItsContext(t *testing.T) {
	k := newKit(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- k.Run(ctx) }()
	token, _ := k.signIn(t, "alice")
	k.clock.advance(time.Minute)
	k.want(t, "a use while Run runs", token, session.Hit)
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	if got := k.stored(t)[0].Seen; !got.Equal(k.clock.now()) {
		t.Errorf("stored last use %v, want %v", got, k.clock.now())
	}
}

// TestThreat27CookieOfAnotherDomain: a cookie that was moved to a sibling domain is no
// session there, and is not harmed by the attempt.
func TestThreat27CookieOfAnotherDomain(t *testing.T) {
	k := newKit(t)
	token, _ := k.signIn(t, "alice")
	for _, where := range []string{"in memory", "in the store"} {
		for _, d := range []string{"example.org", "sub.example.com", "Example.com", "example.com.", "com", ""} {
			if e, r := k.lookup(t, token, d); r != session.None || e != nil {
				t.Errorf("%s: at %q: result %d", where, d, r)
			}
			other, _ := k.signInOver(t, token, "alice", func(s *session.Session) { s.Domain = d + "x" })
			if other == token {
				t.Error("the token was taken over")
			}
		}
		k.want(t, where+", at home", token, session.Hit)
		k.crash()
	}
}

// TestThreat32TokensStayOutOfLogsAndStore: neither the log, nor an error, nor any file
// of the store holds what is secret in a token.
func TestThreat32TokensStayOutOfLogsAndStore(t *testing.T) {
	k := newKit(t)
	var tokens []string
	var said []string
	token, s := k.signIn(t, "alice")
	raised, _, err := k.raise(t, token, s)
	if err != nil {
		t.Fatal(err)
	}
	gone, _ := k.signIn(t, "bob")
	tokens = append(tokens, token, raised, gone)
	k.people.change("bob", nil)
	k.want(t, "bob, disabled", gone, session.None)
	k.restart(t)
	k.keeper.failWith(errDisk)
	_, _, err = k.Load(t.Context(), []byte(raised), domain)
	said = append(said, err.Error())
	_, _, err = k.Create(t.Context(), session.Session{Domain: domain, User: "alice", Level: policy.LevelOne}, raised)
	said = append(said, err.Error())
	k.keeper.failWith(nil)
	k.cycle(t)
	for _, name := range []string{k.path, k.path + "-wal", k.path + "-shm"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, string(b))
	}
	said = append(said, k.log.String())
	for _, token := range tokens {
		secret := token[16:]
		raw, err := base64.RawURLEncoding.DecodeString(secret)
		if err != nil {
			t.Fatal(err)
		}
		for i, text := range said {
			if strings.Contains(text, secret[:26]) || bytes.Contains([]byte(text), raw[:20]) {
				t.Errorf("text %d holds the secret of a token", i)
			}
		}
	}
}
