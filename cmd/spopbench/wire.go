package main

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Frame types, SPOE.txt 3.2. The benchmark speaks the protocol by itself, so that a
// fault of agent/spop cannot hide on both sides of a measurement.
const (
	typeHello      = 1
	typeDisconnect = 2
	typeNotify     = 3
	typeAgentHello = 101
	typeACK        = 103
)

// maxFrame is what HAProxy offers with its default tune.bufsize, bytes.
const maxFrame = 16380

var errShort = errors.New("frame is cut short")

// appendUvarint appends x in the encoding of SPOE.txt 3.1.
func appendUvarint(b []byte, x uint64) []byte {
	if x < 240 {
		return append(b, byte(x))
	}
	b = append(b, byte(x)|0xf0)
	x = (x - 240) >> 4
	for x >= 128 {
		b = append(b, byte(x)|0x80)
		x = (x - 128) >> 7
	}
	return append(b, byte(x))
}

// uvarint reads what appendUvarint wrote; n is 0 when b is cut short.
func uvarint(b []byte) (x uint64, n int) {
	if len(b) == 0 {
		return 0, 0
	}
	x = uint64(b[0])
	if x < 240 {
		return x, 1
	}
	for i, shift := 1, 4; i < len(b) && i < 10; i, shift = i+1, shift+7 {
		x += uint64(b[i]) << shift
		if b[i] < 128 {
			return x, i + 1
		}
	}
	return 0, 0
}

func appendName(b []byte, s string) []byte {
	return append(appendUvarint(b, uint64(len(s))), s...)
}

// appendText appends a name and a typed string.
func appendText(b []byte, name, value string) []byte {
	b = append(appendName(b, name), 8)
	return appendName(b, value)
}

// appendFrame appends one whole frame with FIN set.
func appendFrame(b []byte, kind byte, stream, id uint64, payload []byte) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0, kind, 0, 0, 0, 1)
	b = appendUvarint(b, stream)
	b = appendUvarint(b, id)
	b = append(b, payload...)
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

// nextFrame splits the first complete frame off b; size is 0 while there is none.
func nextFrame(b []byte) (kind byte, stream, id uint64, payload []byte, size int, err error) {
	if len(b) < 4 {
		return 0, 0, 0, nil, 0, nil
	}
	n := int(binary.BigEndian.Uint32(b))
	if n < 7 || n > maxFrame {
		return 0, 0, 0, nil, 0, fmt.Errorf("frame of %d bytes", n)
	}
	if len(b) < 4+n {
		return 0, 0, 0, nil, 0, nil
	}
	body := b[9 : 4+n]
	stream, k := uvarint(body)
	if k == 0 {
		return 0, 0, 0, nil, 0, errShort
	}
	id, m := uvarint(body[k:])
	if m == 0 {
		return 0, 0, 0, nil, 0, errShort
	}
	return b[4], stream, id, body[k+m:], 4 + n, nil
}

// helloFrame is HAPROXY-HELLO as HAProxy 3.2 sends it.
func helloFrame() []byte {
	p := appendText(nil, "supported-versions", "2.0")
	p = append(appendName(p, "max-frame-size"), 3)
	p = appendUvarint(p, maxFrame)
	p = appendText(p, "capabilities", "pipelining")
	p = appendText(p, "engine-id", "00000000-0000-4000-8000-000000000000")
	return appendFrame(nil, typeHello, 0, 0, p)
}

// agentHelloFrame is the answer to it.
func agentHelloFrame() []byte {
	p := appendText(nil, "version", "2.0")
	p = append(appendName(p, "max-frame-size"), 3)
	p = appendUvarint(p, maxFrame)
	p = appendText(p, "capabilities", "pipelining")
	return appendFrame(nil, typeAgentHello, 0, 0, p)
}

// disconnectFrame is the agent's goodbye, status normal.
func disconnectFrame() []byte {
	p := append(appendName(nil, "status-code"), 3, 0)
	p = appendText(p, "message", "normal")
	return appendFrame(nil, 102, 0, 0, p)
}
