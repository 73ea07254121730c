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
		if _, _, _, ok := n.arg(); !ok {
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
func (m *Message) Arg() (name []byte, v Value, ok bool) {
	name, t, body, ok := m.n.arg()
	return name, valueOf(t, body), ok
}

// Raw is Arg for handlers in a hurry: it leaves the value as it was sent. body is that of
// a String or Binary, the bytes of an address, or the varint of an integer; for a Bool
// it is the byte with type and flags.
func (m *Message) Raw() (name []byte, t Type, body []byte, ok bool) { return m.n.arg() }

// arg reads one argument. Nearly all are short strings or NULL: those are read here.
func (n *Notify) arg() (name []byte, t Type, body []byte, ok bool) {
	if n.args == 0 {
		return nil, 0, nil, false
	}
	b := n.payload[n.at:]
	if len(b) > 2 && b[0] < short {
		kind := 1 + int(b[0])
		if kind+1 < len(b) {
			switch b[kind] {
			case byte(Null):
				n.at += kind + 1
				n.args--
				return b[1:kind], Null, nil, true
			case byte(String):
				start := kind + 2
				end := start + int(b[kind+1])
				if b[kind+1] < short && end <= len(b) {
					n.at += end
					n.args--
					return b[1:kind], String, b[start:end], true
				}
			}
		}
	}
	return n.anyArg(b)
}

// anyArg is arg for names and values of any length and type.
func (n *Notify) anyArg(b []byte) (name []byte, t Type, body []byte, ok bool) {
	name, size := decodeBytes(b)
	if size == 0 {
		n.fault()
		return nil, 0, nil, false
	}
	t, body, more := decodeRaw(b[size:])
	if more == 0 {
		n.fault()
		return nil, 0, nil, false
	}
	n.at += size + more
	n.args--
	return name, t, body, true
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
