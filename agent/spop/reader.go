package spop

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
)

// bufferSize is the size of the pooled buffers: several dozen of HAProxy's frames, or
// two of the largest that it sends by default.
const bufferSize = 32 << 10

type buffer [bufferSize]byte

// reader holds what a connection sent and nobody consumed yet. Between two reads, when
// nothing is left over, it owns no buffer: a connection that waits costs none.
type reader struct {
	nc   net.Conn
	raw  syscall.RawConn // nil when nc is no socket; then the buffer stays
	try  func(fd uintptr) bool
	pool *sync.Pool // of *buffer
	lent *buffer    // what buf is when it came from the pool
	buf  []byte
	r, w int // buf[r:w] is unread
	n    int // result of try
	err  error
}

func (in *reader) open(nc net.Conn, pool *sync.Pool) {
	in.nc, in.pool = nc, pool
	if sc, ok := nc.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			in.raw, in.try = raw, in.attempt
		}
	}
}

// bytes is what is unread; it is valid until the next fill.
func (in *reader) bytes() []byte { return in.buf[in.r:in.w] }

// skip consumes n bytes.
func (in *reader) skip(n int) { in.r += n }

// fit makes room for more of the frame of n bytes, its length included, that has begun.
// The caller has held n against what was agreed on. The buffer grows with what came.
func (in *reader) fit(n int) {
	if n <= len(in.buf) || len(in.bytes()) < len(in.buf) {
		return
	}
	buf := make([]byte, min(n, 2*len(in.buf)))
	in.w = copy(buf, in.bytes())
	in.r = 0
	in.giveBack()
	in.buf = buf
}

// fill waits for more bytes. There must be room, that is: no complete frame is unread.
func (in *reader) fill() error {
	in.shift()
	if in.raw == nil {
		in.borrow()
		n, err := in.nc.Read(in.buf[in.w:])
		in.w += n
		if n > 0 {
			return nil
		}
		return err
	}
	if err := in.raw.Read(in.try); err != nil {
		return err
	}
	if in.err != nil {
		return in.err
	}
	in.w += in.n
	return nil
}

// shift moves what is unread to the front.
func (in *reader) shift() {
	if in.r > 0 {
		in.w = copy(in.buf, in.buf[in.r:in.w])
		in.r = 0
	}
}

// attempt reads without waiting. It is called when the socket may be readable, takes a
// buffer for that moment, and reports whether fill is done.
func (in *reader) attempt(fd uintptr) bool {
	in.borrow()
	for {
		in.n, in.err = syscall.Read(int(fd), in.buf[in.w:])
		switch {
		case in.err == nil && in.n > 0:
			return true
		case in.err == nil:
			in.n, in.err = 0, io.EOF
			return true
		case errors.Is(in.err, syscall.EINTR):
		case errors.Is(in.err, syscall.EAGAIN):
			in.release()
			return false
		default:
			in.n = 0
			return true
		}
	}
}

func (in *reader) borrow() {
	if in.buf != nil {
		return
	}
	in.lent = in.pool.Get().(*buffer)
	in.buf = in.lent[:]
}

// release gives the buffer back when nothing is in it.
func (in *reader) release() {
	if in.r == in.w {
		in.r, in.w = 0, 0
		in.giveBack()
	}
}

func (in *reader) giveBack() {
	if in.lent != nil {
		in.pool.Put(in.lent)
	}
	in.lent, in.buf = nil, nil
}
