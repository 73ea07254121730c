package agent_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"postern/agent"
	"postern/agent/policy"
	"postern/agent/session"
	"postern/agent/spop/spoptest"
)

// found answers every look-up with the session.
func found(s session.Session) func(context.Context, string) (*session.Entry, session.Result, error) {
	return func(context.Context, string) (*session.Entry, session.Result, error) {
		return entry(s), session.Hit, nil
	}
}

// never answers no look-up before its context ends.
func never(ctx context.Context, _ string) (*session.Entry, session.Result, error) {
	<-ctx.Done()
	return nil, session.None, ctx.Err()
}

// stuck does not even heed its context, until release is closed.
func stuck(release <-chan struct{}) func(context.Context, string) (*session.Entry, session.Result, error) {
	return func(context.Context, string) (*session.Entry, session.Result, error) {
		<-release
		return entry(alice), session.Hit, nil
	}
}

// TestLookUp: a token that is not in memory waits for the store, and whatever goes wrong
// there refuses, except where everybody is let in.
func TestLookUp(t *testing.T) {
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	open := spoptest.Str(agent.ArgHost, "public.example.com")
	const (
		isAlice = "user=alice groups=staff,wiki name=Alice A. email=alice@example.com level=1 "
		allowed = rid + "rule=open reason=bypass status=200 verdict=allow"
	)
	for _, tt := range []struct {
		name string
		load func(context.Context, string) (*session.Entry, session.Result, error)
		ask  spoptest.Message
		want string
	}{
		{"the store has it", found(alice), with("t"), rid + isAlice + "rule=rules[5] reason=proved status=200 verdict=allow"},
		{"the store does not", func(context.Context, string) (*session.Entry, session.Result, error) { return nil, session.None, nil }, with("t", spoptest.Str(agent.ArgFetchMode, "cors")), rid + "rule=rules[5] reason=sign_in status=401 verdict=challenge"},
		{"the store cannot tell", func(context.Context, string) (*session.Entry, session.Result, error) {
			return nil, session.None, errors.New("disk full")
		}, with("t"), rid + "reason=store status=503 verdict=error"},
		{"the store cannot tell, and gives an entry all the same", func(context.Context, string) (*session.Entry, session.Result, error) {
			return entry(alice), session.Hit, errors.New("disk full")
		}, with("t"), rid + "reason=store status=503 verdict=error"},
		{"the store takes too long", never, with("t"), rid + "reason=busy status=503 verdict=error"},
		{"the store hangs", stuck(release), with("t"), rid + "reason=busy status=503 verdict=error"},
		{"the look-up panics", func(context.Context, string) (*session.Entry, session.Result, error) { panic("bug") }, with("t"), rid + "reason=internal status=503 verdict=error"},
		{"an open host does not wait for a store that hangs", stuck(release), with("t", open), allowed},
		{"nor for one that cannot tell", func(context.Context, string) (*session.Entry, session.Result, error) {
			return nil, session.None, errors.New("disk full")
		}, with("t", open), allowed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &agent.Server{Rules: compile(t, house), Sessions: &sessions{load: tt.load}, Config: agent.Config{Timeout: 50 * time.Millisecond, Workers: 1}}
			addr := listen(t, s)
			got := text(t, ask(t, greet(t, addr), tt.ask))
			if tt.want == rid+"reason=busy status=503 verdict=error" && got == rid+"reason=store status=503 verdict=error" {
				return // the worker came before the timer
			}
			if got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestOpenHostsBringSessionsBack: the first request of an open host does not wait, but
// the session is in memory for the following ones.
func TestOpenHostsBringSessionsBack(t *testing.T) {
	k := &keeper{}
	token := create(t, table(k), alice)
	s := &agent.Server{Rules: compile(t, house), Sessions: table(k)} // as after a restart
	p := start(t, s)
	for deadline := time.Now().Add(spoptest.Timeout); ; {
		a := ask(t, p, with(token, spoptest.Str(agent.ArgHost, "public.example.com")))
		if a.Str(agent.VarVerdict) != "allow" {
			t.Fatalf("%s, want allow", text(t, a))
		}
		if a.Str(agent.VarUser) == "alice" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("alice is still nobody")
		}
	}
}

// TestRestart: sessions of the process before are found in the store, once for any
// number of requests.
func TestRestart(t *testing.T) {
	k := &keeper{}
	token := create(t, table(k), alice)
	p := start(t, &agent.Server{Rules: compile(t, house), Sessions: table(k)})
	for range 3 {
		if a := ask(t, p, with(token)); a.Str(agent.VarVerdict) != "allow" || a.Str(agent.VarUser) != "alice" {
			t.Fatalf("%s, want allow", text(t, a))
		}
	}
}

// TestSlowDoesNotHoldUp (case 19): cached decisions overtake a look-up on the same
// connection.
func TestSlowDoesNotHoldUp(t *testing.T) {
	release := make(chan struct{})
	tab := &sessions{memory: map[string]*session.Entry{"cached": entry(alice)}, load: stuck(release)}
	s := &agent.Server{Rules: compile(t, house), Sessions: tab, Config: agent.Config{Timeout: time.Hour, Workers: 1}}
	p := start(t, s)
	if err := p.Send(spoptest.AppendNotify(nil, 1000, 1, with("unseen"))); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if a := ask(t, p, with("cached")); a.Str(agent.VarVerdict) != "allow" {
			t.Fatalf("%s, want allow", text(t, a))
		}
	}
	close(release)
	if a, err := p.Ack(); err != nil || a.Stream != 1000 || a.Str(agent.VarVerdict) != "allow" {
		t.Errorf("ACK %+v, error %v, want allow for stream 1000", a, err)
	}
}

// TestThreat19SlowIsBounded: however many look-ups hang, each request is answered with a
// refusal, those over the bound at once, and no more of them work than are configured.
func TestThreat19SlowIsBounded(t *testing.T) {
	release := make(chan struct{})
	var working, most atomic.Int32
	tab := &sessions{load: func(context.Context, string) (*session.Entry, session.Result, error) {
		if n := working.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer working.Add(-1)
		<-release
		return nil, session.None, nil
	}}
	const workers, conns, each = 3, 10, 300
	s := &agent.Server{Rules: compile(t, house), Sessions: tab, Config: agent.Config{Timeout: 200 * time.Millisecond, Workers: workers}}
	addr := listen(t, s)
	t.Cleanup(func() { close(release) })
	var wg sync.WaitGroup
	for range conns {
		p := greet(t, addr)
		wg.Go(func() {
			var all []byte
			for i := range uint64(each) {
				all = spoptest.AppendNotify(all, i, 1, with("unseen"))
			}
			if err := p.Send(all); err != nil {
				t.Error(err)
			}
			seen := map[uint64]bool{}
			for range each {
				a, err := p.Ack()
				if err != nil {
					t.Error(err)
					return
				}
				if a.Str(agent.VarVerdict) != "error" || seen[a.Stream] {
					t.Errorf("stream %d, seen %v: %s, want error", a.Stream, seen[a.Stream], a.Str(agent.VarVerdict))
				}
				seen[a.Stream] = true
			}
		})
	}
	wg.Wait()
	if n := most.Load(); n > workers {
		t.Errorf("%d look-ups at once, want at most %d", n, workers)
	}
	if got := s.Stats().Error; got != conns*each {
		t.Errorf("%d errors counted, want %d", got, conns*each)
	}
}

// TestThreat21NoMixUp: many connections with many streams of different users, cached and
// not: every answer bears the id and the user of its own request. Run it with -race.
func TestThreat21NoMixUp(t *testing.T) {
	const conns, streams, rounds, users = 4, 20, 25, 40
	k := &keeper{}
	tab := table(k)
	var tokens []string
	for i := range users {
		s := alice
		s.User = fmt.Sprintf("user%02d", i)
		if i%2 == 0 {
			tokens = append(tokens, create(t, tab, s)) // cached
		} else {
			tokens = append(tokens, create(t, table(k), s)) // only in the store
		}
	}
	addr := listen(t, &agent.Server{Rules: compile(t, house), Sessions: tab})
	var wg sync.WaitGroup
	for c := range conns {
		p := greet(t, addr)
		wg.Go(func() {
			for round := range rounds {
				var all []byte
				for i := range streams {
					who := (c*7 + round*3 + i) % users
					all = spoptest.AppendNotify(all, uint64(i), uint64(who), with(tokens[who], spoptest.Str(agent.ArgRequestID, fmt.Sprintf("%d-%d-%d", c, round, i))))
				}
				if err := p.Send(all); err != nil {
					t.Error(err)
					return
				}
				for range streams {
					a, err := p.Ack()
					if err != nil {
						t.Error(err)
						return
					}
					id, user := fmt.Sprintf("%d-%d-%d", c, round, a.Stream), fmt.Sprintf("user%02d", a.Frame)
					if a.Str(agent.VarRequestID) != id || a.Str(agent.VarUser) != user || a.Str(agent.VarVerdict) != "allow" {
						t.Errorf("request %s of %s is answered %s", id, user, text(t, a))
					}
				}
			}
		})
	}
	wg.Wait()
}

// TestThreat70PanicIsAnError: whatever panics on the way to a decision costs that
// request an error that bears its id, and nothing else.
func TestThreat70PanicIsAnError(t *testing.T) {
	tab := &sessions{memory: map[string]*session.Entry{"good": entry(alice), "bad": nil}}
	p := start(t, &agent.Server{Rules: compile(t, house), Sessions: tab})
	for range 300 {
		if got, want := text(t, ask(t, p, with("bad"))), rid+"reason=internal status=503 verdict=error"; got != want {
			t.Fatalf("\n got %s\nwant %s", got, want)
		}
		if got := ask(t, p, with("good")).Str(agent.VarVerdict); got != "allow" {
			t.Fatalf("afterwards: %s, want allow", got)
		}
	}
}

// TestThreat70LatePanicIsAnError: so does what panics behind a look-up.
func TestThreat70LatePanicIsAnError(t *testing.T) {
	var calls atomic.Int32
	rules := compile(t, house)
	s := &agent.Server{Sessions: &sessions{load: found(alice)}, Rules: func() *policy.Rules {
		if calls.Add(1)%2 == 0 {
			panic("bug")
		}
		return rules()
	}}
	p := start(t, s)
	for range 300 { // more than may be outstanding
		if got, want := text(t, ask(t, p, with("t"))), rid+"reason=internal status=503 verdict=error"; got != want {
			t.Fatalf("\n got %s\nwant %s", got, want)
		}
	}
}

// TestDomainChangedMeanwhile: rules that come into force during a look-up, and give the
// host to another cookie domain, do not take the old domain's session for theirs.
func TestDomainChangedMeanwhile(t *testing.T) {
	domain := policy.Domain{Name: "app.example.com", Portal: "https://login.app.example.com"}
	var c policy.Config
	if err := yaml.Unmarshal([]byte("rules: [{domain: app.example.com, policy: one_factor}]"), &c); err != nil {
		t.Fatal(err)
	}
	next, err := policy.Compile([]policy.Domain{domain}, c)
	if err != nil {
		t.Fatal(err)
	}
	var rules atomic.Pointer[policy.Rules]
	rules.Store(compile(t, house)())
	p := start(t, &agent.Server{Rules: rules.Load, Sessions: &sessions{load: func(context.Context, string) (*session.Entry, session.Result, error) {
		rules.Store(next)
		return entry(alice), session.Hit, nil
	}}})
	if a := ask(t, p, with("t")); a.Str(agent.VarVerdict) != "login" || a.Str(agent.VarUser) != "" {
		t.Errorf("%s, want login and no user", text(t, a))
	}
}

// TestClock: each batch of frames is decided by the time at which it came, also when its
// first frame cannot be read.
func TestClock(t *testing.T) {
	var passed atomic.Int64
	start0 := time.Now()
	now := func() time.Time { return start0.Add(time.Duration(passed.Load())) }
	k := &keeper{}
	tab := table(k)
	tab.Now = now
	token := create(t, tab, alice)
	p := start(t, &agent.Server{Rules: compile(t, house), Sessions: tab, Now: now})
	bad := spoptest.Message{Name: "other"}
	verdicts := func() (all [2]string) {
		frames := spoptest.AppendNotify(spoptest.AppendNotify(nil, 1, 1, bad), 3, 1, with(token))
		if err := p.Send(frames); err != nil {
			t.Fatal(err)
		}
		for i := range all {
			a, err := p.Ack()
			if err != nil {
				t.Fatal(err)
			}
			all[i] = a.Str(agent.VarVerdict)
		}
		return all
	}
	if got := verdicts(); got != [2]string{"error", "allow"} {
		t.Errorf("at first: %v, want error and allow", got)
	}
	passed.Store(int64(13 * time.Hour))
	if got := verdicts(); got != [2]string{"error", "login"} {
		t.Errorf("after the session's end: %v, want error and login", got)
	}
}

// TestDrain: the end of the context answers what waits for the store, then ends.
func TestDrain(t *testing.T) {
	release := make(chan struct{})
	addr := t.TempDir() + "/s"
	ln, err := net.Listen("unix", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := &agent.Server{Rules: compile(t, house), Sessions: &sessions{load: stuck(release)}, Config: agent.Config{Timeout: time.Hour, Workers: 1}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	p := greet(t, addr)
	if err := p.Send(spoptest.AppendNotify(nil, 1, 1, with("unseen"))); err != nil {
		t.Fatal(err)
	}
	if a := ask(t, p, request(spoptest.Str(agent.ArgHost, "public.example.com"))); a.Str(agent.VarVerdict) != "allow" {
		t.Fatalf("%s, want allow", text(t, a))
	}
	cancel()
	close(release)
	if a, err := p.Ack(); err != nil || a.Str(agent.VarVerdict) != "allow" {
		t.Errorf("ACK %+v, error %v, want allow", a, err)
	}
	if st, err := p.Disconnected(); err != nil || st != 0 {
		t.Errorf("AGENT-DISCONNECT %d, error %v, want 0", st, err)
	}
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
}
