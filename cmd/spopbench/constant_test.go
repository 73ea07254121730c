package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/agent"
	"postern/agent/spop"
)

// serveTest starts the constant agent on a private socket.
func serveTest(t *testing.T) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "a.sock")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serveConstant(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serveConstant: %v", err)
		}
	})
	return socket
}

// TestConstantAgentRemovesSocketsOnly: a path that was mistyped costs nobody his file.
func TestConstantAgentRemovesSocketsOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	left.Close()
	ln, err := listenConstant(path)
	if err != nil {
		t.Fatalf("on a socket that was left: %v", err)
	}
	ln.Close()
	if err := os.WriteFile(path, []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	if ln, err := listenConstant(path); err == nil {
		ln.Close()
		t.Error("it listens in place of a file")
	}
	if b, _ := os.ReadFile(path); string(b) != "dear" {
		t.Errorf("the file holds %q", b)
	}
}

func TestLoadDrivesTheConstantAgent(t *testing.T) {
	socket := serveTest(t)
	for name, l := range map[string]Load{
		"closed loop":      {Conns: 2, InFlight: 20, Want: "allow"},
		"with tokens":      {Conns: 1, InFlight: 3, Want: "allow", Tokens: []string{"aaaa", "bbbb"}},
		"at constant rate": {Conns: 2, InFlight: 20, Rate: 2000, Want: "allow"},
	} {
		l.Socket, l.Host = socket, "app.example.com"
		out, err := l.Run(t.Context(), 100*time.Millisecond)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if out.Frames == 0 || out.Latency.TotalCount() != out.Frames {
			t.Errorf("%s: %d frames, %d latencies", name, out.Frames, out.Latency.TotalCount())
		}
		if l.Rate > 0 && out.Frames > int64(l.Rate*out.Elapsed.Seconds())+2 {
			t.Errorf("%s: %d frames in %v, more than the rate", name, out.Frames, out.Elapsed)
		}
	}
}

// TestLoadRefusesAnotherVerdict: a benchmark of wrong answers would be worthless.
func TestLoadRefusesAnotherVerdict(t *testing.T) {
	l := Load{Socket: serveTest(t), Conns: 1, InFlight: 1, Host: "app.example.com", Want: "deny"}
	if _, err := l.Run(t.Context(), 50*time.Millisecond); err == nil || !strings.Contains(err.Error(), "not verdict deny") {
		t.Errorf("error %v, want one about the verdict", err)
	}
}

func TestConstantAgentEchoesTheRequestID(t *testing.T) {
	head := Load{Host: "app.example.com"}.payload("").head
	rid, err := requestID(head)
	if err != nil || string(rid) != "6f1c0f6e-3c1d-4a5e-9d5e-0d9c8a1f2b3c" {
		t.Errorf("rid %q, %v", rid, err)
	}
	for cut := range 53 { // the argument ends there
		if rid, err := requestID(head[:cut]); err == nil {
			t.Errorf("of %d bytes: rid %q", cut, rid)
		}
	}
}

// TestPayload: the benchmark's frames are what the agent reads, whatever is left open.
func TestPayload(t *testing.T) {
	for _, tt := range []struct{ hole, token, authorization string }{
		{"", "", ""}, {agent.ArgToken, "tttt", ""}, {agent.ArgAuthorization, "", "Basic eA=="},
	} {
		frame := appendNotify(nil, 3, Load{Host: "app.example.com"}.payload(tt.hole), tt.token+tt.authorization)
		f, ok := spop.DecodeFrame(frame[4:])
		if !ok || f.Type != spop.FrameNotify || f.Stream != 3 {
			t.Fatalf("%q: frame %+v", tt.hole, f)
		}
		name, size := f.Payload[1:1+f.Payload[0]], 2+int(f.Payload[0])
		got := map[string]string{}
		count := int(f.Payload[size-1])
		for rest := f.Payload[size:]; len(rest) > 0; count-- {
			arg := string(rest[1 : 1+rest[0]])
			v, n := spop.DecodeValue(rest[1+len(arg):])
			if n == 0 {
				t.Fatalf("%q: argument %s does not decode", tt.hole, arg)
			}
			got[arg] = string(v.Bytes)
			rest = rest[1+len(arg)+n:]
		}
		if string(name) != agent.Message || count != 0 || got[agent.ArgToken] != tt.token || got[agent.ArgAuthorization] != tt.authorization || got[agent.ArgFetchDest] != "document" {
			t.Errorf("%q: message %s, %d arguments too few, %q", tt.hole, name, count, got)
		}
	}
}
