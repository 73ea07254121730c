package agent_test

import (
	"strings"
	"testing"

	"postern/agent"
	"postern/agent/session"
	"postern/agent/spop/spoptest"
)

// TestRequestsThatCameTogether: their tokens are known before the first is answered, and
// whatever stands in the frames, each gets the answer that it would get alone.
func TestRequestsThatCameTogether(t *testing.T) {
	token := func(c string) string { return strings.Repeat(c, session.TokenLength) }
	mark := "\x05" + agent.ArgToken + "\x08\x40"
	table := &sessions{near: make(chan string, 8), memory: map[string]*session.Entry{token("a"): entry(alice)}}
	p := start(t, &agent.Server{Rules: compile(t, house), Sessions: table})
	var all []byte
	var want []string
	for i, tt := range []struct {
		args    []spoptest.Arg
		verdict string
	}{
		{[]spoptest.Arg{spoptest.Str(agent.ArgToken, token("a")), spoptest.Int(agent.ArgTokens, 1)}, "allow"},
		{[]spoptest.Arg{spoptest.Str(agent.ArgToken, "short"), spoptest.Int(agent.ArgTokens, 1)}, "login"},
		{[]spoptest.Arg{spoptest.Str(agent.ArgPath, "/"+mark+token("b")), spoptest.Str(agent.ArgToken, token("a")), spoptest.Int(agent.ArgTokens, 1)}, "deny"},
		{[]spoptest.Arg{spoptest.Str(agent.ArgUpgrade, mark+"cut off")}, "login"},
		{nil, "login"},
		{[]spoptest.Arg{spoptest.Str(agent.ArgToken, token("a")), spoptest.Int(agent.ArgTokens, 1)}, "allow"},
	} {
		all = spoptest.AppendNotify(all, uint64(i)+1, 1, request(tt.args...))
		want = append(want, tt.verdict)
	}
	if err := p.Send(all); err != nil {
		t.Fatal(err)
	}
	for i, verdict := range want {
		a, err := p.Ack()
		if err != nil || a.Stream != uint64(i)+1 || a.Str(agent.VarVerdict) != verdict {
			t.Errorf("answer %d: stream %d, %q, %v; want %q", i+1, a.Stream, a.Str(agent.VarVerdict), err, verdict)
		}
	}
	if got, want := <-table.near, strings.Join([]string{token("a"), token("b"), token("a")}, " "); got != want {
		t.Errorf("tokens %q, want %q", got, want)
	}
}
