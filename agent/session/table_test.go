package session_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/agent/policy"
	"postern/agent/session"
)

func TestCreateStoresWhatItReturns(t *testing.T) {
	k := newKit(t)
	token, s := k.signIn(t, "alice", func(s *session.Session) {
		s.ID, s.Seen = "chosen by the caller", k.clock.in(time.Hour)
		s.Name, s.Groups = "an old name", nil
		s.Proofs[policy.Password] = 5
		s.Browser = strings.Repeat("é", 200)
	})
	want := session.Session{
		ID: token[:16], Domain: domain, User: "alice", Name: "Alice", Email: "alice@example.com", Groups: []string{"admins", "staff"},
		Level: policy.LevelOne, Created: k.clock.now(), Expires: k.clock.in(12 * time.Hour), Seen: k.clock.now(),
		Addr: "192.0.2.1", Browser: strings.Repeat("é", 128),
	}
	want.Proofs[policy.Password] = 5
	if !reflect.DeepEqual(s, want) {
		t.Errorf("created\n%+v\nwant\n%+v", s, want)
	}
	if stored := k.stored(t); len(stored) != 1 || !reflect.DeepEqual(stored[0].Session, want) {
		t.Errorf("stored\n%+v\nwant\n%+v", stored, want)
	}
	e, r := k.Find([]byte(token), domain, k.clock.now())
	if r != session.Hit || !reflect.DeepEqual(e.Session, want) {
		t.Fatalf("found %d\n%+v\nwant\n%+v", r, e, want)
	}
	if got := string(e.Prepared); got != "aliceAlice" {
		t.Errorf("prepared %q, want aliceAlice", got)
	}
}

func TestCreateRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*kit, *session.Session)
		want   string
	}{
		{"an anonymous visitor", func(_ *kit, s *session.Session) { s.User = "" }, "needs a user"},
		{"a session for no domain", func(_ *kit, s *session.Session) { s.Domain = "" }, "needs a user and a domain"},
		{"level zero", func(_ *kit, s *session.Session) { s.Level = policy.Anonymous }, "cannot have level 0"},
		{"a level that does not exist", func(_ *kit, s *session.Session) { s.Level = 3 }, "cannot have level 3"},
		{"a user whom the directory does not know", func(_ *kit, s *session.Session) { s.User = "mallory" }, "not found"},
		{"a short key", func(k *kit, _ *session.Session) { k.Key = k.Key[:31] }, "31 bytes"},
		{"a table without lifetime", func(k *kit, _ *session.Session) { k.Config.Lifetime = 0 }, "no lifetime"},
		{"anything while the keeper fails", func(k *kit, _ *session.Session) { k.keeper.failWith(errDisk) }, "disk on fire"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newKit(t)
			s := session.Session{Domain: domain, User: "alice", Level: policy.LevelOne}
			tt.change(k, &s)
			token, created, err := k.Create(t.Context(), s, "")
			if err == nil || !strings.Contains(err.Error(), tt.want) || token != "" || created.ID != "" {
				t.Errorf("Create: %q, %+v, %v, want an error with %q", token, created, err, tt.want)
			}
			if n := len(k.stored(t)) + k.Entries(); n != 0 {
				t.Errorf("%d sessions are kept", n)
			}
		})
	}
}

func TestEnds(t *testing.T) {
	for _, tt := range []struct {
		name   string
		create func(*session.Session)
		config func(*session.Config)
		idle   []time.Duration // a request after each
		want   session.Result  // of the last
	}{
		{"a session is used at once", nil, nil, []time.Duration{0}, session.Hit},
		{"idle for exactly the inactivity", nil, nil, []time.Duration{time.Hour}, session.Hit},
		{"idle for longer", nil, nil, []time.Duration{time.Hour + 1}, session.None},
		{"each use starts the inactivity again", nil, nil, repeat(50*time.Minute, 14), session.Hit},
		{"no use goes over the lifetime", nil, nil, repeat(48*time.Minute, 15), session.None},
		{"the last nanosecond of the lifetime", nil, func(c *session.Config) { c.Inactivity = 0 }, []time.Duration{12*time.Hour - 1}, session.Hit},
		{"the end of the lifetime", nil, func(c *session.Config) { c.Inactivity = 0 }, []time.Duration{12 * time.Hour}, session.None},
		{"remember-me is not ended by inactivity", remember, nil, []time.Duration{719 * time.Hour}, session.Hit},
		{"remember-me ends", remember, nil, []time.Duration{720 * time.Hour}, session.None},
		{"remember-me that is not offered counts for nothing", remember, func(c *session.Config) { c.RememberMe = 0 }, []time.Duration{2 * time.Hour}, session.None},
		{"an end that the caller chose", func(s *session.Session) { s.Expires = time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC) }, nil, []time.Duration{30 * time.Minute}, session.None},
		{"an end beyond the lifetime is cut", func(s *session.Session) { s.Expires = time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC) }, func(c *session.Config) { c.Inactivity = 0 }, []time.Duration{12 * time.Hour}, session.None},
		{"it does not come back", nil, nil, []time.Duration{2 * time.Hour, 0}, session.None},
	} {
		for _, restarts := range []bool{false, true} {
			t.Run(tt.name+map[bool]string{true: ", with restarts"}[restarts], func(t *testing.T) {
				k := newKit(t)
				if tt.config != nil {
					tt.config(&k.Config)
				}
				create := func(*session.Session) {}
				if tt.create != nil {
					create = tt.create
				}
				token, _ := k.signIn(t, "alice", create)
				var got session.Result
				for _, idle := range tt.idle {
					if restarts {
						config := k.Config
						k.restart(t)
						k.Config = config
					}
					k.clock.advance(idle)
					got = k.result(t, token)
				}
				if got != tt.want {
					t.Errorf("result %d, want %d", got, tt.want)
				}
			})
		}
	}
}

