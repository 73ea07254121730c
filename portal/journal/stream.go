package journal

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"
)

// maxText bounds each text of an event, in bytes.
const maxText = 256

// Ledger is the table behind a Stream. store.Store is one.
type Ledger interface {
	// AppendEvents adds events in one transaction, in this order, each sealed upon the
	// one before it.
	AppendEvents(ctx context.Context, events []Event, seal Seal) ([]Record, error)
	// ListRecords returns what f selects.
	ListRecords(ctx context.Context, f Filter) ([]Record, error)
	// PruneRecords removes the oldest records, up to the first that p keeps, and says how
	// many. Before it does, it appends an event Pruned that says how far it will go.
	PruneRecords(ctx context.Context, p Prune, seal Seal) (int, error)
	// Marks returns how far was pruned and copied.
	Marks(ctx context.Context) (Marks, error)
	// SetCopied keeps how far was copied.
	SetCopied(ctx context.Context, seq uint64) error
}

// Prune says what is kept.
type Prune struct {
	Now    time.Time
	Before time.Time // what happened earlier goes; zero: nothing
	Max    int       // this many stay; 0: all
}

// Marks are how far a ledger has come.
type Marks struct {
	Pruned uint64 // the last record that was removed; 0: none
	Sum    Sum    // of that one
	Copied uint64 // the last record that Copy wrote out
}

// Stream is the one way into the journal. Its zero value with a Ledger works. It is safe
// for use by any number of goroutines.
type Stream struct {
	Ledger Ledger
	Key    []byte           // of the chain
	Now    func() time.Time // nil means time.Now
	Log    *slog.Logger     // nil: silent

	mu     sync.Mutex
	grown  chan struct{} // closed by the next event; nil when nobody waits
	floods floods
}

// AddEvent implements Keeper. Events that strangers can cause at any rate are written once
// a minute for each user, address and reason; the next one says how many it stands for.
func (s *Stream) AddEvent(ctx context.Context, e Event) error {
	return s.AddEvents(ctx, []Event{e})
}

// AddEvents appends events in one transaction.
func (s *Stream) AddEvents(ctx context.Context, events []Event) error {
	now := s.now()
	kept := make([]Event, 0, len(events))
	for _, e := range events {
		if e.At.IsZero() {
			e.At = now
		}
		e = clean(e)
		if e.Kind.flooding() && !s.first(&e, now) {
			continue
		}
		kept = append(kept, e)
	}
	if len(kept) == 0 {
		return nil
	}
	_, err := s.Ledger.AppendEvents(ctx, kept, Chain(s.Key))
	if err == nil {
		s.tell()
	}
	return err
}

// ListEvents implements Keeper.
func (s *Stream) ListEvents(ctx context.Context, f Filter) ([]Event, error) {
	records, err := s.Ledger.ListRecords(ctx, f)
	if err != nil {
		return nil, err
	}
	events := make([]Event, len(records))
	for i, r := range records {
		events[i] = r.Event
	}
	return events, nil
}

// Prune removes what p does not keep, and says how many events went.
func (s *Stream) Prune(ctx context.Context, p Prune) (int, error) {
	n, err := s.Ledger.PruneRecords(ctx, p, Chain(s.Key))
	s.tell()
	return n, err
}

// Grown returns a channel that is closed when the next event has been added.
func (s *Stream) Grown() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.grown == nil {
		s.grown = make(chan struct{})
	}
	return s.grown
}

func (s *Stream) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.grown != nil {
		close(s.grown)
		s.grown = nil
	}
}

func (s *Stream) first(e *Event, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.floods.first(e, now)
}

func (s *Stream) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

// clean makes every text of an event one that no reader takes for more than text: valid
// UTF-8, no control characters, no line breaks, no marks that turn a line around, bounded.
func clean(e Event) Event {
	e.Kind = Kind(cleanText(string(e.Kind)))
	for _, s := range []*string{&e.User, &e.By, &e.Factor, &e.Reason, &e.Detail, &e.Session, &e.Request, &e.Addr, &e.Browser} {
		*s = cleanText(*s)
	}
	e.At = e.At.Round(0).UTC()
	return e
}

func cleanText(s string) string {
	if plain(s) {
		return s
	}
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s[:min(len(s), maxText)], ""))
	return s
}

// plain says that s is short printable ASCII, as nearly all texts are.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) <= maxText
}
