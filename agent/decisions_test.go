package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"postern/agent"
	"postern/agent/spop/spoptest"
)

// logbook is a log that is read while it is written.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// logging asks s, with which logged, and returns the lines.
func logging(t *testing.T, which string, ask ...spoptest.Message) (lines []map[string]any, text string) {
	t.Helper()
	s, _, _ := atHome(t)
	return loggingAt(t, s, which, ask...)
}

func loggingAt(t *testing.T, s *agent.Server, which string, ask ...spoptest.Message) (lines []map[string]any, text string) {
	t.Helper()
	out := &logbook{}
	s.Decisions = agent.NewDecisions(slog.New(slog.NewJSONHandler(out, nil)))
	if err := s.Decisions.Set(which); err != nil {
		t.Fatal(err)
	}
	exchange := inMemory(t, s)
	for i, m := range ask {
		exchange(spoptest.AppendNotify(nil, uint64(i+1), 1, m))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Decisions.Run(ctx); err != nil { // writes what waits
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		one := map[string]any{}
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		lines = append(lines, one)
	}
	return lines, out.String()
}

func TestWhichDecisionsAreLogged(t *testing.T) {
	for _, tt := range []struct {
		which string
		want  []string
	}{
		{agent.DecisionsNone, nil},
		{agent.DecisionsDenied, []string{"challenge", "deny", "deny", "deny", "error"}},
		{agent.DecisionsAll, []string{"allow", "allow", "allow", "login", "challenge", "step_up", "allow", "deny", "deny", "deny", "login", "error"}},
	} {
		s, list := scenes(t)
		var ask []spoptest.Message
		for _, one := range list {
			ask = append(ask, one.ask)
		}
		lines, _ := loggingAt(t, s, tt.which, ask...)
		var got []string
		for _, l := range lines {
			got = append(got, l["verdict"].(string))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.which, got, tt.want)
		}
		if n := s.Stats(); n.Allow != 4 || n.Deny != 3 || n.Login != 2 || n.Error != 1 {
			t.Errorf("%s: counted %+v", tt.which, n)
		}
	}
	if err := agent.NewDecisions(nil).Set("some"); err == nil {
		t.Error("some is a choice")
	}
}

// TestThreat32DecisionsHoldNoSecret: the line says who asked for what, and nothing that
// opens anything.
func TestThreat32DecisionsHoldNoSecret(t *testing.T) {
	s, token, _ := atHome(t)
	ask := with(token, spoptest.Str(agent.ArgPath, "/report"), spoptest.Str(agent.ArgQuery, "key=hush"),
		spoptest.Str(agent.ArgHost, "closed.example.com"), spoptest.Str(agent.ArgAuthorization, "Basic aHVzaDpodXNo"))
	lines, text := loggingAt(t, s, agent.DecisionsDenied, ask)
	if len(lines) != 1 {
		t.Fatalf("logged %s", text)
	}
	for key, want := range map[string]string{
		"msg": "decision", "level": "INFO", "verdict": "deny", "host": "closed.example.com", "path": "/report",
		"user": "alice", "rule": "closed", "method": "GET",
	} {
		if lines[0][key] != want {
			t.Errorf("%s is %v, want %s", key, lines[0][key], want)
		}
	}
	for _, key := range []string{"rid", "session", "addr", "at", "reason"} {
		if lines[0][key] == "" || lines[0][key] == nil {
			t.Errorf("%s is empty", key)
		}
	}
	for _, secret := range []string{token, "hush", "aHVzaDpodXNo"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is in %s", secret, text)
		}
	}
}

