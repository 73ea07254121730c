package agent_test

import (
	"errors"
	"strings"
	"testing"

	"postern/agent"
	"postern/agent/credential"
	"postern/agent/session"
	"postern/agent/spop/spoptest"
)

// TestThreat31GoneOwner: a token of somebody who is disabled is refused at the next
// request, and so is a remembered password.
func TestThreat31GoneOwner(t *testing.T) {
	k := machineHouse(t)
	token, _ := k.make(t, credential.Draft{})
	p := start(t, k.Server)
	asks := []spoptest.Message{script("api.example.com", bearer(token)), script("dav.example.com", basicOf("alice", "right"))}
	for _, m := range asks {
		if a := ask(t, p, m); a.Str(agent.VarVerdict) != "allow" {
			t.Fatal(text(t, a))
		}
	}
	k.folk.remove("alice")
	for _, m := range asks {
		if a := ask(t, p, m); a.Str(agent.VarVerdict) != "challenge" || a.Str(agent.VarUser) != "" {
			t.Errorf("after she was disabled: %s", text(t, a))
		}
	}
}

// TestThreat30StaleGroups: a token brings the groups that its owner has now.
func TestThreat30StaleGroups(t *testing.T) {
	k := machineHouse(t)
	token, _ := k.make(t, credential.Draft{Owner: "bob"})
	p := start(t, k.Server)
	m := script("club.example.com", bearer(token))
	if a := ask(t, p, m); a.Str(agent.VarVerdict) != "allow" {
		t.Fatal(text(t, a))
	}
	k.folk.mu.Lock()
	k.folk.known["bob"] = session.Identity{Groups: []string{"out"}}
	k.folk.epoch++
	k.folk.mu.Unlock()
	if a := ask(t, p, m); a.Str(agent.VarVerdict) != "deny" || a.Str(agent.VarGroups) != "out" {
		t.Errorf("after the groups changed: %s", text(t, a))
	}
}

func TestRevokedToken(t *testing.T) {
	k := machineHouse(t)
	token, r := k.make(t, credential.Draft{})
	p := start(t, k.Server)
	m := script("api.example.com", bearer(token))
	if a := ask(t, p, m); a.Str(agent.VarVerdict) != "allow" {
		t.Fatal(text(t, a))
	}
	if err := k.book.Revoke(t.Context(), "alice", r.ID); err != nil {
		t.Fatal(err)
	}
	if got := text(t, ask(t, p, m)); got != rid+"rule=api reason=bad_credential "+bearer401 {
		t.Errorf("after it was revoked: %s", got)
	}
}

// TestOwnerWhoIsNotInMemory is asked for at his directory, off the read loop.
func TestOwnerWhoIsNotInMemory(t *testing.T) {
	k := machineHouse(t)
	k.folk.away["far"] = true
	token, _ := k.make(t, credential.Draft{Owner: "far"})
	p := start(t, k.Server)
	m := script("api.example.com", bearer(token))
	if a := ask(t, p, m); a.Str(agent.VarVerdict) != "allow" || a.Str(agent.VarUser) != "far" {
		t.Errorf("asked for: %s", text(t, a))
	}
	k.folk.mu.Lock()
	k.folk.err, k.folk.epoch = errors.New("no server"), 1
	k.folk.mu.Unlock()
	if got := text(t, ask(t, p, m)); got != rid+"reason=store status=503 verdict=error" {
		t.Errorf("a server that is away: %s", got)
	}
	k.folk.mu.Lock()
	k.folk.err = nil
	delete(k.folk.known, "far")
	k.folk.mu.Unlock()
	if a := ask(t, p, m); a.Str(agent.VarVerdict) != "challenge" {
		t.Errorf("who is gone: %s", text(t, a))
	}
}

func TestBannedMachines(t *testing.T) {
	k := machineHouse(t)
	token, _ := k.make(t, credential.Draft{})
	p := start(t, k.Server)
	const wait = "reason=wait "
	if a := ask(t, p, script("dav.example.com", basicOf("alice", "right"))); a.Str(agent.VarVerdict) != "allow" {
		t.Fatal(text(t, a))
	}
	for _, who := range []string{"alice", "192.0.2.7"} {
		k.folk.banned = who
		for name, m := range map[string]spoptest.Message{
			"a token": script("api.example.com", bearer(token)), "a remembered password": script("dav.example.com", basicOf("alice", "right")),
		} {
			a := ask(t, p, m)
			if v, _ := a.Var(agent.VarStatus); v.Int != 429 || a.Str(agent.VarVerdict) != "challenge" || !strings.Contains(text(t, a), wait) {
				t.Errorf("%s banned, %s: %s", who, name, text(t, a))
			}
		}
	}
	k.folk.banned, k.folk.limit = "", 1
	before := k.folk.count()
	for _, want := range []int64{401, 429, 429} {
		a := ask(t, p, script("dav.example.com", basicOf("bob", "wrong")))
		if v, _ := a.Var(agent.VarStatus); v.Int != want {
			t.Errorf("status %d, want %d: %s", v.Int, want, text(t, a))
		}
	}
	if n := k.folk.count() - before; n != 1 {
		t.Errorf("%d hashes, want one", n)
	}
	if a := ask(t, p, script("api.example.com", bearer(token))); a.Str(agent.VarVerdict) != "allow" {
		t.Errorf("guesses at passwords bar a token: %s", text(t, a))
	}
}
