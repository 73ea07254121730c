package spop_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"postern/agent/spop"
	"postern/agent/spop/spoptest"
)

// hello is a HAPROXY-HELLO of the given keys.
func hello(args ...spoptest.Arg) []byte {
	return spop.AppendFrame(nil, spop.Frame{Type: spop.FrameHAProxyHello, Flags: spop.FlagFin, Payload: spoptest.AppendArgs(nil, args)})
}

func typed(name string, t spop.Type, v int64) spoptest.Arg {
	return spoptest.Arg{Name: name, Value: spop.Value{Type: t, Int: v}}
}

var (
	versions = spoptest.Str("supported-versions", "2.0")
	size     = typed("max-frame-size", spop.Uint32, 16380)
	caps     = spoptest.Str("capabilities", "pipelining")
)

// Case 1: the whole AGENT-HELLO arrives in one read and is what HAProxy's parsers want.
func TestCase01AgentHello(t *testing.T) {
	p := connect(t, start(t, &spop.Server{Handler: echo}))
	send(t, p, unhex(wireHello))
	p.Conn.SetReadDeadline(time.Now().Add(spoptest.Timeout))
	b := make([]byte, 1024)
	n, err := p.Conn.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	if want := unhex(wireAgentHello); !bytes.Equal(b[:n], want) {
		t.Errorf("AGENT-HELLO\n got % x\nwant % x", b[:n], want)
	}
}

