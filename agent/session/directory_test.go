package session_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"postern/agent/session"
)

// TestThreat30StaleGroups: a change in the directory counts at the next request, for
// what is decided on and for what is sent.
func TestThreat30StaleGroups(t *testing.T) {
	k := newKit(t)
	token, _ := k.signIn(t, "alice")
	k.people.change("alice", &session.Identity{Name: "Alicia", Email: "a@example.com", Groups: []string{"staff"}})
	for _, when := range []string{"at the next request", "after a restart"} {
		e, r := k.lookup(t, token, domain)
		if r != session.Hit {
			t.Fatalf("%s: result %d", when, r)
		}
		if e.Name != "Alicia" || e.Email != "a@example.com" || !slices.Equal(e.Groups, []string{"staff"}) || string(e.Prepared) != "aliceAlicia" {
			t.Errorf("%s: %q %q %q, prepared %q", when, e.Name, e.Email, e.Groups, e.Prepared)
		}
		k.restart(t)
	}
	k.people.change("alice", &session.Identity{Name: "Alicia", Email: "a@example.com"})
	if e, _ := k.lookup(t, token, domain); len(e.Groups) != 0 {
		t.Errorf("groups %q after the last one was taken", e.Groups)
	}
}

// TestThreat31DisabledUser: who is disabled or deleted is out at the next request, and
// does not come back with a later change of heart.
func TestThreat31DisabledUser(t *testing.T) {
	for _, where := range []string{"in memory", "in the store"} {
		t.Run("session "+where, func(t *testing.T) {
			k := newKit(t)
			token, s := k.signIn(t, "alice")
			other, _ := k.signIn(t, "bob")
			if where == "in the store" {
				k.crash()
			}
			k.people.change("alice", nil)
			k.want(t, "disabled", token, session.None)
			k.want(t, "another user", other, session.Hit)
			if _, _, err := k.Create(t.Context(), session.Session{Domain: domain, User: "alice", Level: 1}, ""); err == nil {
				t.Error("a disabled user signed in")
			}
			k.people.change("alice", &alice)
			k.want(t, "enabled again", token, session.None)
			k.cycle(t)
			if n := len(k.stored(t)); n != 1 {
				t.Errorf("%d sessions are stored, want bob's", n)
			}
			k.restart(t)
			k.want(t, "enabled again, after a restart", token, session.None)
			if log := k.log.String(); !strings.Contains(log, "session="+s.ID) || !strings.Contains(log, `reason="user disabled or gone"`) {
				t.Errorf("log: %s", log)
			}
		})
	}
}

func TestUnchangedDirectoryIsNotAsked(t *testing.T) {
	k := newKit(t)
	token, _ := k.signIn(t, "alice")
	asked := k.people.asked
	first, _ := k.lookup(t, token, domain)
	for range 10 {
		k.want(t, "a request", token, session.Hit)
	}
	if k.people.asked != asked {
		t.Errorf("the directory was asked %d times", k.people.asked-asked)
	}
	k.people.epoch.Add(1) // something changed, but not alice
	for range 10 {
		k.want(t, "a request", token, session.Hit)
	}
	if k.people.asked != asked+1 {
		t.Errorf("the directory was asked %d times for one change", k.people.asked-asked)
	}
	if e, _ := k.lookup(t, token, domain); e != first {
		t.Error("the entry was built again though nothing changed")
	}
}

func TestWithoutDirectoryUsersStay(t *testing.T) {
	k := newKit(t)
	k.Directory = nil
	token, _ := k.signIn(t, "carol", func(s *session.Session) { s.Name, s.Groups = "Carol", []string{"x"} })
	k.crash()
	k.Directory = nil
	if e, r := k.lookup(t, token, domain); r != session.Hit || e.Name != "Carol" || !slices.Equal(e.Groups, []string{"x"}) {
		t.Errorf("%d %+v", r, e)
	}
}

// TestRefreshKeepsTheUse: to be identified again is not a use, and loses none.
func TestRefreshKeepsTheUse(t *testing.T) {
	k := newKit(t)
	token, _ := k.signIn(t, "alice")
	k.clock.advance(50 * time.Minute)
	k.want(t, "a use", token, session.Hit)
	used := k.clock.now()
	k.people.change("alice", &session.Identity{Name: "A"})
	k.clock.advance(50 * time.Minute)
	k.want(t, "within the inactivity of the last use", token, session.Hit)
	k.people.change("alice", &session.Identity{Name: "B"})
	k.clock.advance(61 * time.Minute)
	k.want(t, "after it", token, session.None)
	if e, _ := k.lookup(t, token, domain); e != nil && e.LastUse().Before(used) {
		t.Errorf("last use went back to %v", e.LastUse())
	}
}
