package spoptest

import (
	"fmt"

	"postern/agent/spop"
)

// Action is one action of an ACK.
type Action struct {
	Unset bool
	Scope spop.Scope
	Name  string
	Value spop.Value
}

// Ack is one ACK.
type Ack struct {
	Stream, Frame uint64
	Actions       []Action
}

// Var returns the value that the last action on a variable of scope txn gave it; ok is
// false when there was none.
func (a Ack) Var(name string) (v spop.Value, ok bool) {
	for _, x := range a.Actions {
		if x.Name == name && x.Scope == spop.Transaction {
			v, ok = x.Value, !x.Unset
		}
	}
	return v, ok
}

// Str is Var for a STRING; "" when the variable is not set or is of another type.
func (a Ack) Str(name string) string {
	if v, ok := a.Var(name); ok && v.Type == spop.String {
		return string(v.Bytes)
	}
	return ""
}

// DecodeAck reads an ACK. It is as strict as HAProxy is lax: whatever HAProxy would
// silently drop is an error.
func DecodeAck(f spop.Frame) (Ack, error) {
	a := Ack{Stream: f.Stream, Frame: f.ID}
	if f.Type != spop.FrameAck || f.Flags != spop.FlagFin {
		return a, fmt.Errorf("frame type %d with flags %#x is no ACK", f.Type, f.Flags)
	}
	for b := f.Payload; len(b) > 0; {
		x, n, err := decodeAction(b)
		if err != nil {
			return a, fmt.Errorf("action %d: %w", len(a.Actions), err)
		}
		a.Actions = append(a.Actions, x)
		b = b[n:]
	}
	return a, nil
}

func decodeAction(b []byte) (Action, int, error) {
	const set, unset = 1, 2
	if len(b) < 3 || b[2] > byte(spop.ResponseScope) {
		return Action{}, 0, fmt.Errorf("bad head % x", b[:min(3, len(b))])
	}
	x := Action{Unset: b[0] == unset, Scope: spop.Scope(b[2])}
	if !(b[0] == set && b[1] == 3) && !(b[0] == unset && b[1] == 2) {
		return Action{}, 0, fmt.Errorf("action %d with %d arguments", b[0], b[1])
	}
	size, n := spop.Uvarint(b[3:])
	if at := 3 + n; n == 0 || size > uint64(len(b)-at) {
		return Action{}, 0, fmt.Errorf("bad name")
	}
	at := 3 + n + int(size)
	x.Name = string(b[3+n : at])
	if x.Unset {
		return x, at, nil
	}
	v, n := spop.DecodeValue(b[at:])
	if n == 0 {
		return Action{}, 0, fmt.Errorf("bad value of %s", x.Name)
	}
	v.Bytes = append([]byte(nil), v.Bytes...)
	x.Value = v
	return x, at + n, nil
}
