// Package spop speaks SPOP 2.0, the protocol of HAProxy's stream processing offload
// engine, on the agent's side (SPOE.txt 3, HAProxy 2.6 to 3.5).
//
// It knows frames, typed data and actions, and nothing of what a message means. It uses
// the standard library only. It keeps no request after its answer.
package spop

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"time"
)

// Handler answers the NOTIFY frames of all connections.
type Handler interface {
	// Notify is called on the connection's one goroutine, which reads nothing more until
	// it returns: it must not block. n and everything it yields are views into the read
	// buffer and die when Notify returns. The handler reads the messages, writes its
	// actions to a, and returns; when n.Err() is set then, the actions are dropped and the
	// connection is closed with StatusInvalid. To answer later it calls n.Later() and
	// hands the Reply to another goroutine; what it wrote to a is then ignored.
	Notify(n *Notify, a *Actions)
}

// Notify is one NOTIFY frame.
type Notify struct {
	Stream, Frame uint64
}

// Next returns the next message. It reports false at the end and at a fault.
func (n *Notify) Next() (m Message, ok bool) { return Message{}, false }

// Err is the first fault of the frame.
func (n *Notify) Err() error { return nil }

// Later detaches the answer of this frame; see Reply.
func (n *Notify) Later() *Reply { return nil }

// Message is one message of a NOTIFY. Its arguments are read once, in order, before
// the next message.
type Message struct{ Name []byte }

// Arg returns the next argument. It reports false at the end and at a fault.
func (m *Message) Arg() (name []byte, v Value, ok bool) { return nil, Value{}, false }

// Type is a type of typed data, SPOE.txt 3.1.
type Type uint8

// The types of typed data.
const (
	Null Type = iota
	Bool
	Int32
	Uint32
	Int64
	Uint64
	IPv4
	IPv6
	String
	Binary
)

// Value is one piece of typed data. Bytes is a view.
type Value struct {
	Type  Type
	Int   int64 // Bool (0 or 1) and the integers
	Addr  netip.Addr
	Bytes []byte // String and Binary
}

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

// Actions is the list of actions of one ACK, encoded as they are added. It never grows
// over the negotiated frame size: what does not fit sets Overflow.
type Actions struct{}

// SetString and the others append one set-var action.
func (a *Actions) SetString(s Scope, name, value string)          {}
func (a *Actions) SetBytes(s Scope, name string, value []byte)    {}
func (a *Actions) SetInt(s Scope, name string, value int64)       {}
func (a *Actions) SetBool(s Scope, name string, value bool)       {}
func (a *Actions) SetAddr(s Scope, name string, value netip.Addr) {}
func (a *Actions) Unset(s Scope, name string)                     {}

// Raw appends actions that were encoded before, by AppendSetString and its like.
func (a *Actions) Raw(encoded []byte) {}

// Reset drops what was added; Overflow tells that something did not fit.
func (a *Actions) Reset()         {}
func (a *Actions) Overflow() bool { return false }

// Reply is the answer of one NOTIFY that is given later, from any goroutine, once.
type Reply struct{ Stream, Frame uint64 }

// Actions returns an empty list that fits the connection.
func (r *Reply) Actions() *Actions { return &Actions{} }

// Send writes the ACK. On a closed connection it does nothing.
func (r *Reply) Send(a *Actions) {}

// Server serves SPOP on a listener. The zero value of every number is a default.
type Server struct {
	Handler      Handler
	Log          *slog.Logger  // nil: silent; EOF and resets are debug
	MaxFrame     uint32        // largest frame we agree to, bytes; 0: 65536
	HelloTimeout time.Duration // 0: 5 s
	WriteTimeout time.Duration // 0: 5 s; a peer that does not read is dropped
	Drain        time.Duration // 0: 10 s; after ctx ends
}

// Serve accepts until ctx ends, then drains: it stops accepting, answers what is in
// flight, closes connections that fell silent, within Drain. It returns nil then.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error { <-ctx.Done(); return nil }
