package agent_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/agent"
	"postern/agent/credential"
	"postern/agent/policy"
	"postern/agent/session"
	"postern/agent/spop"
	"postern/agent/spop/spoptest"
	"postern/portal/journal"
)

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(spoptest.Timeout); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not come about", what)
		}
	}
}

// all sends messages at once over a connection of their own and returns their answers in
// order.
func all(t testing.TB, addr string, messages ...spoptest.Message) []spoptest.Ack {
	t.Helper()
	p := greet(t, addr)
	var b []byte
	for i, m := range messages {
		b = spoptest.AppendNotify(b, uint64(i), 1, m)
	}
	if err := p.Send(b); err != nil {
		t.Fatal(err)
	}
	acks := make([]spoptest.Ack, len(messages))
	for range messages {
		f, err := p.Receive()
		if err != nil {
			t.Fatal(err)
		}
		a, err := spoptest.DecodeAck(f)
		if err != nil {
			t.Fatal(err)
		}
		acks[f.Stream] = a
	}
	return acks
}

// TestOnePairIsHashedOnce: however many requests come with a pair at once.
func TestOnePairIsHashedOnce(t *testing.T) {
	for password, want := range map[string]string{"right": "allow", "wrong": "challenge"} {
		k := machineHouse(t)
		k.folk.hold = make(chan struct{})
		addr := listen(t, k.Server)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				m := script("dav.example.com", basicOf("alice", password))
				for _, a := range all(t, addr, m, m, m, m, m) {
					if got := a.Str(agent.VarVerdict); got != want {
						t.Errorf("%s: %s, want %s", password, text(t, a), want)
					}
				}
			})
		}
		eventually(t, "a hash", func() bool { return k.folk.count() > 0 })
		time.AfterFunc(20*time.Millisecond, func() { close(k.folk.hold) })
		wg.Wait()
		if n := k.folk.count(); password == "right" && n != 1 || n > 2 {
			t.Errorf("%s: %d hashes for twenty requests", password, n)
		}
	}
}

// TestThreat36ParallelGuesses: guesses that come at once are counted one by one: no more
// of them are looked at than one after the other.
func TestThreat36ParallelGuesses(t *testing.T) {
	k := machineHouse(t)
	k.folk.limit = 3
	addr := listen(t, k.Server)
	var wg sync.WaitGroup
	for c := range 6 {
		wg.Go(func() {
			var guesses []spoptest.Message
			for i := range 8 {
				guesses = append(guesses, script("dav.example.com", basicOf("alice", fmt.Sprint("guess ", c, i))))
			}
			for _, a := range all(t, addr, guesses...) {
				if a.Str(agent.VarVerdict) == "allow" {
					t.Errorf("a guess was right: %s", text(t, a))
				}
			}
		})
	}
	wg.Wait()
	if n := k.folk.count(); n != 3 {
		t.Errorf("%d guesses were looked at, want 3", n)
	}
}

