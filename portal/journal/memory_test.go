package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

var start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// errFull is what a ledger says whose disk is full.
var errFull = errors.New("disk full")

// slate is a Ledger in memory; store.Store is held to more by storetest.
type slate struct {
	mu      sync.Mutex
	records []Record
	marks   Marks
	broken  bool
}

func (s *slate) AppendEvents(_ context.Context, events []Event, seal Seal) (made []Record, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return nil, errFull
	}
	for _, e := range events {
		seq, sum := s.marks.Pruned, s.marks.Sum
		if n := len(s.records); n > 0 {
			seq, sum = s.records[n-1].Seq, s.records[n-1].Sum
		}
		made = append(made, Record{Seq: seq + 1, Sum: seal(sum, seq+1, e), Event: e})
		s.records = append(s.records, made[len(made)-1])
	}
	return made, nil
}

func (s *slate) ListRecords(ctx context.Context, f Filter) (found []Record, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken || ctx.Err() != nil {
		return nil, errors.Join(errFull, ctx.Err())
	}
	for _, r := range s.records {
		if r.Seq > f.After {
			found = append(found, r)
		}
	}
	if !f.Oldest {
		slices.Reverse(found)
	}
	if f.Limit > 0 && len(found) > f.Limit {
		found = found[:f.Limit]
	}
	return found, nil
}

func (s *slate) PruneRecords(ctx context.Context, p Prune, seal Seal) (int, error) {
	n := len(s.all()) - p.Max
	last := s.all()[n-1]
	if _, err := s.AppendEvents(ctx, []Event{{At: p.Now, Kind: Pruned, Detail: fmt.Sprint(last.Seq)}}, seal); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records, s.marks.Pruned, s.marks.Sum = s.records[n:], last.Seq, last.Sum
	return n, nil
}

func (s *slate) Marks(context.Context) (Marks, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return Marks{}, errFull
	}
	return s.marks, nil
}

func (s *slate) SetCopied(_ context.Context, seq uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return errFull
	}
	s.marks.Copied = seq
	return nil
}

func (s *slate) all() []Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.records)
}

func (s *slate) breaks(broken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = broken
}

// newStream is a stream on a slate, with n sign-ins in it.
func newStream(t *testing.T, n int) (*Stream, *slate) {
	t.Helper()
	l := &slate{}
	s := &Stream{Ledger: l, Key: []byte("a key of the test")}
	for i := range n {
		add(t, s, Event{At: start.Add(time.Duration(i) * time.Minute), Kind: SignIn, User: fmt.Sprintf("u%d", i)})
	}
	return s, l
}

func add(t *testing.T, s *Stream, e Event) {
	t.Helper()
	if err := s.AddEvent(t.Context(), e); err != nil {
		t.Fatal(err)
	}
}

// until waits for a condition.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("%s: not within 20 s", what)
}
