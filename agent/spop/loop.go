package spop

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// errCut ends a connection that a loop answers, from elsewhere.
var errCut = errors.New("connection is cut")

// loop answers many connections on one thread: it waits for any of them, reads once,
// answers every whole frame and writes once. A goroutine for each would be woken by
// another thread, and try to read once more before it waits, at each batch.
//
// A connection comes behind its HELLO and leaves for its goroutine again when it ends.
// Nothing here blocks: what a peer does not take waits in its seat, and then nothing more
// is read of it.
type loop struct {
	run   *run
	poll  poll
	seats map[int]*seat // by file descriptor

	mu     sync.Mutex
	called []*seat // have something to say; each once
	over   bool
}

// seat is a connection in a loop.
type seat struct {
	loop *loop
	conn *conn
	fd   int

	joined bool
	unsent []byte     // what the peer has not taken; while there is some, it is not read
	late   int32      // answers from elsewhere in unsent
	last   time.Time  // when something came, or a late answer went
	left   chan error // why it leaves; receives once

	listed bool        // in loop.called
	cut    atomic.Bool // it shall leave
}

// maxLoops bounds the loops by default: one answers for several cores of HAProxy.
const maxLoops = 8

// openLoops starts the loops, each over a poll that open makes; where it makes fewer than
// wanted, these answer all connections, and where it makes none, each has its goroutine.
func (r *run) openLoops(open func() (poll, error)) {
	n := r.Loops
	if n == 0 {
		n = min(max(runtime.GOMAXPROCS(0)/2, 1), maxLoops)
	}
	for range max(n, 0) {
		p, err := open()
		switch {
		case errors.Is(err, errors.ErrUnsupported):
			return
		case err != nil && len(r.loops) == 0:
			r.log.Warn("connections have goroutines of their own", "error", err)
			return
		case err != nil:
			r.log.Warn("connections are answered in fewer loops", "loops", len(r.loops), "wanted", n, "error", err)
			return
		}
		l := &loop{run: r, poll: p, seats: make(map[int]*seat)}
		r.loops = append(r.loops, l)
		r.looping.Go(l.serve)
	}
}

// closeLoops ends the loops; nobody is seated any more. A loop does not close its poll by
// itself: whoever wakes it would write to what has the descriptor by then.
func (r *run) closeLoops() {
	for _, l := range r.loops {
		l.mu.Lock()
		l.over = true
		l.mu.Unlock()
		l.poll.wake()
	}
	r.looping.Wait()
	for _, l := range r.loops {
		l.poll.close()
	}
}

// seat has a loop answer c until it ends, and returns why; ok is false when there is no
// loop for it.
func (c *conn) seat() (why error, ok bool) {
	if len(c.run.loops) == 0 {
		return nil, false
	}
	fd, err := takeSocket(c.nc)
	if err != nil {
		return nil, false
	}
	l := c.run.loops[c.run.seated.Add(1)%uint64(len(c.run.loops))]
	s := &seat{loop: l, conn: c, fd: fd, last: time.Now(), left: make(chan error, 1)}
	c.out.sit(s)
	c.nc.Close() // the socket stays; the runtime's own poller forgets it
	s.call()
	why = <-s.left
	nc, err := giveSocket(fd)
	c.nc = nc
	c.out.stand(nc)
	if err != nil {
		return err, true
	}
	return why, true
}

// call has the loop look at a seat for something else than what the socket says.
func (s *seat) call() {
	l := s.loop
	l.mu.Lock()
	known := s.listed
	if !known {
		s.listed = true
		l.called = append(l.called, s)
	}
	l.mu.Unlock()
	if !known {
		l.poll.wake()
	}
}

// serve is the loop's life.
func (l *loop) serve() {
	runtime.LockOSThread() // never unlocked: the thread ends with the loop
	if l.run.Thread != nil {
		l.run.Thread()
	}
	for {
		ready, err := l.poll.wait(l.patience())
		if err != nil {
			l.run.log.Error("loop", "error", err)
			time.Sleep(time.Millisecond)
		}
		for _, fd := range ready {
			if s := l.seats[fd]; s != nil {
				l.guard(s, l.turn)
			}
		}
		if l.calls() {
			return
		}
		if l.run.draining.Load() {
			l.drain()
		}
	}
}

