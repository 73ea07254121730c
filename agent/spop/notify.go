package spop

// Notify is one NOTIFY frame.
type Notify struct {
	Stream, Frame uint64

	// First says that the frame is the first that was waiting: those after it were read
	// together with it, and are answered together. A clock need not be read for each.
	First bool

	// Scratch belongs to the handler. It is nil at a connection's first NOTIFY and keeps
	// what was put there for the following ones, so that a handler needs no allocation
	// for its working memory. It must not leave the call.
	Scratch any

	payload []byte
	at      int // what was read of payload
	args    int // arguments of the current message that were not read yet
	invalid bool
	conn    *conn
	later   *Reply
}

// reset makes n the NOTIFY f.
func (n *Notify) reset(f *Frame, first bool) {
	n.First = first
	n.Stream, n.Frame = f.Stream, f.ID
	n.payload, n.at, n.args = f.Payload, 0, 0
	n.invalid, n.later = false, nil
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
	if n.at == len(n.payload) {
		return Message{}, false
	}
	rest := n.payload[n.at:]
	name, size := decodeBytes(rest)
	if size == 0 || size == len(rest) {
		n.fault()
		return Message{}, false
	}
	n.args = int(rest[size])
	n.at += size + 1
	return Message{Name: name, n: n}, true
}

// Arg returns the next argument. It reports false at the end and at a fault. An
// argument that HAProxy could not evaluate is there, with type Null.
func (m *Message) Arg() (name []byte, v Value, ok bool) { return m.n.arg() }

func (n *Notify) arg() (name []byte, v Value, ok bool) {
	if n.args == 0 {
		return nil, Value{}, false
	}
	b := n.payload[n.at:]
	name, size := decodeBytes(b)
	if size == 0 {
		n.fault()
		return nil, Value{}, false
	}
	v, more := DecodeValue(b[size:])
	if more == 0 {
		n.fault()
		return nil, Value{}, false
	}
	n.at += size + more
	n.args--
	return name, v, true
}

// fault ends the reading of n for good.
func (n *Notify) fault() {
	n.invalid, n.args, n.at = true, 0, len(n.payload)
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
	for n.args > 0 || n.at < len(n.payload) {
		if _, ok := n.Next(); !ok {
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