func repeat(d time.Duration, n int) []time.Duration { return slices.Repeat([]time.Duration{d}, n) }

func TestShorterLifetimeIsHeededAndLongerExtendsNothing(t *testing.T) {
	k := newKit(t)
	token, _ := k.signIn(t, "alice")
	k.restart(t)
	k.Config.Lifetime, k.Config.Inactivity = 24*time.Hour, 0
	k.clock.advance(11 * time.Hour)
	k.want(t, "within the lifetime of sign-in", token, session.Hit)
	k.restart(t)
	k.Config.Lifetime = 10 * time.Hour
	k.want(t, "after the lifetime was made shorter", token, session.None)

	k = newKit(t)
	token, _ = k.signIn(t, "alice")
	k.restart(t)
	k.Config.Lifetime, k.Config.Inactivity = 24*time.Hour, 0
	k.clock.advance(12 * time.Hour)
	k.want(t, "after the lifetime was made longer", token, session.None)
}

// TestClockSetBack: no way of setting the clock gives a session back or more time than
// it had. (The monotonic clock's part is TestTableTime.)
func TestClockSetBack(t *testing.T) {
	k := newKit(t)
	ended, _ := k.signIn(t, "alice")
	k.clock.advance(2 * time.Hour)
	k.want(t, "after the inactivity", ended, session.None)
	k.clock.advance(-2 * time.Hour)
	k.want(t, "with the clock set back", ended, session.None)
	k.cycle(t)
	k.restart(t)
	k.want(t, "with the clock set back, after a restart", ended, session.None)

	ahead, _ := k.signIn(t, "alice")
	k.clock.advance(40 * time.Minute)
	k.want(t, "used while the clock was ahead", ahead, session.Hit)
	k.clock.advance(-40 * time.Minute)
	k.cycle(t) // notices
	k.clock.advance(time.Hour + time.Second)
	k.want(t, "an hour after the clock was right again", ahead, session.None)

	future, _ := k.signIn(t, "alice")
	k.clock.advance(-time.Hour)
	k.restart(t)
	k.want(t, "a session of the future", future, session.None)

	slightly, _ := k.signIn(t, "alice")
	k.clock.advance(-time.Minute)
	k.restart(t)
	k.want(t, "a session of a minute ahead", slightly, session.Hit)
}

func TestListShowsWhatIsLive(t *testing.T) {
	k := newKit(t)
	_, idle := k.signIn(t, "alice")
	k.clock.advance(30 * time.Minute)
	used, _ := k.signIn(t, "bob")
	_, second := k.signIn(t, "alice")
	k.clock.advance(31 * time.Minute)
	k.want(t, "bob's", used, session.Hit)

	got, err := k.List(t.Context(), session.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].ID != second.ID || got[1].User != "bob" {
		t.Fatalf("listed %+v, want alice's second session and bob's; %s has been idle too long", got, idle.ID)
	}
	if !got[1].Seen.Equal(k.clock.now()) {
		t.Errorf("bob's last use is %v, want %v", got[1].Seen, k.clock.now())
	}
	k.people.change("alice", nil)
	k.cycle(t)
	if _, err := k.List(t.Context(), session.Filter{User: "bob"}); err != nil {
		t.Fatal(err)
	}
	k.keeper.failWith(errDisk)
	if _, err := k.List(t.Context(), session.Filter{}); !errors.Is(err, errDisk) {
		t.Errorf("List with a failing keeper: %v", err)
	}
}