// TestThreat43HashFlood: while hashes hang, sessions in memory, tokens, and sessions that
// have to be looked up are answered as ever; what comes over the bound is refused, without
// a hash of its own.
func TestThreat43HashFlood(t *testing.T) {
	k := machineHouse(t)
	// Long enough for a starved machine, and over before the hashes are given up.
	k.Config = agent.Config{Timeout: spoptest.Timeout / 2, Workers: 1}
	k.folk.hold = make(chan struct{})
	cookie := create(t, k.table, alice)
	token, _ := k.make(t, credential.Draft{})
	fresh := table(&keeper{})
	lost := create(t, fresh, alice) // of a table that this one has not seen
	k.Sessions = both{k.table, &sessions{load: found(alice)}}
	addr := listen(t, k.Server)

	var flood sync.WaitGroup
	refused := make(chan string, 1000)
	for c := range 10 {
		flood.Go(func() {
			var guesses []spoptest.Message
			for i := range 20 {
				guesses = append(guesses, script("dav.example.com", basicOf(fmt.Sprint("user", c), fmt.Sprint("guess ", i))))
			}
			for _, a := range all(t, addr, guesses...) {
				refused <- a.Str(agent.VarVerdict)
			}
		})
	}
	eventually(t, "a flood", func() bool { return k.folk.count() == 2 })
	p := greet(t, addr)
	for _, tt := range []struct {
		name string
		ask  spoptest.Message
	}{
		{"a session in memory", with(cookie)},
		{"a token", script("api.example.com", bearer(token))},
		{"a session that is looked up", with(lost)},
		{"a session in memory, again", with(cookie)},
	} {
		if a := ask(t, p, tt.ask); a.Str(agent.VarVerdict) != "allow" {
			t.Errorf("%s: %s", tt.name, text(t, a))
		}
	}
	if n := k.folk.count(); n != 2 {
		t.Errorf("%d hashes at once, want 2", n)
	}
	flood.Wait() // all of them have been answered at their deadline, or at once
	close(refused)
	for v := range refused {
		if v != "error" {
			t.Errorf("a guess in the flood: %s, want error", v)
		}
	}
	close(k.folk.hold)
	eventually(t, "a right password after the flood", func() bool {
		return ask(t, p, script("dav.example.com", basicOf("alice", "right"))).Str(agent.VarVerdict) == "allow"
	})
	if n := k.folk.count(); n != 3 {
		t.Errorf("%d hashes after the flood, want 3: nobody waits for the others", n)
	}
}

// stubborn is a directory at which wrong passwords hang.
type stubborn struct{ *folk }

func (s stubborn) Authenticate(ctx context.Context, name, password string) (string, error) {
	if password == "right" {
		return strings.ToLower(name), nil
	}
	return s.folk.Authenticate(ctx, name, password)
}

// TestThreat43ProgramsOutliveAFlood: whoever guesses, from however many addresses, does not
// take the time in which the passwords of programs that poll are looked at once a minute.
func TestThreat43ProgramsOutliveAFlood(t *testing.T) {
	k := machineHouse(t)
	k.Credentials.Passwords = &credential.Passwords{Directory: stubborn{k.folk}, Guesses: k.folk}
	var ahead atomic.Int64
	k.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	addr := listen(t, k.Server)
	p := greet(t, addr)
	program := script("dav.example.com", basicOf("alice", "right"))
	if a := ask(t, p, program); a.Str(agent.VarVerdict) != "allow" {
		t.Fatal(text(t, a))
	}
	k.folk.hold = make(chan struct{})
	defer close(k.folk.hold)
	var guesses []spoptest.Message
	for i := range 200 {
		guesses = append(guesses, script("dav.example.com", basicOf(fmt.Sprint("user", i), "guess")))
	}
	var flood sync.WaitGroup
	flood.Go(func() { all(t, addr, guesses...) })
	eventually(t, "a flood", func() bool { return k.folk.count() == 2 })
	ahead.Store(int64(2 * time.Minute))
	if a := ask(t, p, program); a.Str(agent.VarVerdict) != "allow" {
		t.Errorf("the program, two minutes later: %s", text(t, a))
	}
	flood.Wait()
}

// both finds sessions in a table, and what that does not know at another one's.
type both struct {
	agent.Sessions
	behind *sessions
}

func (b both) Find(token []byte, domain string, now time.Time) (*session.Entry, session.Result) {
	if e, r := b.Sessions.Find(token, domain, now); r == session.Hit {
		return e, r
	}
	if len(token) == session.TokenLength {
		return nil, session.Miss
	}
	return nil, session.None
}

func (b both) Load(ctx context.Context, token []byte, domain string) (*session.Entry, session.Result, error) {
	return b.behind.Load(ctx, token, domain)
}

// TestThreat43HugePassword: a password of a megabyte is refused before any hash; nothing
// that is no pair costs one.
func TestThreat43HugePassword(t *testing.T) {
	k := machineHouse(t)
	p := start(t, k.Server)
	for name, authorization := range map[string]string{
		"as much as a frame takes": basicOf("alice", strings.Repeat("x", 8000)),
		"a byte too long":          basicOf("alice", strings.Repeat("x", credential.MaxPassword+1)),
		"a long name":              basicOf(strings.Repeat("x", credential.MaxUser+1), "right"),
		"no colon":                 "Basic YWxpY2U=",
		"a NUL":                    basicOf("alice", "right\x00"),
		"no password":              basicOf("alice", ""),
	} {
		if a := ask(t, p, script("dav.example.com", authorization)); a.Str(agent.VarVerdict) != "challenge" {
			t.Errorf("%s: %s", name, text(t, a))
		}
	}
	if k.folk.count() != 0 {
		t.Errorf("%d hashes", k.folk.count())
	}
}

