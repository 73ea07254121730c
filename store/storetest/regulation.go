package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/agent/regulation"
)

// Counts holds a Keeper of regulation to its promises. Each call of open gives an empty
// one.
func Counts(t *testing.T, open func(t *testing.T) regulation.Keeper) {
	for _, tt := range []struct {
		name string
		test func(*testing.T, regulation.Keeper)
	}{
		{"a count comes back whole, and a zero one is gone", countComesBack},
		{"what change refuses is not written", countRefused},
		{"changes at the same time come one after the other", countParallel},
		{"what has ended is pruned, then what tells least", countPrune},
		{"a ban comes back whole", banComesBack},
		{"a ban replaces the one of its ID or key", banReplaced},
		{"lifting takes bans and counts, and nothing else", banLifted},
		{"bans that have ended are not listed, and pruned", banPrune},
		{"a context that has ended changes nothing", countEnded},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, open(t)) })
	}
}

// subjectKey returns the nth of any number of distinct keys.
func subjectKey(n int) regulation.Key { return regulation.Key{0xff, byte(n >> 8), byte(n), 1} }

// someCount returns a count of n failures and w waits, worth something for an hour.
func someCount(n, w int) regulation.Count {
	c := regulation.Count{Waits: w, Expires: start.Add(time.Hour + time.Duration(n)*time.Nanosecond)}
	for i := range n {
		c.Failed = append(c.Failed, regulation.Failure{At: start.Add(time.Duration(i/2)*time.Second + time.Nanosecond), ID: math.MaxInt64 - int64(i)})
	}
	if w > 0 {
		c.Until = start.Add(30 * time.Second)
	}
	return c
}

// put writes counts: keys[i] gets c[i].
func put(t *testing.T, k regulation.Keeper, keys []regulation.Key, c ...regulation.Count) {
	t.Helper()
	err := k.ChangeCounts(t.Context(), keys, func(counts []regulation.Count) error {
		copy(counts, c)
		return nil
	})
	if err != nil {
		t.Fatalf("writing %d counts: %v", len(keys), err)
	}
}

// wantCounts reads without writing.
func wantCounts(t *testing.T, k regulation.Keeper, what string, keys []regulation.Key, want ...regulation.Count) {
	t.Helper()
	stop := errors.New("read only")
	err := k.ChangeCounts(t.Context(), keys, func(got []regulation.Count) error {
		for i := range want {
			if len(got[i].Failed) == 0 {
				got[i].Failed = nil
			}
			if !reflect.DeepEqual(got[i], want[i]) {
				t.Errorf("%s: count %d is\n%+v\nwant\n%+v", what, i, got[i], want[i])
			}
		}
		return stop
	})
	if !errors.Is(err, stop) {
		t.Errorf("%s: %v", what, err)
	}
}

func countComesBack(t *testing.T, k regulation.Keeper) {
	keys := []regulation.Key{subjectKey(1), subjectKey(2), {}}
	wantCounts(t, k, "before", keys, regulation.Count{}, regulation.Count{}, regulation.Count{})
	long := someCount(1000, 40)
	put(t, k, keys, long, regulation.Count{}, someCount(0, 1))
	wantCounts(t, k, "written", keys, long, regulation.Count{}, someCount(0, 1))
	put(t, k, keys[:1], someCount(3, 0))
	wantCounts(t, k, "written again", keys, someCount(3, 0), regulation.Count{}, someCount(0, 1))
	put(t, k, keys[:1], regulation.Count{Expires: start})
	wantCounts(t, k, "emptied", keys, regulation.Count{}, regulation.Count{}, someCount(0, 1))
}

