package spop_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"postern/agent/spop"
	"postern/agent/spop/spoptest"
)

// single is a listener with one connection. It blocks after it until it is closed.
func single(nc net.Conn) net.Listener {
	l := &scripted{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
	l.conns <- nc
	return l
}

// scripted is a listener that hands out what it is given; a nil connection is an error.
type scripted struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *scripted) Accept() (net.Conn, error) {
	select {
	case nc := <-l.conns:
		if nc == nil {
			return nil, fmt.Errorf("accept: %w", syscall.EMFILE)
		}
		return nc, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *scripted) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *scripted) Addr() net.Addr { return &net.UnixAddr{Name: "scripted", Net: "unix"} }

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(spoptest.Timeout); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: still not so after %v", what, spoptest.Timeout)
		}
	}
}

// later answers what is called "slow" when release is closed, and the rest at once.
func later(release <-chan struct{}) handler {
	return func(n *spop.Notify, a *spop.Actions) {
		m, _ := n.Next()
		_, v, _ := m.Arg()
		id := string(v.Bytes)
		if len(id) < 4 || id[:4] != "slow" {
			a.SetString(spop.Transaction, "id", id)
			return
		}
		r := n.Later()
		if r == nil {
			a.SetString(spop.Transaction, "id", "refused")
			return
		}
		a.SetString(spop.Transaction, "id", "to be ignored")
		go func() {
			<-release
			b := r.Actions()
			b.SetString(spop.Transaction, "id", id)
			r.Send(b)
			r.Send(r.Actions()) // does nothing
		}()
	}
}

// Case 19: an answer that is given later is overtaken by those that are not.
func TestCase19Overtaking(t *testing.T) {
	release := make(chan struct{})
	p := greet(t, start(t, &spop.Server{Handler: later(release)}))
	send(t, p, spoptest.AppendNotify(nil, 1, 1, message("slow")), spoptest.AppendNotify(nil, 3, 1, message("fast")))
	a, err := p.Ack()
	if err != nil || a.Stream != 3 || a.Str("id") != "fast" {
		t.Fatalf("first ACK %+v, error %v, want that of stream 3", a, err)
	}
	close(release)
	a, err = p.Ack()
	if err != nil || a.Stream != 1 || a.Str("id") != "slow" {
		t.Fatalf("second ACK %+v, error %v, want that of stream 1", a, err)
	}
	if a, err = p.Ask(message("next")); err != nil || a.Str("id") != "next" {
		t.Fatalf("ACK %+v, error %v: the second Send must do nothing", a, err)
	}
}

// TestLaterIsBounded: over the bound the handler has to answer at once, and the bound
// frees up when answers go out.
func TestLaterIsBounded(t *testing.T) {
	const bound = 256
	release := make(chan struct{})
	p := greet(t, start(t, &spop.Server{Handler: later(release)}))
	var all []byte
	for i := range uint64(bound + 3) {
		all = spoptest.AppendNotify(all, i, 1, message("slow"))
	}
	send(t, p, all)
	for i := range uint64(3) {
		if a, err := p.Ack(); err != nil || a.Str("id") != "refused" || a.Stream != bound+i {
			t.Fatalf("ACK %+v, error %v, want a refusal for stream %d", a, err, bound+i)
		}
	}
	close(release)
	for range bound {
		if a, err := p.Ack(); err != nil || a.Str("id") != "slow" {
			t.Fatalf("ACK %+v, error %v", a, err)
		}
	}
	eventually(t, "a place for one more", func() bool {
		a, err := p.Ask(message("slow"))
		return err == nil && a.Str("id") == "slow"
	})
}

