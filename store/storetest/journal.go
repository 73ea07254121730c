package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/portal/journal"
)

func events(t *testing.T, open func(t *testing.T) Store) {
	for _, tt := range []struct {
		name string
		test func(*testing.T, journal.Ledger)
	}{
		{"an event comes back whole", eventComesBack},
		{"lists are selected, bounded, and in the order of writing", eventList},
		{"lists by kind, address, time and number", eventFilter},
		{"events are numbered and sealed one upon the other", eventChain},
		{"what is old is pruned and nothing else", eventPrune},
		{"no more than a number is kept", eventPruneMax},
		{"the newest event of all is old", eventPruneAll},
		{"more than one step of pruning", eventPruneMany},
		{"what was copied is remembered", eventCopied},
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

// seal is under a key, so that a ledger that seals by itself is found out.
func seal(before journal.Sum, seq uint64, e journal.Event) journal.Sum {
	return journal.Chain([]byte("a key of the test"))(before, seq, e)
}

func appendEvents(t *testing.T, l journal.Ledger, events ...journal.Event) {
	t.Helper()
	if _, err := l.AppendEvents(t.Context(), events, seal); err != nil {
		t.Fatalf("adding %+v: %v", events[0], err)
	}
}

func listed(t *testing.T, l journal.Ledger, f journal.Filter) (events []journal.Event) {
	t.Helper()
	all, err := l.ListRecords(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		events = append(events, r.Event)
	}
	return events
}

func addEvents(t *testing.T, l journal.Ledger, numbers ...int) {
	t.Helper()
	for _, n := range numbers {
		appendEvents(t, l, Event(n))
	}
}

// wantEvents checks what a filter selects, by numbers in order of the list.
func wantEvents(t *testing.T, l journal.Ledger, what string, f journal.Filter, numbers ...int) {
	t.Helper()
	got := listed(t, l, f)
	var want []journal.Event
	for _, n := range numbers {
		want = append(want, Event(n))
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: listed\n%+v\nwant\n%+v", what, got, want)
	}
}

func eventComesBack(t *testing.T, l journal.Ledger) {
	full := journal.Event{
		At: start, Kind: journal.FactorAdded, User: "zoë", Factor: "totp", Reason: "wrong",
		By: "os:root", Detail: "Zoë \"Z\" O'Brien's; DROP TABLE events; --", Session: "session-id", Request: "rid:1", Addr: "2001:db8::1",
		Browser: strings.Repeat("ü", 128),
	}
	bare := journal.Event{At: start.Add(time.Nanosecond), Kind: journal.SignInFailed}
	for _, e := range []journal.Event{full, bare} {
		appendEvents(t, l, e)
	}
	got := listed(t, l, journal.Filter{})
	if want := []journal.Event{bare, full}; !reflect.DeepEqual(got, want) {
		t.Errorf("listed\n%+v\nwant\n%+v", got, want)
	}
}

func eventList(t *testing.T, l journal.Ledger) {
	wantEvents(t, l, "an empty journal", journal.Filter{})
	addEvents(t, l, 3, 0, 4, 1, 2, 5)
	wantEvents(t, l, "all", journal.Filter{}, 5, 2, 1, 4, 0, 3)
	wantEvents(t, l, "of a user", journal.Filter{User: "u1"}, 1, 4)
	wantEvents(t, l, "of a user whose name is another's in upper case", journal.Filter{User: "U1"})
	wantEvents(t, l, "of a user that is a pattern", journal.Filter{User: "u%"})
	wantEvents(t, l, "of a user that is SQL", journal.Filter{User: "' OR 1=1 --"})
	wantEvents(t, l, "since a moment, that moment included", journal.Filter{Since: Event(4).At}, 5, 4)
	wantEvents(t, l, "the newest two", journal.Filter{Limit: 2}, 5, 2)
	wantEvents(t, l, "a user's newest", journal.Filter{User: "u0", Since: start, Limit: 1}, 0)

	twin := Event(5)
	twin.Detail = "the later one at the same moment"
	appendEvents(t, l, twin)
	got := listed(t, l, journal.Filter{Limit: 1})
	if len(got) != 1 || got[0] != twin {
		t.Errorf("the newest of two at one moment: %+v", got)
	}
}

func eventFilter(t *testing.T, l journal.Ledger) {
	kinds := []journal.Kind{journal.SignIn, journal.SignOut, journal.Banned}
	addrs := []string{"192.0.2.7", "2001:db8::1", "2001:db8::2", "2001:db8:1::1", "", "::ffff:192.0.2.7"}
	for n := range 6 {
		e := Event(n)
		e.Kind, e.Addr = kinds[n%3], addrs[n]
		appendEvents(t, l, e)
	}
	numbers := func(what string, f journal.Filter, want ...string) {
		t.Helper()
		var got []string
		for _, e := range listed(t, l, f) {
			got = append(got, e.Detail)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	numbers("of a kind", journal.Filter{Kinds: []journal.Kind{journal.SignOut}}, "event 4", "event 1")
	numbers("of two kinds", journal.Filter{Kinds: []journal.Kind{journal.SignOut, journal.Banned}}, "event 5", "event 4", "event 2", "event 1")
	numbers("of a kind that is SQL", journal.Filter{Kinds: []journal.Kind{"') OR 1=1 --"}})
	numbers("of an address", journal.Filter{Addr: netip.MustParsePrefix("2001:db8::1/128")}, "event 1")
	numbers("of a network", journal.Filter{Addr: netip.MustParsePrefix("2001:db8::/64")}, "event 2", "event 1")
	numbers("of a network, one", journal.Filter{Addr: netip.MustParsePrefix("2001:db8::/64"), Limit: 1}, "event 2")
	numbers("of a network of version 4", journal.Filter{Addr: netip.MustParsePrefix("192.0.2.0/24")}, "event 5", "event 0")
	numbers("until a moment, that moment not included", journal.Filter{Until: Event(2).At}, "event 1", "event 0")
	numbers("between two moments", journal.Filter{Since: Event(1).At, Until: Event(2).At}, "event 1")
	numbers("after a number", journal.Filter{After: 4}, "event 5", "event 4")
	numbers("after the last number", journal.Filter{After: 6})
	numbers("after any number", journal.Filter{After: math.MaxUint64})
	numbers("the oldest", journal.Filter{Oldest: true, Limit: 2}, "event 0", "event 1")
	numbers("the oldest after a number", journal.Filter{Oldest: true, After: 2, Limit: 2}, "event 2", "event 3")
}

// records lists everything, oldest first, and holds the list to be one chain.
func records(t *testing.T, l journal.Ledger) []journal.Record {
	t.Helper()
	m, err := l.Marks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, err := l.ListRecords(t.Context(), journal.Filter{Oldest: true, Limit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	seq, sum := m.Pruned, m.Sum
	for _, r := range all {
		seq++
		if sum = seal(sum, seq, r.Event); r.Seq != seq || r.Sum != sum {
			t.Fatalf("record %d should be %d, sealed %x, not %x", r.Seq, seq, sum, r.Sum)
		}
	}
	return all
}

func eventChain(t *testing.T, l journal.Ledger) {
	made, err := l.AppendEvents(t.Context(), []journal.Event{Event(1), Event(0)}, seal)
	if err != nil {
		t.Fatal(err)
	}
	addEvents(t, l, 2)
	if all := records(t, l); len(all) != 3 || !reflect.DeepEqual(all[:2], made) {
		t.Errorf("appended\n%+v\nlisted\n%+v", made, all)
	}
	if none, err := l.AppendEvents(t.Context(), nil, seal); len(none) != 0 || err != nil {
		t.Errorf("no event: %+v, %v", none, err)
	}
	if all := records(t, l); len(all) != 3 {
		t.Errorf("no event changed the list: %+v", all)
	}
}

// prune prunes and returns how many were removed; the clock stands at noon of start's day.
func prune(t *testing.T, l journal.Ledger, p journal.Prune) int {
	t.Helper()
	p.Now = start.Add(12 * time.Hour)
	n, err := l.PruneRecords(t.Context(), p, seal)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// wantLeft checks which numbers are left, and what the newest says of pruning.
func wantLeft(t *testing.T, l journal.Ledger, first, last uint64, says string) {
	t.Helper()
	all := records(t, l)
	if len(all) == 0 || all[0].Seq != first || all[len(all)-1].Seq != last {
		t.Fatalf("left: %+v, want %d to %d", all, first, last)
	}
	if e := all[len(all)-1].Event; says != "" && (e.Kind != journal.Pruned || e.Detail != says) {
		t.Errorf("the newest is %+v, want one that says %s were pruned", e, says)
	}
	m, err := l.Marks(t.Context())
	if err != nil || m.Pruned != first-1 {
		t.Errorf("marks %+v, %v", m, err)
	}
}

func eventPrune(t *testing.T, l journal.Ledger) {
	if n := prune(t, l, journal.Prune{Before: Event(2).At, Max: 1000}); n != 0 {
		t.Errorf("pruned %d of none", n)
	}
	addEvents(t, l, 0, 1, 2, 3)
	if n := prune(t, l, journal.Prune{}); n != 0 {
		t.Errorf("pruned %d for no reason", n)
	}
	if n := prune(t, l, journal.Prune{Before: Event(2).At}); n != 2 {
		t.Errorf("pruned %d, want 2", n)
	}
	wantLeft(t, l, 3, 5, "2")
	if n := prune(t, l, journal.Prune{Before: Event(2).At}); n != 0 {
		t.Errorf("pruned again: %d, want 0", n)
	}
	wantLeft(t, l, 3, 5, "2")
	// The oldest that is not old keeps what comes behind it, so that there is one chain.
	addEvents(t, l, 0, 4)
	if n := prune(t, l, journal.Prune{Before: Event(3).At}); n != 1 {
		t.Errorf("pruned %d, want 1", n)
	}
	wantLeft(t, l, 4, 8, "3")
	// A clock that once ran ahead keeps nothing for ever.
	future := Event(4)
	future.At = start.AddDate(70, 0, 0)
	appendEvents(t, l, future)
	if n := prune(t, l, journal.Prune{Before: start.Add(24 * time.Hour)}); n != 6 {
		t.Errorf("pruned %d, want 6", n)
	}
}

func eventPruneMax(t *testing.T, l journal.Ledger) {
	addEvents(t, l, 0, 1, 2, 3, 4, 5)
	if n := prune(t, l, journal.Prune{Max: 6}); n != 1 {
		t.Errorf("pruned %d, want 1: the event that says so is one more", n)
	}
	wantLeft(t, l, 2, 7, "1")
	if n := prune(t, l, journal.Prune{Max: 3, Before: Event(1).At}); n != 4 {
		t.Errorf("pruned %d, want 4", n)
	}
	wantLeft(t, l, 6, 8, "5")
	if n := prune(t, l, journal.Prune{Max: 100, Before: start}); n != 0 {
		t.Errorf("pruned %d, want none", n)
	}
}

func eventPruneAll(t *testing.T, l journal.Ledger) {
	addEvents(t, l, 0, 1)
	if n := prune(t, l, journal.Prune{Before: Event(9).At}); n != 2 {
		t.Errorf("pruned %d, want 2", n)
	}
	wantLeft(t, l, 3, 3, "2")
	addEvents(t, l, 10)
	wantLeft(t, l, 3, 4, "")
}

// eventPruneMany holds the promise that what is pruned does not depend on how many there
// are, and that a list without a limit is bounded all the same.
func eventPruneMany(t *testing.T, l journal.Ledger) {
	const many = 3105
	var all []journal.Event
	for n := range many {
		all = append(all, Event(n))
	}
	appendEvents(t, l, all...)
	got := listed(t, l, journal.Filter{})
	if len(got) != 1000 || got[0].Detail != Event(many-1).Detail {
		t.Errorf("a list without a limit: %d, want the newest 1000", len(got))
	}
	if n, err := l.PruneRecords(t.Context(), journal.Prune{Before: Event(many - 5).At, Now: Event(many).At}, seal); n != many-5 || err != nil {
		t.Errorf("pruned %d, %v, want %d", n, err, many-5)
	}
	wantLeft(t, l, many-4, many+1, fmt.Sprint(many-5))
}

func eventCopied(t *testing.T, l journal.Ledger) {
	addEvents(t, l, 0, 1)
	if m, err := l.Marks(t.Context()); m != (journal.Marks{}) || err != nil {
		t.Errorf("at first: %+v, %v", m, err)
	}
	if err := l.SetCopied(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if m, err := l.Marks(t.Context()); m != (journal.Marks{Copied: 2}) || err != nil {
		t.Errorf("marks %+v, %v", m, err)
	}
}

func eventEnded(t *testing.T, l journal.Ledger) {
	addEvents(t, l, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, listErr := l.ListRecords(ctx, journal.Filter{})
	_, addErr := l.AppendEvents(ctx, []journal.Event{Event(2)}, seal)
	_, pruneErr := l.PruneRecords(ctx, journal.Prune{Before: Event(9).At, Now: Event(9).At}, seal)
	_, marksErr := l.Marks(ctx)
	for what, err := range map[string]error{"add": addErr, "list": listErr, "prune": pruneErr, "marks": marksErr, "copied": l.SetCopied(ctx, 1)} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", what, err)
		}
	}
	wantEvents(t, l, "afterwards", journal.Filter{}, 1)
}

func eventParallel(t *testing.T, l journal.Ledger) {
	const writers, each = 8, 10
	errs := make(chan error, writers*each+each)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				_, err := l.AppendEvents(t.Context(), []journal.Event{Event(w*each + i), Event(i)}, seal)
				errs <- err
			}
		})
	}
	wg.Go(func() {
		for range each {
			_, err := l.PruneRecords(t.Context(), journal.Prune{Max: 1000, Now: start}, seal)
			errs <- err
		}
	})
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	if all := records(t, l); len(all) != 2*writers*each {
		t.Errorf("%d events, want %d", len(all), 2*writers*each)
	}
}
