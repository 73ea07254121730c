package regulation_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/agent/regulation"
)

// nodes are two limiters over one store: two machines.
func nodes(t *testing.T) (path string, both [2]*regulation.Limiter) {
	path = filepath.Join(t.TempDir(), "postern.db")
	db := openStore(t, path)
	for i := range both {
		both[i] = newLimiter(func(l *regulation.Limiter) { l.Keeper = db })
	}
	return path, both
}

// Threat 36: of any number of guesses that are made at once, on two nodes, as many look
// at the secret as are allowed; after the wait it is one.
func TestThreat36ParallelGuessesOnTwoNodes(t *testing.T) {
	_, both := nodes(t)
	for _, tt := range []struct {
		after   time.Duration
		allowed int64
	}{{0, 5}, {30 * time.Second, 1}, {90 * time.Second, 1}, {time.Hour, 5}} {
		at := noon.Add(tt.after)
		var looked, refused atomic.Int64
		var wg sync.WaitGroup
		for n := range 80 {
			wg.Go(func() {
				try, err := both[n%2].Begin(t.Context(), at, password("bob"), from(fmt.Sprintf("198.51.100.%d", n)))
				if err != nil {
					if !errors.As(err, new(*regulation.WaitError)) {
						t.Error(err)
					}
					refused.Add(1)
					return
				}
				looked.Add(1)
				try.Fail(at)
			})
		}
		wg.Wait()
		if looked.Load() != tt.allowed || refused.Load() != 80-tt.allowed {
			t.Errorf("after %v: %d secrets were looked at and %d guesses refused, want %d and %d",
				tt.after, looked.Load(), refused.Load(), tt.allowed, 80-tt.allowed)
		}
	}
}

// Threat 36: nor is there a free guess while others are being checked, or after a crash.
func TestThreat36AnAttemptCountsBeforeItsOutcome(t *testing.T) {
	_, both := nodes(t)
	for n := range 5 {
		if _, err := both[n%2].Begin(t.Context(), noon, password("bob")); err != nil {
			t.Fatalf("attempt %d: %v", n, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the first node would wait for its own attempts
	if _, err := both[0].Begin(ctx, noon, password("bob")); err == nil {
		t.Error("a sixth attempt while five are under way")
	}
	db := both[0].Keeper
	reborn := newLimiter(func(l *regulation.Limiter) { l.Keeper = db })
	if wait := guess(t, reborn, noon, password("bob")); wait != 30*time.Second {
		t.Errorf("after a crash the wait is %v, want 30s", wait)
	}
}

// Somebody who sends the form twice is not told to wait because of himself.
func TestTwoRightAttemptsAtOnce(t *testing.T) {
	_, both := nodes(t)
	l := both[0]
	for range 5 {
		guess(t, l, noon, password("bob"))
	}
	at := noon.Add(time.Minute) // one attempt at a time from now on
	first, err := l.Begin(t.Context(), at, password("bob"))
	if err != nil {
		t.Fatal(err)
	}
	entered := make(chan error)
	go func() {
		second, err := l.Begin(t.Context(), at, password("bob"))
		if err == nil {
			second.Succeed()
		}
		entered <- err
	}()
	select {
	case err := <-entered:
		t.Fatalf("the second attempt did not wait for the first: %v", err)
	default:
	}
	first.Succeed()
	if err := <-entered; err != nil {
		t.Errorf("the second attempt: %v", err)
	}
	if l.Under() != 0 {
		t.Errorf("%d subjects are still under way", l.Under())
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	l := newLimiter()
	for range 4 {
		guess(t, l, noon, password("bob"))
	}
	first, err := l.Begin(t.Context(), noon, password("bob"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := l.Begin(ctx, noon, password("bob"))
		ended <- err
	}()
	cancel()
	var wait *regulation.WaitError
	if err := <-ended; !errors.As(err, &wait) && !errors.Is(err, regulation.ErrUnavailable) {
		t.Errorf("after its end: %v", err)
	}
	first.Fail(noon)
}
