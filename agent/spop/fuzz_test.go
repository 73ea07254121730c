package spop

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"
)

// pipe is a connection with everything that the peer will ever send in it. It keeps
// what is written and hands the input out in pieces of step bytes.
type pipe struct {
	net.Conn
	in   []byte
	step int
	out  []byte
}

func (p *pipe) Read(b []byte) (int, error) {
	if len(p.in) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.step)], p.in)
	p.in = p.in[n:]
	return n, nil
}
func (p *pipe) Write(b []byte) (int, error)       { p.out = append(p.out, b...); return len(b), nil }
func (p *pipe) Close() error                      { return nil }
func (p *pipe) SetReadDeadline(t time.Time) error { return nil }
func (p *pipe) RemoteAddr() net.Addr              { return &net.UnixAddr{} }

// allower answers like a careful user of this package: it reads everything, and allows.
type allower struct{}

func (allower) Notify(n *Notify, a *Actions) {
	for m, ok := n.Next(); ok; m, ok = n.Next() {
		for _, _, ok := m.Arg(); ok; _, _, ok = m.Arg() {
		}
	}
	a.SetString(Transaction, "verdict", "allow")
}

// converse runs one connection over in and returns what was written.
func converse(s *Server, in []byte, step int) []byte {
	p := &pipe{in: in, step: step}
	r := s.start()
	c := r.open(p)
	c.serve()
	r.goroutines.Wait()
	return p.out
}

// oracle reads in as the specification tells and with no thought for speed: how many
// NOTIFYs are to be answered, and with which status the connection ends; -1: without one.
func oracle(in []byte, agreed uint32) (acks int, status int) {
	for len(in) >= 4 {
		size := binary.BigEndian.Uint32(in)
		switch {
		case size > agreed:
			return acks, 3
		case size < 7:
			return acks, 4
		case uint64(len(in)-4) < uint64(size):
			return acks, -1
		}
		b := in[4 : 4+size]
		in = in[4+size:]
		kind, flags := b[0], b[4]
		b = b[5:]
		for range 2 {
			_, n := slowVarint(b)
			if n == 0 {
				return acks, 4
			}
			b = b[n:]
		}
		switch kind {
		case 3:
			if flags&2 != 0 {
				return acks, 4
			}
			if flags&1 == 0 {
				return acks, 10
			}
			if !slowMessages(b) {
				return acks, 4
			}
			acks++
		case 2:
			for len(b) > 0 {
				var ok bool
				if b, ok = slowArg(b); !ok {
					return acks, 4
				}
			}
			if flags&1 == 0 {
				return acks, 4
			}
			return acks, 0
		case 0:
			return acks, 12
		case 1, 101, 102, 103:
			return acks, 4
		}
	}
	return acks, -1
}

// slowVarint is a decoder in the words of SPOE.txt 3.1, in 128 bits.
func slowVarint(b []byte) (uint64, int) {
	if len(b) == 0 {
		return 0, 0
	}
	if b[0] < 240 {
		return uint64(b[0]), 1
	}
	hi, lo, shift := uint64(0), uint64(b[0]), uint(4)
	for i := 1; i < len(b) && i < 10; i++ {
		c := uint64(b[i])
		if shift > 56 {
			hi += c >> (64 - shift)
		}
		before := lo
		if lo += c << shift; lo < before {
			hi++
		}
		if hi != 0 {
			return 0, 0
		}
		if c < 128 {
			return lo, i + 1
		}
		shift += 7
	}
	return 0, 0
}

func slowString(b []byte) ([]byte, bool) {
	size, n := slowVarint(b)
	if n == 0 || size > uint64(len(b)) || uint64(len(b))-size < uint64(n) {
		return nil, false
	}
	return b[uint64(n)+size:], true
}

func slowArg(b []byte) ([]byte, bool) {
	b, ok := slowString(b)
	if !ok || len(b) == 0 {
		return nil, false
	}
	kind, flags := b[0]&15, b[0]>>4
	b = b[1:]
	if flags != 0 && kind != 1 {
		return nil, false
	}
	switch kind {
	case 0, 1:
		return b, true
	case 2, 3, 4, 5:
		_, n := slowVarint(b)
		return b[n:], n > 0
	case 6, 7:
		size := map[byte]int{6: 4, 7: 16}[kind]
		if len(b) < size {
			return nil, false
		}
		return b[size:], true
	case 8, 9:
		return slowString(b)
	}
	return nil, false
}

