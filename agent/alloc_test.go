package agent_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"postern/agent"
	"postern/agent/policy"
	"postern/agent/session"
	"postern/agent/spop"
	"postern/agent/spop/spoptest"
)

// memory is a connection in memory for one that counts what the other end costs: Read
// gives the next batch, and Write says that it was answered. Neither allocates.
type memory struct {
	net.Conn
	in     chan []byte
	out    chan []byte
	closed chan struct{}
}

func newMemory() *memory {
	return &memory{in: make(chan []byte), out: make(chan []byte), closed: make(chan struct{})}
}

func (m *memory) Read(b []byte) (int, error) {
	select {
	case p := <-m.in:
		return copy(b, p), nil
	case <-m.closed:
		return 0, io.EOF
	}
}

func (m *memory) Write(b []byte) (int, error) {
	select {
	case m.out <- b:
		return len(b), nil
	case <-m.closed:
		return 0, io.ErrClosedPipe
	}
}

func (m *memory) Close() error                    { return nil }
func (m *memory) SetReadDeadline(time.Time) error { return nil }
func (m *memory) RemoteAddr() net.Addr            { return &net.UnixAddr{} }

// only is a listener with one connection.
type only struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *only) Accept() (net.Conn, error) {
	select {
	case nc := <-l.conns:
		return nc, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *only) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}
func (l *only) Addr() net.Addr { return &net.UnixAddr{} }

// inMemory serves s on a connection in memory and returns what sends a batch of frames
// and gives back what was written for it.
func inMemory(t testing.TB, s *agent.Server) (exchange func([]byte) []byte) {
	t.Helper()
	m := newMemory()
	l := &only{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
	l.conns <- m
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		close(m.closed)
		cancel()
		<-done
	})
	exchange = func(b []byte) []byte {
		m.in <- b
		return <-m.out
	}
	exchange(spoptest.AppendHello(nil, spoptest.Hello{}))
	return exchange
}

// scenes are the requests that must cost no allocation.
func scenes(t testing.TB) (s *agent.Server, list []scene) {
	s, aliceToken, bobToken := atHome(t)
	host := func(h string) spoptest.Arg { return spoptest.Str(agent.ArgHost, h) }
	return s, []scene{
		{"session", with(aliceToken), "allow"},
		{"bypass", request(host("public.example.com")), "allow"},
		{"bypass signed in", with(aliceToken, host("public.example.com")), "allow"},
		{"login", request(), "login"},
		{"challenge", request(spoptest.Str(agent.ArgFetchMode, "cors")), "challenge"},
		{"step up", with(aliceToken, host("bank.example.com")), "step_up"},
		{"two factors", with(bobToken, host("bank.example.com")), "allow"},
		{"deny", request(host("closed.example.com")), "deny"},
		{"deny signed in", with(aliceToken, host("closed.example.com")), "deny"},
		{"unknown host", request(host("example.org")), "deny"},
		{"junk token", with("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"), "login"},
		{"error", spoptest.Message{Name: "other"}, "error"},
	}
}

type scene struct {
	name string
	ask  spoptest.Message
	want string
}

// TestDecisionsAllocateNothing: a whole NOTIFY to ACK, from the bytes that were read to
// the bytes that are written.
func TestDecisionsAllocateNothing(t *testing.T) {
	if raced {
		t.Skip("allocations cannot be counted under the race detector")
	}
	s, list := scenes(t)
	exchange := inMemory(t, s)
	for _, tt := range list {
		frame := spoptest.AppendNotify(nil, 12345, 1, tt.ask)
		out := exchange(frame)
		f, _ := spop.DecodeFrame(out[4:])
		if a, err := spoptest.DecodeAck(f); err != nil || a.Str(agent.VarVerdict) != tt.want {
			t.Errorf("%s: ACK %+v, error %v, want %s", tt.name, a, err, tt.want)
		}
		if n := testing.AllocsPerRun(500, func() { exchange(frame) }); n != 0 {
			t.Errorf("%s: %v allocations for each request, want none", tt.name, n)
		}
	}
}

// processorTime is what the process has used of its processors. Where others work too,
// it says more than the time on the wall.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkNotify is a whole NOTIFY to ACK in memory, 16 frames at a time.
func BenchmarkNotify(b *testing.B) {
	const batch = 16
	s, list := scenes(b)
	exchange := inMemory(b, s)
	for _, bb := range list {
		b.Run(bb.name, func(b *testing.B) {
			var all []byte
			for i := range uint64(batch) {
				all = spoptest.AppendNotify(all, 2*i+1, 1, bb.ask)
			}
			b.ReportAllocs()
			before, n := processorTime(), 0
			for ; b.Loop(); n++ {
				if n%batch == 0 {
					exchange(all)
				}
			}
			b.ReportMetric(float64(processorTime()-before)/float64(n), "cpu-ns/op")
		})
	}
}

// BenchmarkPrepare is the encoding of an identity, once for each session.
func BenchmarkPrepare(b *testing.B) {
	s := session.Session{User: "alice", Name: "Alice A.", Email: "alice@example.com", Groups: []string{"staff", "wiki"}, Level: policy.LevelOne}
	b.ReportAllocs()
	for b.Loop() {
		agent.Prepare(&s)
	}
}

// BenchmarkSessions is the decision for one of many sessions by turns, so that the
// processor's caches do not hold them all.
func BenchmarkSessions(b *testing.B) {
	for _, sessions := range []int{1000, 100_000} {
		tab := table(&keeper{})
		frames := make([][]byte, sessions)
		for i := range frames {
			s := alice
			s.User = fmt.Sprintf("user%06d", i)
			frames[i] = spoptest.AppendNotify(nil, 1, 1, with(create(b, tab, s)))
		}
		exchange := inMemory(b, &agent.Server{Rules: compile(b, house), Sessions: tab})
		b.Run(fmt.Sprint(sessions), func(b *testing.B) {
			const batch = 16
			all := make([]byte, 0, 32<<10)
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				all = append(all, frames[n*7919%sessions]...)
				if n%batch == batch-1 {
					exchange(all)
					all = all[:0]
				}
			}
		})
	}
}
