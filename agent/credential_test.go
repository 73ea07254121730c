package agent_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"postern/agent"
	"postern/agent/credential"
	"postern/agent/policy"
	"postern/agent/session"
	"postern/agent/spop/spoptest"
)

// TestCredentials: every way in without a session, and what bars it, with all variables.
func TestCredentials(t *testing.T) {
	k := machineHouse(t)
	token, _ := k.make(t, credential.Draft{})
	strong, _ := k.make(t, credential.Draft{Level: policy.LevelTwo})
	scoped, _ := k.make(t, credential.Draft{Scope: credential.Scope{Path: "/api"}})
	app, _ := k.make(t, credential.Draft{Kind: credential.App})
	bots, _ := k.make(t, credential.Draft{Owner: "bob"})
	outs, _ := k.make(t, credential.Draft{Owner: "eve"})
	gone, _ := k.make(t, credential.Draft{Owner: "nobody"})
	jwt := bearer("eyJhbGciOiJIUzI1NiJ9.e30.x")
	page := spoptest.Str(agent.ArgFetchMode, "navigate")
	const login = "reason=sign_in location=https://auth.example.com/?rd=https%3A%2F%2F"
	p := start(t, k.Server)
	for _, tt := range []struct {
		name string
		ask  spoptest.Message
		want string
	}{
		{"a token", script("api.example.com", bearer(token)), isMachine + "rule=api reason=token credential=token " + ok200},
		{"a token, by a browser's script", script("api.example.com", bearer(token), spoptest.Str(agent.ArgFetchMode, "cors")), isMachine + "rule=api reason=token credential=token " + ok200},
		{"a token of level two", script("bank.example.com", bearer(strong)), strings.Replace(isMachine, "level=1", "level=2", 1) + "rule=bank reason=token credential=token " + ok200},
		{"a token in place of a password", script("api.example.com", basicOf("token", token)), isMachine + "rule=api reason=token credential=token " + ok200},
		{"a token in place of its owner's password", script("api.example.com", basicOf("alice", token)), isMachine + "rule=api reason=token credential=token " + ok200},
		{"a token in place of somebody else's password", script("api.example.com", basicOf("bob", token)), "rule=api reason=bad_credential " + bearer401},
		{"a path that is not canonical, within the scope", script("api.example.com", bearer(scoped), spoptest.Str(agent.ArgPath, "/x/../api//y")), isMachine + "rule=api reason=token path=/api/y credential=token " + ok200},
		{"out of the scope", script("api.example.com", bearer(scoped), spoptest.Str(agent.ArgPath, "/api/../y")), `rule=api reason=scope challenge=Bearer realm="example.com", error="insufficient_scope" status=401 verdict=challenge`},
		{"an unknown token", script("api.example.com", bearer("pst_x")), "rule=api reason=bad_credential " + bearer401},
		{"a token of an application", script("api.example.com", jwt), "rule=api reason=bad_credential " + bearer401},
		{"an application password as a token", script("any.example.com", bearer(app)), `rule=any reason=bad_credential challenge=Basic realm="example.com", charset="UTF-8", Bearer realm="example.com", error="invalid_token" status=401 verdict=challenge`},
		{"a token whose owner is gone", script("api.example.com", bearer(gone)), "rule=api reason=no_user " + bearer401},
		{"no credential", script("api.example.com", ""), `rule=api reason=sign_in challenge=Bearer realm="example.com" status=401 verdict=challenge`},
		{"another scheme", script("api.example.com", "Digest x"), `rule=api reason=sign_in challenge=Bearer realm="example.com" status=401 verdict=challenge`},
		{"Basic where only tokens are taken", script("api.example.com", basicOf("alice", "right")), `rule=api reason=sign_in challenge=Bearer realm="example.com" status=401 verdict=challenge`},
		{"a token where only Basic is taken", script("dav.example.com", bearer(token)), "rule=dav reason=sign_in " + basic401},

		{"a name and its password", script("dav.example.com", basicOf("Alice", "right")), isMachine + "rule=dav reason=basic credential=basic " + ok200},
		{"again, from memory", script("dav.example.com", basicOf("Alice", "right")), isMachine + "rule=dav reason=basic credential=basic " + ok200},
		{"a wrong password", script("dav.example.com", basicOf("alice", "wrong")), "rule=dav reason=bad_credential " + basic401},
		{"an unknown name", script("dav.example.com", basicOf("mallory", "right")), "rule=dav reason=bad_credential " + basic401},
		{"an application password", script("dav.example.com", basicOf("alice", app)), isMachine + "rule=dav reason=app_password credential=basic " + ok200},
		{"an application password by mail address", script("dav.example.com", basicOf("Alice@Example.com", app)), isMachine + "rule=dav reason=app_password credential=basic " + ok200},
		{"an application password under another name", script("dav.example.com", basicOf("bob", app)), "rule=dav reason=bad_credential " + basic401},
		{"a token in place of a password where tokens are not taken", script("dav.example.com", basicOf("alice", token)), "rule=dav reason=bad_credential " + basic401},
		{"broken Basic", script("dav.example.com", "Basic !"), "rule=dav reason=bad_credential " + basic401},
		{"a browser that sent a wrong password", script("dav.example.com", basicOf("alice", "wrong"), page), "rule=dav reason=bad_credential " + basic401},
		{"a browser that sends nothing goes to the portal", script("dav.example.com", "", page), "rule=dav " + login + "dav.example.com%2Fx&rm=GET status=302 verdict=login"},
		{"a browser's script that sends nothing is told of no Basic", script("dav.example.com", "", spoptest.Str(agent.ArgFetchMode, "cors")), "rule=dav reason=sign_in status=401 verdict=challenge"},

		{"one factor where two are asked", script("bank.example.com", basicOf("alice", "right")), `rule=bank reason=second_factor challenge=Basic realm="example.com", charset="UTF-8", Bearer realm="example.com" status=401 verdict=challenge`},
		{"a token of one factor where two are asked", script("bank.example.com", bearer(token)), `rule=bank reason=second_factor challenge=Basic realm="example.com", charset="UTF-8", Bearer realm="example.com", error="insufficient_user_authentication" status=401 verdict=challenge`},
		{"a token where freshness is asked", script("fresh.example.com", bearer(strong)), `rule=fresh reason=stale challenge=Basic realm="example.com", charset="UTF-8", Bearer realm="example.com", error="insufficient_user_authentication" status=401 verdict=challenge`},

		{"a subject that the rule means", script("club.example.com", bearer(bots)), "user=bob groups=bots level=1 rule=bots reason=token credential=token " + ok200},
		{"a subject whom a rule denies", script("club.example.com", bearer(outs)), "user=eve groups=out level=1 rule=out reason=denied location=https://auth.example.com/?rd=https%3A%2F%2Fclub.example.com%2Fx&rm=GET status=403 verdict=deny"},
		{"a subject whose rule takes no token", script("club.example.com", bearer(token)), `rule=out reason=sign_in challenge=Bearer realm="example.com", error="insufficient_user_authentication" status=401 verdict=challenge`},

		{"a rule that takes nothing", script("app.example.com", bearer(token), page), "rule=app " + login + "app.example.com%2Fx&rm=GET status=302 verdict=login"},
		{"an open host", script("open.example.com", bearer(token)), "rule=open reason=bypass " + ok200},
	} {
		if got := text(t, ask(t, p, tt.ask)); got != rid+tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, rid+tt.want)
		}
	}
}

