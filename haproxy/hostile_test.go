package haproxy_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/agent"
	"postern/agent/spop"
	"postern/haproxy"
	"postern/haproxy/haproxytest"
)

// yes is the list of actions of an agent that lets everything through.
func yes(f spop.Frame) []byte {
	b := spop.AppendSetString(nil, spop.Transaction, agent.VarRequestID, rid(f))
	return spop.AppendSetString(b, spop.Transaction, agent.VarVerdict, "allow")
}

// ack is an ACK of f with the actions.
func ack(f spop.Frame, actions []byte) []byte {
	return spop.AppendFrame(nil, spop.Frame{Type: spop.FrameAck, Flags: 1, Stream: f.Stream, ID: f.ID, Payload: actions})
}

// disconnect is an AGENT-DISCONNECT.
func disconnect(status int64) []byte {
	p := append(spop.AppendUvarint(nil, 11), "status-code"...)
	p = spop.AppendValue(p, spop.Value{Type: spop.Uint32, Int: status})
	p = append(spop.AppendUvarint(p, 7), "message"...)
	p = spop.AppendValue(p, spop.Value{Type: spop.String, Bytes: []byte("bye")})
	return spop.AppendFrame(nil, spop.Frame{Type: spop.FrameAgentDisconnect, Flags: 1, Payload: p})
}

// TestThreat07BrokenAgentsRefuse: whatever an agent does on the wire, short of a clean
// yes, the application receives nothing (facts: every way to fail open).
func TestThreat07BrokenAgentsRefuse(t *testing.T) {
	agents := map[string]hostile{
		"a yes cut short":      {reply: func(f spop.Frame) []byte { b := yes(f); return ack(f, b[:len(b)-1]) }},
		"garbage before a yes": {reply: func(f spop.Frame) []byte { return ack(f, append([]byte{9, 9, 9, 9}, yes(f)...)) }},
		"no action":            {reply: func(f spop.Frame) []byte { return ack(f, nil) }},
		"never an answer":      {reply: func(spop.Frame) []byte { return []byte{} }},
		"a yes to another stream": {reply: func(f spop.Frame) []byte {
			g := f
			g.Stream += 2
			return ack(g, yes(f))
		}},
		"a yes to another frame": {reply: func(f spop.Frame) []byte {
			g := f
			g.ID++
			return ack(g, yes(f))
		}},
		"a yes without the end": {reply: func(f spop.Frame) []byte {
			return spop.AppendFrame(nil, spop.Frame{Type: spop.FrameAck, Stream: f.Stream, ID: f.ID, Payload: yes(f)})
		}},
		"a frame of no length": {reply: func(spop.Frame) []byte { return make([]byte, 4) }},
		"a frame without end":  {reply: func(f spop.Frame) []byte { b := ack(f, yes(f)); binary.BigEndian.PutUint32(b, 1<<31-1); return b }},
		"an answer too big": {reply: func(f spop.Frame) []byte {
			return ack(f, append(spop.AppendSetString(nil, spop.Transaction, "x", strings.Repeat("x", 17000)), yes(f)...))
		}},
		"hangs up":             {reply: func(spop.Frame) []byte { return nil }},
		"disconnect":           {reply: func(spop.Frame) []byte { return disconnect(0) }},
		"disconnect, unknown":  {reply: func(spop.Frame) []byte { return disconnect(12345) }},
		"an HTTP server":       {hello: func() []byte { return []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") }},
		"hello hangs up":       {hello: func() []byte { return nil }},
		"hello of version 1":   {hello: func() []byte { return bytes.ReplaceAll(agentHello(), []byte("2.0"), []byte("1.0")) }},
		"disconnect for hello": {hello: func() []byte { return disconnect(13) }},
		"the request's own echo": {reply: func(f spop.Frame) []byte {
			return spop.AppendFrame(nil, spop.Frame{Type: spop.FrameNotify, Flags: 1, Stream: f.Stream, ID: f.ID, Payload: f.Payload})
		}},
	}
	for name, h := range agents {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			if h.reply == nil {
				h.reply = func(f spop.Frame) []byte { return ack(f, yes(f)) }
			}
			eachRig(t, options{timeout: "150ms"}, func(t *testing.T, r *rig) {
				h.run(t, r.ln)
				for range 2 {
					got := r.client.Raw(t, "app.example.com", "GET / HTTP/1.1\nHost: app.example.com\nConnection: close\n\n")
					if got.Status != 503 {
						t.Errorf("status %d, want 503", got.Status)
					}
				}
				if n := len(r.app.Seen()); n != 0 {
					t.Errorf("the application received %d requests", n)
				}
			})
		})
	}
}

// TestHostileAgentCanSayYes: the agent of the tests above is well-formed but for what
// each of them spoils; else they would prove nothing.
func TestHostileAgentCanSayYes(t *testing.T) {
	eachRig(t, options{}, func(t *testing.T, r *rig) {
		hostile{reply: func(f spop.Frame) []byte { return ack(f, yes(f)) }}.run(t, r.ln)
		got := r.client.Raw(t, "app.example.com", "GET / HTTP/1.1\nHost: app.example.com\nConnection: close\n\n")
		if got.Status != 200 {
			t.Errorf("status %d, want 200", got.Status)
		}
	})
}

