package spop

import "net/netip"

// Type is a type of typed data, SPOE.txt 3.1.
type Type uint8

// The types of typed data. The numbers above Binary are reserved and refused.
const (
	Null Type = iota
	Bool
	Int32
	Uint32
	Int64
	Uint64
	IPv4
	IPv6
	String
	Binary
)

const (
	typeMask = 0x0f
	flagTrue = 0x10 // of Bool, the only type that has a flag
)

// Value is one piece of typed data. Bytes is a view.
type Value struct {
	Type  Type
	Int   int64  // Bool (0 or 1) and the integers; a Uint64 above 2^63-1 is negative here
	Bytes []byte // String and Binary; the 4 or 16 bytes of an address
}

// Addr is the address of an IPv4 or IPv6 value, as it was sent; invalid for other types.
func (v Value) Addr() netip.Addr {
	switch {
	case v.Type == IPv4 && len(v.Bytes) == 4:
		return netip.AddrFrom4([4]byte(v.Bytes))
	case v.Type == IPv6 && len(v.Bytes) == 16:
		return netip.AddrFrom16([16]byte(v.Bytes))
	}
	return netip.Addr{}
}

// DecodeValue reads the typed data at the beginning of b and says how many bytes it
// took; n is 0 at a fault. Flags are refused on every type but Bool, where only the
// lowest one counts.
func DecodeValue(b []byte) (v Value, n int) {
	t, body, n := decodeRaw(b)
	return valueOf(t, body), n
}

// valueOf makes a Value of what decodeRaw returned.
func valueOf(t Type, body []byte) Value {
	switch t {
	case Null:
		return Value{}
	case Bool, Int32, Uint32, Int64, Uint64:
		return Value{Type: t, Int: integer(t, body)}
	}
	return Value{Type: t, Bytes: body}
}

// integer is the value of a Bool (0 or 1) or an integer; 0 for other types.
func integer(t Type, body []byte) int64 {
	switch t {
	case Bool:
		if len(body) > 0 && body[0]&flagTrue != 0 {
			return 1
		}
	case Int32, Uint32, Int64, Uint64:
		u, _ := Uvarint(body)
		return int64(u)
	}
	return 0
}

// decodeRaw is DecodeValue without the decoding of what was found; see Fields.
func decodeRaw(b []byte) (t Type, body []byte, n int) {
	if len(b) == 0 {
		return 0, nil, 0
	}
	t = Type(b[0] & typeMask)
	if b[0] > typeMask && t != Bool {
		return 0, nil, 0
	}
	at, size := 1, 0
	switch t {
	case Null:
	case Bool:
		at, size = 0, 1
	case Int32, Uint32, Int64, Uint64:
		if _, size = Uvarint(b[1:]); size == 0 {
			return 0, nil, 0
		}
	case IPv4:
		size = 4
	case IPv6:
		size = 16
	case String, Binary:
		s, n := decodeBytes(b[1:])
		if n == 0 {
			return 0, nil, 0
		}
		return t, s, 1 + n
	default:
		return 0, nil, 0
	}
	if size > len(b)-at {
		return 0, nil, 0
	}
	return t, b[at : at+size : at+size], at + size
}

// decodeBytes reads a length and as many bytes. n counts both and is 0 at a fault. The
// length is compared with what is left, never added to a position.
func decodeBytes(b []byte) (s []byte, n int) {
	if len(b) == 0 {
		return nil, 0
	}
	size, n := uint64(b[0]), 1
	if size >= short {
		if size, n = uvarintSlow(b); n == 0 {
			return nil, 0
		}
	}
	if size > uint64(len(b)-n) {
		return nil, 0
	}
	end := n + int(size)
	return b[n:end:end], end
}

// AppendValue appends v as typed data. A value whose Bytes do not fit its type is
// appended as Null.
func AppendValue(dst []byte, v Value) []byte {
	switch v.Type {
	case Bool:
		if v.Int != 0 {
			return append(dst, byte(Bool)|flagTrue)
		}
		return append(dst, byte(Bool))
	case Int32, Uint32, Int64, Uint64:
		return AppendUvarint(append(dst, byte(v.Type)), uint64(v.Int))
	case IPv4, IPv6:
		if len(v.Bytes) == 4 && v.Type == IPv4 || len(v.Bytes) == 16 && v.Type == IPv6 {
			return append(append(dst, byte(v.Type)), v.Bytes...)
		}
	case String, Binary:
		return appendBytes(append(dst, byte(v.Type)), v.Bytes)
	}
	return append(dst, byte(Null))
}

func appendBytes[T string | []byte](dst []byte, s T) []byte {
	return append(AppendUvarint(dst, uint64(len(s))), s...)
}