func countRefused(t *testing.T, k regulation.Keeper) {
	put(t, k, []regulation.Key{subjectKey(1)}, someCount(2, 0))
	why := errors.New("why not")
	err := k.ChangeCounts(t.Context(), []regulation.Key{subjectKey(1), subjectKey(2)}, func(counts []regulation.Count) error {
		counts[0], counts[1] = someCount(5, 1), someCount(5, 1)
		return fmt.Errorf("because: %w", why)
	})
	if !errors.Is(err, why) {
		t.Errorf("the error of change comes back as %v", err)
	}
	wantCounts(t, k, "after", []regulation.Key{subjectKey(1), subjectKey(2)}, someCount(2, 0), regulation.Count{})
}

// countParallel: threat 36. Changes of overlapping keys, in any order, lose nothing.
func countParallel(t *testing.T, k regulation.Keeper) {
	const workers, each = 8, 10
	errs := make(chan error, workers*each)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			keys := []regulation.Key{subjectKey(1), subjectKey(2)}
			if w%2 == 0 {
				keys = []regulation.Key{subjectKey(2), subjectKey(1)}
			}
			for range each {
				errs <- k.ChangeCounts(t.Context(), keys, func(counts []regulation.Count) error {
					for i := range counts {
						counts[i].Waits++
					}
					return nil
				})
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
	want := regulation.Count{Waits: workers * each}
	wantCounts(t, k, "after all", []regulation.Key{subjectKey(1), subjectKey(2)}, want, want)
}

func countPrune(t *testing.T, k regulation.Keeper) {
	over, waiting := someCount(4, 2), someCount(1, 1)
	over.Expires = start
	put(t, k, []regulation.Key{subjectKey(0), subjectKey(1), subjectKey(2)}, over, waiting, someCount(4, 0))
	for n := range 20 {
		put(t, k, []regulation.Key{subjectKey(100 + n)}, someCount(1+n%3, 0))
	}
	must(t, k.PruneCounts(t.Context(), start, 100))
	wantCounts(t, k, "with room for all", []regulation.Key{subjectKey(0), subjectKey(1), subjectKey(100)}, regulation.Count{}, waiting, someCount(1, 0))
	must(t, k.PruneCounts(t.Context(), start, 8))
	left := 0
	for n := range 20 {
		_ = k.ChangeCounts(t.Context(), []regulation.Key{subjectKey(100 + n)}, func(c []regulation.Count) error {
			if !c[0].IsZero() {
				left++
				if len(c[0].Failed) < 3 {
					t.Errorf("a count of %d failures outlives one of three", len(c[0].Failed))
				}
			}
			return errors.New("read only")
		})
	}
	if left != 6 {
		t.Errorf("%d of the others are left, want 6", left)
	}
	wantCounts(t, k, "who waits, and who failed most", []regulation.Key{subjectKey(1), subjectKey(2)}, waiting, someCount(4, 0))
	must(t, k.PruneCounts(t.Context(), start, 0))
	wantCounts(t, k, "without any room", []regulation.Key{subjectKey(1), subjectKey(2)}, regulation.Count{}, regulation.Count{})
}

// fullBan uses every field of a ban by failures; operatorsBan every one of an operator's.
func fullBan() regulation.Ban {
	return regulation.Ban{
		ID: "ban-1", User: "zoë O'Brien", Browser: true, Kind: regulation.TOTP, Failures: 5,
		Since: start.Add(time.Nanosecond), Until: start.Add(time.Hour), Key: subjectKey(1),
	}
}

func operatorsBan() regulation.Ban {
	return regulation.Ban{
		ID: "ban-2", Network: netip.MustParsePrefix("2001:db8::/48"), Reason: strings.Repeat("ü", 100), By: "os:root", Since: start,
	}
}

func wantBans(t *testing.T, k regulation.Keeper, what string, now time.Time, want ...regulation.Ban) {
	t.Helper()
	got, err := k.ListBans(t.Context(), now)
	if err != nil || len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
		t.Errorf("%s: listed\n%+v, %v\nwant\n%+v", what, got, err, want)
	}
}

func banComesBack(t *testing.T, k regulation.Keeper) {
	wantBans(t, k, "none", start)
	must(t, k.PutBan(t.Context(), operatorsBan()))
	must(t, k.PutBan(t.Context(), fullBan()))
	wantBans(t, k, "the latest first", start, fullBan(), operatorsBan())
}