// Case 36: HAPROXY-DISCONNECT with answers outstanding ends the connection; the late
// answers find it closed and do nothing.
func TestCase36DisconnectInFlight(t *testing.T) {
	release := make(chan struct{})
	p := greet(t, start(t, &spop.Server{Handler: later(release)}))
	send(t, p, spoptest.AppendNotify(nil, 1, 1, message("slow")), spoptest.AppendNotify(nil, 3, 1, message("fast")), unhex(wireHAProxyBye))
	wantDisconnect(t, p, spop.StatusNormal)
	close(release)
}

// Case 39: a peer that does not read holds up nobody else, and is dropped in the end.
func TestCase39PeerThatDoesNotRead(t *testing.T) {
	addr := start(t, &spop.Server{Handler: echo, WriteTimeout: 200 * time.Millisecond})
	deaf, other := greet(t, addr), greet(t, addr)
	n := spoptest.AppendNotify(nil, 1, 1, message(string(make([]byte, 8000))))
	dropped := make(chan error, 1)
	go func() {
		for {
			deaf.Conn.SetWriteDeadline(time.Now().Add(spoptest.Timeout))
			if _, err := deaf.Conn.Write(n); err != nil {
				dropped <- err
				return
			}
		}
	}()
	for {
		if _, err := other.Ask(message("x")); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-dropped:
			if !ended(err) {
				t.Errorf("the deaf peer got %v, want its connection closed", err)
			}
			return
		default:
		}
	}
}

// Case 39: late answers to a peer that does not read hold up no goroutine of the handler.
func TestCase39LateAnswersDoNotWait(t *testing.T) {
	sent := make(chan struct{})
	big := string(make([]byte, 15000))
	h := handler(func(n *spop.Notify, a *spop.Actions) {
		if r := n.Later(); r != nil {
			go func() {
				b := r.Actions()
				b.SetString(spop.Transaction, "big", big)
				r.Send(b)
				sent <- struct{}{}
			}()
		}
	})
	p := greet(t, start(t, &spop.Server{Handler: h, WriteTimeout: time.Hour, Drain: time.Millisecond}))
	var all []byte // in one write: once answers wait for the peer, nothing more is read of it
	for i := range uint64(200) {
		all = spoptest.AppendNotify(all, i, 1, message("x"))
	}
	send(t, p, all)
	for range 200 {
		select {
		case <-sent:
		case <-time.After(spoptest.Timeout):
			t.Fatal("Send waits for the peer")
		}
	}
}

// Cases 39 and 41: connections that end anyhow, in a storm, leave nothing behind.
func TestCase39Case41NothingLeftBehind(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	addr := start(t, &spop.Server{Handler: later(release)})
	half := spoptest.AppendNotify(nil, 1, 1, message("half"))[:20]
	slow := spoptest.AppendNotify(nil, 1, 1, message("slow"))
	greet(t, addr) // so that all goroutines of the server run
	before := runtime.NumGoroutine()
	for i := range 2000 {
		nc, err := net.Dial("unix", addr)
		if err != nil {
			t.Fatal(err)
		}
		p := spoptest.New(nc)
		if i%4 > 0 {
			p.Send(unhex(wireHello))
		}
		switch i % 4 {
		case 2:
			p.Send(half)
		case 3:
			if i < 400 { // 100 of them
				p.Send(slow)
				p.Receive()
			}
		}
		p.Close()
	}
	eventually(t, "the goroutines of the connections have ended", func() bool {
		return runtime.NumGoroutine() <= before+100 // those that hold a late answer
	})
}

