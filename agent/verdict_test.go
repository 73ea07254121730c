package agent_test

import (
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"postern/agent"
	"postern/agent/policy"
	"postern/agent/session"
	"postern/agent/spop"
	"postern/agent/spop/spoptest"
)

// text is what an ACK sets, in its order, one variable after the other; the session's
// id, which differs each time, is left out.
func text(t testing.TB, a spoptest.Ack) string {
	t.Helper()
	var parts []string
	for _, x := range a.Actions {
		if x.Unset || x.Scope != spop.Transaction || len("postern."+x.Name) > 47 {
			t.Errorf("action %+v: want a short variable of scope txn to be set", x)
		}
		for _, c := range x.Value.Bytes {
			if c < 0x20 || c == 0x7f {
				t.Errorf("%s holds the control character %#x", x.Name, c)
			}
		}
		switch x.Value.Type {
		case spop.Int64:
			parts = append(parts, fmt.Sprintf("%s=%d", x.Name, x.Value.Int))
		case spop.String:
			if x.Name != agent.VarSession {
				parts = append(parts, x.Name+"="+string(x.Value.Bytes))
			}
		default:
			t.Errorf("%s is of type %d", x.Name, x.Value.Type)
		}
	}
	return strings.Join(parts, " ")
}

const rid = "rid=6f1c0f6e-3c1d-4a5e-9d5e-0d9c8a1f2b3c "

