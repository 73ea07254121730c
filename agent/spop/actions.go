package spop

import "net/netip"

// Scope is the scope of a variable, SPOE.txt 3.4.
type Scope uint8

// The scopes.
const (
	Process Scope = iota
	SessionScope
	Transaction
	RequestScope
	ResponseScope
)

// The actions and the number of their arguments, SPOE.txt 3.4.
const (
	actionSet, setArgs     = 1, 3
	actionUnset, unsetArgs = 2, 2
)

// Actions is the list of actions of one ACK, encoded as they are added. It never grows
// over the negotiated frame size: the first action that does not fit sets Overflow, and
// from then on nothing is added.
type Actions struct {
	buf      []byte // holds the frame from at on
	at       int    // where the frame begins
	start    int    // where its actions begin
	limit    int    // what len(buf) must not exceed
	overflow bool
}

// begin starts an ACK at the end of buf whose frame is at most size bytes.
func (a *Actions) begin(buf []byte, size int, stream, frame uint64) {
	a.at = len(buf)
	a.buf = appendHeader(buf, FrameAck, FlagFin, stream, frame)
	a.start = len(a.buf)
	a.limit = a.at + lengthSize + size
	a.overflow = false
}

// end completes the frame and returns the buffer with it.
func (a *Actions) end() []byte {
	patchLength(a.buf[a.at:])
	return a.buf
}

// fits says whether an action with n bytes of data for the variable fits.
func (a *Actions) fits(name string, n int) bool {
	const around = 3 + 1 + 2*maxVarint // action, type, two lengths
	if room := a.limit - len(a.buf); a.overflow || n > room || around+len(name)+n > room && !a.exactly(name, n) {
		a.overflow = true
		return false
	}
	return true
}

// exactly is the check for the last few bytes of a frame, where the bound is too coarse.
func (a *Actions) exactly(name string, n int) bool {
	head := 3 + uvarintLen(uint64(len(name))) + len(name)
	return head+1+uvarintLen(uint64(n))+n <= a.limit-len(a.buf)
}

// SetString appends a set-var action of type STRING.
func (a *Actions) SetString(s Scope, name, value string) {
	at := len(a.buf)
	end := at + 6 + len(name) + len(value)
	if len(name) < short && len(value) < short && end <= min(a.limit, cap(a.buf)) && !a.overflow {
		b := a.buf[at:end]
		b[0], b[1], b[2], b[3] = actionSet, setArgs, byte(s), byte(len(name))
		n := 4 + copy(b[4:], name)
		b[n], b[n+1] = byte(String), byte(len(value))
		copy(b[n+2:], value)
		a.buf = a.buf[:end]
		return
	}
	if a.fits(name, len(value)) {
		a.buf = AppendSetString(a.buf, s, name, value)
	}
}

// SetBytes appends a set-var action of type STRING.
func (a *Actions) SetBytes(s Scope, name string, value []byte) {
	if a.fits(name, len(value)) {
		a.buf = appendBytes(append(appendSet(a.buf, s, name), byte(String)), value)
	}
}

// SetInt appends a set-var action of type INT64.
func (a *Actions) SetInt(s Scope, name string, value int64) {
	if a.fits(name, maxVarint) {
		a.buf = AppendSetInt(a.buf, s, name, value)
	}
}

// SetBool appends a set-var action of type BOOL.
func (a *Actions) SetBool(s Scope, name string, value bool) {
	if a.fits(name, 0) {
		v := Value{Type: Bool}
		if value {
			v.Int = 1
		}
		a.buf = AppendValue(appendSet(a.buf, s, name), v)
	}
}

// SetAddr appends a set-var action of type IPV4 or IPV6; an invalid address unsets.
func (a *Actions) SetAddr(s Scope, name string, value netip.Addr) {
	if !a.fits(name, 16) {
		return
	}
	a.buf = appendSet(a.buf, s, name)
	switch {
	case value.Is4():
		b := value.As4()
		a.buf = append(append(a.buf, byte(IPv4)), b[:]...)
	case value.IsValid():
		b := value.As16()
		a.buf = append(append(a.buf, byte(IPv6)), b[:]...)
	default:
		a.buf = append(a.buf, byte(Null))
	}
}

// Unset appends an unset-var action.
func (a *Actions) Unset(s Scope, name string) {
	if a.fits(name, 0) {
		a.buf = appendBytes(append(a.buf, actionUnset, unsetArgs, byte(s)), name)
	}
}

// Raw appends actions that were encoded before, by AppendSetString and its like.
func (a *Actions) Raw(encoded []byte) {
	if a.overflow || len(encoded) > a.limit-len(a.buf) {
		a.overflow = true
		return
	}
	a.buf = append(a.buf, encoded...)
}

// Reset drops what was added.
func (a *Actions) Reset() { a.buf, a.overflow = a.buf[:a.start], false }

// Overflow tells that something did not fit.
func (a *Actions) Overflow() bool { return a.overflow }

// Encoded is what was added so far, as AppendSetString and its like would have made it.
// It is a view that dies with the next call.
func (a *Actions) Encoded() []byte { return a.buf[a.start:] }

func appendSet(dst []byte, s Scope, name string) []byte {
	return appendBytes(append(dst, actionSet, setArgs, byte(s)), name)
}

// AppendSetString appends a set-var action of type STRING to dst, for Actions.Raw.
func AppendSetString(dst []byte, s Scope, name, value string) []byte {
	return appendBytes(append(appendSet(dst, s, name), byte(String)), value)
}

// AppendSetInt appends a set-var action of type INT64 to dst, for Actions.Raw.
func AppendSetInt(dst []byte, s Scope, name string, value int64) []byte {
	return AppendUvarint(append(appendSet(dst, s, name), byte(Int64)), uint64(value))
}