func banReplaced(t *testing.T, k regulation.Keeper) {
	must(t, k.PutBan(t.Context(), fullBan()))
	must(t, k.PutBan(t.Context(), operatorsBan()))
	other := operatorsBan()
	other.ID = "ban-3"
	must(t, k.PutBan(t.Context(), other)) // operators' bans have no key in common
	again := fullBan()
	again.ID, again.Until = "ban-4", start.Add(2*time.Hour)
	must(t, k.PutBan(t.Context(), again))
	longer := operatorsBan()
	longer.Until = start.Add(time.Hour)
	must(t, k.PutBan(t.Context(), longer))
	wantBans(t, k, "after replacing", start, again, longer, other)
}

func banLifted(t *testing.T, k regulation.Keeper) {
	must(t, k.PutBan(t.Context(), fullBan()))
	must(t, k.PutBan(t.Context(), operatorsBan()))
	put(t, k, []regulation.Key{subjectKey(1), subjectKey(2)}, someCount(5, 1), someCount(5, 1))
	must(t, k.LiftBans(t.Context(), nil, nil))
	must(t, k.LiftBans(t.Context(), []string{"nobody's", "ban-%", "' OR 1=1 --"}, []regulation.Key{subjectKey(9)}))
	wantBans(t, k, "after lifting nothing", start, fullBan(), operatorsBan())
	must(t, k.LiftBans(t.Context(), []string{"ban-1"}, []regulation.Key{subjectKey(1)}))
	wantBans(t, k, "after lifting one", start, operatorsBan())
	wantCounts(t, k, "after lifting one", []regulation.Key{subjectKey(1), subjectKey(2)}, regulation.Count{}, someCount(5, 1))
}

func banPrune(t *testing.T, k regulation.Keeper) {
	must(t, k.PutBan(t.Context(), fullBan()))
	must(t, k.PutBan(t.Context(), operatorsBan()))
	end := fullBan().Until
	wantBans(t, k, "just before the end", end.Add(-1), fullBan(), operatorsBan())
	wantBans(t, k, "at the end", end, operatorsBan())
	must(t, k.PruneCounts(t.Context(), end, 10))
	wantBans(t, k, "pruned", start, operatorsBan())
	for n := range 5 {
		b := fullBan()
		b.ID, b.Key, b.Since, b.Until = fmt.Sprint("many-", n), subjectKey(n), start.Add(-time.Duration(n)*time.Minute), end.Add(time.Duration(n)*time.Minute)
		must(t, k.PutBan(t.Context(), b))
	}
	must(t, k.PruneCounts(t.Context(), start, 2))
	got, err := k.ListBans(t.Context(), start)
	if err != nil || len(got) != 3 || got[0].ID != "ban-2" || got[1].ID != "many-3" || got[2].ID != "many-4" {
		t.Errorf("with room for two: %+v, %v; want the operator's and the two that end last", got, err)
	}
}

func countEnded(t *testing.T, k regulation.Keeper) {
	must(t, k.PutBan(t.Context(), fullBan()))
	put(t, k, []regulation.Key{subjectKey(1)}, someCount(2, 0))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, listErr := k.ListBans(ctx, start)
	for what, err := range map[string]error{
		"change": k.ChangeCounts(ctx, []regulation.Key{subjectKey(1)}, func(c []regulation.Count) error { c[0] = regulation.Count{}; return nil }),
		"prune":  k.PruneCounts(ctx, start.Add(9*time.Hour), 0),
		"put":    k.PutBan(ctx, operatorsBan()),
		"list":   listErr,
		"lift":   k.LiftBans(ctx, []string{"ban-1"}, []regulation.Key{subjectKey(1)}),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", what, err)
		}
	}
	wantBans(t, k, "afterwards", start, fullBan())
	wantCounts(t, k, "afterwards", []regulation.Key{subjectKey(1)}, someCount(2, 0))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
