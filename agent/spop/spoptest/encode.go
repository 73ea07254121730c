package spoptest

import (
	"net/netip"

	"postern/agent/spop"
)

// Arg is one argument of a message; the Value of a zero Arg is NULL.
type Arg struct {
	Name  string
	Value spop.Value
}

// Str, Int, Bool, Addr and Null make arguments.
func Str(name, v string) Arg {
	return Arg{name, spop.Value{Type: spop.String, Bytes: []byte(v)}}
}

// Int is an integer as HAProxy sends all of them: INT64.
func Int(name string, v int64) Arg {
	return Arg{name, spop.Value{Type: spop.Int64, Int: v}}
}

// Bool is a boolean.
func Bool(name string, v bool) Arg {
	a := Arg{name, spop.Value{Type: spop.Bool}}
	if v {
		a.Value.Int = 1
	}
	return a
}

// Addr is an IPV4 or IPV6 address; NULL when v is not a valid one.
func Addr(name string, v netip.Addr) Arg {
	switch {
	case v.Is4():
		b := v.As4()
		return Arg{name, spop.Value{Type: spop.IPv4, Bytes: b[:]}}
	case v.IsValid():
		b := v.As16()
		return Arg{name, spop.Value{Type: spop.IPv6, Bytes: b[:]}}
	}
	return Null(name)
}

// Null is what HAProxy sends for a sample that it could not fetch.
func Null(name string) Arg { return Arg{Name: name} }

// Message is one message of a NOTIFY.
type Message struct {
	Name string
	Args []Arg
}

// Hello is what a HAPROXY-HELLO says. The zero value is what HAProxy 3.2 sends.
type Hello struct {
	Versions     string // "" is "2.0"
	FrameSize    uint32 // 0 is 16380
	Capabilities string // "" is "pipelining", unless HealthCheck
	HealthCheck  bool
}

// AppendHello appends a HAPROXY-HELLO.
func AppendHello(dst []byte, h Hello) []byte {
	if h.Versions == "" {
		h.Versions = "2.0"
	}
	if h.FrameSize == 0 {
		h.FrameSize = 16380
	}
	if h.Capabilities == "" && !h.HealthCheck {
		h.Capabilities = "pipelining"
	}
	args := []Arg{
		Str("supported-versions", h.Versions),
		{"max-frame-size", spop.Value{Type: spop.Uint32, Int: int64(h.FrameSize)}},
		Str("capabilities", h.Capabilities),
	}
	if h.HealthCheck {
		args = append(args, Bool("healthcheck", true))
	} else {
		args = append(args, Str("engine-id", "fea49cd4-4a2b-4b7e-9a53-6f0f4ad5b9e1"))
	}
	return spop.AppendFrame(dst, spop.Frame{Type: spop.FrameHAProxyHello, Flags: spop.FlagFin, Payload: AppendArgs(nil, args)})
}

// AppendDisconnect appends a HAPROXY-DISCONNECT.
func AppendDisconnect(dst []byte, st spop.Status) []byte {
	p := AppendArgs(nil, []Arg{
		{"status-code", spop.Value{Type: spop.Uint32, Int: int64(st)}},
		Str("message", st.Error()),
	})
	return spop.AppendFrame(dst, spop.Frame{Type: spop.FrameHAProxyDisconnect, Flags: spop.FlagFin, Payload: p})
}

// AppendNotify appends a NOTIFY.
func AppendNotify(dst []byte, stream, frame uint64, messages ...Message) []byte {
	return spop.AppendFrame(dst, spop.Frame{
		Type: spop.FrameNotify, Flags: spop.FlagFin, Stream: stream, ID: frame,
		Payload: AppendMessages(nil, messages...),
	})
}

// AppendMessages appends the payload of a NOTIFY.
func AppendMessages(dst []byte, messages ...Message) []byte {
	for _, m := range messages {
		dst = append(appendString(dst, m.Name), byte(len(m.Args)))
		dst = AppendArgs(dst, m.Args)
	}
	return dst
}

// AppendArgs appends names and values: a list of arguments, or the payload of a HELLO.
func AppendArgs(dst []byte, args []Arg) []byte {
	for _, a := range args {
		dst = spop.AppendValue(appendString(dst, a.Name), a.Value)
	}
	return dst
}

func appendString(dst []byte, s string) []byte {
	return append(spop.AppendUvarint(dst, uint64(len(s))), s...)
}
