package thread_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"postern/agent/thread"
)

func attr(t testing.TB) *unix.SchedAttr {
	t.Helper()
	a, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// roomy is a machine with processors to spare, or one that does not tell.
func roomy() (float64, bool) { return 100, false }

// TestCrewIsPatient: work runs on threads with a higher nice value than the others', and
// whoever waits for it keeps his own.
func TestCrewIsPatient(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := attr(t).Nice
	for percent, more := range map[float64]int32{0: 10, 49: 10, 51: 0, 100: 0} {
		c := thread.Crew{Most: 2, Pressure: func() (float64, bool) { return percent, true }}
		var inside int32
		c.Do(func() { inside = attr(t).Nice })
		if want := min(before+more, 19); inside != want {
			t.Errorf("pressure %v: nice %d, want %d", percent, inside, want)
		}
	}
	if after := attr(t).Nice; after != before {
		t.Errorf("the caller's is %d, was %d", after, before)
	}
	done := make(chan int32)
	go func() {
		thread.Prompt()
		done <- attr(t).Nice
	}()
	if nice := <-done; nice != before {
		t.Errorf("a prompt thread's is %d, want %d", nice, before)
	}
}

// TestCrewIsBounded: no more works are under way than there may be threads, and all are
// done in the end.
func TestCrewIsBounded(t *testing.T) {
	for _, most := range []int{0, 1, 3} {
		c := thread.Crew{Most: most, Pressure: roomy}
		var now, peak, all atomic.Int32
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				c.Do(func() {
					n := now.Add(1)
					for p := peak.Load(); n > p && !peak.CompareAndSwap(p, n); p = peak.Load() {
					}
					runtime.Gosched()
					all.Add(1)
					now.Add(-1)
				})
			})
		}
		wg.Wait()
		if int(peak.Load()) > max(most, 1) || all.Load() != 100 {
			t.Errorf("most %d: %d at once, %d done", most, peak.Load(), all.Load())
		}
	}
}

// TestCrewUsesItsThreads: works that wait for one another have a thread each.
func TestCrewUsesItsThreads(t *testing.T) {
	c := thread.Crew{Most: 3, Pressure: roomy}
	var together, wg sync.WaitGroup
	together.Add(3)
	for range 3 {
		wg.Go(func() {
			c.Do(func() {
				together.Done()
				together.Wait()
			})
		})
	}
	wg.Wait()
}

var errOuch = errors.New("ouch")

func stumble() { panic(errOuch) }

// TestCrewPanics: the caller gets the panic of the work, with the place where it was, and
// the crew goes on.
func TestCrewPanics(t *testing.T) {
	c := thread.Crew{Most: 1, Pressure: roomy}
	for range 3 {
		func() {
			defer func() {
				v := recover()
				if p, ok := v.(*thread.Panic); !ok || p.Value != errOuch || !errors.Is(p, errOuch) {
					t.Errorf("recovered %v", v)
				}
				if shown := fmt.Sprint(v); !strings.HasPrefix(shown, "ouch\n") || !strings.Contains(shown, "thread_test.stumble(") {
					t.Errorf("it does not show where it was:\n%s", shown)
				}
			}()
			c.Do(stumble)
		}()
	}
	done := false
	c.Do(func() { done = true })
	if !done {
		t.Error("nothing works after a panic")
	}
}
