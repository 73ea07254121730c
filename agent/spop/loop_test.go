package spop_test

import (
	"fmt"
	"net"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"postern/agent/spop"
	"postern/agent/spop/spoptest"
)

// TestWithoutLoops: a connection that its goroutine answers behaves like one in a loop.
func TestWithoutLoops(t *testing.T) {
	alone = true
	defer func() { alone = false }()
	for _, f := range []func(*testing.T){
		TestAsk, TestCase10to38Refused, TestForesight, TestForesightPanics, TestManyAnswersAtOnce, TestLateAnswersAtOnce, TestCase19Overtaking, TestLaterIsBounded,
		TestCase36DisconnectInFlight, TestCase39PeerThatDoesNotRead, TestCase39LateAnswersDoNotWait, TestCase40IdleConnections,
		TestCase42Panic, TestCase43Drain, TestDrainEnds, TestQuietLog, TestThreat21Case44Isolation,
	} {
		name := runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Name()
		t.Run(name[strings.LastIndexByte(name, '.')+1:], f)
	}
}

// narrow is a listener whose connections hold little of what was written.
type narrow struct{ net.Listener }

func (n narrow) Accept() (net.Conn, error) {
	nc, err := n.Listener.Accept()
	if err == nil {
		err = nc.(*net.UnixConn).SetWriteBuffer(4096)
	}
	return nc, err
}

// TestManyAnswersAtOnce: a peer that sends a lot before it reads gets every answer, whole
// and in order, though the socket did not take them all when they were written.
func TestManyAnswersAtOnce(t *testing.T) {
	const n, size = 15, 8000 // more than our side of the socket holds, less than the peer's
	addr := filepath.Join(t.TempDir(), "spop.sock")
	ln, err := net.Listen("unix", addr)
	if err != nil {
		t.Fatal(err)
	}
	stop := serve(t, &spop.Server{Handler: echo}, narrow{ln})
	defer stop()
	p := greet(t, addr)
	id := func(i int) string { return fmt.Sprintf("%05d", i) + strings.Repeat("x", size) }
	var all []byte
	for i := range n {
		all = spoptest.AppendNotify(all, uint64(i), 1, message(id(i)))
	}
	send(t, p, all)
	for i := range n {
		a, err := p.Ack()
		if err != nil || a.Stream != uint64(i) || a.Str("id") != id(i) {
			t.Fatalf("answer %d: stream %d, %d bytes, %v", i, a.Stream, len(a.Str("id")), err)
		}
	}
	if a, err := p.Ask(message("again")); err != nil || a.Str("id") != "again" {
		t.Errorf("afterwards: %+v, %v", a, err)
	}
}

// TestLateAnswersAtOnce: answers that are given elsewhere wait for a peer that does not
// read yet, whole, and count as outstanding no longer than that.
func TestLateAnswersAtOnce(t *testing.T) {
	const n, size = 100, 15000 // far more than the sockets hold
	var sent sync.WaitGroup
	addr := start(t, &spop.Server{Handler: handler(func(n *spop.Notify, a *spop.Actions) {
		r := n.Later()
		if r == nil {
			a.SetString(spop.Transaction, "big", "refused")
			return
		}
		sent.Go(func() {
			b := r.Actions()
			b.SetString(spop.Transaction, "big", fmt.Sprintf("%05d", r.Stream)+strings.Repeat("x", size))
			r.Send(b)
		})
	})})
	p := greet(t, addr)
	for range 3 { // more than may be outstanding
		var all []byte
		for i := range n {
			all = spoptest.AppendNotify(all, uint64(i), 1, message("x"))
		}
		send(t, p, all)
		seen := make(map[uint64]bool)
		for range n {
			a, err := p.Ack()
			want := fmt.Sprintf("%05d", a.Stream) + strings.Repeat("x", size)
			if err != nil || seen[a.Stream] || a.Str("big") != want {
				t.Fatalf("stream %d, again %v, %d bytes, %v", a.Stream, seen[a.Stream], len(a.Str("big")), err)
			}
			seen[a.Stream] = true
		}
		sent.Wait()
	}
}

// TestThreat21DescriptorsUsedAgain: connections come and go all the time, so that each
// descriptor is soon another connection's. Nobody gets what is not his, and all are served.
func TestThreat21DescriptorsUsedAgain(t *testing.T) {
	addr := start(t, &spop.Server{Loops: 2, Handler: handler(func(n *spop.Notify, a *spop.Actions) {
		m, _ := n.Next()
		_, v, _ := m.Arg()
		if r, id := n.Later(), string(v.Bytes); r != nil {
			go func() {
				b := r.Actions()
				b.SetString(spop.Transaction, "id", id)
				r.Send(b)
			}()
		}
	})})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 200 {
				p, err := spoptest.Dial("unix", addr)
				if err != nil {
					t.Error(err)
					return
				}
				for k := range i % 3 {
					id := fmt.Sprint(w, i, k)
					if a, err := p.Ask(message(id)); err != nil || a.Str("id") != id {
						t.Errorf("got %q, %v, want %q", a.Str("id"), err, id)
					}
				}
				p.Send(spoptest.AppendNotify(nil, 1, 1, message("nobody's"))) // its answer comes too late
				p.Close()
			}
		})
	}
	wg.Wait()
}

// TestLoops: more connections than loops, each with answers of its own, and one thread
// for each loop.
func TestLoops(t *testing.T) {
	var threads atomic.Int32
	addr := start(t, &spop.Server{Handler: echo, Loops: 3, Thread: func() { threads.Add(1) }})
	var peers []*spoptest.Peer
	for range 20 {
		peers = append(peers, greet(t, addr))
	}
	for round := range 3 {
		for i, p := range peers {
			id := fmt.Sprint(round, i)
			if a, err := p.Ask(message(id)); err != nil || a.Str("id") != id {
				t.Fatalf("connection %d: %+v, %v, want %s", i, a, err, id)
			}
		}
		peers[round].Close() // one that ends leaves the others alone
		peers = append(peers[:round], peers[round+1:]...)
	}
	if n := threads.Load(); n != 3 {
		t.Errorf("%d threads", n)
	}
}
