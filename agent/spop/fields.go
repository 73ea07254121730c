package spop

import (
	"math/bits"
	"net/netip"
)

// MaxFields is the most names that Message.Fields takes.
const MaxFields = 64

// Field is one argument as it was sent. Body is a view: the bytes of a String, a Binary
// or an address, the varint of an integer, and for a Bool the byte with type and flags.
// The zero Field is NULL, or an argument that did not come.
type Field struct {
	Type Type
	Body []byte
}

// Integer is the value of a Bool (0 or 1) or an integer; 0 for other types.
func (f *Field) Integer() int64 {
	switch f.Type {
	case Bool:
		if len(f.Body) > 0 && f.Body[0]&flagTrue != 0 {
			return 1
		}
	case Int32, Uint32, Int64, Uint64:
		u, _ := Uvarint(f.Body)
		return int64(u)
	}
	return 0
}

// Addr is the address of an IPv4 or IPv6; invalid for other types.
func (f *Field) Addr() netip.Addr { return Value{Type: f.Type, Bytes: f.Body}.Addr() }

// Fields reads the arguments that are left into the places that their names have in
// names, and skips those that have none. It is the way to read a message with many
// arguments: one that comes in the order of names costs one comparison. Each place of
// into is overwritten. came has a bit for each place whose argument came; doubled says
// that one came twice, of which the first was kept. At a fault of the frame, which
// Notify.Err tells, the fields are those in front of it.
func (m *Message) Fields(names []string, into []Field) (came uint64, doubled bool) {
	n := m.n
	next := 0
	for n.args > 0 {
		name, t, body, size := field(n.payload[n.at:])
		if size == 0 {
			n.fault()
			break
		}
		n.at += size
		n.args--
		i := next
		if i >= len(names) || string(name) != names[i] {
			if i = place(names, name); i < 0 {
				continue
			}
		}
		next = i + 1
		if came&(1<<i) != 0 {
			doubled = true
			continue
		}
		came |= 1 << i
		into[i] = Field{Type: t, Body: body}
	}
	for left := ^came & (1<<len(names) - 1); left != 0; left &= left - 1 {
		into[bits.TrailingZeros64(left)] = Field{}
	}
	return came, doubled
}

func place(names []string, name []byte) int {
	for i := range names {
		if names[i] == string(name) {
			return i
		}
	}
	return -1
}

// field reads one argument; size is 0 at a fault. Nearly all are short strings or NULL:
// those are read here.
func field(b []byte) (name []byte, t Type, body []byte, size int) {
	if len(b) > 2 && b[0] < short {
		kind := 1 + int(b[0])
		if kind+1 < len(b) {
			start := kind + 2
			end := start + int(b[kind+1])
			if b[kind] == byte(String) && b[kind+1] < short && end <= len(b) {
				return b[1:kind], String, b[start:end], end
			}
			if b[kind] == byte(Null) {
				return b[1:kind], Null, nil, kind + 1
			}
		}
	}
	return anyField(b)
}

// anyField is field for names and values of any length and type.
func anyField(b []byte) (name []byte, t Type, body []byte, size int) {
	name, size = decodeBytes(b)
	if size == 0 {
		return nil, 0, nil, 0
	}
	t, body, more := decodeRaw(b[size:])
	if more == 0 {
		return nil, 0, nil, 0
	}
	return name, t, body, size + more
}
