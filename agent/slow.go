package agent

import (
	"bytes"
	"context"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"postern/agent/policy"
	"postern/agent/session"
	"postern/agent/spop"
)

// maxJobs bounds the look-ups that wait. A store that answers in 50 µs works them off
// within the default timeout.
const maxJobs = 2048

// slow looks sessions up off the read loop: a bounded number at a time, a bounded
// number waiting, each answered within timeout whatever the store does.
type slow struct {
	handler *handler
	timeout time.Duration
	jobs    chan *job
	waiting atomic.Int32 // asked and not answered
	logged  atomic.Int64 // when an error of the store was logged last, Unix seconds
}

// job is one look-up. Without a reply and a timer it only brings a session into memory.
type job struct {
	question *question
	token    []byte
	domain   string
	entry    *session.Entry // once it was found; nil: nobody's
	rounds   int            // how often something had to be found out about a credential
	reply    *spop.Reply
	deadline time.Time // by the monotonic clock
	timer    *time.Timer
	once     sync.Once
}

// start starts the workers. stop ends them; no NOTIFY comes after it. A look-up that does
// not heed its context is left behind: its request has been answered.
func (s *slow) start(workers int) (stop func()) {
	if workers <= 0 {
		workers = DefaultConfig().Workers
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for j := range s.jobs {
				s.work(ctx, j)
			}
		})
	}
	return func() {
		cancel()
		close(s.jobs)
		ended := make(chan struct{})
		go func() { wg.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(s.timeout):
			s.handler.log.Warn("a look-up does not end")
		}
	}
}

// room says whether one more request may wait.
func (s *slow) room() bool { return s.waiting.Load() < maxJobs }

// ask hands a request over; r is answered within timeout.
func (s *slow) ask(q *question, domain string, r *spop.Reply) {
	j := s.job(q, r)
	j.token, j.domain = q.token, domain
	select {
	case s.jobs <- j:
	default:
		s.refuse(j, reasonBusy)
	}
}

// job is a request that waits; it is answered within timeout whatever happens.
func (s *slow) job(q *question, r *spop.Reply) *job {
	j := &job{question: q, reply: r, deadline: time.Now().Add(s.timeout)}
	s.waiting.Add(1)
	j.timer = time.AfterFunc(s.timeout, func() { s.expire(j) })
	return j
}

// warm brings a session into memory when there is time for it.
func (s *slow) warm(token []byte, domain string) {
	if len(s.jobs) > maxJobs/2 {
		return
	}
	j := &job{token: bytes.Clone(token), domain: domain, deadline: time.Now().Add(s.timeout)}
	select {
	case s.jobs <- j:
	default:
	}
}

// work does one job.
func (s *slow) work(ctx context.Context, j *job) {
	defer func() {
		if v := recover(); v != nil {
			s.panicked(v)
			s.refuse(j, reasonInternal)
		}
	}()
	if !time.Now().Before(j.deadline) {
		s.refuse(j, reasonBusy)
		return
	}
	ctx, cancel := context.WithDeadline(ctx, j.deadline)
	defer cancel()
	e, result, err := s.handler.Sessions.Load(ctx, j.token, j.domain)
	if err != nil {
		s.report("session", err)
		s.refuse(j, reasonStore)
		return
	}
	if j.reply != nil {
		if result == session.Hit {
			j.entry = e
		}
		s.handler.proceed(j)
	}
}

// report logs an error of the store or a directory, once a second: it comes with every
// request.
func (s *slow) report(what string, err error) {
	now := time.Now().Unix()
	if last := s.logged.Load(); now != last && s.logged.CompareAndSwap(last, now) {
		s.handler.log.Error("look-up failed", "what", what, "error", err)
	}
}

func (s *slow) refuse(j *job, why policy.Reason) {
	s.answer(j, func(a *spop.Actions) { s.handler.refuse(a, j.question, why) })
}

// answer answers a job once: by whoever comes first, the worker or the timer.
func (s *slow) answer(j *job, write func(*spop.Actions)) {
	if j.reply == nil {
		return
	}
	j.once.Do(func() {
		j.timer.Stop()
		s.send(j, write)
	})
}

// expire answers a job that has waited too long.
func (s *slow) expire(j *job) {
	j.once.Do(func() {
		s.send(j, func(a *spop.Actions) { s.handler.refuse(a, j.question, reasonBusy) })
	})
}

func (s *slow) send(j *job, write func(*spop.Actions)) {
	s.waiting.Add(-1)
	a := j.reply.Actions()
	s.guard(a, j.question, write)
	j.reply.Send(a)
}

// guard calls write, and refuses in its place when it panics.
func (s *slow) guard(a *spop.Actions, q *question, write func(*spop.Actions)) {
	defer func() {
		if v := recover(); v != nil {
			s.panicked(v)
			s.handler.refuse(a, q, reasonInternal)
		}
	}()
	write(a)
}

func (s *slow) panicked(v any) {
	s.handler.log.Error("look-up panicked", "panic", v, "stack", string(debug.Stack()))
}