// TestThreat19NothingIsLeftOver: a yes for one request says nothing about the next one
// on the same connection, when the agent then has no answer.
func TestThreat19NothingIsLeftOver(t *testing.T) {
	eachRig(t, options{timeout: "150ms"}, func(t *testing.T, r *rig) {
		var asked atomic.Int64
		hostile{reply: func(f spop.Frame) []byte {
			if asked.Add(1) == 1 {
				return ack(f, yes(f))
			}
			return ack(f, nil)
		}}.run(t, r.ln)
		nc := r.client.Dial(t, "app.example.com")
		br := bufio.NewReader(nc)
		for i, want := range []int{200, 503, 503} {
			got, err := haproxytest.Exchange(nc, br, "GET / HTTP/1.1\nHost: app.example.com\n\n")
			if err != nil {
				t.Fatal(err)
			}
			if got.Status != want {
				t.Errorf("request %d: status %d, want %d", i+1, got.Status, want)
			}
		}
	})
}

// TestThreat19HalfClose: a client that closes its side right after a POST interrupts the
// question (`option abortonclose`). HAProxy then goes on without an answer; the
// application must not see the request.
func TestThreat19HalfClose(t *testing.T) {
	upstream := func(c *haproxy.Config) { c.Domains[0].TLS = "upstream" }
	eachRig(t, options{base: "    option abortonclose\n", timeout: "1s", config: upstream}, func(t *testing.T, r *rig) {
		release := make(chan struct{})
		hostile{reply: func(f spop.Frame) []byte {
			<-release
			return ack(f, spop.AppendSetString(spop.AppendSetString(nil, spop.Transaction, "rid", rid(f)), spop.Transaction, "verdict", "deny"))
		}}.run(t, r.ln)
		// Without TLS in front, as behind a balancer that ends it, the close is seen at once.
		nc := r.plain.Dial(t, "app.example.com")
		fmt.Fprint(nc, "POST /transfer HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 5\r\n\r\nhello")
		if err := nc.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(nc) // HAProxy may close without a word
		close(release)
		if len(answer) > 0 && !bytes.HasPrefix(answer, []byte("HTTP/1.1 503 ")) {
			t.Errorf("answer %.80q", answer)
		}
		tc := r.client.Dial(t, "app.example.com")
		fmt.Fprint(tc, "POST /transfer HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 5\r\n\r\nhello")
		if err := tc.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		answer, _ = io.ReadAll(tc)
		if len(answer) > 0 && !bytes.HasPrefix(answer, []byte("HTTP/1.1 503 ")) && !bytes.HasPrefix(answer, []byte("HTTP/1.1 403 ")) {
			t.Errorf("answer %.80q", answer)
		}
		if n := len(r.app.Seen()); n != 0 {
			t.Errorf("the application received %d requests", n)
		}
	})
}

// TestThreat19OversizeHurtsNobodyElse: requests as big as HAProxy takes, beside normal
// ones on the same HAProxy. The normal ones are answered, all of them.
func TestThreat19OversizeHurtsNobodyElse(t *testing.T) {
	eachRig(t, options{}, func(t *testing.T, r *rig) {
		r.script(t, allow())
		stop := make(chan struct{})
		var big sync.WaitGroup
		big.Go(func() {
			request := "GET /" + strings.Repeat("p", 7000) + "?" + strings.Repeat("q", 7000) + " HTTP/1.1\nHost: app.example.com\nConnection: close\n\n"
			for tick := time.Tick(10 * time.Millisecond); ; <-tick {
				select {
				case <-stop:
					return
				default:
				}
				nc := r.client.Dial(t, "app.example.com")
				_, _ = haproxytest.Exchange(nc, bufio.NewReader(nc), request)
				nc.Close()
			}
		})
		client := r.client.HTTP(t, false)
		for i := range 100 {
			if got := haproxytest.Do(t, client, "GET", "https://app.example.com/", nil, ""); got.Status != 200 {
				t.Errorf("request %d: status %d", i, got.Status)
			}
		}
		close(stop)
		big.Wait()
	})
}

// TestThreat19AbsentAgent: without an agent every request is refused, and HAProxy does
// not spin: two requests waiting must not cost it a processor.
func TestThreat19AbsentAgent(t *testing.T) {
	eachRig(t, options{noAgent: true}, func(t *testing.T, r *rig) {
		ask := func() {
			if got := r.client.Raw(t, "app.example.com", "GET / HTTP/1.1\nHost: app.example.com\nConnection: close\n\n"); got.Status != 503 {
				t.Errorf("status %d, want 503", got.Status)
			}
		}
		ask()
		r.ServerUp(t, agent.Backend, "postern", false)
		before, started := r.CPU(t), time.Now()
		for time.Since(started) < 2*time.Second {
			ask()
		}
		// A spinning HAProxy burns two seconds of each of its threads here.
		if used := r.CPU(t) - before; used > 1500*time.Millisecond {
			t.Errorf("HAProxy used %v of processor time in two seconds", used)
		}
	})
}

// TestBlockAsksAgain: in the block form a question whose connection broke is asked
// again, and the request passes.
func TestBlockAsksAgain(t *testing.T) {
	eachRig(t, options{}, func(t *testing.T, r *rig) {
		var asked atomic.Int64
		hostile{reply: func(f spop.Frame) []byte {
			if asked.Add(1) <= 2 {
				return nil
			}
			return ack(f, yes(f))
		}}.run(t, r.ln)
		want := 503
		if r.form == haproxy.Block {
			want = 200
		}
		got := r.client.Raw(t, "app.example.com", "GET / HTTP/1.1\nHost: app.example.com\nConnection: close\n\n")
		if got.Status != want {
			t.Errorf("status %d, want %d after %d questions", got.Status, want, asked.Load())
		}
	})
}
