package spop_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"postern/agent/spop"
	"postern/agent/spop/spoptest"
)

// raw is a frame of the given type and flags for stream 1.
func raw(t spop.FrameType, flags uint32, payload string) []byte {
	return spop.AppendFrame(nil, spop.Frame{Type: t, Flags: flags, Stream: 1, ID: 1, Payload: []byte(payload)})
}

// notify is a NOTIFY with a payload as it is.
func notify(payload string) []byte { return raw(spop.FrameNotify, spop.FlagFin, payload) }

// Cases 10 to 12, 20 to 27, 35, 37 and 38: what ends a connection, and with which status.
// The NOTIFY ahead of it is answered all the same.
func TestCase10to38Refused(t *testing.T) {
	str := func(name, value string) string { return fmt.Sprintf("%c%s\x08%s", len(name), name, value) }
	huge := string(unhex("fff0fefefefefefefe0e"))
	for _, tt := range []struct {
		name  string
		bytes []byte
		want  spop.Status
	}{
		{"10: length 0", unhex("00000000"), spop.StatusInvalid},
		{"10: length 1", unhex("00000001 03"), spop.StatusInvalid},
		{"10: length 6", unhex("00000006 03 00000001 00"), spop.StatusInvalid},
		{"11: length 2^32-1", unhex("ffffffff 03 00000001 00 00"), spop.StatusTooBig},
		{"11: length 2^31-1", unhex("7fffffff 03 00000001 00 00"), spop.StatusTooBig},
		{"12: one byte more than agreed", unhex("00003ffd 03 00000001 00 00"), spop.StatusTooBig},
		{"23: an argument fewer than NB-ARGS", notify("\x05check\x02" + str("id", "\x01x")), spop.StatusInvalid},
		{"23: NB-ARGS 255 and no argument", notify("\x05check\xff"), spop.StatusInvalid},
		{"23: an argument more than NB-ARGS", notify("\x05check\x01" + str("id", "\x01x") + str("host", "\x01y")), spop.StatusInvalid},
		{"23: no NB-ARGS", notify("\x05check"), spop.StatusInvalid},
		{"24: a message name beyond the frame", notify("\x20check\x00"), spop.StatusInvalid},
		{"24: an argument name beyond the frame", notify("\x05check\x01\x20id"), spop.StatusInvalid},
		{"24: a message name of 2^64-1 bytes", notify(huge + "check\x00"), spop.StatusInvalid},
		{"24: a string of 2^64-1 bytes", notify("\x05check\x01" + str("id", huge)), spop.StatusInvalid},
		{"24: a string of one byte too many", notify("\x05check\x01" + str("id", "\x02x")), spop.StatusInvalid},
		{"25: a varint of 11 bytes", notify("\x05check\x01\x02id\x04" + strings.Repeat("\xff", 11)), spop.StatusInvalid},
		{"25: a stream-id that does not end", unhex("0000000c 03 00000001 ffffffffffffff"), spop.StatusInvalid},
		{"26: type 10", notify("\x05check\x01\x02id\x0a"), spop.StatusInvalid},
		{"26: type 15", notify("\x05check\x01\x02id\x0f"), spop.StatusInvalid},
		{"26: a string with a flag", notify("\x05check\x01\x02id\x18\x01x"), spop.StatusInvalid},
		{"27: IPV4 of 3 bytes", notify("\x05check\x01\x02id\x06\x01\x02\x03"), spop.StatusInvalid},
		{"27: IPV6 of 15 bytes", notify("\x05check\x01\x02id\x07" + strings.Repeat("\x00", 15)), spop.StatusInvalid},
		{"35: ABORT", raw(spop.FrameNotify, spop.FlagFin|spop.FlagAbort, ""), spop.StatusInvalid},
		{"35: a first fragment", raw(spop.FrameNotify, 0, "\x05che"), spop.StatusFragmented},
		{"35: a further fragment", raw(spop.FrameUnset, spop.FlagFin, "ck\x00"), spop.StatusNoFrame},
		{"36: HAPROXY-DISCONNECT", unhex(wireHAProxyBye), spop.StatusNormal},
		{"36: a malformed HAPROXY-DISCONNECT", raw(spop.FrameHAProxyDisconnect, spop.FlagFin, "\x0bstatus"), spop.StatusInvalid},
		{"36: HAPROXY-DISCONNECT without FIN", raw(spop.FrameHAProxyDisconnect, 0, ""), spop.StatusInvalid},
		{"37: a second HELLO", unhex(wireHello), spop.StatusInvalid},
		{"38: AGENT-HELLO", unhex(wireAgentHello), spop.StatusInvalid},
		{"38: AGENT-DISCONNECT", unhex(wireAgentBye), spop.StatusInvalid},
		{"38: ACK", unhex(wireAck), spop.StatusInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := greet(t, start(t, &spop.Server{Handler: echo}))
			send(t, p, spoptest.AppendNotify(nil, 7, 8, message("before")), tt.bytes)
			a, err := p.Ack()
			if err != nil || a.Stream != 7 || a.Str("id") != "before" {
				t.Fatalf("ACK %+v, error %v, want that of stream 7", a, err)
			}
			f, err := p.Receive()
			if err != nil || f.Type != spop.FrameAgentDisconnect {
				t.Fatalf("frame %+v, error %v, want AGENT-DISCONNECT and no ACK", f, err)
			}
			if want := spop.Status(f.Payload[13]); want != tt.want {
				t.Errorf("status %d, want %d", want, tt.want)
			}
			wantEnd(t, p)
		})
	}
}

