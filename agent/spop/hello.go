package spop

import (
	"encoding/binary"
	"errors"
	"strings"
	"time"
)

// version is the one version of SPOP there is (SPOE.txt 3.2.4).
const version = "2.0"

// hello is what a HAPROXY-HELLO says.
type hello struct {
	frameSize int64 // as offered; checked by parseHello to be at least minAgreed
	check     bool  // a health check: AGENT-HELLO is all that it wants
}

// keys of a HELLO that were seen.
const (
	keyVersions = 1 << iota
	keyFrameSize
	keyCapabilities
	keyCheck
)

// parseHello reads the payload of a HAPROXY-HELLO. Keys are found by name in any order;
// unknown ones are passed over; engine-id and capabilities may be absent (a health
// check has no engine-id, and nothing here depends on a capability of HAProxy's).
func parseHello(b []byte) (h hello, st Status) {
	seen := 0
	supported := false
	for len(b) > 0 {
		name, n := decodeBytes(b)
		if n == 0 {
			return h, StatusInvalid
		}
		v, m := DecodeValue(b[n:])
		if m == 0 {
			return h, StatusInvalid
		}
		b = b[n+m:]
		key, ok := helloKey(string(name), v)
		if !ok || seen&key != 0 {
			return h, StatusInvalid
		}
		seen |= key
		switch key {
		case keyVersions:
			supported = speaks(string(v.Bytes))
		case keyFrameSize:
			h.frameSize = v.Int
		case keyCheck:
			h.check = v.Int != 0
		}
	}
	switch {
	case seen&keyVersions == 0:
		return h, StatusNoVersion
	case !supported:
		return h, StatusBadVersion
	case seen&keyFrameSize == 0:
		return h, StatusNoFrameSize
	case h.frameSize < minAgreed:
		return h, StatusBadFrameSize
	}
	return h, StatusNormal
}

// helloKey says which key name is, 0 for one we do not know, and whether its value has
// a type that goes with it.
func helloKey(name string, v Value) (key int, ok bool) {
	switch name {
	case "supported-versions":
		return keyVersions, v.Type == String
	case "max-frame-size":
		return keyFrameSize, v.Type >= Int32 && v.Type <= Uint64
	case "capabilities":
		return keyCapabilities, v.Type == String
	case "healthcheck":
		return keyCheck, v.Type == Bool
	}
	return 0, true
}

func speaks(versions string) bool {
	for v := range strings.SplitSeq(versions, ",") {
		if strings.TrimSpace(v) == version {
			return true
		}
	}
	return false
}

// appendAgentHello appends our AGENT-HELLO: exactly three keys, because HAProxy compares
// them by prefix, and the one capability we have.
func appendAgentHello(dst []byte, frameSize uint32) []byte {
	var p []byte
	p = AppendValue(appendBytes(p, "version"), Value{Type: String, Bytes: []byte(version)})
	p = AppendValue(appendBytes(p, "max-frame-size"), Value{Type: Uint32, Int: int64(frameSize)})
	p = AppendValue(appendBytes(p, "capabilities"), Value{Type: String, Bytes: []byte("pipelining")})
	return AppendFrame(dst, Frame{Type: FrameAgentHello, Flags: FlagFin, Payload: p})
}

// appendDisconnect appends an AGENT-DISCONNECT.
func appendDisconnect(dst []byte, st Status) []byte {
	var p []byte
	p = AppendValue(appendBytes(p, "status-code"), Value{Type: Uint32, Int: int64(st)})
	p = AppendValue(appendBytes(p, "message"), Value{Type: String, Bytes: []byte(st.Error())})
	return AppendFrame(dst, Frame{Type: FrameAgentDisconnect, Flags: FlagFin, Payload: p})
}

// errNotSPOP is for peers that speak something else: they get no answer.
var errNotSPOP = errors.New("not a HAPROXY-HELLO")

// hello waits for the HAPROXY-HELLO and answers it. What does not begin like one is
// refused by its first five bytes.
func (c *conn) hello() (check bool, err error) {
	if err := c.nc.SetReadDeadline(time.Now().Add(c.run.HelloTimeout)); err != nil {
		return false, err
	}
	size := -1
	for size < 0 || len(c.in.bytes()) < lengthSize+size {
		if err := c.in.fill(); err != nil {
			return false, err
		}
		if size, err = helloSize(c.in.bytes()); err != nil {
			return false, err
		}
	}
	f, ok := DecodeFrame(c.in.bytes()[lengthSize : lengthSize+size])
	if !ok || f.Flags&FlagFin == 0 || f.Flags&FlagAbort != 0 || f.Stream != 0 || f.ID != 0 {
		return false, StatusInvalid
	}
	h, st := parseHello(f.Payload)
	if st != StatusNormal {
		return false, st
	}
	c.agreed = uint32(min(h.frameSize, int64(c.run.MaxFrame)))
	c.in.skip(lengthSize + size)
	return h.check, c.out.write(appendAgentHello(nil, c.agreed))
}

// helloSize is the length of the HAPROXY-HELLO at the beginning of b, -1 when it is not
// known yet.
func helloSize(b []byte) (int, error) {
	if len(b) < lengthSize {
		return -1, nil
	}
	size := binary.BigEndian.Uint32(b)
	switch {
	case size > maxHello:
		return 0, errNotSPOP
	case size < minFrame:
		return 0, StatusInvalid
	case len(b) > lengthSize && FrameType(b[lengthSize]) != FrameHAProxyHello:
		return 0, errNotSPOP
	}
	return int(size), nil
}

// validDisconnect checks a HAPROXY-DISCONNECT: a list of keys and values.
func validDisconnect(f *Frame) bool {
	for b := f.Payload; len(b) > 0; {
		_, n := decodeBytes(b)
		if n == 0 {
			return false
		}
		_, m := DecodeValue(b[n:])
		if m == 0 {
			return false
		}
		b = b[n+m:]
	}
	return f.Flags&FlagFin != 0
}
