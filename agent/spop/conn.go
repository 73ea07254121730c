package spop

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"runtime/debug"
	"syscall"
	"time"
)

// conn is one connection of HAProxy's. All but out is used by its one goroutine only, or
// by its loop while it sits there.
type conn struct {
	run    *run
	nc     net.Conn
	peer   string // its address, for the log
	in     reader
	out    writer
	agreed uint32   // max-frame-size of both directions
	fresh  bool     // nothing was answered since the last read
	ahead  [][]byte // what foresee tells, kept for its memory
	told   int      // frames that Foresight was told of and that are not answered
	batch  []byte   // ACKs that wait for the next flush, in lent
	lent   *buffer
	notify Notify
	ack    Actions
}

// serve lives as long as the connection.
func (c *conn) serve() {
	c.in.open(c.nc, &c.run.buffers)
	c.notify.conn = c
	err := c.talk()
	if st, ok := errors.AsType[Status](err); ok {
		c.goodbye(st)
	}
	c.out.close()
	c.in.giveBack()
	c.dropBatch()
	c.report(err)
}

// talk says hello and answers frames. It returns why the connection ends; a Status is
// for HAProxy to know, StatusNormal the answer to its own goodbye.
func (c *conn) talk() error {
	check, err := c.hello()
	if err != nil {
		return err
	}
	if check {
		if err := c.in.fill(); err != nil {
			return err
		}
		return io.EOF // whatever came in place of HAProxy's end is of no interest
	}
	if err := c.nc.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	if why, ok := c.seat(); ok {
		return why
	}
	for {
		err := c.frames()
		if ferr := c.flush(); ferr != nil {
			return ferr
		}
		if err != nil {
			return err
		}
		if err := c.wait(); err != nil {
			return err
		}
	}
}

// wait waits for more bytes. While the run drains, a connection that is silent for a
// moment, and had nothing in flight at its beginning, ends here.
func (c *conn) wait() error {
	for {
		draining, owing := c.run.draining.Load(), c.out.pending.Load() > 0
		if draining {
			if err := c.nc.SetReadDeadline(time.Now().Add(quiet)); err != nil {
				return err
			}
		}
		err := c.in.fill()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		if draining && !owing && len(c.in.bytes()) == 0 {
			return StatusNormal
		}
	}
}

// frames answers every complete frame that was read.
func (c *conn) frames() error {
	c.fresh, c.told = true, 0
	for {
		if c.told--; c.told < 0 {
			c.foresee()
		}
		b := c.in.bytes()
		if len(b) < lengthSize {
			return nil
		}
		size := binary.BigEndian.Uint32(b)
		if size > c.agreed {
			return StatusTooBig
		}
		if size < minFrame {
			return StatusInvalid
		}
		if uint32(len(b)-lengthSize) < size {
			c.in.fit(lengthSize + int(size))
			return nil
		}
		f, ok := DecodeFrame(b[lengthSize : lengthSize+size])
		if !ok {
			return StatusInvalid
		}
		c.in.skip(lengthSize + int(size))
		if err := c.frame(&f); err != nil {
			return err
		}
	}
}

// foresee tells the handler of the whole frames that were read.
func (c *conn) foresee() {
	if c.run.foresight == nil {
		return
	}
	c.ahead = c.ahead[:0]
	for b := c.in.bytes(); len(c.ahead) < maxAhead && len(b) >= lengthSize; {
		size := uint64(binary.BigEndian.Uint32(b)) + lengthSize
		if size > uint64(len(b)) {
			break
		}
		c.ahead, b = append(c.ahead, b[lengthSize:size]), b[size:]
	}
	if c.told = len(c.ahead) - 1; c.told > 0 {
		c.tell()
	}
}

// tell tells the handler. A hint that it cannot bear costs no request its answer.
func (c *conn) tell() {
	defer func() {
		if v := recover(); v != nil {
			c.run.log.Error("foresight panicked", "panic", v, "stack", string(debug.Stack()))
		}
	}()
	c.run.foresight.Ahead(c.ahead)
}