// TestSessionComesFirst: with a valid cookie nothing else is looked at, and a header that
// is Postern's goes no further all the same.
func TestSessionComesFirst(t *testing.T) {
	k := machineHouse(t)
	cookie := create(t, k.table, alice)
	token, _ := k.make(t, credential.Draft{Owner: "bob"})
	p := start(t, k.Server)
	const isAlice = "user=alice groups=staff,wiki name=Alice A. email=alice@example.com level=1 "
	and := func(host, authorization string) spoptest.Message {
		m := script(host, authorization)
		for i, a := range with(cookie).Args {
			if a.Name == agent.ArgToken || a.Name == agent.ArgTokens {
				m.Args[i] = a
			}
		}
		return m
	}
	for _, tt := range []struct {
		name string
		ask  spoptest.Message
		want string
	}{
		{"with somebody else's token", and("api.example.com", bearer(token)), isAlice + "rule=api reason=proved credential=token " + ok200},
		{"with a wrong password", and("dav.example.com", basicOf("bob", "wrong")), isAlice + "rule=dav reason=proved credential=basic " + ok200},
		{"with an application's own token", and("any.example.com", bearer("eyJ.x.y")), isAlice + "rule=any reason=proved " + ok200},
		{"with an application's own Basic where only tokens are taken", and("api.example.com", basicOf("app", "own")), isAlice + "rule=api reason=proved " + ok200},
		{"where nothing is taken", and("app.example.com", basicOf("alice", "right")), isAlice + "rule=app reason=proved " + ok200},
		{"that proves too little, with a token", and("bank.example.com", bearer(token)), isAlice + "rule=bank reason=second_factor status=401 verdict=challenge"},
	} {
		if got := text(t, ask(t, p, tt.ask)); got != rid+tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, rid+tt.want)
		}
	}
	if k.folk.count() != 0 {
		t.Errorf("%d passwords were hashed", k.folk.count())
	}
	junk := script("api.example.com", bearer(token), spoptest.Str(agent.ArgToken, "junk"), spoptest.Int(agent.ArgTokens, 1))
	if a := ask(t, p, junk); a.Str(agent.VarUser) != "bob" {
		t.Errorf("a broken cookie bars the token: %s", text(t, a))
	}
}

