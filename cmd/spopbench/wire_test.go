package main

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// TestUvarint holds the vectors of SPOE.txt 3.1 as facts about the encoding.
func TestUvarint(t *testing.T) {
	for _, tt := range []struct {
		x    uint64
		want string
	}{
		{0, "00"}, {239, "ef"}, {240, "f000"}, {241, "f100"}, {255, "ff00"}, {256, "f001"}, {2287, "ff7f"},
		{2288, "f08000"}, {16380, "fcf006"}, {264431, "ffff7f"}, {264432, "f0808000"}, {1<<64 - 1, "fff0fefefefefefefe0e"},
	} {
		got := appendUvarint(nil, tt.x)
		if hex.EncodeToString(got) != tt.want {
			t.Errorf("appendUvarint(%d) = %x, want %s", tt.x, got, tt.want)
		}
		if x, n := uvarint(got); x != tt.x || n != len(got) {
			t.Errorf("uvarint(%x) = %d, %d; want %d, %d", got, x, n, tt.x, len(got))
		}
		if _, n := uvarint(got[:len(got)-1]); n != 0 {
			t.Errorf("uvarint of %x cut short read %d bytes", got, n)
		}
	}
}

func TestNextFrame(t *testing.T) {
	whole := appendFrame(nil, typeNotify, 2288, 1, []byte("payload"))
	for cut := range whole {
		if _, _, _, _, size, err := nextFrame(whole[:cut]); size != 0 || err != nil {
			t.Errorf("of %d bytes of %d: size %d, error %v", cut, len(whole), size, err)
		}
	}
	kind, stream, id, payload, size, err := nextFrame(append(whole, "next"...))
	if kind != typeNotify || stream != 2288 || id != 1 || !bytes.Equal(payload, []byte("payload")) || size != len(whole) || err != nil {
		t.Errorf("got type %d stream %d frame %d payload %q size %d error %v", kind, stream, id, payload, size, err)
	}
	for _, length := range []string{"00000000", "00000006", "00003ffd", "ffffffff"} {
		b, _ := hex.DecodeString(length + "0300000001")
		if _, _, _, _, _, err := nextFrame(b); err == nil {
			t.Errorf("frame length %s was taken", length)
		}
	}
}
