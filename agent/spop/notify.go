package spop

// Notify is one NOTIFY frame.
type Notify struct {
	Stream, Frame uint64

	// Scratch belongs to the handler. It is nil at a connection's first NOTIFY and keeps
	// what was put there for the following ones, so that a handler needs no allocation
	// for its working memory. It must not leave the call.
	Scratch any

	rest    []byte // of the payload, behind what was read
	args    int    // arguments of the current message that were not read yet
	invalid bool
	conn    *conn
	later   *Reply
}

// reset makes n the NOTIFY f.
func (n *Notify) reset(f *Frame) {
	n.Stream, n.Frame = f.Stream, f.ID
	n.rest = f.Payload
	n.args, n.invalid, n.later = 0, false, nil
}

// Message is one message of a NOTIFY. Its arguments are read once, in order, before
// the next message.
type Message struct {
	Name []byte
	n    *Notify
}

// Next returns the next message; what is left of the one before is skipped. It reports
// false at the end and at a fault.
func (n *Notify) Next() (m Message, ok bool) {
	for n.args > 0 {
		if _, _, ok := n.arg(); !ok {
			return Message{}, false
		}
	}
	if len(n.rest) == 0 || n.invalid {
		return Message{}, false
	}
	name, size := decodeBytes(n.rest)
	if size == 0 || size == len(n.rest) {
		n.fault()
		return Message{}, false
	}
	n.args = int(n.rest[size])
	n.rest = n.rest[size+1:]
	return Message{Name: name, n: n}, true
}

// Arg returns the next argument. It reports false at the end and at a fault. An
// argument that HAProxy could not evaluate is there, with type Null.
func (m *Message) Arg() (name []byte, v Value, ok bool) { return m.n.arg() }

func (n *Notify) arg() (name []byte, v Value, ok bool) {
	if n.args == 0 {
		return nil, Value{}, false
	}
	name, size := decodeBytes(n.rest)
	if size == 0 {
		n.fault()
		return nil, Value{}, false
	}
	v, more := DecodeValue(n.rest[size:])
	if more == 0 {
		n.fault()
		return nil, Value{}, false
	}
	n.rest = n.rest[size+more:]
	n.args--
	return name, v, true
}

// fault ends the reading of n for good.
func (n *Notify) fault() {
	n.invalid, n.args, n.rest = true, 0, nil
}

// Err is StatusInvalid when a fault was met so far, else nil.
func (n *Notify) Err() error {
	if n.invalid {
		return StatusInvalid
	}
	return nil
}

// finish reads what the handler left, so that no NOTIFY is answered that is not sound
// as a whole.
func (n *Notify) finish() bool {
	for len(n.rest) > 0 {
		if _, ok := n.Next(); !ok {
			break
		}
	}
	for n.args > 0 {
		if _, _, ok := n.arg(); !ok {
			break
		}
	}
	return !n.invalid
}

// Later detaches the answer of this frame: it is then given by Reply.Send, from any
// goroutine, and what the handler writes to its Actions is ignored. It returns nil when
// too many answers of this connection are outstanding: the handler must answer at once.
// A second call returns the same Reply.
func (n *Notify) Later() *Reply {
	if n.later == nil && n.conn != nil {
		n.later = n.conn.detach(n.Stream, n.Frame)
	}
	return n.later
}