// TestSlowHashIsFound: a hash that takes longer than HAProxy waits refuses this request,
// and the next one finds what came of it.
func TestSlowHashIsFound(t *testing.T) {
	k := machineHouse(t)
	k.Config = agent.Config{Timeout: 30 * time.Millisecond, Workers: 1}
	k.folk.hold = make(chan struct{})
	p := start(t, k.Server)
	m := script("dav.example.com", basicOf("alice", "right"))
	if got := text(t, ask(t, p, m)); got != rid+"reason=busy status=503 verdict=error" {
		t.Errorf("while it is hashed: %s", got)
	}
	close(k.folk.hold)
	eventually(t, "the verdict", func() bool { return ask(t, p, m).Str(agent.VarVerdict) == "allow" })
	if n := k.folk.count(); n != 1 {
		t.Errorf("%d hashes, want 1", n)
	}
}

// TestHashThatCannotBeMade is an error, never a no: the password may be right.
func TestHashThatCannotBeMade(t *testing.T) {
	k := machineHouse(t)
	k.folk.err = errors.New("too many passwords are being checked")
	p := start(t, k.Server)
	if got := text(t, ask(t, p, script("dav.example.com", basicOf("alice", "right")))); got != rid+"reason=store status=503 verdict=error" {
		t.Error(got)
	}
}

// TestThreat21CredentialsAreNotMixedUp: many users at once over few connections, each
// with a token or a password; every answer is its own user's.
func TestThreat21CredentialsAreNotMixedUp(t *testing.T) {
	k := machineHouse(t)
	const people = 40
	var asks []spoptest.Message
	for i := range people {
		name := fmt.Sprintf("user%02d", i)
		k.folk.known[name] = session.Identity{Groups: []string{"of-" + name}}
		token, _ := k.make(t, credential.Draft{Owner: name})
		asks = append(asks, script("any.example.com", bearer(token)), script("any.example.com", basicOf(name, "right")))
	}
	k.Config.Timeout = spoptest.Timeout
	addr := listen(t, k.Server)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for at := 0; at < len(asks); at += 16 {
				for i, a := range all(t, addr, asks[at:at+16]...) {
					want := fmt.Sprintf("user%02d", (at+i)/2)
					if a.Str(agent.VarUser) != want || a.Str(agent.VarGroups) != "of-"+want || a.Str(agent.VarVerdict) != "allow" {
						t.Errorf("%s asked: %s", want, text(t, a))
					}
				}
			}
		})
	}
	wg.Wait()
}

// TestCredentialsAreNoted: the first use of a token in an hour, what is refused, wrong
// passwords, and never a secret.
func TestCredentialsAreNoted(t *testing.T) {
	k := machineHouse(t)
	token, r := k.make(t, credential.Draft{})
	scoped, sr := k.make(t, credential.Draft{Scope: credential.Scope{Path: "/api"}})
	p := start(t, k.Server)
	for range 3 {
		ask(t, p, script("api.example.com", bearer(token)))
		ask(t, p, script("api.example.com", bearer(scoped)))
		ask(t, p, script("api.example.com", bearer(strings.Repeat("x", 53))))
	}
	ask(t, p, script("dav.example.com", basicOf("alice", "secret-guess")))
	ask(t, p, script("dav.example.com", basicOf("my-password-in-the-wrong-field", "x")))
	want := []journal.Event{
		{Kind: journal.TokenUsed, User: "alice", Detail: r.ID + " a script"},
		{Kind: journal.TokenRefused, User: "alice", Reason: "scope", Detail: sr.ID + " a script"},
		{Kind: journal.BasicFailed, User: "alice", Reason: journal.Wrong},
		{Kind: journal.BasicFailed, Reason: journal.Unknown},
	}
	eventually(t, "the last event", func() bool {
		k.events.mu.Lock()
		defer k.events.mu.Unlock()
		return len(k.events.list) >= len(want)
	})
	for i, e := range k.events.list {
		if e.At.IsZero() || e.Addr != "192.0.2.7" || "rid="+e.Request+" " != rid {
			t.Errorf("event %d: %+v", i, e)
		}
		e.At, e.Addr, e.Request = time.Time{}, "", ""
		if i >= len(want) || e != want[i] {
			t.Errorf("event %d: %+v", i, e)
		}
	}
}

