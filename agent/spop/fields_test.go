package spop

import (
	"bytes"
	"slices"
	"testing"
)

// open is a NOTIFY with that payload.
func open(payload []byte) *Notify {
	n := new(Notify)
	n.reset(&Frame{Payload: payload}, true)
	return n
}

func TestFields(t *testing.T) {
	names := NewNames("a", "bb", "c")
	for _, tt := range []struct {
		name    string
		payload string
		want    [3]string // type and body
		came    uint32
		doubled bool
		fault   bool
	}{
		{"in order", "\x01m\x03\x01a\x08\x01x\x02bb\x00\x01c\x11", [3]string{"\x08x", "\x00", "\x01\x11"}, 7, false, false},
		{"in another order", "\x01m\x03\x01c\x04\x07\x02bb\x09\x01\xff\x01a\x06\x01\x02\x03\x04", [3]string{"\x06\x01\x02\x03\x04", "\x09\xff", "\x04\x07"}, 7, false, false},
		{"one that did not come is as NULL", "\x01m\x01\x02bb\x08\x00", [3]string{"\x00", "\x08", "\x00"}, 2, false, false},
		{"unknown ones are skipped", "\x01m\x03\x01z\x00\x01a\x08\x01x\x00\x00", [3]string{"\x08x", "\x00", "\x00"}, 1, false, false},
		{"of two the first is kept", "\x01m\x02\x01a\x08\x01x\x01a\x08\x01y", [3]string{"\x08x", "\x00", "\x00"}, 1, true, false},
		{"unknown ones may come twice", "\x01m\x02\x01z\x00\x01z\x00", [3]string{"\x00", "\x00", "\x00"}, 0, false, false},
		{"a fault ends it", "\x01m\x02\x01a\x08\x01x\x02bb\x08\x09y", [3]string{"\x08x", "\x00", "\x00"}, 1, false, true},
		{"none", "\x01m\x00", [3]string{"\x00", "\x00", "\x00"}, 0, false, false},
	} {
		into := Fields{payload: []byte("left over"), Came: 7, Doubled: true, list: [MaxFields]span{spanOf(String, 0, 9), spanOf(String, 5, 4), spanOf(String, 0, 4)}}
		n := open([]byte(tt.payload))
		m, _ := n.Next()
		m.Fields(&names, &into)
		var got [3]string
		for i := range got {
			got[i] = string(append([]byte{byte(into.Type(i))}, into.Body(i)...))
		}
		if got != tt.want || into.Came != tt.came || into.Doubled != tt.doubled || (n.Err() != nil) != tt.fault {
			t.Errorf("%s: %q, came %b, doubled %v, error %v; want %q, %b, %v", tt.name, got, into.Came, into.Doubled, n.Err(), tt.want, tt.came, tt.doubled)
		}
	}
}

// FuzzFields: Fields finds what Arg finds, and meets a fault when Arg does.
func FuzzFields(f *testing.F) {
	f.Add([]byte("\x01m\x03\x01a\x08\x01x\x02bb\x00\x01c\x11"))
	f.Add([]byte("\x01m\x02\x01a\x08\x01x\x01a\x08\x01y"))
	f.Add([]byte("\x01m\x02\x01a\x08\x01x\x02bb\x08\x09y"))
	f.Add(benchNotify()[14:])
	f.Add([]byte("\x01m\x02\x09ninebyteo\x08\x01x\x09ninebytes\x08\x01y"))
	texts := append([]string{"a", "bb", "c", "sevenby", "eightbyt", "ninebytes", ""}, benchNames...)
	names := NewNames(texts...)
	f.Fuzz(func(t *testing.T, payload []byte) {
		slow, fast := open(payload), open(payload)
		var into Fields
		for {
			a, ok := slow.Next()
			b, okay := fast.Next()
			if ok != okay || !bytes.Equal(a.Name, b.Name) {
				t.Fatalf("% x: message %q, %v by Arg, %q, %v by Fields", payload, a.Name, ok, b.Name, okay)
			}
			if !ok {
				break
			}
			want := make([]Value, len(texts))
			seen, twice := uint32(0), false
			for name, v, ok := a.Arg(); ok; name, v, ok = a.Arg() {
				i := slices.Index(texts, string(name))
				switch {
				case i < 0:
				case seen&(1<<i) != 0:
					twice = true
				default:
					seen |= 1 << i
					want[i] = v
				}
			}
			b.Fields(&names, &into)
			if into.Came != seen || into.Doubled != twice {
				t.Fatalf("% x: came %b, doubled %v, want %b, %v", payload, into.Came, into.Doubled, seen, twice)
			}
			for i := range texts {
				kind := into.Type(i)
				if kind != want[i].Type || into.Integer(i) != want[i].Int || into.Addr(i) != want[i].Addr() ||
					(kind == String || kind == Binary) && !bytes.Equal(into.Body(i), want[i].Bytes) {
					t.Fatalf("% x: %q is %v %x, want %+v", payload, texts[i], kind, into.Body(i), want[i])
				}
			}
		}
		if slow.Err() != fast.Err() || slow.at != fast.at {
			t.Fatalf("% x: error %v at %d by Arg, %v at %d by Fields", payload, slow.Err(), slow.at, fast.Err(), fast.at)
		}
	})
}
