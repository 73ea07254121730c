package spop

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// maxLate bounds the answers of one connection that are outstanding at a time. HAProxy
// has 20 requests of a connection in flight.
const maxLate = 256

// writer puts frames on one connection: those of the connection's own goroutine in
// batches, those of others as they come. Every frame goes out whole, in one Write.
type writer struct {
	nc      net.Conn      // changes under lateMu
	seat    *seat         // in a loop, which is then the only one that writes; changes under lateMu
	clock   *atomic.Int64 // of the run; starts at 1
	since   atomic.Int64  // clock at the start of the Write in progress, 0 when there is none
	mu      sync.Mutex    // held during a Write
	pending atomic.Int32  // answers detached and not written yet

	lateMu sync.Mutex
	late   []byte // whole frames that wait for the late goroutine
	count  int32  // how many
	busy   bool   // the late goroutine runs
	closed bool   // nothing is taken any more
	gone   bool   // it was cut
}

// write writes b. A Write that does not end is ended by the run, which closes the
// connection: a timer for each would cost more than the Write.
func (w *writer) write(b []byte) error {
	if w.seat != nil {
		return w.seat.put(b)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begin()
	_, err := w.nc.Write(b)
	w.end()
	return err
}

// begin and end are the beginning and the end of a wait for the peer.
func (w *writer) begin() { w.since.Store(w.clock.Load()) }
func (w *writer) end()   { w.since.Store(0) }

// stalled says whether a Write began at or before the given clock.
func (w *writer) stalled(before int64) bool {
	t := w.since.Load()
	return t != 0 && t <= before
}

// send hands a late frame over and does not wait: a peer that does not read holds up
// nobody but itself.
func (w *writer) send(frame []byte, spawn func(func())) {
	w.lateMu.Lock()
	defer w.lateMu.Unlock()
	if w.closed {
		w.pending.Add(-1)
		return
	}
	w.late = append(w.late, frame...)
	w.count++
	switch {
	case w.seat != nil:
		w.seat.call()
	case !w.busy:
		w.busy = true
		spawn(w.writeLate)
	}
}

// takeLate returns the late frames, and how many there are.
func (w *writer) takeLate() (b []byte, n int32) {
	w.lateMu.Lock()
	defer w.lateMu.Unlock()
	b, n = w.late, w.count
	w.late, w.count = nil, 0
	return b, n
}

// sit has a loop do the writing.
func (w *writer) sit(s *seat) {
	w.lateMu.Lock()
	defer w.lateMu.Unlock()
	w.seat = s
	s.cut.Store(w.gone) // what was cut is a socket that is not the seat's
}

// stand is the end of that, and of late frames. nc is nil when the socket is lost.
func (w *writer) stand(nc net.Conn) {
	w.lateMu.Lock()
	defer w.lateMu.Unlock()
	if nc != nil && w.gone {
		nc.Close()
	}
	w.seat, w.nc = nil, nc
	w.drop()
}

// drop refuses late frames, those that wait as well as further ones. lateMu is held.
func (w *writer) drop() {
	w.closed = true
	w.pending.Add(-w.count) // nobody sends them any more
	w.late, w.count = nil, 0
}

// hush has a goroutine that reads see that the run drains; a loop sees it by itself.
func (w *writer) hush() {
	w.lateMu.Lock()
	defer w.lateMu.Unlock()
	if w.seat == nil && w.nc != nil {
		w.nc.SetReadDeadline(time.Now().Add(quiet))
	}
}

// cut ends the connection from elsewhere.
func (w *writer) cut() {
	w.lateMu.Lock()
	defer w.lateMu.Unlock()
	w.gone = true
	switch {
	case w.seat != nil:
		w.seat.cut.Store(true)
		w.seat.call()
	case w.nc != nil:
		w.nc.Close()
	}
}

// writeLate writes late frames until there are none.
func (w *writer) writeLate() {
	for {
		w.lateMu.Lock()
		b, n := w.late, w.count
		w.late, w.count = nil, 0
		w.busy = n > 0
		w.lateMu.Unlock()
		if n == 0 {
			return
		}
		if err := w.write(b); err != nil {
			w.nc.Close() // the connection's goroutine meets it, and says so
		}
		w.pending.Add(-n)
	}
}

// close refuses further late frames and closes the connection.
func (w *writer) close() {
	w.lateMu.Lock()
	w.drop()
	w.lateMu.Unlock()
	if w.nc != nil {
		w.nc.Close()
	}
}

// Reply is the answer of one NOTIFY that is given later, from any goroutine, once. It
// must be given: HAProxy waits for it, and so does a graceful stop.
type Reply struct {
	Stream, Frame uint64

	conn *conn
	done atomic.Bool
}

// Actions returns an empty list that fits the connection.
func (r *Reply) Actions() *Actions {
	a := new(Actions)
	a.begin(make([]byte, 0, 512), int(r.conn.agreed), r.Stream, r.Frame)
	return a
}

// Send writes the ACK; it does not wait for the peer. On a closed connection, and the
// second time, it does nothing. a must come from r.Actions and is not used again.
func (r *Reply) Send(a *Actions) {
	if r.claim() {
		r.conn.out.send(a.end(), r.conn.run.goroutines.Go)
	}
}

// claim says whether the caller is the first to answer.
func (r *Reply) claim() bool { return r.done.CompareAndSwap(false, true) }