// Cases 2 to 5: which HELLOs are answered, with which frame size, and how the others are
// refused.
func TestCase02to05Negotiation(t *testing.T) {
	every := []spoptest.Arg{ // an unknown key of each type
		spoptest.Null("a"), spoptest.Bool("b", true), typed("c", spop.Int32, -1), typed("d", spop.Uint32, 1), typed("e", spop.Int64, -9),
		typed("f", spop.Uint64, 1<<40), {Name: "g", Value: spop.Value{Type: spop.IPv4, Bytes: make([]byte, 4)}},
		{Name: "h", Value: spop.Value{Type: spop.IPv6, Bytes: make([]byte, 16)}}, spoptest.Str("i", "x"), {Name: "j", Value: spop.Value{Type: spop.Binary}},
	}
	const no = 0 // no AGENT-HELLO
	for _, tt := range []struct {
		name   string
		keys   []spoptest.Arg
		size   int64 // in AGENT-HELLO
		status spop.Status
	}{
		{"the keys in another order, and unknown ones", append(every, caps, size, versions), 16380, 0},
		{"2.0 among other versions", []spoptest.Arg{spoptest.Str("supported-versions", "1.0, 2.0 , 3.1"), size, caps}, 16380, 0},
		{"version 1.0 alone", []spoptest.Arg{spoptest.Str("supported-versions", "1.0"), size, caps}, no, spop.StatusBadVersion},
		{"version 3.0 alone", []spoptest.Arg{spoptest.Str("supported-versions", "3.0"), size, caps}, no, spop.StatusBadVersion},
		{"version 2.00", []spoptest.Arg{spoptest.Str("supported-versions", "2.00"), size, caps}, no, spop.StatusBadVersion},
		{"an empty list of versions", []spoptest.Arg{spoptest.Str("supported-versions", ""), size, caps}, no, spop.StatusBadVersion},
		{"no versions", []spoptest.Arg{size, caps}, no, spop.StatusNoVersion},
		{"versions as a number", []spoptest.Arg{typed("supported-versions", spop.Uint32, 2), size, caps}, no, spop.StatusInvalid},
		{"no frame size", []spoptest.Arg{versions, caps}, no, spop.StatusNoFrameSize},
		{"frame size 255", []spoptest.Arg{versions, typed("max-frame-size", spop.Uint32, 255), caps}, no, spop.StatusBadFrameSize},
		{"frame size 0", []spoptest.Arg{versions, typed("max-frame-size", spop.Uint32, 0), caps}, no, spop.StatusBadFrameSize},
		{"a negative frame size", []spoptest.Arg{versions, typed("max-frame-size", spop.Int32, -1), caps}, no, spop.StatusBadFrameSize},
		{"frame size 256", []spoptest.Arg{versions, typed("max-frame-size", spop.Uint32, 256), caps}, 256, 0},
		{"a frame size of 4 GiB", []spoptest.Arg{versions, typed("max-frame-size", spop.Uint32, 1<<32-1), caps}, 262144, 0},
		{"a frame size above 2^32", []spoptest.Arg{versions, typed("max-frame-size", spop.Uint64, 1<<40+256), caps}, 262144, 0},
		{"an INT32 frame size", []spoptest.Arg{versions, typed("max-frame-size", spop.Int32, 16380), caps}, 16380, 0},
		{"an INT64 frame size", []spoptest.Arg{versions, typed("max-frame-size", spop.Int64, 16380), caps}, 16380, 0},
		{"a frame size as a string", []spoptest.Arg{versions, spoptest.Str("max-frame-size", "16380"), caps}, no, spop.StatusInvalid},
		{"no capabilities: we need none", []spoptest.Arg{versions, size}, 16380, 0},
		{"empty capabilities", []spoptest.Arg{versions, size, spoptest.Str("capabilities", "")}, 16380, 0},
		{"capabilities as a number", []spoptest.Arg{versions, size, typed("capabilities", spop.Uint32, 0)}, no, spop.StatusInvalid},
		{"two frame sizes", []spoptest.Arg{versions, size, size, caps}, no, spop.StatusInvalid},
		{"healthcheck as a string", []spoptest.Arg{versions, size, caps, spoptest.Str("healthcheck", "")}, no, spop.StatusInvalid},
		{"nothing at all", nil, no, spop.StatusNoVersion},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := connect(t, start(t, &spop.Server{Handler: echo}))
			send(t, p, hello(tt.keys...))
			if tt.size == no {
				wantDisconnect(t, p, tt.status)
				return
			}
			f, err := p.Receive()
			if err != nil {
				t.Fatal(err)
			}
			want := hello(spoptest.Str("version", "2.0"), typed("max-frame-size", spop.Uint32, tt.size), spoptest.Str("capabilities", "pipelining"))[4+7:]
			if f.Type != spop.FrameAgentHello || !bytes.Equal(f.Payload, want) {
				t.Errorf("type %d, payload % x, want 101 and % x", f.Type, f.Payload, want)
			}
			if _, err := p.Ask(message("x")); err != nil {
				t.Errorf("a NOTIFY afterwards: %v", err)
			}
		})
	}
}

// wantDisconnect waits for AGENT-DISCONNECT and the end of the connection.
func wantDisconnect(t *testing.T, p *spoptest.Peer, want spop.Status) {
	t.Helper()
	if got, err := p.Disconnected(); err != nil || got != want {
		t.Errorf("AGENT-DISCONNECT %d (%v), error %v, want %d (%v)", got, got, err, want, want)
	}
}

// wantEnd waits for the end of the connection without another frame.
func wantEnd(t *testing.T, p *spoptest.Peer) {
	t.Helper()
	if f, err := p.Receive(); err == nil {
		t.Errorf("got a frame of type %d, want the end", f.Type)
	} else if !ended(err) {
		t.Errorf("got %v, want the end", err)
	}
}

// ended says that an error means that the agent has closed.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || strings.Contains(err.Error(), "reset by peer") || strings.Contains(err.Error(), "broken pipe")
}

