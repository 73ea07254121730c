package regulation_test

import (
	"errors"
	"testing"
	"time"

	"postern/agent/regulation"
)

// TestWhoeverComesFromAnAddress: a wait says how much of it is the address's, so that no
// other name from there needs to be asked for.
func TestWhoeverComesFromAnAddress(t *testing.T) {
	l := newLimiter(func(l *regulation.Limiter) { l.Config.Addresses = 6 })
	waits := func(at time.Time, subjects ...regulation.Subject) regulation.WaitError {
		t.Helper()
		var wait *regulation.WaitError
		if _, err := l.Begin(t.Context(), at, subjects...); !errors.As(err, &wait) {
			t.Fatalf("begin: %v", err)
		}
		return *wait
	}
	for range 5 {
		guess(t, l, noon, password("bob"), from("192.0.2.1"))
	}
	if w := waits(noon, password("bob"), from("192.0.2.1")); w.For != 30*time.Second || w.Address != 0 {
		t.Errorf("a user has to wait: %+v", w)
	}
	later := noon.Add(10 * time.Second)
	guess(t, l, later, password("carl"), from("192.0.2.1"))
	if w := waits(later, password("dora"), from("192.0.2.1")); w.For != 30*time.Second || w.Address != 30*time.Second {
		t.Errorf("an address has to wait: %+v", w)
	}
	if w := waits(later, password("bob"), from("192.0.2.1")); w.For != 30*time.Second || w.Address != 30*time.Second {
		t.Errorf("both have to wait: %+v", w)
	}
}

// TestAClockThatWasAhead: what was counted by a clock that ran ahead locks nobody out until
// that time has come.
func TestAClockThatWasAhead(t *testing.T) {
	l, ahead := newLimiter(), noon.AddDate(3, 0, 0)
	for range 5 {
		guess(t, l, ahead, password("bob"), from("192.0.2.1"))
	}
	for range 4 {
		guess(t, l, ahead, password("carl"))
	}
	if wait := guess(t, l, ahead, password("bob")); wait != 30*time.Second {
		t.Fatalf("by the clock of then bob waits %v", wait)
	}
	if wait := guess(t, l, noon, password("bob"), from("192.0.2.1")); wait != 0 {
		t.Errorf("by the right clock bob waits %v", wait)
	}
	for n := range 4 {
		if wait := guess(t, l, noon, password("carl")); wait != 0 {
			t.Errorf("guess %d at carl waits %v", n, wait)
		}
	}
	guess(t, l, noon, password("carl"))
	if wait := guess(t, l, noon, password("carl")); wait != 30*time.Second {
		t.Errorf("after five guesses by the right clock carl waits %v", wait)
	}
}

// TestThreat36ClocksOfNodes: a node whose clock is behind forgets nothing that another has
// counted, be it the longest wait.
func TestThreat36ClocksOfNodes(t *testing.T) {
	l := newLimiter(func(l *regulation.Limiter) { l.Config.Wait = l.Config.Longest })
	for range 5 {
		guess(t, l, noon, password("bob"), from("192.0.2.1"))
	}
	behind := noon.Add(-time.Minute)
	if wait := guess(t, l, behind, password("bob"), from("192.0.2.1")); wait != l.Config.Longest+time.Minute {
		t.Errorf("on a node that is a minute behind bob waits %v", wait)
	}
	for range 4 {
		guess(t, l, noon, password("carl"))
	}
	if wait := guess(t, l, behind, password("carl")); wait != 0 {
		t.Errorf("the fifth guess waits %v", wait)
	}
	if guess(t, l, behind, password("carl")) == 0 {
		t.Error("a sixth guess on the node that is behind")
	}
}
