package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/portal/journal"
)

func events(t *testing.T, open func(t *testing.T) Store) {
	for _, tt := range []struct {
		name string
		test func(*testing.T, journal.Keeper)
	}{
		{"an event comes back whole", eventComesBack},
		{"lists are selected, bounded, and newest first", eventList},
		{"what is old is pruned and nothing else", eventPrune},
		{"more than one step of pruning", eventPruneMany},
		{"a context that has ended adds nothing", eventEnded},
		{"events at the same time are all kept", eventParallel},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, open(t)) })
	}
}

// Event returns the nth of any number of distinct events: of user u<n%3>, n minutes after
// start.
func Event(n int) journal.Event {
	return journal.Event{
		At: start.Add(time.Duration(n) * time.Minute), Kind: journal.SignIn, User: fmt.Sprintf("u%d", n%3),
		Detail: fmt.Sprintf("event %d", n),
	}
}

func addEvents(t *testing.T, k journal.Keeper, numbers ...int) {
	t.Helper()
	for _, n := range numbers {
		if err := k.AddEvent(t.Context(), Event(n)); err != nil {
			t.Fatalf("adding event %d: %v", n, err)
		}
	}
}

// wantEvents checks what a filter selects, by numbers in order of the list.
func wantEvents(t *testing.T, k journal.Keeper, what string, f journal.Filter, numbers ...int) {
	t.Helper()
	got, err := k.ListEvents(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	var want []journal.Event
	for _, n := range numbers {
		want = append(want, Event(n))
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: listed\n%+v\nwant\n%+v", what, got, want)
	}
}

func eventComesBack(t *testing.T, k journal.Keeper) {
	full := journal.Event{
		At: start, Kind: journal.FactorAdded, User: "zoë", Factor: "totp", Reason: "wrong",
		Detail: "Zoë \"Z\" O'Brien's; DROP TABLE events; --", Session: "session-id", Request: "rid:1", Addr: "2001:db8::1",
		Browser: strings.Repeat("ü", 128),
	}
	bare := journal.Event{At: start.Add(time.Nanosecond), Kind: journal.SignInFailed}
	for _, e := range []journal.Event{full, bare} {
		if err := k.AddEvent(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	got, err := k.ListEvents(t.Context(), journal.Filter{})
	if want := []journal.Event{bare, full}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("listed\n%+v, %v\nwant\n%+v", got, err, want)
	}
}

func eventList(t *testing.T, k journal.Keeper) {
	wantEvents(t, k, "an empty journal", journal.Filter{})
	addEvents(t, k, 3, 0, 4, 1, 2, 5)
	wantEvents(t, k, "all", journal.Filter{}, 5, 4, 3, 2, 1, 0)
	wantEvents(t, k, "of a user", journal.Filter{User: "u1"}, 4, 1)
	wantEvents(t, k, "of a user whose name is another's in upper case", journal.Filter{User: "U1"})
	wantEvents(t, k, "of a user that is a pattern", journal.Filter{User: "u%"})
	wantEvents(t, k, "of a user that is SQL", journal.Filter{User: "' OR 1=1 --"})
	wantEvents(t, k, "since a moment, that moment included", journal.Filter{Since: Event(4).At}, 5, 4)
	wantEvents(t, k, "the newest two", journal.Filter{Limit: 2}, 5, 4)
	wantEvents(t, k, "a user's newest", journal.Filter{User: "u0", Since: start, Limit: 1}, 3)

	twin := Event(5)
	twin.Detail = "the later one at the same moment"
	if err := k.AddEvent(t.Context(), twin); err != nil {
		t.Fatal(err)
	}
	got, err := k.ListEvents(t.Context(), journal.Filter{Limit: 1})
	if err != nil || len(got) != 1 || got[0] != twin {
		t.Errorf("the newest of two at one moment: %+v, %v", got, err)
	}
}

func eventPrune(t *testing.T, k journal.Keeper) {
	addEvents(t, k, 0, 1, 2, 3)
	if n, err := k.PruneEvents(t.Context(), Event(2).At); n != 2 || err != nil {
		t.Errorf("pruned %d, %v, want 2", n, err)
	}
	wantEvents(t, k, "after pruning", journal.Filter{}, 3, 2)
	if n, err := k.PruneEvents(t.Context(), Event(2).At); n != 0 || err != nil {
		t.Errorf("pruned again: %d, %v, want 0", n, err)
	}
}

// eventPruneMany holds the promise that what is pruned does not depend on how many there
// are, and that a list without a limit is bounded all the same.
func eventPruneMany(t *testing.T, k journal.Keeper) {
	const many = 1105
	for n := range many {
		e := Event(n)
		e.User = "many"
		if err := k.AddEvent(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	got, err := k.ListEvents(t.Context(), journal.Filter{})
	if err != nil || len(got) != 1000 || got[0].Detail != Event(many-1).Detail {
		t.Errorf("a list without a limit: %d, %v, want the newest 1000", len(got), err)
	}
	if n, err := k.PruneEvents(t.Context(), Event(many-5).At); n != many-5 || err != nil {
		t.Errorf("pruned %d, %v, want %d", n, err, many-5)
	}
	if got, err := k.ListEvents(t.Context(), journal.Filter{}); err != nil || len(got) != 5 {
		t.Errorf("%d are left, %v, want 5", len(got), err)
	}
}

func eventEnded(t *testing.T, k journal.Keeper) {
	addEvents(t, k, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, listErr := k.ListEvents(ctx, journal.Filter{})
	_, pruneErr := k.PruneEvents(ctx, Event(9).At)
	for what, err := range map[string]error{"add": k.AddEvent(ctx, Event(2)), "list": listErr, "prune": pruneErr} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", what, err)
		}
	}
	wantEvents(t, k, "afterwards", journal.Filter{}, 1)
}

func eventParallel(t *testing.T, k journal.Keeper) {
	const writers, each = 8, 10
	errs := make(chan error, writers*each)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				errs <- k.AddEvent(t.Context(), Event(w*each+i))
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	if got, err := k.ListEvents(t.Context(), journal.Filter{}); err != nil || len(got) != writers*each {
		t.Errorf("%d events, %v, want %d", len(got), err, writers*each)
	}
}