// Case 6: a health check gets AGENT-HELLO and nothing else; healthcheck false is an
// ordinary connection.
func TestCase06HealthCheck(t *testing.T) {
	called := make(chan struct{}, 1)
	addr := start(t, &spop.Server{Handler: handler(func(n *spop.Notify, a *spop.Actions) { called <- struct{}{} })})
	p := connect(t, addr)
	send(t, p, unhex(wireCheck))
	f, err := p.Receive()
	if err != nil || f.Type != spop.FrameAgentHello || !bytes.Contains(f.Payload, []byte("capabilities")) {
		t.Fatalf("frame %+v, error %v, want AGENT-HELLO with capabilities", f, err)
	}
	send(t, p, spoptest.AppendNotify(nil, 1, 1, message("x")))
	wantEnd(t, p)
	select {
	case <-called:
		t.Error("a NOTIFY on the connection of a health check was answered")
	default:
	}

	p = connect(t, addr)
	send(t, p, hello(versions, size, caps, spoptest.Bool("healthcheck", false)))
	if _, err := p.Receive(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Ask(message("x")); err != nil {
		t.Errorf("with healthcheck false: %v", err)
	}
}

// Case 7: a HELLO may come byte by byte; one that stalls ends the connection.
func TestCase07SlowHello(t *testing.T) {
	p := connect(t, start(t, &spop.Server{Handler: echo}))
	for _, c := range unhex(wireHello) {
		send(t, p, []byte{c})
	}
	if f, err := p.Receive(); err != nil || f.Type != spop.FrameAgentHello {
		t.Errorf("frame %+v, error %v, want AGENT-HELLO", f, err)
	}

	addr := start(t, &spop.Server{Handler: echo, HelloTimeout: 20 * time.Millisecond})
	for _, part := range [][]byte{nil, unhex(wireHello)[:3], unhex(wireHello)[:40]} {
		p := connect(t, addr)
		if err := p.Send(part); err != nil && !ended(err) { // the timeout may come first
			t.Fatal(err)
		}
		wantEnd(t, p)
	}
}

// Cases 8, 9 and 11: what does not begin like a HELLO gets no answer.
func TestCase08NotAHello(t *testing.T) {
	addr := start(t, &spop.Server{Handler: handler(func(n *spop.Notify, a *spop.Actions) { t.Error("the handler was called") })})
	for _, tt := range []struct {
		name  string
		bytes []byte
	}{
		{"NOTIFY", unhex(wireNotify)},
		{"ACK", unhex(wireAck)},
		{"HAPROXY-DISCONNECT", unhex(wireHAProxyBye)},
		{"type 200", unhex("00000007 c8 00000001 00 00")},
		{"an HTTP request", []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")},
		{"a TLS ClientHello", unhex("16030100c8010000c40303")},
		{"a HELLO of 4 GiB", unhex("ffffffff 01 00000001 00 00")},
		{"a HELLO of 2 GiB", unhex("7fffffff 01 00000001 00 00")},
		{"a NOTIFY of 4 GiB", unhex("ffffffff 03 00000001 00 00")},
		{"a HELLO of 4097 bytes", unhex("00001001 01 00000001 00 00")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := connect(t, addr)
			send(t, p, tt.bytes)
			wantEnd(t, p)
		})
	}
}

// TestHelloRefused: frames that begin like a HELLO and are none.
func TestHelloRefused(t *testing.T) {
	addr := start(t, &spop.Server{Handler: echo})
	good := unhex(wireHello)
	edit := func(at int, c byte) []byte {
		b := bytes.Clone(good)
		b[at] = c
		return b
	}
	for _, tt := range []struct {
		name  string
		bytes []byte
	}{
		{"length 0", unhex("00000000")},
		{"length 6", unhex("00000006 01 00000001 00")},
		{"no FIN", edit(8, 0)},
		{"ABORT", edit(8, 3)},
		{"a stream-id", edit(9, 1)},
		{"a frame-id", edit(10, 1)},
		{"a key that reaches over the end", edit(11, 0xee)},
		{"a value of a reserved type", edit(30, 0x0c)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := connect(t, addr)
			send(t, p, tt.bytes)
			wantDisconnect(t, p, spop.StatusInvalid)
		})
	}
}