// patience is how long to wait when nothing comes.
func (l *loop) patience() time.Duration {
	if l.run.draining.Load() && len(l.seats) > 0 {
		return quiet / 4
	}
	return -1
}

// guard ends a connection that met an error, or a fault of this package.
func (l *loop) guard(s *seat, f func(*seat) error) {
	defer func() {
		if v := recover(); v != nil {
			l.run.panicked(v)
			l.leave(s, errCut)
		}
	}()
	if err := f(s); err != nil {
		l.leave(s, err)
	}
}

// turn is for a seat whose socket can be read, or written if something is unsent.
func (l *loop) turn(s *seat) error {
	if len(s.unsent) > 0 {
		return s.resume()
	}
	if err := s.look(); !errors.Is(err, errAgain) {
		return err
	}
	return nil
}

// look reads once and answers what came; errAgain when nothing did.
func (s *seat) look() error {
	if err := s.conn.in.read(s.fd); err != nil {
		return err
	}
	s.last = time.Now()
	return s.answer()
}

// answer answers what was read.
func (s *seat) answer() error {
	c := s.conn
	err := c.frames()
	if ferr := c.flush(); ferr != nil {
		return ferr
	}
	c.in.release()
	return err
}

// put writes what the peer takes, and keeps the rest.
func (s *seat) put(b []byte) error {
	if len(s.unsent) > 0 {
		s.unsent = append(s.unsent, b...)
		return nil
	}
	n, err := writeSome(s.fd, b)
	if err != nil {
		return err
	}
	if n == len(b) {
		return nil
	}
	s.unsent = append(s.unsent, b[n:]...)
	s.conn.out.begin()
	return s.loop.poll.change(s.fd, true)
}

// resume writes what was left; then the peer is read again.
func (s *seat) resume() error {
	n, err := writeSome(s.fd, s.unsent)
	if err != nil {
		return err
	}
	if s.unsent = s.unsent[n:]; len(s.unsent) > 0 {
		return nil
	}
	s.unsent = nil
	s.settle()
	s.conn.out.end()
	return s.loop.poll.change(s.fd, false)
}

// settle is for when nothing is unsent.
func (s *seat) settle() {
	if s.late > 0 {
		s.last = time.Now()
	}
	s.conn.out.pending.Add(-s.late)
	s.late = 0
}

// calls looks at the seats that called, and says whether the loop is over.
func (l *loop) calls() bool {
	l.mu.Lock()
	called, over := l.called, l.over
	l.called = nil
	for _, s := range called {
		s.listed = false
	}
	l.mu.Unlock()
	for _, s := range called {
		l.guard(s, l.heed)
	}
	return over && len(l.seats) == 0
}

// heed does what a seat has called for.
func (l *loop) heed(s *seat) error {
	switch {
	case !s.joined:
		s.joined = true
		l.seats[s.fd] = s
		if err := l.poll.add(s.fd); err != nil {
			return err
		}
		if err := s.answer(); err != nil { // what came with the HELLO
			return err
		}
	case l.seats[s.fd] != s:
		return nil // it has left
	}
	if s.cut.Load() {
		return errCut
	}
	b, n := s.conn.out.takeLate()
	if n == 0 {
		return nil
	}
	s.late += n
	if err := s.put(b); err != nil {
		return err
	}
	if len(s.unsent) == 0 {
		s.settle()
	}
	return nil
}

// drain has those leave that are silent and owe nothing.
func (l *loop) drain() {
	now := time.Now()
	for _, s := range l.seats {
		if now.Sub(s.last) >= quiet && len(s.unsent) == 0 && len(s.conn.in.bytes()) == 0 && s.conn.out.pending.Load() == 0 {
			l.guard(s, l.retire)
		}
	}
}

// retire has a seat leave, unless something came just now.
func (l *loop) retire(s *seat) error {
	if err := s.look(); !errors.Is(err, errAgain) {
		return err
	}
	return StatusNormal
}

// leave gives a connection back to its goroutine. A frame of which the peer took a part
// cannot be followed by a farewell.
func (l *loop) leave(s *seat, why error) {
	if l.seats[s.fd] != s {
		return
	}
	delete(l.seats, s.fd)
	l.poll.remove(s.fd)
	s.conn.out.end()
	if _, ok := errors.AsType[Status](why); ok && len(s.unsent) > 0 {
		why = os.ErrDeadlineExceeded
	}
	s.settle()
	s.left <- why
}
