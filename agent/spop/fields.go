package spop

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// MaxFields is the most names that NewNames takes.
const MaxFields = 32

// Names are the names of arguments in the order in which they are expected. It does not
// change; the zero value has none.
type Names struct{ list []fieldName }

// fieldName is a name as it is encoded: its length, then its characters. Up to eight
// bytes of that are compared at once.
type fieldName struct {
	text string
	head uint64 // the first eight bytes, little-endian; those behind the name are 0
	mask uint64 // which of head are the name's
}

// NewNames prepares names for Message.Fields; those over MaxFields, and those that are no
// names because they are longer than 239 bytes, are never found.
func NewNames(names ...string) Names {
	list := make([]fieldName, 0, len(names))
	for _, text := range names[:min(len(names), MaxFields)] {
		n := fieldName{text: text}
		var head, mask [8]byte
		for i, c := range append([]byte{byte(len(text))}, text...) {
			if i < len(head) {
				head[i], mask[i] = c, 0xff
			}
		}
		if len(text) >= short {
			mask, head = [8]byte{}, [8]byte{1} // no byte is another than itself
		}
		n.head, n.mask = binary.LittleEndian.Uint64(head[:]), binary.LittleEndian.Uint64(mask[:])
		list = append(list, n)
	}
	return Names{list}
}

// begins says whether b, of at least eight bytes, begins with the encoded name.
func (f *fieldName) begins(b []byte) bool {
	if binary.LittleEndian.Uint64(b)&f.mask != f.head {
		return false
	}
	const whole = 7 // characters that head holds
	return len(f.text) <= whole || len(b) > len(f.text) && string(b[1:1+len(f.text)]) == f.text
}

func (n *Names) place(name []byte) int {
	for i := range n.list {
		if n.list[i].text == string(name) && len(name) < short {
			return i
		}
	}
	return -1
}

// Fields are the arguments of a message, each at the place of its name. They are views
// that die with the frame. An argument that did not come is there with type Null. It may
// be used again for the next message.
type Fields struct {
	Came    uint32 // a bit for each place whose argument came
	Doubled bool   // an argument came twice; the first was kept

	payload []byte
	list    [MaxFields]span
}

// span is where an argument lies in the payload, which is at most maxFrame bytes long:
// as Type and 24 bits of length in size, so that a message's spans fill few cache lines.
type span struct{ at, size uint32 }

const sizeBits = 24

func spanOf(t Type, at, size int) span { return span{uint32(at), uint32(t)<<sizeBits | uint32(size)} }

// Type is the type of the argument at a place.
func (f *Fields) Type(place int) Type { return Type(f.list[place].size >> sizeBits) }

// Body is the argument at a place as it was sent: the bytes of a String, a Binary or an
// address, the varint of an integer, and for a Bool the byte with type and flags.
func (f *Fields) Body(place int) []byte {
	s := f.list[place]
	end := s.at + s.size&(1<<sizeBits-1)
	return f.payload[s.at:end:end]
}

// Integer is the value of a Bool (0 or 1) or an integer; 0 for other types.
func (f *Fields) Integer(place int) int64 { return integer(f.Type(place), f.Body(place)) }

// Addr is the address of an IPv4 or IPv6; invalid for other types.
func (f *Fields) Addr(place int) netip.Addr {
	return Value{Type: f.Type(place), Bytes: f.Body(place)}.Addr()
}

// Fields reads the arguments that are left to the places that their names have in names,
// and skips those that have none. It is the way to read a message with many arguments:
// one that comes in the order of names costs one comparison. At a fault of the frame,
// which Notify.Err tells, the fields are those in front of it.
func (m *Message) Fields(names *Names, into *Fields) {
	n := m.n
	payload, at, list := n.payload, n.at, names.list
	came, doubled := uint32(0), false
	for next := 0; n.args > 0; n.args-- {
		b := payload[at:]
		i, head := next, 0
		if i < len(list) && len(b) >= 8 && list[i].begins(b) {
			head = 1 + len(list[i].text)
		} else {
			var name []byte
			if name, head = decodeBytes(b); head == 0 {
				n.fault()
				break
			}
			i = names.place(name)
		}
		t, skip, size := measure(b[head:])
		if skip+size == 0 {
			n.fault()
			break
		}
		body := at + head + skip
		at = body + size
		if i < 0 {
			continue
		}
		next = i + 1
		if came&(1<<i) != 0 {
			doubled = true
			continue
		}
		came |= 1 << i
		into.list[i&(MaxFields-1)] = spanOf(t, body, size)
	}
	if !n.invalid {
		n.at = at
	}
	into.payload, into.Came, into.Doubled = payload, came, doubled
	for left := ^came & (1<<len(list) - 1); left != 0; left &= left - 1 {
		into.list[bits.TrailingZeros32(left)] = span{}
	}
}

// measure finds the body of the typed data at the beginning of b; at and size are 0 at a
// fault. Nearly all values are short strings or NULL: those are measured here.
func measure(b []byte) (t Type, at, size int) {
	if len(b) > 1 && b[0] == byte(String) && b[1] < short && 2+int(b[1]) <= len(b) {
		return String, 2, int(b[1])
	}
	if len(b) > 0 && b[0] == byte(Null) {
		return Null, 1, 0
	}
	t, body, n := decodeRaw(b)
	return t, n - len(body), len(body)
}
