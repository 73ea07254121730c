package spop

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// seated is a connection that sits in a loop which only does what a test tells it to, and
// its peer.
func seated(t *testing.T) (l *loop, s *seat, peer net.Conn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]net.Conn
	for i, fd := range fds {
		if ends[i], err = giveSocket(fd); err != nil {
			t.Fatal(err)
		}
	}
	p, err := openPoll()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	r := (&Server{Handler: allower{}}).start()
	l = &loop{run: r, poll: p, seats: make(map[int]*seat)}
	c := r.open(ends[0])
	c.agreed, c.notify.conn = 16380, c
	c.in.open(c.nc, &r.buffers)
	fd, err := takeSocket(c.nc)
	if err != nil {
		t.Fatal(err)
	}
	s = &seat{loop: l, conn: c, fd: fd, last: time.Now(), left: make(chan error, 1)}
	c.out.sit(s)
	c.nc.Close()
	if err := l.heed(s); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd); ends[1].Close() })
	return l, s, ends[1]
}

// TestLoopAllocatesNothing: a turn of a connection in a loop needs no memory.
func TestLoopAllocatesNothing(t *testing.T) {
	l, s, peer := seated(t)
	notify, b := benchNotify(), make([]byte, 1024)
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := peer.Write(notify); err != nil {
			t.Fatal(err)
		}
		l.guard(s, l.turn)
		if _, err := peer.Read(b); err != nil || FrameType(b[lengthSize]) != FrameAck {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for each NOTIFY, want none", n)
	}
}

// TestDrainLooksOnceMore: what arrived while a connection was about to leave is answered.
func TestDrainLooksOnceMore(t *testing.T) {
	l, s, peer := seated(t)
	if _, err := peer.Write(benchNotify()); err != nil {
		t.Fatal(err)
	}
	s.last = time.Now().Add(-time.Hour)
	l.drain()
	select {
	case why := <-s.left:
		t.Fatalf("it has left: %v", why)
	default:
	}
	b := make([]byte, 1024)
	peer.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, err := peer.Read(b)
	if err != nil || FrameType(b[lengthSize]) != FrameAck {
		t.Fatalf("answer % x, %v", b[:n], err)
	}
	l.drain()
	if len(l.seats) != 1 {
		t.Error("it has left though it just had a request")
	}
	s.last = time.Now().Add(-time.Hour)
	l.drain()
	select {
	case why := <-s.left:
		if why != StatusNormal {
			t.Errorf("it left: %v", why)
		}
	default:
		t.Error("a silent connection stays")
	}
}

// TestDrainAfterALateAnswer: HAProxy asks again at once when it got an answer. A
// connection that was given one just now is not silent, however long it waited for it.
func TestDrainAfterALateAnswer(t *testing.T) {
	l, s, _ := seated(t)
	r := s.conn.detach(1, 1)
	s.last = time.Now().Add(-time.Hour)
	l.drain()
	if len(l.seats) != 1 {
		t.Fatal("it has left with an answer outstanding")
	}
	r.Send(r.Actions())
	l.calls()
	l.drain()
	if len(l.seats) != 1 || s.conn.out.pending.Load() != 0 {
		t.Errorf("%d seats, %d answers outstanding, want 1 and none", len(l.seats), s.conn.out.pending.Load())
	}
}

// TestLateFrameForALostSocket: no descriptor is left to leave the loop with, and an
// answer comes at that moment.
func TestLateFrameForALostSocket(t *testing.T) {
	l, s, _ := seated(t)
	c := s.conn
	early, late := c.detach(1, 1), c.detach(3, 1)
	early.Send(early.Actions())
	l.leave(s, errors.New("ended"))
	c.out.stand(nil)
	late.Send(late.Actions())
	l.run.goroutines.Wait()
	if n := c.out.pending.Load(); n != 0 {
		t.Errorf("%d answers outstanding", n)
	}
	c.out.close()
}

// TestCutOnItsWay: what is cut while it sits down leaves at once.
func TestCutOnItsWay(t *testing.T) {
	l, s, _ := seated(t)
	again := &seat{loop: l, conn: s.conn, fd: s.fd}
	s.conn.out.cut()
	s.conn.out.sit(again)
	if !again.cut.Load() {
		t.Error("it was not told")
	}
	if err := l.heed(s); !errors.Is(err, errCut) {
		t.Errorf("the one that sat got %v", err)
	}
}

// TestFewerLoopsThanWanted: the log says who answers connections then.
func TestFewerLoopsThanWanted(t *testing.T) {
	for opened, want := range []string{
		`msg="connections have goroutines of their own" error="too many open files"`,
		`msg="connections are answered in fewer loops" loops=1 wanted=3 error="too many open files"`,
		`msg="connections are answered in fewer loops" loops=2 wanted=3 error="too many open files"`,
		"",
	} {
		var lines bytes.Buffer
		r := (&Server{Handler: allower{}, Loops: 3, Log: slog.New(slog.NewTextHandler(&lines, nil))}).start()
		r.openLoops(func() (poll, error) {
			if len(r.loops) == opened {
				return poll{}, syscall.EMFILE
			}
			return openPoll()
		})
		r.closeLoops()
		if got := lines.String(); len(r.loops) != opened || !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("%d loops: logged %q, want %q", len(r.loops), got, want)
		}
	}
}

// TestPollOutlivesItsLoop: somebody may wake a loop that ends just then. The descriptor
// that he writes to must not be anybody else's.
func TestPollOutlivesItsLoop(t *testing.T) {
	r := (&Server{Handler: allower{}, Loops: 1}).start()
	r.openLoops(openPoll)
	l := r.loops[0]
	l.mu.Lock()
	l.over = true
	l.mu.Unlock()
	l.poll.wake()
	r.looping.Wait()
	var st syscall.Stat_t
	if err := syscall.Fstat(l.poll.alarm[1], &st); err != nil {
		t.Errorf("the loop has closed it: %v", err)
	}
	r.closeLoops()
}