// TestVerdicts (case 46): every verdict with all its variables, in their order: the
// request's id first, then who it is, the verdict last.
func TestVerdicts(t *testing.T) {
	s, aliceToken, bobToken := atHome(t)
	p := start(t, s)
	host := func(h string) spoptest.Arg { return spoptest.Str(agent.ArgHost, h) }
	const (
		isAlice = "user=alice groups=staff,wiki name=Alice A. email=alice@example.com level=1 "
		isBob   = "user=bob groups=admins level=2 "
		query   = "%3Fview%3Dweek%26page%3D3&rm="
		back    = "location=https://auth.example.com/?rd=https%3A%2F%2F"
	)
	for _, tt := range []struct {
		name string
		ask  spoptest.Message
		want string
	}{
		{"an anonymous visitor of an open host", request(host("public.example.com")), rid + "rule=open reason=bypass status=200 verdict=allow"},
		{"somebody signed in on an open host", with(aliceToken, host("public.example.com")), rid + isAlice + "rule=open reason=bypass status=200 verdict=allow"},
		{"a broken cookie on an open host", with("junk", host("public.example.com")), rid + "rule=open reason=bypass status=200 verdict=allow"},
		{"a session that suffices", with(aliceToken), rid + isAlice + "rule=rules[5] reason=proved status=200 verdict=allow"},
		{"a path that is not canonical", with(aliceToken, spoptest.Str(agent.ArgPath, "/a/./b//c")), rid + isAlice + "rule=rules[5] reason=proved path=/a/b/c status=200 verdict=allow"},
		{"an anonymous GET", request(), rid + "rule=rules[5] reason=sign_in " + back + "app.example.com%2Fprojects%2F42" + query + "GET status=302 verdict=login"},
		{"an anonymous HEAD", request(spoptest.Str(agent.ArgMethod, "HEAD")), rid + "rule=rules[5] reason=sign_in " + back + "app.example.com%2Fprojects%2F42" + query + "HEAD status=302 verdict=login"},
		{"an anonymous POST of a form", request(spoptest.Str(agent.ArgMethod, "POST")), rid + "rule=rules[5] reason=sign_in " + back + "app.example.com%2Fprojects%2F42" + query + "POST status=303 verdict=login"},
		{"an anonymous fetch()", request(spoptest.Str(agent.ArgFetchMode, "cors")), rid + "rule=rules[5] reason=sign_in status=401 verdict=challenge"},
		{"an anonymous WebSocket", request(spoptest.Str(agent.ArgUpgrade, "websocket")), rid + "rule=rules[5] reason=sign_in status=401 verdict=challenge"},
		{"one factor where two are asked", with(aliceToken, host("bank.example.com")), rid + isAlice + "rule=bank reason=second_factor " + back + "bank.example.com%2Fprojects%2F42" + query + "GET status=302 verdict=step_up"},
		{"two factors where two are asked", with(bobToken, host("bank.example.com")), rid + isBob + "rule=bank reason=proved status=200 verdict=allow"},
		{"a denied host for anybody", request(host("closed.example.com")), rid + "rule=closed reason=denied status=403 verdict=deny"},
		{"a denied host for somebody signed in, who may come back as another", with(aliceToken, host("closed.example.com")), rid + isAlice + "rule=closed reason=denied " + back + "closed.example.com%2Fprojects%2F42" + query + "GET status=403 verdict=deny"},
		{"deny with a subject, while anonymous", request(host("staff.example.com")), rid + "rule=staff reason=sign_in " + back + "staff.example.com%2Fprojects%2F42" + query + "GET status=302 verdict=login"},
		{"the default policy", request(host("other.example.com")), rid + "rule=default_policy reason=denied status=403 verdict=deny"},
		{"a host of no domain", with(aliceToken, host("example.org")), rid + "rule=builtin reason=unknown_host status=403 verdict=deny"},
		{"no host", with(aliceToken, spoptest.Null(agent.ArgHost)), rid + "rule=builtin reason=bad_host status=403 verdict=deny"},
		{"no path", request(spoptest.Null(agent.ArgPath)), rid + "rule=builtin reason=unclean_path status=403 verdict=deny"},
		{"a path that nobody may have, somebody signed in", with(aliceToken, spoptest.Str(agent.ArgPath, "/a%2fb")), rid + isAlice + "rule=builtin reason=unclean_path status=403 verdict=deny"},
		{"plain HTTP", request(spoptest.Bool(agent.ArgTLS, false)), rid + "rule=builtin reason=plain_http status=403 verdict=deny"},
		{"the portal's own host", request(host("auth.example.com")), rid + "rule=builtin reason=portal status=200 verdict=allow"},
		{"the cookie came twice", with(aliceToken, spoptest.Int(agent.ArgTokens, 2)), rid + "rule=rules[5] reason=sign_in " + back + "app.example.com%2Fprojects%2F42" + query + "GET status=302 verdict=login"},
		{"the number of cookies is not told", with(aliceToken, spoptest.Null(agent.ArgTokens)), rid + "rule=rules[5] reason=sign_in " + back + "app.example.com%2Fprojects%2F42" + query + "GET status=302 verdict=login"},
		{"another cookie domain, plain HTTP in front of TLS", with(aliceToken, host("App.Example.Net.:8443"), spoptest.Bool(agent.ArgTLS, false)), rid + "rule=rules[5] reason=sign_in location=https://auth.example.net:8443/?rd=https%3A%2F%2Fapp.example.net%3A8443%2Fprojects%2F42" + query + "GET status=302 verdict=login"},
		{"an address behind a dual-stack socket", request(spoptest.Addr(agent.ArgSource, netip.MustParseAddr("::ffff:192.0.2.7")), host("public.example.com")), rid + "rule=open reason=bypass status=200 verdict=allow"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := text(t, ask(t, p, tt.ask)); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestSessionVariable: the session's public id is told, its token never is.
func TestSessionVariable(t *testing.T) {
	s, token, _ := atHome(t)
	a := ask(t, start(t, s), with(token))
	if got := a.Str(agent.VarSession); got == "" || !strings.HasPrefix(token, got) || len(got) > 16 {
		t.Errorf("session is %q, want the public part of the token", got)
	}
	for _, x := range a.Actions {
		if strings.Contains(string(x.Value.Bytes), token[16:]) {
			t.Errorf("%s holds the token", x.Name)
		}
	}
}

// Case 28: a v4-mapped address is an IPv4 address to the rules.
func TestCase28MappedAddress(t *testing.T) {
	rules := compile(t, "rules: [{domain: app.example.com, networks: 192.0.2.0/24, policy: bypass}]")
	p := start(t, &agent.Server{Rules: rules, Sessions: table(&keeper{})})
	for addr, want := range map[string]string{"::ffff:192.0.2.7": "allow", "192.0.2.7": "allow", "::ffff:198.51.100.7": "deny", "2001:db8::7": "deny"} {
		if got := ask(t, p, request(spoptest.Addr(agent.ArgSource, netip.MustParseAddr(addr)))).Str(agent.VarVerdict); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
	if got := ask(t, p, request(spoptest.Null(agent.ArgSource))).Str(agent.VarVerdict); got != "deny" {
		t.Errorf("no address: %s, want deny", got)
	}
}

// TestThreat20SessionOfAnotherDomain: a session is found under its token and its cookie
// domain, never under the token alone.
func TestThreat20SessionOfAnotherDomain(t *testing.T) {
	tab := table(&keeper{})
	p := start(t, &agent.Server{Rules: compile(t, house), Sessions: tab})
	net := alice
	net.Domain = "example.net"
	com, token := create(t, tab, alice), create(t, tab, net)
	for _, tt := range []struct {
		name, token, host, want string
	}{
		{"its own domain", com, "app.example.com", "allow"},
		{"another domain", com, "app.example.net", "login"},
		{"the other way round", token, "app.example.com", "login"},
		{"and its own", token, "app.example.net", "allow"},
	} {
		for range 2 { // what is remembered of the first answer must not decide the second
			if got := ask(t, p, with(tt.token, spoptest.Str(agent.ArgHost, tt.host))).Str(agent.VarVerdict); got != tt.want {
				t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
			}
		}
	}
}

// TestThreat19NothingLeftOver: what one request of a connection was told does not reach
// into the answer to the next.
func TestThreat19NothingLeftOver(t *testing.T) {
	s, aliceToken, bobToken := atHome(t)
	p := start(t, s)
	for range 3 {
		if a := ask(t, p, with(aliceToken)); a.Str(agent.VarUser) != "alice" || a.Str(agent.VarVerdict) != "allow" {
			t.Fatalf("alice is told %s", text(t, a))
		}
		if a := ask(t, p, request()); a.Str(agent.VarUser) != "" || a.Str(agent.VarVerdict) != "login" {
			t.Fatalf("nobody is told %s", text(t, a))
		}
		if a := ask(t, p, with(bobToken)); a.Str(agent.VarUser) != "bob" || a.Str(agent.VarName) != "" {
			t.Fatalf("bob is told %s", text(t, a))
		}
		if a := ask(t, p, spoptest.Message{Name: agent.Message}); a.Str(agent.VarVerdict) != "error" || a.Str(agent.VarRequestID) != "" {
			t.Fatalf("an empty message is told %s", text(t, a))
		}
	}
}

// TestRevokedAtTheNextRequest: what ends a session ends it for the agent at once.
func TestRevokedAtTheNextRequest(t *testing.T) {
	k := &keeper{}
	tab := table(k)
	p := start(t, &agent.Server{Rules: compile(t, house), Sessions: tab})
	token := create(t, tab, alice)
	if got := ask(t, p, with(token)).Str(agent.VarVerdict); got != "allow" {
		t.Fatalf("before: %s, want allow", got)
	}
	if _, err := tab.Revoke(t.Context(), session.Filter{User: "alice"}); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, p, with(token)).Str(agent.VarVerdict); got != "login" {
		t.Errorf("after: %s, want login", got)
	}
}

// TestRulesInForce: the rules are those of the moment, and without any nothing passes.
func TestRulesInForce(t *testing.T) {
	s, _, _ := atHome(t)
	var in atomic.Pointer[policy.Rules]
	in.Store(s.Rules())
	s.Rules = in.Load
	p := start(t, s)
	open := request(spoptest.Str(agent.ArgHost, "public.example.com"))
	if got := ask(t, p, open).Str(agent.VarVerdict); got != "allow" {
		t.Errorf("with rules: %s, want allow", got)
	}
	in.Store(nil)
	if got := ask(t, p, open).Str(agent.VarVerdict); got != "error" {
		t.Errorf("without rules: %s, want error", got)
	}
}

// TestStats counts what was answered.
func TestStats(t *testing.T) {
	s, aliceToken, _ := atHome(t)
	p := start(t, s)
	for range 3 {
		ask(t, p, with(aliceToken))
	}
	ask(t, p, request())
	ask(t, p, with(aliceToken, spoptest.Str(agent.ArgHost, "bank.example.com")))
	ask(t, p, request(spoptest.Str(agent.ArgHost, "closed.example.com")))
	ask(t, p, request(spoptest.Str(agent.ArgFetchMode, "cors")))
	ask(t, p, spoptest.Message{Name: "other"})
	if got, want := s.Stats(), (agent.Stats{Allow: 3, Login: 1, StepUp: 1, Deny: 1, Challenge: 1, Error: 1, Connections: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