// Case 40: connections that only said hello are kept, and cost little.
func TestCase40IdleConnections(t *testing.T) {
	const conns, most = 1000, 12 << 10
	addr := start(t, &spop.Server{Handler: echo, HelloTimeout: 2 * time.Second})
	peers := make([]*spoptest.Peer, conns)
	in := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	before := in()
	for i := range peers {
		nc, err := net.Dial("unix", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		peers[i] = &spoptest.Peer{Conn: nc}
	}
	buf := make([]byte, 256)
	for _, p := range peers {
		send(t, p, unhex(wireHello))
		if _, err := p.Conn.Read(buf); err != nil {
			t.Fatal(err)
		}
	}
	each := (int64(in()) - int64(before)) / conns
	t.Logf("%d bytes for each idle connection", each)
	if each > most {
		t.Errorf("%d bytes for each idle connection, want at most %d", each, most)
	}
	for _, p := range peers {
		if _, err := spoptest.New(p.Conn).Ask(message("x")); err != nil {
			t.Fatalf("after a while: %v", err)
		}
	}
}

// panicky panics on every NOTIFY, before or after it detached its answer.
type panicky struct {
	detach, answered bool
	again            bool
}

func (h *panicky) Notify(n *spop.Notify, a *spop.Actions) {
	a.SetString(spop.Transaction, "verdict", "allow")
	if h.detach {
		r := n.Later()
		if h.answered {
			b := r.Actions()
			b.SetString(spop.Transaction, "verdict", "late")
			r.Send(b)
		}
	}
	panic("bug")
}

func (h *panicky) Panicked(n *spop.Notify, a *spop.Actions) {
	a.SetString(spop.Transaction, "verdict", "error")
	if h.again {
		panic("another bug")
	}
}

// Case 42: a handler that panics costs that request its verdict and nothing else. It is
// answered once, by the fallback.
func TestCase42Panic(t *testing.T) {
	for _, tt := range []struct {
		name string
		h    spop.Handler
		want string
	}{
		{"the fallback answers", &panicky{}, "error"},
		{"also for an answer that was to come later", &panicky{detach: true}, "error"},
		{"unless it came already", &panicky{detach: true, answered: true}, "late"},
		{"a fallback that panics too leaves nothing", &panicky{again: true}, ""},
		{"without a fallback there is an ACK with no action", handler(func(*spop.Notify, *spop.Actions) { panic("bug") }), ""},
	} {
		p := greet(t, start(t, &spop.Server{Handler: tt.h}))
		for range 300 { // more than can be outstanding
			a, err := p.Ask(message("x"))
			if err != nil || a.Str("verdict") != tt.want {
				t.Fatalf("%s: ACK %+v, error %v, want verdict %q", tt.name, a, err, tt.want)
			}
		}
	}
}

// Case 43: the end of the context under traffic answers all that was received.
func TestCase43Drain(t *testing.T) {
	release := make(chan struct{})
	addr := t.TempDir() + "/s"
	ln, err := net.Listen("unix", addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	s := &spop.Server{Handler: later(release)}
	if alone {
		s.Loops = -1
	}
	go func() { done <- s.Serve(ctx, ln) }()
	idle, busy, slow := greet(t, addr), greet(t, addr), greet(t, addr)
	send(t, slow, spoptest.AppendNotify(nil, 1, 1, message("slow")))
	cancel()
	keepBusy(t, busy)
	wantDisconnect(t, idle, spop.StatusNormal)
	if nc, err := net.Dial("unix", addr); err == nil {
		nc.Close()
		t.Error("a new connection is accepted while draining")
	}
	select {
	case err := <-done:
		t.Fatalf("Serve returned %v with an answer outstanding", err)
	default:
	}
	close(release)
	if a, err := slow.Ack(); err != nil || a.Str("id") != "slow" {
		t.Errorf("ACK %+v, error %v, want the late answer", a, err)
	}
	wantDisconnect(t, slow, spop.StatusNormal)
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// TestDrainEnds: the deadline of the drain holds, whatever a peer or a handler does.
func TestDrainEnds(t *testing.T) {
	release := make(chan struct{})
	addr := t.TempDir() + "/s"
	ln, err := net.Listen("unix", addr)
	if err != nil {
		t.Fatal(err)
	}
	stop := serve(t, &spop.Server{Handler: later(release), Drain: 100 * time.Millisecond}, ln)
	p, half := greet(t, addr), greet(t, addr)
	send(t, p, spoptest.AppendNotify(nil, 1, 1, message("slow")), spoptest.AppendNotify(nil, 3, 1, message("x")))
	if _, err := p.Ack(); err != nil {
		t.Fatal(err)
	}
	send(t, half, unhex("00000020 03"))
	stop()
	wantEnd(t, p)
	wantEnd(t, half)
	close(release) // the late answer meets a server that is gone
}

// TestQuietLog: what HAProxy does every day is not worth a line above debug.
func TestQuietLog(t *testing.T) {
	var lines bytes.Buffer
	log := slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelInfo}))
	addr := t.TempDir() + "/s"
	ln, err := net.Listen("unix", addr)
	if err != nil {
		t.Fatal(err)
	}
	stop := serve(t, &spop.Server{Handler: echo, Log: log}, ln)
	check := connect(t, addr)
	send(t, check, unhex(wireCheck))
	check.Receive()
	check.Close()
	bye := greet(t, addr)
	send(t, bye, unhex(wireHAProxyBye))
	wantDisconnect(t, bye, spop.StatusNormal)
	greet(t, addr).Close()
	connect(t, addr).Close()
	drained := greet(t, addr)
	stop()
	wantDisconnect(t, drained, spop.StatusNormal)
	if lines.Len() > 0 {
		t.Errorf("logged:\n%s", lines.String())
	}
}

