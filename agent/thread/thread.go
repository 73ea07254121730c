// Package thread tells the kernel which threads are in a hurry and which are not, so that
// the hash of a password or a look at the store does not hold up those who only need a
// decision: on a machine whose processors are all busy, who is woken waits for a whole
// slice of who runs.
//
// It does not know what the threads do, promises nothing where the kernel does not care,
// and never asks for more than an unprivileged process may have.
package thread

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Prompt locks the calling goroutine to its thread, which asks for short slices: when it
// is woken it need not wait until the slice of a patient thread ends (sched_setattr(2),
// from Linux 6.12 on). The lock is for the goroutine's life.
func Prompt() {
	runtime.LockOSThread()
	prompt()
}

// Crew is threads that are patient: they run when no one else wants to, else at a tenth of
// the others' share, in long slices. They start when there is work and end when there has
// been none for a while. The zero value but for Most is ready.
//
// On a machine that is short of processors all the time a patient thread would hardly ever
// run: then work is done by whoever brings it.
type Crew struct {
	Most     int                               // threads at once; what is more waits
	Pressure func() (percent float64, ok bool) // how much of the time somebody waits for a processor; nil: as the kernel tells

	asked   atomic.Int64 // when Pressure was asked last, Unix nanoseconds
	crowded atomic.Bool

	mu    sync.Mutex
	count int // threads
	load  int // works that wait or are under way
	works chan func()
}

// idle is how long a thread waits for work.
const idle = 10 * time.Second

// tooMuch is the pressure, in percent, above which nobody is patient.
const tooMuch = 50

// short says whether the machine is short of processors. It asks once a second.
func (c *Crew) short() bool {
	now := time.Now().UnixNano()
	last := c.asked.Load()
	past := now - last // negative when the clock was set back
	if past >= 0 && past < int64(time.Second) || !c.asked.CompareAndSwap(last, now) {
		return c.crowded.Load()
	}
	ask := c.Pressure
	if ask == nil {
		ask = pressure
	}
	percent, ok := ask()
	c.crowded.Store(ok && percent > tooMuch)
	return c.crowded.Load()
}

// Panic is what Do panics with when work did on another thread. Whoever logs it as an error
// or with %v shows where that was: the stack of the caller of Do does not.
type Panic struct {
	Value any
	Stack []byte // of the thread
}

// Error is the value and the stack.
func (p *Panic) Error() string { return fmt.Sprintf("%v\n\n%s", p.Value, p.Stack) }

// Unwrap returns the value when it is an error.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// Do runs work on one of the threads, or here, and returns when it has ended. What work
// panics with is panicked with here, as a *Panic if it was on a thread. Goroutines that
// work starts are not of the crew.
func (c *Crew) Do(work func()) {
	if c.short() {
		work()
		return
	}
	works := c.begin()
	var panicked *Panic
	ended := make(chan struct{})
	works <- func() {
		defer close(ended)
		defer func() {
			if v := recover(); v != nil {
				panicked = &Panic{Value: v, Stack: debug.Stack()}
			}
		}()
		defer c.end()
		work()
	}
	<-ended
	if panicked != nil {
		panic(panicked)
	}
}

// begin counts a work, and sees that there is a thread for it.
func (c *Crew) begin() chan<- func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.works == nil {
		c.works = make(chan func())
	}
	c.load++
	if c.load > c.count && c.count < max(c.Most, 1) {
		c.count++
		go c.serve(c.works)
	}
	return c.works
}

func (c *Crew) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.load--
}

// spare takes a thread off the crew when there is one for every work without it.
func (c *Crew) spare() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.load >= c.count {
		return false
	}
	c.count--
	return true
}

// serve is the life of a thread: it ends with its goroutine, which stays locked to it, for
// only a privileged one could become impatient again.
func (c *Crew) serve(works <-chan func()) {
	runtime.LockOSThread()
	patient()
	rest := time.NewTimer(idle)
	for {
		select {
		case work := <-works:
			work()
		case <-rest.C:
			if c.spare() {
				return
			}
		}
		rest.Reset(idle)
	}
}
