package mail

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"
)

var (
	// ErrFull says that too many messages wait already; the newest is not taken.
	ErrFull = errors.New("too many mails are waiting")
	// ErrStopped says that the outbox is shutting down.
	ErrStopped = errors.New("mail is shutting down")
)

// Outbox sends in the background, so that an answer to a browser never waits for a mail
// server and takes the same time whether or not there was somebody to write to. What
// waits is lost when the process dies; a person asks again.
type Outbox struct {
	Mailer   *Mailer
	Size     int           // messages that may wait, those under way included; 0: 500
	Parallel int           // deliveries at once; 0: 4
	Attempts int           // for each message; 0: 4
	Pause    time.Duration // after the first attempt that went wrong; it grows fivefold; 0: 3s
	Drain    time.Duration // for what still waits when Run is told to stop; 0: 10s
	Log      *slog.Logger  // nil: nothing is logged

	mu      sync.Mutex
	queue   []job // by due
	busy    int   // under way
	stopped bool
	wake    chan struct{}
}

// job is a message on its way.
type job struct {
	msg   Message
	id    string
	date  time.Time
	tries int
	due   time.Time
}

// Enqueue takes a message and returns at once. Errors: ErrFull, ErrStopped, ErrOff,
// ErrMessage.
func (o *Outbox) Enqueue(msg Message) error {
	if !o.Mailer.Config.Enabled() {
		return ErrOff
	}
	if err := msg.check(); err != nil {
		return err
	}
	now := o.Mailer.now()
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.stopped:
		return ErrStopped
	case len(o.queue)+o.busy >= or(o.Size, 500):
		return ErrFull
	}
	o.push(job{msg: msg, id: messageID(), date: now, due: now})
	return nil
}

// push puts a job where its turn is; o.mu is held.
func (o *Outbox) push(j job) {
	i, _ := slices.BinarySearchFunc(o.queue, j, func(a, b job) int {
		if a.due.After(b.due) {
			return 1
		}
		return -1 // behind those that are due at the same moment
	})
	o.queue = slices.Insert(o.queue, i, j)
	select {
	case o.bell() <- struct{}{}:
	default:
	}
}

// bell wakes Run; o.mu is held.
func (o *Outbox) bell() chan struct{} {
	if o.wake == nil {
		o.wake = make(chan struct{}, 1)
	}
	return o.wake
}

// Run sends until ctx ends. Then nothing more is taken, and what waits gets one more
// attempt within Drain. It returns nil.
func (o *Outbox) Run(ctx context.Context) error {
	alive, kill := context.WithCancel(context.WithoutCancel(ctx)) // deliveries outlive ctx
	defer kill()
	o.mu.Lock()
	wake := o.bell()
	o.mu.Unlock()
	slots := make(chan struct{}, or(o.Parallel, 4))
	var under sync.WaitGroup
	for {
		j, pause, ok := o.next()
		if !ok {
			var timer <-chan time.Time
			if pause > 0 {
				timer = time.After(pause)
			}
			select {
			case <-ctx.Done():
				o.drain(kill, &under, alive)
				return nil
			case <-wake:
			case <-timer:
			}
			continue
		}
		select {
		case slots <- struct{}{}:
			under.Go(func() {
				defer func() { <-slots }()
				o.try(alive, j)
			})
		case <-ctx.Done():
			o.again(j)
			o.drain(kill, &under, alive)
			return nil
		}
	}
}

// next takes the job that is due; when there is none it says how long until there is
// one, 0 for "nobody knows".
func (o *Outbox) next() (j job, pause time.Duration, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) == 0 {
		return job{}, 0, false
	}
	if pause = o.queue[0].due.Sub(o.Mailer.now()); pause > 0 {
		return job{}, pause, false
	}
	j = o.queue[0]
	o.queue = slices.Delete(o.queue, 0, 1)
	o.busy++
	return j, 0, true
}

// again puts a job back that next had taken.
func (o *Outbox) again(j job) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.busy--
	o.push(j)
}

// try delivers one job, or puts it back for later.
func (o *Outbox) try(ctx context.Context, j job) {
	err := o.Mailer.send(ctx, j.msg, j.id, j.date)
	j.tries++
	last := j.tries >= or(o.Attempts, 4) || errors.Is(err, ErrRefused) || errors.Is(err, ErrMessage)
	o.mu.Lock()
	last = last || o.stopped
	if err != nil && !last {
		pause := or(o.Pause, 3*time.Second)
		for range j.tries - 1 {
			pause *= 5
		}
		j.due = o.Mailer.now().Add(pause)
		o.push(j)
	}
	o.mu.Unlock()
	log := o.log().With("to", j.msg.To, "message", j.id, "attempt", j.tries)
	switch {
	case err == nil:
		log.Info("mail sent")
	case last:
		log.Error("mail given up", "error", err.Error())
	default:
		log.Warn("mail not sent yet", "error", err.Error(), "next", j.due.UTC().Format(time.RFC3339))
	}
	o.mu.Lock()
	o.busy-- // last, so that nothing waits and everything is logged at once
	o.mu.Unlock()
}

// drain refuses what comes, and gives everything that waits one more attempt.
func (o *Outbox) drain(kill func(), under *sync.WaitGroup, alive context.Context) {
	o.mu.Lock()
	o.stopped = true
	left := o.queue
	o.queue = nil
	o.busy += len(left)
	o.mu.Unlock()
	timer := time.AfterFunc(or(o.Drain, 10*time.Second), kill)
	defer timer.Stop()
	jobs := make(chan job)
	for range or(o.Parallel, 4) {
		under.Go(func() {
			for j := range jobs {
				o.try(alive, j)
			}
		})
	}
	for _, j := range left {
		jobs <- j
	}
	close(jobs)
	under.Wait()
}

func (o *Outbox) log() *slog.Logger {
	if o.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Log
}

// Waiting says how many messages are not delivered yet.
func (o *Outbox) Waiting() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.queue) + o.busy
}

func or[T int | time.Duration](v, fallback T) T {
	if v <= 0 {
		return fallback
	}
	return v
}
