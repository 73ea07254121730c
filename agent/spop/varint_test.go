package spop_test

import (
	"bytes"
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"postern/agent/spop"
)

// unhex is for byte sequences in tests.
func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

var varints = []struct {
	v    uint64
	wire string
}{
	{0, "00"},
	{1, "01"},
	{239, "ef"},
	{240, "f000"},
	{241, "f100"},
	{255, "ff00"},
	{256, "f001"},
	{2287, "ff7f"},
	{2288, "f08000"},
	{16380, "fcf006"},
	{264431, "ffff7f"},
	{264432, "f0808000"},
	{33818863, "ffffff7f"},
	{33818864, "f080808000"},
	{4328786159, "ffffffff7f"},
	{1<<31 - 1, "fff0fefe3e"},
	{1<<32 - 1, "fff0fefe7e"},
	{1<<63 - 1, "fff0fefefefefefefe06"},
	{math.MaxUint64 - 4, "fbf0fefefefefefefe0e"}, // -5
	{math.MaxUint64, "fff0fefefefefefefe0e"},
}

func TestUvarintVectors(t *testing.T) {
	for _, tt := range varints {
		wire := unhex(tt.wire)
		if got := spop.AppendUvarint(nil, tt.v); !bytes.Equal(got, wire) {
			t.Errorf("%d is written % x, want % x", tt.v, got, wire)
		}
		if v, n := spop.Uvarint(append(wire, 0xff)); v != tt.v || n != len(wire) {
			t.Errorf("% x is read as %d from %d bytes, want %d from %d", wire, v, n, tt.v, len(wire))
		}
		for cut := range wire {
			if v, n := spop.Uvarint(wire[:cut]); n != 0 {
				t.Errorf("% x cut to %d bytes is read as %d", wire, cut, v)
			}
		}
	}
}

// Case 25 of the protocol tests: what would not fit 64 bits is no value at all.
func TestCase25UvarintRefused(t *testing.T) {
	for _, tt := range []struct{ name, wire string }{
		{"nothing", ""},
		{"one more than the largest value", "f0f1fefefefefefefe0e"},
		{"a last byte with bits above the 64th", "fff0fefefefefefefe1e"},
		{"all bits set in ten bytes", "ffffffffffffffffff7f"},
		{"ten bytes that go on", "ffffffffffffffffffff"},
		{"eleven bytes", "f0808080808080808080" + "00"},
		{"twenty bytes that go on", strings.Repeat("ff", 20)},
	} {
		if v, n := spop.Uvarint(unhex(tt.wire)); n != 0 {
			t.Errorf("%s: %d from %d bytes, want a refusal", tt.name, v, n)
		}
	}
}

// FuzzUvarint: no input panics, and what the decoder accepts is what the encoder writes:
// every value has one form.
func FuzzUvarint(f *testing.F) {
	for _, tt := range varints {
		f.Add(unhex(tt.wire))
	}
	f.Add(bytes.Repeat([]byte{0xff}, 12))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, n := spop.Uvarint(b)
		if n == 0 {
			return
		}
		if again := spop.AppendUvarint(nil, v); !bytes.Equal(again, b[:n]) {
			t.Fatalf("% x reads as %d, which is written % x", b[:n], v, again)
		}
	})
}

// FuzzUvarintValue: every value survives the way there and back.
func FuzzUvarintValue(f *testing.F) {
	for _, tt := range varints {
		f.Add(tt.v)
	}
	f.Fuzz(func(t *testing.T, v uint64) {
		b := spop.AppendUvarint(nil, v)
		if got, n := spop.Uvarint(b); got != v || n != len(b) {
			t.Fatalf("%d is written % x and read as %d from %d bytes", v, b, got, n)
		}
	})
}