// frame answers one frame behind the HELLO.
func (c *conn) frame(f *Frame) error {
	switch f.Type {
	case FrameNotify:
		switch {
		case f.Flags&FlagAbort != 0:
			return StatusInvalid
		case f.Flags&FlagFin == 0:
			return StatusFragmented
		}
		return c.answer(f)
	case FrameHAProxyDisconnect:
		if !validDisconnect(f) {
			return StatusInvalid
		}
		return StatusNormal
	case FrameUnset:
		return StatusNoFrame // fragments were not announced, so none can have begun
	case FrameHAProxyHello, FrameAgentHello, FrameAgentDisconnect, FrameAck:
		return StatusInvalid
	}
	return nil // unknown types are passed over
}

// answer answers one NOTIFY.
func (c *conn) answer(f *Frame) error {
	if err := c.room(); err != nil {
		return err
	}
	c.notify.reset(f, c.fresh)
	c.fresh = false
	c.ack.begin(c.batch, int(c.agreed), f.Stream, f.ID)
	ours := c.call()
	if !c.notify.finish() {
		return StatusInvalid
	}
	if ours {
		c.batch = c.ack.end()
	}
	return nil
}

// call calls the handler and reports whether the ACK is ours to write. A panic costs
// one request its answer, not the process its life.
func (c *conn) call() (ours bool) {
	defer func() {
		if v := recover(); v != nil {
			c.run.log.Error("handler panicked", "panic", v, "stack", string(debug.Stack()))
			ours = c.fallback()
		}
	}()
	c.run.Handler.Notify(&c.notify, &c.ack)
	return c.notify.later == nil
}

// fallback answers a NOTIFY whose handler panicked.
func (c *conn) fallback() (ours bool) {
	if r := c.notify.later; r != nil {
		if !r.claim() {
			return false
		}
		c.out.pending.Add(-1)
	}
	c.ack.Reset()
	ours = true
	defer func() {
		if v := recover(); v != nil {
			c.ack.Reset()
			c.run.log.Error("handler panicked again", "panic", v)
		}
	}()
	if h, ok := c.run.Handler.(Fallback); ok {
		h.Panicked(&c.notify, &c.ack)
	}
	return ours
}

// detach makes the Reply of a NOTIFY, nil over the bound.
func (c *conn) detach(stream, frame uint64) *Reply {
	if c.out.pending.Add(1) > maxLate {
		c.out.pending.Add(-1)
		return nil
	}
	return &Reply{Stream: stream, Frame: frame, conn: c}
}

// room makes a place for one more ACK. A batch that is half full goes out first; an ACK
// that is larger than what is left grows out of the pooled buffer.
func (c *conn) room() error {
	if len(c.batch) > bufferSize/2 {
		if err := c.out.write(c.batch); err != nil {
			return err
		}
		c.dropBatch()
	}
	if c.batch == nil {
		c.lent = c.run.buffers.Get().(*buffer)
		c.batch = c.lent[:0]
	}
	return nil
}

// flush writes the batch in one Write.
func (c *conn) flush() error {
	if c.batch == nil {
		return nil
	}
	var err error
	if len(c.batch) > 0 {
		err = c.out.write(c.batch)
	}
	c.dropBatch()
	return err
}

// dropBatch gives the buffer of the batch back.
func (c *conn) dropBatch() {
	if c.lent != nil {
		c.run.buffers.Put(c.lent)
	}
	c.batch, c.lent = nil, nil
}

// goodbye sends AGENT-DISCONNECT and waits a moment for HAProxy to close: closing a TCP
// socket with unread bytes in it would take the frame away again.
func (c *conn) goodbye(st Status) {
	if c.out.write(appendDisconnect(nil, st)) != nil {
		return
	}
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		c.nc.SetReadDeadline(time.Now().Add(linger))
		io.CopyN(io.Discard, c.nc, lingerBytes)
	}
}

// report logs the end of a connection, once. Ends that are nobody's fault are debug.
func (c *conn) report(err error) {
	st, isStatus := errors.AsType[Status](err)
	switch {
	case isStatus && st != StatusNormal || errors.Is(err, errNotSPOP):
		c.run.log.Warn("connection refused", "peer", c.peer, "error", err)
	case isStatus, errors.Is(err, errCut), errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, os.ErrDeadlineExceeded):
		c.run.log.Debug("connection ended", "reason", err)
	default:
		c.run.log.Warn("connection broke", "error", err)
	}
}
