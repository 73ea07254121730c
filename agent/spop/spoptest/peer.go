// Package spoptest is the other end of SPOP for tests: a scripted HAProxy that sends
// what it is told, be it wrong, and shows what came back.
//
// It does not behave like HAProxy by itself: it keeps no streams, sends no health checks
// and closes nothing unless told to. It knows nothing of what a message means.
package spoptest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"postern/agent/spop"
)

// Timeout bounds every wait of a Peer, so that a test fails instead of hanging.
const Timeout = 10 * time.Second

// ErrUnexpected says that the agent sent a frame of another type than was waited for.
var ErrUnexpected = errors.New("unexpected frame")

// Peer is one connection to an agent. It is not safe for use by several goroutines,
// except that one may send while another receives.
type Peer struct {
	Conn net.Conn
	r    *bufio.Reader
	next uint64
}

// New makes a Peer of a connection; it sends nothing.
func New(nc net.Conn) *Peer { return &Peer{Conn: nc, r: bufio.NewReaderSize(nc, 64<<10)} }

// Dial connects and says hello as HAProxy 3.2 does.
func Dial(network, address string) (*Peer, error) {
	nc, err := net.Dial(network, address)
	if err != nil {
		return nil, err
	}
	p := New(nc)
	if _, err := p.Hello(Hello{}); err != nil {
		nc.Close()
		return nil, err
	}
	return p, nil
}

// Close closes the connection.
func (p *Peer) Close() error { return p.Conn.Close() }

// Hello sends h and returns the answer.
func (p *Peer) Hello(h Hello) (spop.Frame, error) {
	if err := p.Send(AppendHello(nil, h)); err != nil {
		return spop.Frame{}, err
	}
	f, err := p.Receive()
	if err == nil && f.Type != spop.FrameAgentHello {
		err = fmt.Errorf("%w: type %d for AGENT-HELLO", ErrUnexpected, f.Type)
	}
	return f, err
}

// Send writes b as it is.
func (p *Peer) Send(b []byte) error {
	if err := p.Conn.SetWriteDeadline(time.Now().Add(Timeout)); err != nil {
		return err
	}
	_, err := p.Conn.Write(b)
	return err
}

// Receive returns the next frame; io.EOF when the agent closed between two frames.
func (p *Peer) Receive() (spop.Frame, error) {
	if err := p.Conn.SetReadDeadline(time.Now().Add(Timeout)); err != nil {
		return spop.Frame{}, err
	}
	var head [4]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		return spop.Frame{}, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > 1<<20 {
		return spop.Frame{}, fmt.Errorf("frame of %d bytes", size)
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(p.r, b); err != nil {
		return spop.Frame{}, io.ErrUnexpectedEOF
	}
	f, ok := spop.DecodeFrame(b)
	if !ok {
		return spop.Frame{}, fmt.Errorf("frame ends inside its header: % x", b)
	}
	return f, nil
}

// Ack returns the next frame, which must be an ACK.
func (p *Peer) Ack() (Ack, error) {
	f, err := p.Receive()
	if err != nil {
		return Ack{}, err
	}
	if f.Type != spop.FrameAck {
		return Ack{}, fmt.Errorf("%w: type %d for ACK", ErrUnexpected, f.Type)
	}
	return DecodeAck(f)
}

// Ask sends one NOTIFY with a stream of its own and returns the answer to it.
func (p *Peer) Ask(messages ...Message) (Ack, error) {
	p.next++
	stream := 2*p.next - 1 // 1, 3, 5, … as HAProxy 3.1 and later count
	if err := p.Send(AppendNotify(nil, stream, 1, messages...)); err != nil {
		return Ack{}, err
	}
	a, err := p.Ack()
	if err == nil && (a.Stream != stream || a.Frame != 1) {
		err = fmt.Errorf("ACK for stream %d frame %d, want %d and 1", a.Stream, a.Frame, stream)
	}
	return a, err
}

// Disconnected waits for the AGENT-DISCONNECT and the end behind it, passing over ACKs,
// and returns the status. A connection that ends without one is an error.
func (p *Peer) Disconnected() (spop.Status, error) {
	for {
		f, err := p.Receive()
		switch {
		case err != nil:
			return 0, err
		case f.Type == spop.FrameAck:
			continue
		case f.Type != spop.FrameAgentDisconnect:
			return 0, fmt.Errorf("%w: type %d for AGENT-DISCONNECT", ErrUnexpected, f.Type)
		}
		st, err := disconnectStatus(f.Payload)
		if err != nil {
			return 0, err
		}
		if f, err := p.Receive(); err == nil {
			return 0, fmt.Errorf("%w: type %d after AGENT-DISCONNECT", ErrUnexpected, f.Type)
		}
		return st, nil
	}
}

// disconnectStatus reads the two keys that a DISCONNECT has.
func disconnectStatus(b []byte) (spop.Status, error) {
	st, found := spop.Status(0), 0
	for len(b) > 0 {
		size, n := spop.Uvarint(b)
		if n == 0 || size > uint64(len(b)-n) {
			return 0, errors.New("bad key in AGENT-DISCONNECT")
		}
		name := string(b[n : n+int(size)])
		b = b[n+int(size):]
		v, n := spop.DecodeValue(b)
		switch {
		case n == 0:
			return 0, errors.New("bad value in AGENT-DISCONNECT")
		case name == "status-code" && v.Type == spop.Uint32:
			st = spop.Status(v.Int)
		case name == "message" && v.Type == spop.String && len(v.Bytes) <= 255:
		default:
			return 0, fmt.Errorf("key %q of type %d in AGENT-DISCONNECT", name, v.Type)
		}
		found++
		b = b[n:]
	}
	if found != 2 {
		return 0, fmt.Errorf("%d keys in AGENT-DISCONNECT, want 2", found)
	}
	return st, nil
}