func slowMessages(b []byte) bool {
	for len(b) > 0 {
		var ok bool
		if b, ok = slowString(b); !ok || len(b) == 0 {
			return false
		}
		args := int(b[0])
		b = b[1:]
		for range args {
			if b, ok = slowArg(b); !ok {
				return false
			}
		}
	}
	return true
}

// helloBytes is a handshake with the given frame size.
func helloBytes(size uint32) []byte {
	var p []byte
	p = AppendValue(appendBytes(p, "supported-versions"), Value{Type: String, Bytes: []byte("2.0")})
	p = AppendValue(appendBytes(p, "max-frame-size"), Value{Type: Uint32, Int: int64(size)})
	return AppendFrame(nil, Frame{Type: FrameHAProxyHello, Flags: FlagFin, Payload: p})
}

// FuzzConnection is case 45 of the protocol tests (threat 22): after a good HELLO any
// bytes in any pieces. Every sound NOTIFY ahead of the first fault is answered once, no
// other one is, the connection ends with the status that the specification asks for, and
// what was written consists of whole frames.
func FuzzConnection(f *testing.F) {
	notify := AppendFrame(nil, Frame{Type: FrameNotify, Flags: FlagFin, Stream: 1, ID: 1, Payload: []byte("\x05check\x03\x01v\x04\x01\x03ssl\x11\x03src\x06\x7f\x00\x00\x01")})
	bye := AppendFrame(nil, Frame{Type: FrameHAProxyDisconnect, Flags: FlagFin, Payload: []byte("\x0bstatus-code\x03\x00")})
	f.Add(notify, uint16(1))
	f.Add(append(append([]byte{}, notify...), bye...), uint16(7))
	f.Add(notify[:len(notify)-3], uint16(9999))
	f.Add(AppendFrame(nil, Frame{Type: FrameNotify, Payload: []byte("\x05check\x00")}), uint16(3))
	f.Add(AppendFrame(nil, Frame{Type: 77, Payload: []byte("?")}), uint16(3))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff}, uint16(2))
	server := &Server{Handler: allower{}}
	f.Fuzz(func(t *testing.T, in []byte, step uint16) {
		const agreed = 1000
		out := converse(server, append(helloBytes(agreed), in...), 1+int(step))
		acks, status := 0, -1
		for i := 0; len(out) > 0; i++ {
			size := binary.BigEndian.Uint32(out)
			frame, ok := DecodeFrame(out[4 : 4+size])
			switch {
			case !ok || size > agreed || frame.Flags != FlagFin:
				t.Fatalf("frame % x", out)
			case i == 0 && frame.Type == FrameAgentHello:
			case i > 0 && frame.Type == FrameAck && status < 0:
				acks++
			case i > 0 && frame.Type == FrameAgentDisconnect && status < 0:
				status = int(frame.Payload[13])
			default:
				t.Fatalf("frame %d is of type %d", i, frame.Type)
			}
			out = out[4+size:]
		}
		if wantAcks, wantStatus := oracle(in, agreed); acks != wantAcks || status != wantStatus {
			t.Fatalf("% x\n%d ACKs and status %d, want %d and %d", in, acks, status, wantAcks, wantStatus)
		}
	})
}

// FuzzHello: whatever comes first, there is an AGENT-HELLO or the connection ends; an
// AGENT-HELLO never names a frame size that HAProxy did not offer.
func FuzzHello(f *testing.F) {
	f.Add(helloBytes(16380), uint16(5))
	f.Add(helloBytes(255), uint16(5))
	f.Add([]byte("GET / HTTP/1.1\r\n"), uint16(100))
	server := &Server{Handler: allower{}}
	f.Fuzz(func(t *testing.T, in []byte, step uint16) {
		out := converse(server, in, 1+int(step))
		if len(out) == 0 {
			return
		}
		size := binary.BigEndian.Uint32(out)
		frame, ok := DecodeFrame(out[4 : 4+size])
		if !ok || frame.Type != FrameAgentHello && frame.Type != FrameAgentDisconnect {
			t.Fatalf("% x is answered by % x", in, out)
		}
		if frame.Type == FrameAgentHello {
			h, st := parseHello(in[11 : 4+binary.BigEndian.Uint32(in)])
			if agreed := frame.Payload[28:]; st != StatusNormal || h.frameSize < minAgreed {
				t.Fatalf("% x is answered by AGENT-HELLO % x", in, agreed)
			}
		}
	})
}
