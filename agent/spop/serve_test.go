package spop_test

import (
	"bytes"
	"context"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"postern/agent/spop"
	"postern/agent/spop/spoptest"
)

// handler is a Handler made of a function.
type handler func(n *spop.Notify, a *spop.Actions)

func (h handler) Notify(n *spop.Notify, a *spop.Actions) { h(n, a) }

// echo reads every argument and answers with the one named "id", verdict last.
var echo = handler(func(n *spop.Notify, a *spop.Actions) {
	for m, ok := n.Next(); ok; m, ok = n.Next() {
		for name, v, ok := m.Arg(); ok; name, v, ok = m.Arg() {
			if string(name) == "id" {
				a.SetBytes(spop.Transaction, "id", v.Bytes)
			}
		}
	}
	a.SetString(spop.Transaction, "verdict", "seen")
})

// start serves h on a unix socket until the test ends, and returns its address.
func start(t testing.TB, s *spop.Server) string {
	t.Helper()
	addr := filepath.Join(t.TempDir(), "spop.sock")
	ln, err := net.Listen("unix", addr)
	if err != nil {
		t.Fatal(err)
	}
	stop := serve(t, s, ln)
	t.Cleanup(func() { stop() })
	return addr
}

// alone has serve start servers without loops.
var alone bool

// serve runs s on ln; stop ends it and waits.
func serve(t testing.TB, s *spop.Server, ln net.Listener) (stop func()) {
	t.Helper()
	if alone {
		s.Loops = -1
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	return sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("Serve did not return")
		}
	})
}

// connect is a connection that said nothing yet.
func connect(t testing.TB, addr string) *spoptest.Peer {
	t.Helper()
	nc, err := net.Dial("unix", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return spoptest.New(nc)
}

// greet is a connection with a complete handshake.
func greet(t testing.TB, addr string) *spoptest.Peer {
	t.Helper()
	p := connect(t, addr)
	if _, err := p.Hello(spoptest.Hello{}); err != nil {
		t.Fatal(err)
	}
	return p
}

func send(t testing.TB, p *spoptest.Peer, b ...[]byte) {
	t.Helper()
	if err := p.Send(bytes.Join(b, nil)); err != nil {
		t.Fatal(err)
	}
}

// message is one that echo answers.
func message(id string) spoptest.Message {
	return spoptest.Message{Name: "check", Args: []spoptest.Arg{spoptest.Str("id", id)}}
}

// keepBusy asks often while the server drains: a connection is closed only once it was
// silent, and then with the status that says so.
func keepBusy(t *testing.T, p *spoptest.Peer) {
	t.Helper()
	const silent = 50 * time.Millisecond
	last := time.Now()
	for range 200 {
		begun := time.Now()
		_, err := p.Ask(message("x"))
		switch {
		case err == nil:
			last = begun
		case time.Since(last) < silent:
			t.Fatalf("a busy connection while draining: %v", err)
		default:
			return // this test was not run for so long
		}
	}
	wantDisconnect(t, p, spop.StatusNormal)
}

func TestAsk(t *testing.T) {
	p := greet(t, start(t, &spop.Server{Handler: echo}))
	for _, id := range []string{"a", "bb", ""} {
		a, err := p.Ask(message(id))
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Str("id"); got != id {
			t.Errorf("id %q, want %q", got, id)
		}
	}
}
