package spop

import "math/bits"

const (
	short     = 240 // variable-length integers below it are one byte
	maxVarint = 10  // length of the longest, of 64 bits
)

// Uvarint reads the variable-length integer at the beginning of b and says how many
// bytes it took; n is 0 when b ends too early or the value does not fit 64 bits. The
// encoding is additive, so that every value has exactly one form (SPOE.txt 3.1).
func Uvarint(b []byte) (v uint64, n int) {
	if len(b) == 0 {
		return 0, 0
	}
	if b[0] < short {
		return uint64(b[0]), 1
	}
	return uvarintSlow(b)
}

// uvarintSlow is Uvarint for two bytes and more.
func uvarintSlow(b []byte) (uint64, int) {
	if len(b) > maxVarint {
		b = b[:maxVarint]
	}
	v, shift := uint64(b[0]), uint(4)
	for i := 1; i < len(b); i++ {
		c := uint64(b[i])
		add := c << shift
		sum, carry := bits.Add64(v, add, 0)
		if carry != 0 || add>>shift != c {
			return 0, 0
		}
		v = sum
		if c < 128 {
			return v, i + 1
		}
		shift += 7
	}
	return 0, 0
}

// AppendUvarint appends v as a variable-length integer: 1 to 10 bytes.
func AppendUvarint(dst []byte, v uint64) []byte {
	if v < short {
		return append(dst, byte(v))
	}
	dst = append(dst, byte(v)|0xf0)
	v = (v - short) >> 4
	for v >= 128 {
		dst = append(dst, byte(v)|0x80)
		v = (v - 128) >> 7
	}
	return append(dst, byte(v))
}

// uvarintLen is the number of bytes that AppendUvarint appends.
func uvarintLen(v uint64) int {
	if v < short {
		return 1
	}
	n := 2
	for v = (v - short) >> 4; v >= 128; v = (v - 128) >> 7 {
		n++
	}
	return n
}
