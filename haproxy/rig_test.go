package haproxy_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postern/agent"
	"postern/agent/policy"
	"postern/agent/spop"
	"postern/haproxy"
	"postern/haproxy/haproxytest"
)

// rig is one HAProxy with its rules, an application behind it, and an agent in front of
// it that says what a test tells it to.
type rig struct {
	*haproxytest.Process
	version haproxy.Version
	form    haproxy.Form
	app     *haproxytest.App
	client  haproxytest.Client // TLS
	plain   haproxytest.Client
	socket  string       // of the agent
	ln      net.Listener // on it; nobody accepts until script or hostile is called
	current atomic.Pointer[script]
	portal  *haproxytest.App
}

// options change a rig.
type options struct {
	config  func(*haproxy.Config)
	more    string // lines for the frontend
	base    string // lines for the defaults of the frontend
	timeout string // "timeout processing"; "" is 5s
	noAgent bool   // the socket is not there
}

// eachRig runs a test for every HAProxy and both forms.
func eachRig(t *testing.T, o options, test func(t *testing.T, r *rig)) {
	if o.timeout == "" {
		o.timeout = "5s"
	}
	cert, trust := haproxytest.Certificate(t, "*.example.com", "*.example.org")
	for _, in := range haproxytest.Installed(t) {
		for _, form := range forms() {
			t.Run(in.String()+"-"+string(form), func(t *testing.T) {
				t.Parallel()
				r := &rig{version: in.Version, form: form, app: haproxytest.NewApp(t), portal: haproxytest.NewApp(t)}
				dir := haproxytest.Dir(t)
				r.socket = filepath.Join(dir, "agent.sock")
				c := plain()
				c.Agent, c.Portal, c.Timeout = "unix:"+r.socket, r.portal.Addr, o.timeout
				if o.config != nil {
					o.config(&c)
				}
				if !o.noAgent {
					r.ln = listen(t, r.socket)
				}
				r.Process = haproxytest.Start(t, in, haproxytest.Setup{
					Dir: dir, Listeners: 2, Files: site(t, c, in.Version, form, cert, o.more, o.base, r.app.Addr),
				})
				r.client = haproxytest.Client{Addr: r.Addrs[0], Trust: trust}
				r.plain = haproxytest.Client{Addr: r.Addrs[1]}
				test(t, r)
			})
		}
	}
}

func listen(t testing.TB, socket string) net.Listener {
	t.Helper()
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// question is a NOTIFY as the script sees it.
type question struct {
	args map[string]spop.Value
}

// str is a string argument; "" when HAProxy had none.
func (q question) str(name string) string { return string(q.args[name].Bytes) }

// script is an agent that follows the protocol and answers as it is told.
type script func(q question, a *spop.Actions)

// Notify reads every argument and asks the script.
func (s script) Notify(n *spop.Notify, a *spop.Actions) {
	q := question{args: map[string]spop.Value{}}
	for m, ok := n.Next(); ok; m, ok = n.Next() {
		for name, v, ok := m.Arg(); ok; name, v, ok = m.Arg() {
			v.Bytes = bytes.Clone(v.Bytes)
			q.args[string(name)] = v
		}
	}
	s(q, a)
}

// script runs an agent until the test ends, and waits until HAProxy thinks that it is
// up. Called again it gives the agent another script.
func (r *rig) script(t *testing.T, s script) {
	t.Helper()
	if r.current.Swap(&s) != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	now := script(func(q question, a *spop.Actions) { (*r.current.Load())(q, a) })
	server := &spop.Server{Handler: now, Drain: time.Millisecond}
	go func() { defer close(done); _ = server.Serve(ctx, r.ln) }()
	t.Cleanup(func() { cancel(); <-done })
	r.ServerUp(t, agent.Backend, "postern", true)
}

// say is a script that echoes the request's id and sets variables, in this order:
// name, value, name, value. A value is a string, an int or a bool.
func say(pairs ...any) script {
	return func(q question, a *spop.Actions) {
		a.SetString(spop.Transaction, agent.VarRequestID, q.str(agent.ArgRequestID))
		set(a, pairs...)
	}
}

func set(a *spop.Actions, pairs ...any) {
	for i := 0; i < len(pairs); i += 2 {
		name := pairs[i].(string)
		switch v := pairs[i+1].(type) {
		case string:
			a.SetString(spop.Transaction, name, v)
		case int:
			a.SetInt(spop.Transaction, name, int64(v))
		case bool:
			a.SetBool(spop.Transaction, name, v)
		}
	}
}

// allow is the agent that lets everything through as alice, and everybody to the portal.
func allow() script {
	return func(q question, a *spop.Actions) {
		if strings.HasPrefix(strings.ToLower(q.str(agent.ArgHost)), "auth.") {
			say(agent.VarReason, string(policy.ReasonPortal), agent.VarStatus, 200, agent.VarVerdict, "allow")(q, a)
			return
		}
		say(agent.VarUser, "alice", agent.VarStatus, 200, agent.VarVerdict, "allow")(q, a)
	}
}

// hostile is an agent that says what it likes to: hello answers the first frame of a
// connection and reply every NOTIFY, with bytes that go out as they are. Either may
// close the connection by returning nil.
type hostile struct {
	hello func() []byte
	reply func(f spop.Frame) []byte
}

// run accepts until the test ends.
func (h hostile) run(t *testing.T, ln net.Listener) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(ctx, func() { c.Close() })
			go h.serve(c)
		}
	}()
}

func (h hostile) serve(c net.Conn) {
	defer c.Close()
	for {
		var head [4]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		b := make([]byte, binary.BigEndian.Uint32(head[:]))
		if _, err := io.ReadFull(c, b); err != nil {
			return
		}
		f, _ := spop.DecodeFrame(b)
		var out []byte
		switch f.Type {
		case spop.FrameHAProxyHello:
			out = agentHello()
			if h.hello != nil && !bytes.Contains(b, []byte("healthcheck")) {
				out = h.hello()
			}
		case spop.FrameNotify:
			out = h.reply(f)
		default:
			return
		}
		if out == nil {
			return
		}
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

// agentHello is a correct AGENT-HELLO.
func agentHello() []byte {
	var p []byte
	text := func(s string) { p = append(spop.AppendUvarint(p, uint64(len(s))), s...) }
	text("version")
	p = spop.AppendValue(p, spop.Value{Type: spop.String, Bytes: []byte("2.0")})
	text("max-frame-size")
	p = spop.AppendValue(p, spop.Value{Type: spop.Uint32, Int: 16380})
	text("capabilities")
	p = spop.AppendValue(p, spop.Value{Type: spop.String, Bytes: []byte("pipelining")})
	return spop.AppendFrame(nil, spop.Frame{Type: spop.FrameAgentHello, Flags: 1, Payload: p})
}

// rid finds the request's id in a NOTIFY.
func rid(f spop.Frame) string {
	_, after, _ := bytes.Cut(f.Payload, []byte("\x03rid\x08\x24"))
	return string(after[:min(36, len(after))])
}