// TestCredentialsAllocateNothing: a token, a remembered password, a certificate and a
// session cost no allocation, and neither does who has none of them.
func TestCredentialsAllocateNothing(t *testing.T) {
	if raced {
		t.Skip("allocations cannot be counted under the race detector")
	}
	k := machineHouse(t)
	token, _ := k.make(t, credential.Draft{Scope: credential.Scope{Hosts: []string{"*.example.com"}, Path: "/x", Networks: []string{"192.0.2.0/24"}}})
	app, _ := k.make(t, credential.Draft{Kind: credential.App})
	cookie := create(t, k.table, alice)
	mine := clientCertificate(t, "alice")
	exchange := inMemory(t, k.Server)
	for _, tt := range []scene{
		{"a session", with(cookie), "allow"},
		{"a session where credentials are taken", with(cookie, spoptest.Str(agent.ArgHost, "any.example.com")), "allow"},
		{"a session and a header", with(cookie, spoptest.Str(agent.ArgHost, "any.example.com"), spoptest.Str(agent.ArgAuthorization, bearer(token))), "allow"},
		{"a token", script("api.example.com", bearer(token)), "allow"},
		{"an unknown token", script("api.example.com", bearer("pst_x")), "challenge"},
		{"an application password", script("dav.example.com", basicOf("alice", app)), "allow"},
		{"a password that is remembered", script("dav.example.com", basicOf("alice", "right")), "allow"},
		{"a certificate", certified(script("crt.example.com", ""), mine, true, 0), "allow"},
		{"a session and a certificate", certified(with(cookie, spoptest.Str(agent.ArgHost, "vault.example.com")), mine, true, 0), "allow"},
		{"no credential", script("any.example.com", ""), "challenge"},
	} {
		frame := spoptest.AppendNotify(nil, 12345, 1, tt.ask)
		f, _ := spop.DecodeFrame(exchange(frame)[4:])
		if a, err := spoptest.DecodeAck(f); err != nil || a.Str(agent.VarVerdict) != tt.want {
			t.Errorf("%s: ACK %+v, error %v, want %s", tt.name, a, err, tt.want)
		}
		if n := testing.AllocsPerRun(200, func() { exchange(frame) }); n != 0 {
			t.Errorf("%s: %v allocations for each request, want none", tt.name, n)
		}
	}
}

// FuzzAuthorization: no header panics or is let in that holds no good credential, on any
// of the hosts, and the answer always fits.
func FuzzAuthorization(f *testing.F) {
	k := machineHouse(f)
	k.Credentials.Journal = nil
	token, _ := k.make(f, credential.Draft{})
	for _, s := range []string{"", "Basic", basicOf("alice", "wrong"), basicOf("a", "b:c"), bearer(token[:52]), bearer("x"), "Basic ====", "bearer  ", basicOf("token", "pst_"+strings.Repeat("0", 49))} {
		f.Add(s, []byte("junk"))
	}
	p := start(f, k.Server)
	f.Fuzz(func(t *testing.T, authorization string, der []byte) {
		if len(authorization)+len(der) > 12<<10 || strings.Contains(authorization, token) || strings.Contains(authorization, "OnJpZ2h0") {
			return
		}
		for _, host := range []string{"any.example.com", "bank.example.com", "club.example.com"} {
			a := ask(t, p, certified(script(host, authorization), der, true, 0))
			if v := a.Str(agent.VarVerdict); v != policy.VerdictChallenge.String() && v != policy.VerdictError.String() {
				t.Errorf("%s %q: %s", host, authorization, text(t, a))
			}
		}
	})
}
