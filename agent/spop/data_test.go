package spop_test

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"postern/agent/spop"
)

func TestValues(t *testing.T) {
	ip6 := netip.MustParseAddr("2001:db8::1").As16()
	for _, tt := range []struct {
		name string
		wire string
		want spop.Value
	}{
		{"null", "00", spop.Value{Type: spop.Null}},
		{"true", "11", spop.Value{Type: spop.Bool, Int: 1}},
		{"false", "01", spop.Value{Type: spop.Bool}},
		{"an INT32 is sent as 64 bits", "02 fbf0fefefefefefefe0e", spop.Value{Type: spop.Int32, Int: -5}},
		{"a UINT32", "03 fcf006", spop.Value{Type: spop.Uint32, Int: 16380}},
		{"an INT64", "04 07", spop.Value{Type: spop.Int64, Int: 7}},
		{"a UINT64 over 2^63 wraps", "05 fff0fefefefefefefe0e", spop.Value{Type: spop.Uint64, Int: -1}},
		{"an IPV4 address", "06 7f000001", spop.Value{Type: spop.IPv4, Bytes: []byte{127, 0, 0, 1}}},
		{"an IPV6 address", "07 20010db8000000000000000000000001", spop.Value{Type: spop.IPv6, Bytes: ip6[:]}},
		{"a string", "08 03 474554", spop.Value{Type: spop.String, Bytes: []byte("GET")}},
		{"an empty string", "08 00", spop.Value{Type: spop.String}},
		{"binary", "09 02 00ff", spop.Value{Type: spop.Binary, Bytes: []byte{0, 255}}},
	} {
		wire := unhex(tt.wire)
		got, n := spop.DecodeValue(append(wire, 0xee))
		if n != len(wire) || got.Type != tt.want.Type || got.Int != tt.want.Int || !bytes.Equal(got.Bytes, tt.want.Bytes) {
			t.Errorf("%s: read as %+v from %d bytes, want %+v from %d", tt.name, got, n, tt.want, len(wire))
		}
		if again := spop.AppendValue(nil, tt.want); !bytes.Equal(again, wire) {
			t.Errorf("%s: written % x, want % x", tt.name, again, wire)
		}
		for cut := range wire {
			if v, n := spop.DecodeValue(wire[:cut]); n != 0 {
				t.Errorf("%s: cut to %d bytes it is read as %+v", tt.name, cut, v)
			}
		}
	}
}

// Case 26: of BOOL only bit 4 counts; a flag on another type is refused.
func TestCase26Flags(t *testing.T) {
	for _, tt := range []struct {
		wire string
		want int64
	}{{"01", 0}, {"11", 1}, {"21", 0}, {"f1", 1}, {"e1", 0}} {
		if v, n := spop.DecodeValue(unhex(tt.wire)); n != 1 || v.Type != spop.Bool || v.Int != tt.want {
			t.Errorf("%s is %+v from %d bytes, want %d", tt.wire, v, n, tt.want)
		}
	}
}

// Cases 24, 26 and 27: values that are refused.
func TestCase24ValuesRefused(t *testing.T) {
	for _, tt := range []struct{ name, wire string }{
		{"nothing", ""},
		{"type 10", "0a"}, {"type 11", "0b"}, {"type 12", "0c"}, {"type 13", "0d"}, {"type 14", "0e"}, {"type 15", "0f"},
		{"type 15 with all flags", "ff"},
		{"a null with a flag", "10"},
		{"a string with a flag", "18 00"},
		{"an integer with a flag", "14 00"},
		{"an IPV4 address of 3 bytes", "06 7f0000"},
		{"an IPV6 address of 15 bytes", "07 20010db800000000000000000000"},
		{"a string of 2^64-1 bytes", "08 fff0fefefefefefefe0e 00"},
		{"a string of 2^63 bytes", "08 f0f1fefefefefefefe06 00"},
		{"a string one byte longer than the rest", "08 04 474554"},
		{"a string whose length does not end", "08 ff"},
		{"binary one byte longer than the rest", "09 01"},
		{"an integer that does not end", "04 f0"},
		{"an integer over 64 bits", "04 ffffffffffffffffffff00"},
	} {
		if v, n := spop.DecodeValue(unhex(tt.wire)); n != 0 {
			t.Errorf("%s: read as %+v from %d bytes, want a refusal", tt.name, v, n)
		}
	}
}

func TestAddr(t *testing.T) {
	for _, tt := range []struct {
		name string
		v    spop.Value
		want netip.Addr
	}{
		{"IPV4", spop.Value{Type: spop.IPv4, Bytes: []byte{192, 0, 2, 7}}, netip.MustParseAddr("192.0.2.7")},
		{"IPV6", spop.Value{Type: spop.IPv6, Bytes: netip.MustParseAddr("::1").AsSlice()}, netip.MustParseAddr("::1")},
		{"a string is no address", spop.Value{Type: spop.String, Bytes: []byte("abcd")}, netip.Addr{}},
		{"IPV4 with the wrong number of bytes", spop.Value{Type: spop.IPv4, Bytes: []byte{1}}, netip.Addr{}},
	} {
		if got := tt.v.Addr(); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestAppendValueOfTheWrongSizeIsNull(t *testing.T) {
	for _, v := range []spop.Value{
		{Type: spop.IPv4, Bytes: []byte{1, 2, 3}},
		{Type: spop.IPv6, Bytes: []byte{1, 2, 3, 4}},
		{Type: 12},
	} {
		if got := spop.AppendValue(nil, v); !bytes.Equal(got, []byte{0}) {
			t.Errorf("%+v is written % x, want NULL", v, got)
		}
	}
}

// FuzzValue: no input panics; what is accepted does not reach over its end, costs no
// allocation, and is written as it came, but for the bits of BOOL that do not count.
func FuzzValue(f *testing.F) {
	for _, s := range []string{"00", "11", "f1", "02 fbf0fefefefefefefe0e", "06 7f000001", "08 03 474554", "09 00", "0a", "18 00", "08 fff0fefefefefefefe0e"} {
		f.Add(unhex(s))
	}
	f.Add([]byte("\x08\xf0\x00" + strings.Repeat("x", 240)))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, n := spop.DecodeValue(b)
		if n == 0 {
			return
		}
		if n > len(b) {
			t.Fatalf("%d bytes read of %d", n, len(b))
		}
		want := bytes.Clone(b[:n])
		if v.Type == spop.Bool {
			want[0] &= 0x1f &^ 0x0e
		}
		if again := spop.AppendValue(nil, v); !bytes.Equal(again, want) {
			t.Fatalf("% x reads as %+v, which is written % x", b[:n], v, again)
		}
	})
}
