package agent_test

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"postern/agent"
	"postern/agent/spop"
	"postern/agent/spop/spoptest"
)

// without is m without the named arguments.
func without(m spoptest.Message, names ...string) spoptest.Message {
	m.Args = slices.DeleteFunc(slices.Clone(m.Args), func(a spoptest.Arg) bool { return slices.Contains(names, a.Name) })
	return m
}

// and is m with further arguments at its end.
func and(m spoptest.Message, args ...spoptest.Arg) spoptest.Message {
	m.Args = append(slices.Clone(m.Args), args...)
	return m
}

// TestThreat07UnreadableIsAnError (cases 20 to 22, 29 to 31): what cannot be read as one
// message check of this contract is an error, even where everybody is let in; it bears
// the request's id when that could be read.
func TestThreat07UnreadableIsAnError(t *testing.T) {
	s, _, _ := atHome(t)
	p := start(t, s)
	open := request(spoptest.Str(agent.ArgHost, "public.example.com"))
	some := spoptest.Str("x", "y")
	for _, tt := range []struct {
		name string
		ask  []spoptest.Message
		want string
	}{
		{"20: no message", nil, "reason=bad_message status=503 verdict=error"},
		{"21: two messages", []spoptest.Message{open, open}, rid + "reason=bad_message status=503 verdict=error"},
		{"21: another message behind it", []spoptest.Message{open, {Name: "other"}}, rid + "reason=bad_message status=503 verdict=error"},
		{"22: an unknown message", []spoptest.Message{{Name: "checks", Args: open.Args}}, "reason=bad_message status=503 verdict=error"},
		{"22: a message without a name", []spoptest.Message{{Args: open.Args}}, "reason=bad_message status=503 verdict=error"},
		{"no argument", []spoptest.Message{{Name: agent.Message}}, "reason=bad_contract status=503 verdict=error"},
		{"no version", []spoptest.Message{without(open, agent.ArgVersion)}, rid + "reason=bad_contract status=503 verdict=error"},
		{"a version of NULL", []spoptest.Message{request(spoptest.Null(agent.ArgVersion))}, rid + "reason=bad_contract status=503 verdict=error"},
		{"the next version", []spoptest.Message{request(spoptest.Int(agent.ArgVersion, agent.Contract+1))}, rid + "reason=bad_contract status=503 verdict=error"},
		{"a version of 0", []spoptest.Message{request(spoptest.Int(agent.ArgVersion, 0))}, rid + "reason=bad_contract status=503 verdict=error"},
		{"a version 2^64 higher", []spoptest.Message{request(spoptest.Int(agent.ArgVersion, agent.Contract-1<<63))}, rid + "reason=bad_contract status=503 verdict=error"},
		{"a version as a string", []spoptest.Message{request(spoptest.Str(agent.ArgVersion, "1"))}, rid + "reason=bad_contract status=503 verdict=error"},
		{"no request id", []spoptest.Message{without(open, agent.ArgRequestID)}, "reason=bad_argument status=503 verdict=error"},
		{"an empty request id", []spoptest.Message{request(spoptest.Str(agent.ArgRequestID, ""))}, "reason=bad_argument status=503 verdict=error"},
		{"a request id with a line break", []spoptest.Message{request(spoptest.Str(agent.ArgRequestID, "a\r\nb"))}, "reason=bad_argument status=503 verdict=error"},
		{"a request id of 129 bytes", []spoptest.Message{request(spoptest.Str(agent.ArgRequestID, strings.Repeat("x", 129)))}, "reason=bad_argument status=503 verdict=error"},
		{"29: every argument NULL", []spoptest.Message{nulls(open)}, "reason=bad_contract status=503 verdict=error"},
		{"31: the host twice", []spoptest.Message{and(open, spoptest.Str(agent.ArgHost, "app.example.com"))}, rid + "reason=bad_argument status=503 verdict=error"},
		{"31: the host twice, NULL the second time", []spoptest.Message{and(open, spoptest.Null(agent.ArgHost))}, rid + "reason=bad_argument status=503 verdict=error"},
		{"31: the path twice", []spoptest.Message{and(open, spoptest.Str(agent.ArgPath, "/"))}, rid + "reason=bad_argument status=503 verdict=error"},
		{"31: the request id twice", []spoptest.Message{and(open, spoptest.Str(agent.ArgRequestID, "other"))}, rid + "reason=bad_argument status=503 verdict=error"},
		{"an argument of a later contract", []spoptest.Message{and(open, some, some)}, rid + "rule=open reason=bypass status=200 verdict=allow"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := text(t, ask(t, p, tt.ask...)); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

func nulls(m spoptest.Message) spoptest.Message {
	m.Args = slices.Clone(m.Args)
	for i := range m.Args {
		m.Args[i].Value = spop.Value{}
	}
	return m
}

// Case 29: where all that HAProxy could not fetch is NULL, as for an HTTP/1.0 request
// over a unix socket, the answer is a refusal.
func TestCase29Nulls(t *testing.T) {
	s, _, _ := atHome(t)
	m := nulls(request())
	m.Args[0], m.Args[1], m.Args[2], m.Args[3] = request().Args[0], request().Args[1], request().Args[2], request().Args[3]
	if got, want := text(t, ask(t, start(t, s), m)), rid+"rule=builtin reason=bad_host status=403 verdict=deny"; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// Case 30: any argument of any wrong type is an error, also where it is of no interest.
func TestCase30WrongTypes(t *testing.T) {
	s, aliceToken, _ := atHome(t)
	p := start(t, s)
	right := map[string][]spop.Type{
		agent.ArgVersion: {spop.Int32, spop.Uint32, spop.Int64, spop.Uint64},
		agent.ArgTokens:  {spop.Int32, spop.Uint32, spop.Int64, spop.Uint64},
		agent.ArgTLS:     {spop.Bool},
		agent.ArgSource:  {spop.IPv4, spop.IPv6},
	}
	open := with(aliceToken, spoptest.Str(agent.ArgHost, "public.example.com"))
	for i, arg := range open.Args {
		good := right[arg.Name]
		if good == nil {
			good = []spop.Type{spop.String}
		}
		for kind := spop.Bool; kind <= spop.Binary; kind++ {
			if slices.Contains(good, kind) {
				continue
			}
			m := and(open)
			m.Args[i].Value = spop.Value{Type: kind, Int: 1, Bytes: []byte("public.example.com")}
			switch kind {
			case spop.IPv4:
				m.Args[i].Value.Bytes = []byte{192, 0, 2, 1}
			case spop.IPv6:
				m.Args[i].Value.Bytes = make([]byte, 16)
			}
			if got := ask(t, p, m).Str(agent.VarVerdict); got != "error" {
				t.Errorf("%s of type %d: %s, want error", arg.Name, kind, got)
			}
		}
	}
}

// TestOrderOfArguments: they are found by name, in whatever order they come.
func TestOrderOfArguments(t *testing.T) {
	s, aliceToken, _ := atHome(t)
	p := start(t, s)
	m := with(aliceToken)
	want := text(t, ask(t, p, m))
	slices.Reverse(m.Args)
	if got := text(t, ask(t, p, m)); got != want {
		t.Errorf("reversed\n got %s\nwant %s", got, want)
	}
	if got := text(t, ask(t, p, without(m, agent.ArgAuthorization, agent.ArgOrigin, agent.ArgUpgrade))); got != want {
		t.Errorf("without some\n got %s\nwant %s", got, want)
	}
}

// Case 32: odd hosts and paths are refused, and nothing of them is answered raw.
func TestCase32OddInput(t *testing.T) {
	s, aliceToken, _ := atHome(t)
	p := start(t, s)
	for _, host := range []string{
		"app.example.com\r\nX: y", "app.example.com\x00", "app example.com", "äpp.example.com", strings.Repeat("a", 300) + ".example.com",
		"app.example.com,other", "app.example.com@evil.example", "[::1]", "", ".", "app.example.com:99999", "https://app.example.com",
	} {
		if got := ask(t, p, with(aliceToken, spoptest.Str(agent.ArgHost, host))); got.Str(agent.VarVerdict) != "deny" {
			t.Errorf("host %q: %s, want deny", host, text(t, got))
		}
	}
	for _, path := range []string{
		"*", "", "x", "/a%00b", "/a\x00b", "/a\r\nb", "/a%0d%0ab", "/a%2fb", "/a%5cb", `/a\b`, "/%", "/%zz", "/\xff", "/..;/admin",
	} {
		a := ask(t, p, with(aliceToken, spoptest.Str(agent.ArgPath, path)))
		if text(t, a); a.Str(agent.VarVerdict) != "deny" {
			t.Errorf("path %q: %s, want deny", path, text(t, a))
		}
	}
	for path, want := range map[string]string{"/a/../b": "/b", "//a": "/a", "/a/./b": "/a/b", "/%61": "/a", "/../../x": "/x"} {
		if a := ask(t, p, with(aliceToken, spoptest.Str(agent.ArgPath, path))); a.Str(agent.VarVerdict) != "allow" || a.Str(agent.VarPath) != want {
			t.Errorf("path %q: %s, want allow with path %s", path, text(t, a), want)
		}
	}
	if a := ask(t, p, with(aliceToken, spoptest.Str(agent.ArgPath, "/"+strings.Repeat("a", 15000)))); a.Str(agent.VarVerdict) != "allow" {
		t.Errorf("a path of 15 KB: %s, want allow", a.Str(agent.VarVerdict))
	}
	if a := ask(t, p, with(aliceToken, spoptest.Str(agent.ArgPath, "//"+strings.Repeat("a", 15500)))); a.Str(agent.VarVerdict) != "allow" || len(a.Str(agent.VarPath)) != 15501 {
		t.Errorf("a path of 15 KB to be changed: %s, want allow", a.Str(agent.VarVerdict))
	}
}

// Case 34: where HAProxy agreed to small frames the answer is cut to an error.
func TestCase34SmallFrames(t *testing.T) {
	s, _, _ := atHome(t)
	addr := listen(t, s)
	long := strings.Repeat("r", 128)
	path := spoptest.Str(agent.ArgPath, strings.Repeat("/a", 20))
	for _, tt := range []struct {
		name string
		ask  spoptest.Message
		want string
	}{
		{"a redirect that fits", request(), rid + "rule=rules[5] reason=sign_in location=https://auth.example.com/?rd=https%3A%2F%2Fapp.example.com%2Fprojects%2F42&rm=GET status=302 verdict=login"},
		{"a redirect that does not", request(path), rid + "reason=too_big status=503 verdict=error"},
		{"the longest request id", request(spoptest.Str(agent.ArgRequestID, long), path), "rid=" + long + " reason=too_big status=503 verdict=error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := spoptest.New(dial(t, addr))
			if _, err := p.Hello(spoptest.Hello{FrameSize: 256}); err != nil {
				t.Fatal(err)
			}
			m := tt.ask
			m.Args = slices.DeleteFunc(m.Args, func(a spoptest.Arg) bool {
				return !slices.Contains([]string{agent.ArgVersion, agent.ArgRequestID, agent.ArgMethod, agent.ArgTLS, agent.ArgHost, agent.ArgPath, agent.ArgFetchMode}, a.Name)
			})
			if got := text(t, ask(t, p, m)); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

// FuzzThreat22Notify: whatever bytes a NOTIFY holds, there is an answer or the end of the
// connection. "allow" comes only for a message that an independent reading finds sound:
// of this contract, with one host, and one that lets everybody in.
func FuzzThreat22Notify(f *testing.F) {
	s, _, _ := atHome(f)
	addr := listen(f, s)
	seeds := [][]spoptest.Message{
		{request()}, {request(spoptest.Str(agent.ArgHost, "public.example.com"))}, {request(), request()}, nil,
		{and(request(), spoptest.Str(agent.ArgHost, "public.example.com"))}, {nulls(request())},
		{request(spoptest.Addr(agent.ArgSource, netip.MustParseAddr("::1")), spoptest.Str(agent.ArgPath, "/%2e%2e/\x00"))},
	}
	for _, m := range seeds {
		f.Add(spoptest.AppendMessages(nil, m...))
	}
	p := greet(f, addr)
	f.Fuzz(func(t *testing.T, payload []byte) {
		if len(payload) > 16000 {
			return
		}
		frame := spop.AppendFrame(nil, spop.Frame{Type: spop.FrameNotify, Flags: spop.FlagFin, Stream: 1, ID: 1, Payload: payload})
		if err := p.Send(frame); err != nil {
			t.Fatal(err)
		}
		a, err := p.Ack()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("% x: neither an answer nor the end", payload)
		}
		if err != nil {
			p.Close()
			if p, err = spoptest.Dial("unix", addr); err != nil {
				t.Fatal(err)
			}
			return
		}
		last := a.Actions[len(a.Actions)-1]
		if last.Name != agent.VarVerdict {
			t.Fatalf("the last action is %+v, want the verdict", last)
		}
		if got := text(t, a); a.Str(agent.VarVerdict) == "allow" && !(bytes.Count(payload, []byte("\x04host\x08")) >= 1 &&
			bytes.Contains(payload, []byte("check")) && bytes.Contains(bytes.ToLower(payload), []byte("example.com"))) {
			t.Fatalf("% x is answered %s", payload, got)
		}
	})
}