// Cases 13, 14, 20, 21, 26 and 35: what is answered, with the ids as they came.
func TestCase13to35Answered(t *testing.T) {
	for _, tt := range []struct {
		name          string
		stream, frame uint64
		flags         uint32
		payload       string
		verdicts      int
	}{
		{"13: stream-id 0", 0, 1, 1, "\x05check\x00", 1},
		{"14: a stream-id of 2^32-1 and a frame-id of 2^31", 1<<32 - 1, 1 << 31, 1, "\x05check\x00", 1},
		{"14: ids of 64 bits", 1<<64 - 1, 1 << 63, 1, "\x05check\x00", 1},
		{"20: no message", 1, 1, 1, "", 1},
		{"21: two messages", 1, 1, 1, "\x05check\x00\x05other\x01\x01n\x04\x07", 1},
		{"a message without a name", 1, 1, 1, "\x00\x00", 1},
		{"an argument without a name", 1, 1, 1, "\x05check\x01\x00\x08\x01x", 1},
		{"26: a BOOL with every flag", 1, 1, 1, "\x05check\x01\x01b\xf1", 1},
		{"35: reserved flags", 1, 1, 0xfffffffd, "\x05check\x00", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := greet(t, start(t, &spop.Server{Handler: echo}))
			send(t, p, spop.AppendFrame(nil, spop.Frame{
				Type: spop.FrameNotify, Flags: tt.flags, Stream: tt.stream, ID: tt.frame, Payload: []byte(tt.payload),
			}))
			a, err := p.Ack()
			if err != nil {
				t.Fatal(err)
			}
			if a.Stream != tt.stream || a.Frame != tt.frame || len(a.Actions) != tt.verdicts {
				t.Errorf("ACK %+v, want stream %d frame %d and %d action", a, tt.stream, tt.frame, tt.verdicts)
			}
		})
	}
}

// TestUnknownFramesArePassedOver: a type that nobody knows yet harms nothing.
func TestUnknownFramesArePassedOver(t *testing.T) {
	p := greet(t, start(t, &spop.Server{Handler: echo}))
	send(t, p, raw(4, spop.FlagFin, "x"), raw(100, 0, ""), raw(200, spop.FlagFin, "abc"), raw(255, 0xffffffff, ""))
	if _, err := p.Ask(message("x")); err != nil {
		t.Fatal(err)
	}
}

// Case 12: a frame of exactly the agreed size is answered, at both ends of what can be
// agreed on, and also when it fills the read buffer twice.
func TestCase12LargestFrame(t *testing.T) {
	for _, agreed := range []uint32{256, 16380, 32764, 32765, 65536, 65537, 262144, 1 << 20} {
		p := connect(t, start(t, &spop.Server{Handler: echo}))
		if _, err := p.Hello(spoptest.Hello{FrameSize: agreed}); err != nil {
			t.Fatal(err)
		}
		agreed = min(agreed, 262144)
		fill := ""
		build := func() []byte {
			return spoptest.AppendNotify(nil, 1, 1, spoptest.Message{Name: "check", Args: []spoptest.Arg{
				spoptest.Str("id", "x"), spoptest.Str("fill", fill),
			}})
		}
		fill = strings.Repeat("f", int(agreed)+4-len(build()))
		fill = fill[:len(fill)-(len(build())-int(agreed)-4)]
		for range 3 {
			send(t, p, build(), spoptest.AppendNotify(nil, 3, 1, message("y")))
			for _, want := range []string{"x", "y"} {
				if a, err := p.Ack(); err != nil || a.Str("id") != want {
					t.Fatalf("agreed %d: ACK %+v, error %v, want id %s", agreed, a, err, want)
				}
			}
		}
		fill += "f"
		send(t, p, build())
		wantDisconnect(t, p, spop.StatusTooBig)
	}
}

// Case 15: what was sent in one write is answered in few, each id once.
func TestCase15Batch(t *testing.T) {
	p := greet(t, start(t, &spop.Server{Handler: echo}))
	var all []byte
	for i := range uint64(20) {
		all = spoptest.AppendNotify(all, 2*i+1, 1, message(fmt.Sprint(i)))
	}
	send(t, p, all)
	for i := range uint64(20) {
		a, err := p.Ack()
		if err != nil || a.Stream != 2*i+1 || a.Str("id") != fmt.Sprint(i) {
			t.Fatalf("ACK %+v, error %v, want stream %d", a, err, 2*i+1)
		}
	}
}