// TestCredentialAfterALookUp: a cookie that is not in memory is looked up first; when it
// is nobody's, the credential counts.
func TestCredentialAfterALookUp(t *testing.T) {
	k := machineHouse(t)
	token, _ := k.make(t, credential.Draft{})
	k.Sessions = &sessions{load: func(context.Context, string) (*session.Entry, session.Result, error) { return nil, session.None, nil }}
	p := start(t, k.Server)
	for _, authorization := range []string{bearer(token), basicOf("alice", "right")} {
		m := script("any.example.com", authorization, spoptest.Str(agent.ArgToken, "t"), spoptest.Int(agent.ArgTokens, 1))
		if a := ask(t, p, m); a.Str(agent.VarVerdict) != "allow" || a.Str(agent.VarUser) != "alice" {
			t.Errorf("%s", text(t, a))
		}
	}
}

// TestWithoutCredentials: an agent that was given none takes none.
func TestWithoutCredentials(t *testing.T) {
	k := machineHouse(t)
	token, _ := k.make(t, credential.Draft{})
	k.Credentials = nil
	p := start(t, k.Server)
	for _, authorization := range []string{bearer(token), basicOf("alice", "right")} {
		if got := text(t, ask(t, p, script("any.example.com", authorization))); got != rid+"rule=any reason=sign_in status=401 verdict=challenge" {
			t.Error(got)
		}
	}
}

// clumsy is a directory that has a fault.
type clumsy struct{ *folk }

func (clumsy) Authenticate(context.Context, string, string) (string, error) { panic("bug") }

// TestPanicOfAHashShowsItsPlace: what panics on the thread of a hash is logged with where
// that was, and the request is refused.
func TestPanicOfAHashShowsItsPlace(t *testing.T) {
	k := machineHouse(t)
	k.Credentials.Passwords = &credential.Passwords{Directory: clumsy{k.folk}, Guesses: k.folk}
	lines := new(logbook)
	k.Log = slog.New(slog.NewTextHandler(lines, nil))
	p := greet(t, listen(t, k.Server))
	if got := ask(t, p, script("dav.example.com", basicOf("alice", "right"))).Str(agent.VarVerdict); got != "error" {
		t.Errorf("verdict %s, want error", got)
	}
	if shown := lines.String(); !strings.Contains(shown, "look-up panicked") || !strings.Contains(shown, "clumsy.Authenticate(") {
		t.Errorf("logged:\n%s", shown)
	}
}