// TestThreat65DecisionInjection: a request forges no line, in either form of the log.
func TestThreat65DecisionInjection(t *testing.T) {
	forged := "/x\nlevel=INFO msg=decision verdict=allow user=root\r\n{\"msg\":\"decision\"}\x1b[2J\x00"
	ask := request(spoptest.Str(agent.ArgPath, forged), spoptest.Str(agent.ArgHost, "a.example.com\nb"), spoptest.Str(agent.ArgMethod, "GE\nT"))
	lines, text := logging(t, agent.DecisionsAll, ask)
	if len(lines) != 1 || strings.Count(text, "\n") != 1 || lines[0]["path"] != forged || lines[0]["verdict"] != "deny" {
		t.Errorf("logged %s", text)
	}
	s, _, _ := atHome(t)
	out := &logbook{}
	s.Decisions = agent.NewDecisions(slog.New(slog.NewTextHandler(out, nil)))
	if err := s.Decisions.Set(agent.DecisionsAll); err != nil {
		t.Fatal(err)
	}
	inMemory(t, s)(spoptest.AppendNotify(nil, 1, 1, ask))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = s.Decisions.Run(ctx)
	if got := out.String(); strings.Count(got, "\n") != 1 || strings.ContainsAny(strings.TrimSuffix(got, "\n"), "\x1b\x00\r\n") || !strings.Contains(got, `\nlevel=INFO`) {
		t.Errorf("logged %q", got)
	}
	long, _ := logging(t, agent.DecisionsAll, request(spoptest.Str(agent.ArgPath, "/"+strings.Repeat("a", 5000))))
	if path := long[0]["path"].(string); len(path) != 1024 {
		t.Errorf("a path of %d bytes is logged", len(path))
	}
}

// TestThreat21DecisionsOfNobody: a frame that cannot be read has nothing of the one before.
func TestThreat21DecisionsOfNobody(t *testing.T) {
	s, token, _ := atHome(t)
	lines, text := loggingAt(t, s, agent.DecisionsAll, with(token), spoptest.Message{Name: "other"})
	if len(lines) != 2 || lines[0]["user"] != "alice" {
		t.Fatalf("logged %s", text)
	}
	for _, key := range []string{"rid", "user", "session", "host", "path", "method", "rule"} {
		if lines[1][key] != "" {
			t.Errorf("%s is %v", key, lines[1][key])
		}
	}
	if lines[1]["addr"] != nil || lines[1]["reason"] != "bad_message" {
		t.Errorf("logged %s", text)
	}
}

// TestLostDecisionsAreSaid: what nobody writes holds no answer up.
func TestLostDecisionsAreSaid(t *testing.T) {
	s, token, _ := atHome(t)
	out := &logbook{}
	s.Decisions = agent.NewDecisions(slog.New(slog.NewJSONHandler(out, nil)))
	if err := s.Decisions.Set(agent.DecisionsAll); err != nil {
		t.Fatal(err)
	}
	exchange := inMemory(t, s)
	const room, more = 8192, 10
	frame := spoptest.AppendNotify(nil, 1, 1, with(token))
	for range room + more {
		exchange(frame)
	}
	if n := s.Decisions.Lost(); n != more {
		t.Errorf("%d lost, want %d", n, more)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = s.Decisions.Run(ctx)
	if got := out.String(); strings.Count(got, `"msg":"decision"`) != room || !strings.Contains(got, `"lost":10}`) {
		t.Errorf("%d lines, the last is %s", strings.Count(got, "\n"), got[strings.LastIndex(strings.TrimSpace(got), "\n")+1:])
	}
}

// TestUnloggedDecisionsAllocateNothing is TestDecisionsAllocateNothing with a log that is off.
func TestUnloggedDecisionsAllocateNothing(t *testing.T) {
	if raced {
		t.Skip("allocations cannot be counted under the race detector")
	}
	s, list := scenes(t)
	s.Decisions = agent.NewDecisions(slog.New(slog.DiscardHandler))
	exchange := inMemory(t, s)
	for _, tt := range list {
		frame := spoptest.AppendNotify(nil, 12345, 1, tt.ask)
		if n := testing.AllocsPerRun(500, func() { exchange(frame) }); n != 0 {
			t.Errorf("%s: %v allocations for each request, want none", tt.name, n)
		}
	}
}
