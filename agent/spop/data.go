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
	if len(b) == 0 {
		return Value{}, 0
	}
	if b[0] == byte(String) {
		s, n := decodeBytes(b[1:])
		if n == 0 {
			return Value{}, 0
		}
		return Value{Type: String, Bytes: s}, 1 + n
	}
	return decodeOther(b)
}

// decodeOther is DecodeValue for all that is not a String.
func decodeOther(b []byte) (Value, int) {
	v := Value{Type: Type(b[0] & typeMask)}
	if b[0] > typeMask && v.Type != Bool {
		return Value{}, 0
	}
	switch v.Type {
	case Null:
		return v, 1
	case Bool:
		if b[0]&flagTrue != 0 {
			v.Int = 1
		}
		return v, 1
	case Int32, Uint32, Int64, Uint64:
		u, n := Uvarint(b[1:])
		if n == 0 {
			return Value{}, 0
		}
		v.Int = int64(u)
		return v, 1 + n
	case IPv4:
		return fixed(v, b, 4)
	case IPv6:
		return fixed(v, b, 16)
	case Binary:
		s, n := decodeBytes(b[1:])
		if n == 0 {
			return Value{}, 0
		}
		v.Bytes = s
		return v, 1 + n
	}
	return Value{}, 0
}

func fixed(v Value, b []byte, size int) (Value, int) {
	if len(b) < 1+size {
		return Value{}, 0
	}
	v.Bytes = b[1 : 1+size : 1+size]
	return v, 1 + size
}

// decodeBytes reads a length and as many bytes. n counts both and is 0 at a fault. The
// length is compared with what is left, never added to a position.
func decodeBytes(b []byte) (s []byte, n int) {
	if len(b) == 0 {
		return nil, 0
	}
	size, n := uint64(b[0]), 1
	if size >= 240 {
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
