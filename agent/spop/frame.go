package spop

import "encoding/binary"

// FrameType is the type of a frame, SPOE.txt 3.2.
type FrameType uint8

// The frame types.
const (
	FrameUnset             FrameType = 0 // a further fragment; never announced here
	FrameHAProxyHello      FrameType = 1
	FrameHAProxyDisconnect FrameType = 2
	FrameNotify            FrameType = 3
	FrameAgentHello        FrameType = 101
	FrameAgentDisconnect   FrameType = 102
	FrameAck               FrameType = 103
)

// The flags of a frame. The others are reserved: sent as 0, ignored when received.
const (
	FlagFin   uint32 = 1
	FlagAbort uint32 = 2
)

// Bounds of the protocol, in bytes.
const (
	lengthSize = 4   // the length in front of a frame, which it does not count
	minFrame   = 7   // type, flags and two ids of one byte each
	minAgreed  = 256 // smallest max-frame-size of a HELLO
	maxHello   = 4 << 10
)

// Frame is one frame without its length. Payload is a view.
type Frame struct {
	Type    FrameType
	Flags   uint32
	Stream  uint64
	ID      uint64
	Payload []byte
}

// DecodeFrame reads a frame, without the length that went ahead of it, from the whole
// of b. It reports false when b ends inside the header.
func DecodeFrame(b []byte) (Frame, bool) {
	if len(b) < minFrame {
		return Frame{}, false
	}
	f := Frame{Type: FrameType(b[0]), Flags: binary.BigEndian.Uint32(b[1:5])}
	b = b[5:]
	var n int
	if f.Stream, n = Uvarint(b); n == 0 {
		return Frame{}, false
	}
	b = b[n:]
	if f.ID, n = Uvarint(b); n == 0 {
		return Frame{}, false
	}
	f.Payload = b[n:]
	return f, true
}

// AppendFrame appends f with its length in front.
func AppendFrame(dst []byte, f Frame) []byte {
	at := len(dst)
	dst = appendHeader(dst, f.Type, f.Flags, f.Stream, f.ID)
	dst = append(dst, f.Payload...)
	patchLength(dst[at:])
	return dst
}

// appendHeader appends room for the length, and the header.
func appendHeader(dst []byte, t FrameType, flags uint32, stream, id uint64) []byte {
	dst = append(dst, 0, 0, 0, 0, byte(t), byte(flags>>24), byte(flags>>16), byte(flags>>8), byte(flags))
	return AppendUvarint(AppendUvarint(dst, stream), id)
}

// patchLength writes the length of the frame that is the whole of b.
func patchLength(b []byte) {
	binary.BigEndian.PutUint32(b, uint32(len(b)-lengthSize))
}
