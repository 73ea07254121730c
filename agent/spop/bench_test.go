package spop

import (
	"errors"
	"net"
	"runtime"
	"testing"
)

// TestNothingIsAllocatedByALength: a thousand connections that name 2 GiB, or all that
// was agreed on, cost what they sent, not what they named (case 11).
func TestNothingIsAllocatedByALength(t *testing.T) {
	const conns, most = 1000, 16 << 10 // the race detector makes a pool forget
	r := (&Server{Handler: allower{}}).start()
	for _, in := range [][]byte{
		{0x7f, 0xff, 0xff, 0xff, 1, 0, 0, 0, 1, 0, 0},
		append(helloBytes(16380), 0x7f, 0xff, 0xff, 0xff, 3, 0, 0, 0, 1, 0, 0),
		append(helloBytes(16380), 0xff, 0xff, 0xff, 0xff, 3),
		append(helloBytes(65536), 0, 1, 0, 0, 3, 0, 0, 0, 1, 0, 0), // as much as was agreed on
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range conns {
			c := r.open(&pipe{in: in, step: 1 << 20})
			c.serve()
		}
		runtime.ReadMemStats(&after)
		if each := (after.TotalAlloc - before.TotalAlloc) / conns; each > most {
			t.Errorf("% x…: %d bytes for each connection, want at most %d", in[:4], each, most)
		}
	}
}

// TestConnectionAllocatesNothing: once it is greeted, a connection works without
// allocations.
func TestConnectionAllocatesNothing(t *testing.T) {
	c := greeted(benchNotify())
	if n := testing.AllocsPerRun(1000, func() {
		if err := c.round(); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for each NOTIFY, want none", n)
	}
}

// BenchmarkDecode is the reading of one NOTIFY as HAProxy sends it for a navigation.
func BenchmarkDecode(b *testing.B) {
	frame := benchNotify()[lengthSize:]
	var n Notify
	var fields Fields
	names := NewNames(benchNames...)
	b.ReportAllocs()
	b.SetBytes(int64(len(frame)))
	for b.Loop() {
		f, _ := DecodeFrame(frame)
		n.reset(&f, true)
		for m, ok := n.Next(); ok; m, ok = n.Next() {
			if m.Fields(&names, &fields); fields.Came != 1<<18-1 || fields.Doubled {
				b.Fatal(fields.Came, fields.Doubled)
			}
		}
		if n.Err() != nil {
			b.Fatal(n.Err())
		}
	}
}

// BenchmarkEncode is the writing of one ACK with the variables of a signed-in user.
func BenchmarkEncode(b *testing.B) {
	identity := AppendSetString(nil, Transaction, "user", "alice")
	identity = AppendSetString(identity, Transaction, "groups", "staff,wiki")
	identity = AppendSetInt(identity, Transaction, "level", 1)
	buf := make([]byte, 0, bufferSize)
	var a Actions
	b.ReportAllocs()
	for b.Loop() {
		a.begin(buf, 16380, 12345, 1)
		a.SetString(Transaction, "rid", "6f1c0f6e-3c1d-4a5e-9d5e-0d9c8a1f2b3c")
		a.Raw(identity)
		a.SetString(Transaction, "rule", "rules[3]")
		a.SetString(Transaction, "reason", "proved")
		a.SetInt(Transaction, "status", 200)
		a.SetString(Transaction, "verdict", "allow")
		b.SetBytes(int64(len(a.end())))
	}
}

// BenchmarkConnection is NOTIFY to ACK over a connection in memory, 16 frames at a time.
func BenchmarkConnection(b *testing.B) {
	const batch = 16
	one := benchNotify()
	var all []byte
	for range batch {
		all = append(all, one...)
	}
	c := greeted(all)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%batch > 0 {
			continue
		}
		if err := c.round(); err != nil {
			b.Fatal(err)
		}
	}
}

// tape gives the same bytes at each Read and forgets what is written.
type tape struct {
	net.Conn
	in []byte
}

func (l *tape) Read(b []byte) (int, error)  { return copy(b, l.in), nil }
func (l *tape) Write(b []byte) (int, error) { return len(b), nil }

// greeted is a connection behind its HELLO whose peer sends in again and again.
func greeted(in []byte) *conn {
	r := (&Server{Handler: allower{}}).start()
	c := r.open(&tape{in: in})
	c.agreed = 16380
	c.in.open(c.nc, &r.buffers)
	return c
}

// round reads once, answers and writes.
func (c *conn) round() error {
	return errors.Join(c.in.fill(), c.frames(), c.flush())
}

// benchNames are the arguments of benchNotify, in their order.
var benchNames = []string{
	"v", "rid", "method", "ssl", "host", "path", "query", "src", "token", "tokens", "authorization", "accept",
	"xrw", "origin", "acrm", "mode", "dest", "upgrade",
}

// benchNotify is the NOTIFY of a navigation of somebody who is signed in.
func benchNotify() []byte {
	str := func(dst []byte, name, v string) []byte {
		return AppendValue(appendBytes(dst, name), Value{Type: String, Bytes: []byte(v)})
	}
	null := func(dst []byte, name string) []byte { return AppendValue(appendBytes(dst, name), Value{}) }
	b := append(appendBytes(nil, "check"), 18)
	b = AppendValue(appendBytes(b, "v"), Value{Type: Int64, Int: 1})
	b = str(b, "rid", "6f1c0f6e-3c1d-4a5e-9d5e-0d9c8a1f2b3c")
	b = str(b, "method", "GET")
	b = AppendValue(appendBytes(b, "ssl"), Value{Type: Bool, Int: 1})
	b = str(b, "host", "app.example.com")
	b = str(b, "path", "/projects/42/board")
	b = str(b, "query", "view=week&page=3")
	b = AppendValue(appendBytes(b, "src"), Value{Type: IPv4, Bytes: []byte{192, 0, 2, 7}})
	b = str(b, "token", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
	b = AppendValue(appendBytes(b, "tokens"), Value{Type: Int64, Int: 1})
	b = null(b, "authorization")
	b = str(b, "accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8")
	for _, name := range []string{"xrw", "origin", "acrm"} {
		b = null(b, name)
	}
	b = str(b, "mode", "navigate")
	b = str(b, "dest", "document")
	b = null(b, "upgrade")
	return AppendFrame(nil, Frame{Type: FrameNotify, Flags: FlagFin, Stream: 12345, ID: 1, Payload: b})
}
