package spop

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

const (
	quiet       = 50 * time.Millisecond  // silence after which a draining connection is closed
	linger      = 200 * time.Millisecond // wait for HAProxy to close after our DISCONNECT
	lingerBytes = 256 << 10

	maxFrame = 256 << 10
)

// Server serves SPOP on a listener. The zero value of every number is a default.
type Server struct {
	Handler      Handler
	Log          *slog.Logger  // nil: silent; ends of connections are debug
	MaxFrame     uint32        // largest frame we agree to, bytes, 256 to 262144; 0: 262144
	HelloTimeout time.Duration // 0: 5 s, from the accept to the end of the HELLO
	WriteTimeout time.Duration // 0: 5 s; a peer that does not read is dropped
	Drain        time.Duration // 0: 10 s; after ctx ends
	Connected    *atomic.Int64 // how many connections there are now; may be nil
	Loops        int           // threads that answer connections; 0: one for two processors; negative: none, each has a goroutine
	Thread       func()        // called on each of those threads, at its start; may be nil
}

// run is one Serve.
type run struct {
	Server     // with its defaults filled in
	log        *slog.Logger
	foresight  Foresight // nil when Handler has none
	goroutines sync.WaitGroup
	buffers    sync.Pool    // of *buffer
	clock      atomic.Int64 // advances four times in a WriteTimeout
	draining   atomic.Bool

	loops   []*loop // none: each connection is answered by its goroutine
	looping sync.WaitGroup
	seated  atomic.Uint64 // how many connections have sat down in loops

	mu    sync.Mutex
	conns map[*conn]struct{}
}

// Serve accepts on ln until ctx ends, then closes ln and drains: it answers what is in
// flight and closes each connection once it fell silent, all within Drain. It returns
// nil then, or the error that made ln useless. All goroutines have ended when it returns.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	r := s.start()
	r.openLoops(openPoll)
	ended := make(chan struct{})
	var helpers sync.WaitGroup
	helpers.Go(func() { r.watch(ended) })
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	err := r.accept(ctx, ln)
	stop()
	ln.Close()
	r.drain()
	r.closeLoops()
	close(ended)
	helpers.Wait()
	return err
}

func (s *Server) start() *run {
	r := &run{Server: *s, log: s.Log, conns: make(map[*conn]struct{})}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if r.MaxFrame == 0 {
		r.MaxFrame = maxFrame
	}
	r.MaxFrame = min(max(r.MaxFrame, minAgreed), maxFrame)
	for _, d := range []*time.Duration{&r.HelloTimeout, &r.WriteTimeout} {
		if *d <= 0 {
			*d = 5 * time.Second
		}
	}
	if r.Drain <= 0 {
		r.Drain = 10 * time.Second
	}
	r.foresight, _ = r.Handler.(Foresight)
	r.buffers.New = func() any { return new(buffer) }
	r.clock.Store(1)
	return r
}

// accept starts a goroutine for each connection. Errors of Accept (no file descriptor
// left) are waited out; only the end of ctx or of the listener ends the loop.
func (r *run) accept(ctx context.Context, ln net.Listener) error {
	const first, last = 5 * time.Millisecond, time.Second
	pause := first
	for {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			pause = first
			r.add(nc)
			continue
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		}
		r.log.Error("accept", "error", err, "again_in", pause)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = min(2*pause, last)
	}
}

func (r *run) open(nc net.Conn) *conn {
	c := &conn{run: r, nc: nc}
	c.out.nc, c.out.clock = nc, &r.clock
	return c
}

func (r *run) add(nc net.Conn) {
	c := r.open(nc)
	c.peer = nc.RemoteAddr().String()
	if r.Connected != nil {
		r.Connected.Add(1)
	}
	r.mu.Lock()
	r.conns[c] = struct{}{}
	r.mu.Unlock()
	r.goroutines.Go(func() {
		defer r.remove(c)
		c.serve()
	})
}

// remove ends a connection. A fault of this package costs one connection, not the
// process.
func (r *run) remove(c *conn) {
	if v := recover(); v != nil {
		r.panicked(v)
		c.out.close()
	}
	if r.Connected != nil {
		r.Connected.Add(-1)
	}
	r.mu.Lock()
	delete(r.conns, c)
	r.mu.Unlock()
}

func (r *run) panicked(v any) {
	r.log.Error("connection panicked", "panic", v, "stack", string(debug.Stack()))
}

// watch advances the clock and closes connections whose Write takes too long.
func (r *run) watch(ended <-chan struct{}) {
	const steps = 4
	t := time.NewTicker(max(r.WriteTimeout/steps, time.Millisecond))
	defer t.Stop()
	for {
		select {
		case <-ended:
			return
		case <-t.C:
		}
		old := r.clock.Add(1) - steps - 1
		r.each(func(c *conn) {
			if c.out.stalled(old) {
				r.log.Warn("peer does not read", "peer", c.peer)
				c.out.cut()
			}
		})
	}
}

// drain waits for the connections to fall silent, at most for Drain.
func (r *run) drain() {
	r.draining.Store(true)
	r.each(func(c *conn) { c.out.hush() })
	for _, l := range r.loops {
		l.poll.wake()
	}
	force := time.AfterFunc(r.Drain, func() { r.each(func(c *conn) { c.out.cut() }) })
	defer force.Stop()
	r.goroutines.Wait()
}

func (r *run) each(f func(*conn)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		f(c)
	}
}