// TestAcceptErrors: no file descriptor left is no reason to stop.
func TestAcceptErrors(t *testing.T) {
	ours, theirs := net.Pipe()
	ln := &scripted{conns: make(chan net.Conn, 3), closed: make(chan struct{})}
	ln.conns <- nil
	ln.conns <- nil
	ln.conns <- theirs
	stop := serve(t, &spop.Server{Handler: echo}, ln)
	p := spoptest.New(ours)
	if _, err := p.Hello(spoptest.Hello{}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Ask(message("x")); err != nil {
		t.Fatal(err)
	}
	p.Close()
	stop()
}

// TestListenerClosedByOthers: a listener that is of no use ends Serve with its error.
func TestListenerClosedByOthers(t *testing.T) {
	ln := &scripted{conns: make(chan net.Conn), closed: make(chan struct{})}
	ln.Close()
	if err := (&spop.Server{Handler: echo}).Serve(t.Context(), ln); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve: %v, want %v", err, net.ErrClosed)
	}
}

// Case 44 (threat 21): answers never go to another stream or connection.
func TestThreat21Case44Isolation(t *testing.T) {
	const conns, streams, rounds = 4, 20, 50
	h := handler(func(n *spop.Notify, a *spop.Actions) {
		m, _ := n.Next()
		_, v, _ := m.Arg()
		if len(v.Bytes)%3 > 0 {
			a.SetBytes(spop.Transaction, "id", v.Bytes)
			return
		}
		r, id := n.Later(), string(v.Bytes)
		go func() {
			b := r.Actions()
			b.SetString(spop.Transaction, "id", id)
			r.Send(b)
		}()
	})
	addr := start(t, &spop.Server{Handler: h})
	var wg sync.WaitGroup
	var bad atomic.Int32
	for c := range conns {
		p := greet(t, addr)
		wg.Go(func() {
			for round := range rounds {
				var all []byte
				want := make(map[uint64]string)
				for s := range uint64(streams) {
					id := fmt.Sprintf("%d-%d-%0*d", c, s, 1+round, round)
					want[s] = id
					all = spoptest.AppendNotify(all, s, 1, message(id))
				}
				if p.Send(all) != nil {
					bad.Add(1)
				}
				for range streams {
					a, err := p.Ack()
					if err != nil || a.Str("id") != want[a.Stream] {
						bad.Add(1)
					}
					delete(want, a.Stream)
				}
			}
		})
	}
	wg.Wait()
	if n := bad.Load(); n > 0 {
		t.Errorf("%d answers went astray", n)
	}
}
