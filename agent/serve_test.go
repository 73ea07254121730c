package agent_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"postern/agent"
	"postern/agent/policy"
	"postern/agent/session"
	"postern/agent/spop"
	"postern/agent/spop/spoptest"
)

// start serves s on a unix socket until the test ends and returns a greeted connection.
func start(t testing.TB, s *agent.Server) *spoptest.Peer {
	t.Helper()
	return greet(t, listen(t, s))
}

func dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	nc, err := net.Dial("unix", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return nc
}

// greet returns a connection with a complete handshake.
func greet(t testing.TB, addr string) *spoptest.Peer {
	t.Helper()
	p, err := spoptest.Dial("unix", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func listen(t testing.TB, s *agent.Server) (addr string) {
	t.Helper()
	addr = filepath.Join(t.TempDir(), "agent.sock")
	ln, err := net.Listen("unix", addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return addr
}

// request is message check as the generated files send it; change edits it.
func request(change ...spoptest.Arg) spoptest.Message {
	args := []spoptest.Arg{
		spoptest.Int(agent.ArgVersion, agent.Contract),
		spoptest.Str(agent.ArgRequestID, "6f1c0f6e-3c1d-4a5e-9d5e-0d9c8a1f2b3c"),
		spoptest.Str(agent.ArgMethod, "GET"),
		spoptest.Bool(agent.ArgTLS, true),
		spoptest.Str(agent.ArgHost, "app.example.com"),
		spoptest.Str(agent.ArgPath, "/projects/42"),
		spoptest.Str(agent.ArgQuery, "view=week&page=3"),
		spoptest.Addr(agent.ArgSource, netip.MustParseAddr("192.0.2.7")),
		spoptest.Null(agent.ArgToken),
		spoptest.Int(agent.ArgTokens, 0),
		spoptest.Null(agent.ArgAuthorization),
		spoptest.Str(agent.ArgAccept, "text/html,application/xhtml+xml,*/*;q=0.8"),
		spoptest.Null(agent.ArgRequestedWith),
		spoptest.Null(agent.ArgOrigin),
		spoptest.Null(agent.ArgPreflight),
		spoptest.Str(agent.ArgFetchMode, "navigate"),
		spoptest.Str(agent.ArgFetchDest, "document"),
		spoptest.Null(agent.ArgUpgrade),
	}
	for _, c := range change {
		for i := range args {
			if args[i].Name == c.Name {
				args[i] = c
			}
		}
	}
	return spoptest.Message{Name: agent.Message, Args: args}
}

// with is request with a session cookie.
func with(token string, change ...spoptest.Arg) spoptest.Message {
	return request(append([]spoptest.Arg{spoptest.Str(agent.ArgToken, token), spoptest.Int(agent.ArgTokens, 1)}, change...)...)
}

func ask(t testing.TB, p *spoptest.Peer, m ...spoptest.Message) spoptest.Ack {
	t.Helper()
	a, err := p.Ask(m...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// sessions is a table of the test's own: what is in memory, and what a look-up finds.
type sessions struct {
	mu     sync.Mutex
	memory map[string]*session.Entry
	load   func(ctx context.Context, token string) (*session.Entry, session.Result, error)
	loads  int
	near   chan string // tokens, joined by spaces; nil: they are not far
}

func (s *sessions) Far() bool { return s.near != nil }

func (s *sessions) Near(tokens [][]byte) { s.near <- string(bytes.Join(tokens, []byte(" "))) }

func (s *sessions) Find(token []byte, domain string, now time.Time) (*session.Entry, session.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.memory[string(token)]; ok {
		if e.Domain != domain {
			return nil, session.None
		}
		return e, session.Hit
	}
	if s.load != nil {
		return nil, session.Miss
	}
	return nil, session.None
}

func (s *sessions) Load(ctx context.Context, token []byte, domain string) (*session.Entry, session.Result, error) {
	s.mu.Lock()
	s.loads++
	s.mu.Unlock()
	if s.load == nil {
		return nil, session.None, errors.New("no store")
	}
	return s.load(ctx, string(token))
}

// entry makes a session as the table would hold it.
func entry(s session.Session) *session.Entry {
	if s.Domain == "" {
		s.Domain = "example.com"
	}
	return &session.Entry{Session: s, Prepared: agent.Prepare(&s)}
}

func TestMessageOfAnotherNameIsAnError(t *testing.T) {
	p := start(t, &agent.Server{Rules: func() *policy.Rules { return new(policy.Rules) }, Sessions: &sessions{}})
	a := ask(t, p, spoptest.Message{Name: "other"})
	if got := a.Str(agent.VarVerdict); got != "error" {
		t.Errorf("verdict %q, want error", got)
	}
	if last := a.Actions[len(a.Actions)-1]; last.Name != agent.VarVerdict || last.Scope != spop.Transaction {
		t.Errorf("last action is %v %s, want txn verdict", last.Scope, last.Name)
	}
}
