// Package spop speaks SPOP 2.0, the protocol of HAProxy's stream processing offload
// engine, on the agent's side (SPOE.txt 3, HAProxy 2.6 to 3.5).
//
// It knows frames, typed data and actions, and nothing of what a message means. It uses
// the standard library only. It does not reassemble fragments, keeps no request after
// its answer, never closes a connection because it is idle, and never allocates by a
// length that a peer names.
package spop

// Handler answers the NOTIFY frames of all connections.
type Handler interface {
	// Notify is called on the one goroutine that answers the connection, and perhaps many
	// others, which reads nothing more until it returns: it must not block. n and
	// everything it yields are views into the read buffer and die when Notify returns. The
	// handler reads the messages, writes its actions to a, and returns; when n.Err() is
	// set then, the actions are dropped and the connection is closed with StatusInvalid.
	// To answer later it calls n.Later() and hands the Reply to another goroutine; what it
	// wrote to a is then ignored.
	Notify(n *Notify, a *Actions)
}

// Fallback is implemented by a Handler that wants to say what HAProxy is told when its
// Notify panicked. Without it such a NOTIFY gets an ACK with no action.
type Fallback interface {
	// Panicked is called in place of the rest of Notify, on the same goroutine. a is
	// empty; n is at the place where it was left.
	Panicked(n *Notify, a *Actions)
}

// Foresight is implemented by a Handler that gains by knowing what it will be asked.
type Foresight interface {
	// Ahead is told of frames that came together, two to maxAhead at a time, before the
	// first of them is answered. They are hints, of any type and sound or not, and views
	// that die when Ahead returns; the slice is Ahead's to change. It must not block.
	Ahead(frames [][]byte)
}

// maxAhead bounds how many frames Foresight is told of at a time.
const maxAhead = 32

// Status is the status code of a DISCONNECT, SPOE.txt 3.5. It is an error, save for
// StatusNormal.
type Status uint32

// The status codes. An agent sends no others: HAProxy 3.1 and later index a table by
// what the agent said.
const (
	StatusNormal         Status = 0
	StatusIO             Status = 1
	StatusTimeout        Status = 2
	StatusTooBig         Status = 3
	StatusInvalid        Status = 4
	StatusNoVersion      Status = 5
	StatusNoFrameSize    Status = 6
	StatusNoCapabilities Status = 7
	StatusBadVersion     Status = 8
	StatusBadFrameSize   Status = 9
	StatusFragmented     Status = 10
	StatusInterlaced     Status = 11
	StatusNoFrame        Status = 12
	StatusResources      Status = 13
	StatusUnknown        Status = 99
)

// Error is the status in words; it is the message of our DISCONNECT too.
func (s Status) Error() string {
	switch s {
	case StatusNormal:
		return "normal"
	case StatusIO:
		return "I/O error"
	case StatusTimeout:
		return "a timeout occurred"
	case StatusTooBig:
		return "frame is too big"
	case StatusInvalid:
		return "invalid frame received"
	case StatusNoVersion:
		return "version value not found"
	case StatusNoFrameSize:
		return "max-frame-size value not found"
	case StatusNoCapabilities:
		return "capabilities value not found"
	case StatusBadVersion:
		return "unsupported version"
	case StatusBadFrameSize:
		return "max-frame-size too big or too small"
	case StatusFragmented:
		return "payload fragmentation is not supported"
	case StatusInterlaced:
		return "invalid interlaced frames"
	case StatusNoFrame:
		return "frame-id not found"
	case StatusResources:
		return "resource allocation error"
	}
	return "an unknown error occurred"
}
