package journal

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
)

// Sum seals an event and everything before it.
type Sum [sha256.Size]byte

// Seal computes the sum of an event from the one before it, the event's number and the
// event.
type Seal func(before Sum, seq uint64, e Event) Sum

// Chain returns the Seal under a key: whoever has not the key cannot change, insert or
// cut an event so that the sums behind it still fit.
func Chain(key []byte) Seal {
	return func(before Sum, seq uint64, e Event) Sum {
		b := append([]byte("postern event 1\x00"), before[:]...)
		b = binary.BigEndian.AppendUint64(b, seq)
		b = binary.BigEndian.AppendUint64(b, uint64(nanos(e)))
		for _, s := range []string{string(e.Kind), e.User, e.By, e.Factor, e.Reason, e.Detail, e.Session, e.Request, e.Addr, e.Browser} {
			b = binary.AppendUvarint(b, uint64(len(s)))
			b = append(b, s...)
		}
		m := hmac.New(sha256.New, key)
		m.Write(b)
		return Sum(m.Sum(nil))
	}
}

func nanos(e Event) int64 {
	if e.At.IsZero() {
		return 0
	}
	return e.At.UnixNano()
}