// counted counts the Writes of a connection.
type counted struct {
	net.Conn
	writes *int
}

func (c counted) Write(b []byte) (int, error) { *c.writes++; return c.Conn.Write(b) }

// Case 15: the 20 answers go out in one Write.
func TestCase15OneWrite(t *testing.T) {
	ours, theirs := net.Pipe()
	writes := 0
	ln := single(counted{theirs, &writes})
	stop := serve(t, &spop.Server{Handler: echo}, ln)
	p := spoptest.New(ours)
	if _, err := p.Hello(spoptest.Hello{}); err != nil {
		t.Fatal(err)
	}
	var all []byte
	for i := range uint64(20) {
		all = spoptest.AppendNotify(all, i, 1, message("x"))
	}
	send(t, p, all)
	for range 20 {
		if _, err := p.Ack(); err != nil {
			t.Fatal(err)
		}
	}
	p.Close()
	stop()
	if writes != 2 {
		t.Errorf("%d writes, want 2: the AGENT-HELLO and all the ACKs", writes)
	}
}

// Case 16: whatever the pieces in which they come, all of 10,000 are answered.
func TestCase16RandomChunks(t *testing.T) {
	const total = 10000
	p := greet(t, start(t, &spop.Server{Handler: echo}))
	rnd := rand.New(rand.NewPCG(1, 2))
	var all []byte
	for i := range uint64(total) {
		all = spoptest.AppendNotify(all, i, i*i, message(strings.Repeat("x", rnd.IntN(700))))
	}
	go func() {
		for len(all) > 0 {
			n := min(1+rnd.IntN(1<<rnd.IntN(17)), len(all))
			if p.Send(all[:n]) != nil {
				return
			}
			all = all[n:]
		}
	}()
	seen := make(map[uint64]bool, total)
	for range total {
		a, err := p.Ack()
		if err != nil {
			t.Fatal(err)
		}
		if a.Frame != a.Stream*a.Stream || a.Stream >= total || seen[a.Stream] {
			t.Fatalf("ACK for stream %d frame %d", a.Stream, a.Frame)
		}
		seen[a.Stream] = true
	}
}

// Case 17: a NOTIFY may be cut anywhere.
func TestCase17SplitEverywhere(t *testing.T) {
	p := greet(t, start(t, &spop.Server{Handler: echo}))
	n := spoptest.AppendNotify(nil, 300, 1, message("split"))
	for cut := range n {
		send(t, p, n[:cut])
		send(t, p, n[cut:])
		if a, err := p.Ack(); err != nil || a.Stream != 300 || a.Str("id") != "split" {
			t.Fatalf("cut at %d: ACK %+v, error %v", cut, a, err)
		}
	}
}

// Case 18: two NOTIFYs with the same ids get two ACKs.
func TestCase18SameIDs(t *testing.T) {
	p := greet(t, start(t, &spop.Server{Handler: echo}))
	n := spoptest.AppendNotify(nil, 1, 1, message("twice"))
	send(t, p, n, n)
	for range 2 {
		if a, err := p.Ack(); err != nil || a.Stream != 1 || a.Str("id") != "twice" {
			t.Fatalf("ACK %+v, error %v", a, err)
		}
	}
}

// Case 34 (and 33): an ACK never grows over what was agreed; what does not fit is told
// to the handler, and nothing follows it.
func TestCase34AckFits(t *testing.T) {
	for _, agreed := range []uint32{256, 257, 1000, 16380, 40000, 65536} {
		for _, over := range []int{-40, -2, -1, 0, 1, 2, 40} {
			overflow := make(chan bool, 1)
			h := handler(func(n *spop.Notify, a *spop.Actions) {
				a.SetBytes(spop.Transaction, "x", bytes.Repeat([]byte("x"), int(agreed)-7-6+over))
				a.SetString(spop.Transaction, "verdict", "no room for me")
				overflow <- a.Overflow()
			})
			p := connect(t, start(t, &spop.Server{Handler: h}))
			if _, err := p.Hello(spoptest.Hello{FrameSize: agreed}); err != nil {
				t.Fatal(err)
			}
			a, err := p.Ask(message(""))
			if err != nil {
				t.Fatalf("agreed %d, %+d: %v", agreed, over, err)
			}
			if got := <-overflow; got && len(a.Actions) > 1 || !got && len(a.Actions) != 2 {
				t.Errorf("agreed %d, %+d: overflow %v with %d actions", agreed, over, got, len(a.Actions))
			}
			if a.Str("verdict") != "" != (over == -40) {
				t.Errorf("agreed %d, %+d: verdict %q", agreed, over, a.Str("verdict"))
			}
		}
	}
}
