package spop_test

import (
	"bytes"
	"net/netip"
	"testing"

	"postern/agent/spop"
	"postern/agent/spop/spoptest"
)

// Frames as HAProxy 2.6 to 3.2 sends them and takes them, byte for byte.
const (
	wireHello = "0000007b 01 00000001 00 00" +
		"12 737570706f727465642d76657273696f6e73 08 03 322e30" + // supported-versions 2.0
		"0e 6d61782d6672616d652d73697a65 03 fcf006" + // max-frame-size 16380
		"0c 6361706162696c6974696573 08 0a 706970656c696e696e67" + // capabilities pipelining
		"09 656e67696e652d6964 08 24 66656134396364342d346132622d346237652d396135332d366630663461643562396531"
	wireCheck = "0000004e 01 00000001 00 00" +
		"12 737570706f727465642d76657273696f6e73 08 03 322e30" +
		"0e 6d61782d6672616d652d73697a65 03 fcf006" +
		"0c 6361706162696c6974696573 08 00" +
		"0b 6865616c7468636865636b 11"
	wireAgentHello = "00000040 65 00000001 00 00" +
		"07 76657273696f6e 08 03 322e30" +
		"0e 6d61782d6672616d652d73697a65 03 fcf006" +
		"0c 6361706162696c6974696573 08 0a 706970656c696e696e67"
	wireNotify = "0000002f 03 00000001 00 01" +
		"05 636865636b 05" + // check, five arguments
		"06 6d6574686f64 08 03 474554" + // method GET
		"03 73736c 11" + // ssl true
		"03 737263 06 7f000001" + // src 127.0.0.1
		"01 71 00" + // q NULL
		"01 6e 04 07" // n 7
	wireEmptyAck   = "00000007 67 00000001 00 01"
	wireAck        = "00000028 67 00000001 01 01 010302 04 75736572 08 05 616c696365 010302 07 76657264696374 08 05 616c6c6f77"
	wireUnset      = "0000000f 67 00000001 03 01 020202 04 75736572"
	wireAgentBye   = "00000025 66 00000001 00 00 0b 7374617475732d636f6465 03 00 07 6d657373616765 08 06 6e6f726d616c"
	wireHAProxyBye = "00000031 02 00000001 00 00 0b 7374617475732d636f6465 03 02 07 6d657373616765 08 12 612074696d656f7574206f63637572726564"
)

// TestReferenceBytes holds the fake HAProxy of spoptest to the frames of the real one,
// so that what the other tests send is what HAProxy sends.
func TestReferenceBytes(t *testing.T) {
	check := spoptest.Message{Name: "check", Args: []spoptest.Arg{
		spoptest.Str("method", "GET"), spoptest.Bool("ssl", true), spoptest.Addr("src", netip.MustParseAddr("127.0.0.1")),
		spoptest.Null("q"), spoptest.Int("n", 7),
	}}
	for _, tt := range []struct {
		name string
		got  []byte
		want string
	}{
		{"HAPROXY-HELLO", spoptest.AppendHello(nil, spoptest.Hello{}), wireHello},
		{"health check", spoptest.AppendHello(nil, spoptest.Hello{HealthCheck: true}), wireCheck},
		{"NOTIFY", spoptest.AppendNotify(nil, 0, 1, check), wireNotify},
		{"HAPROXY-DISCONNECT", spoptest.AppendDisconnect(nil, spop.StatusTimeout), wireHAProxyBye},
	} {
		if want := unhex(tt.want); !bytes.Equal(tt.got, want) {
			t.Errorf("%s\n got % x\nwant % x", tt.name, tt.got, want)
		}
	}
}

func TestDecodeFrameRefusesShortHeaders(t *testing.T) {
	whole := unhex("67 00000001 fff0fefe7e fff0fefe3e")
	for cut := range whole {
		if f, ok := spop.DecodeFrame(whole[:cut]); ok {
			t.Errorf("%d bytes read as %+v", cut, f)
		}
	}
	f, ok := spop.DecodeFrame(whole)
	if !ok || f.Type != spop.FrameAck || f.Flags != spop.FlagFin || f.Stream != 1<<32-1 || f.ID != 1<<31-1 || len(f.Payload) != 0 {
		t.Errorf("read as %+v, %v", f, ok)
	}
}

// FuzzFrame: no input panics, and a frame that is accepted is written as it came.
func FuzzFrame(f *testing.F) {
	for _, s := range []string{wireHello, wireCheck, wireNotify, wireAck, wireUnset, wireHAProxyBye} {
		f.Add(unhex(s)[4:])
	}
	f.Add(unhex("03 00000001 fff0fefefefefefefe0e 00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, ok := spop.DecodeFrame(b)
		if !ok {
			return
		}
		again := spop.AppendFrame(nil, frame)
		if !bytes.Equal(again[4:], b) {
			t.Fatalf("% x reads as %+v, which is written % x", b, frame, again)
		}
	})
}
