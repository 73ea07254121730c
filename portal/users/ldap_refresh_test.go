package users

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// clock is a time that a test moves.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Now().UnixNano())
	return c
}

func (c *clock) now() time.Time           { return time.Unix(0, c.at.Load()) }
func (c *clock) advance(by time.Duration) { c.at.Add(int64(by)) }

// followed is a backend on a clock, with Alice and Bob signed in.
func followed(t *testing.T, d *slapd, change func(*LDAPConfig)) (*LDAP, *clock) {
	t.Helper()
	c := d.config()
	if change != nil {
		change(&c)
	}
	l, _ := directoryAt(t, c)
	at := newClock()
	l.Now = at.now
	for name, password := range map[string]string{"alice": "wonderland", "bob": "builder"} {
		if _, err := l.Authenticate(t.Context(), name, password); err != nil {
			t.Fatal(err)
		}
	}
	return l, at
}

const (
	aliceDN = "uid=Alice,ou=people,dc=example,dc=com"
	bobDN   = "uid=bob,ou=people,dc=example,dc=com"
	staffDN = "cn=staff,ou=groups,dc=example,dc=com"
)

// TestThreat30StaleGroups: another group, address or name is there after one interval; the
// epoch moves then, and only then.
func TestThreat30StaleGroups(t *testing.T) {
	d := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}})
	l, at := followed(t, d, nil)
	want, _ := l.Known("Alice")
	for _, step := range []struct {
		why    string
		change func()
		want   func(*User)
	}{
		{"nothing has changed", func() {}, func(*User) {}},
		{"she leaves the staff", func() { d.change(staffDN, "member", bobDN) }, func(u *User) { u.Groups = []string{"Wonder Land"} }},
		{"she leaves the rest", func() { d.change("cn=Wonder Land,ou=groups,dc=example,dc=com", "uniqueMember", bobDN) },
			func(u *User) { u.Groups = nil }},
		{"her address changes", func() { d.change(aliceDN, "mail", "new@example.com") }, func(u *User) { u.Emails = []string{"new@example.com"} }},
		{"a second address", func() { d.change(aliceDN, "mail", "a@example.com", "new@example.com") },
			func(u *User) { u.Emails = []string{"a@example.com", "new@example.com"} }},
		{"the same addresses in another order", func() { d.change(aliceDN, "mail", "new@example.com", "a@example.com") }, func(*User) {}},
		{"her name changes", func() { d.change(aliceDN, "displayName", "Alice Hargreaves") }, func(u *User) { u.DisplayName = "Alice Hargreaves" }},
	} {
		before, was := l.Epoch(), want
		step.change()
		step.want(&want)
		bob := slices.Contains([]string{"she leaves the staff", "she leaves the rest"}, step.why) // he joins
		l.refresh(t.Context())
		if u, ok := l.Known("Alice"); !ok || !sameUser(u, was) || l.Epoch() != before {
			t.Errorf("%s: before the interval is over she is %+v, epoch moved: %v", step.why, u, l.Epoch() != before)
		}
		at.advance(5 * time.Minute)
		l.refresh(t.Context())
		if u, ok := l.Known("Alice"); !ok || !sameUser(u, want) {
			t.Errorf("%s: %+v, %v; want %+v", step.why, u, ok, want)
		}
		if changed := !sameUser(was, want) || bob; (l.Epoch() != before) != changed {
			t.Errorf("%s: epoch moved: %v", step.why, l.Epoch() != before)
		}
	}
}

// TestThreat31DisabledUser: whoever is deleted, disabled, locked for good or expired is out
// after one interval, and at once when he tries to sign in.
func TestThreat31DisabledUser(t *testing.T) {
	for _, tt := range []struct {
		why    string
		change func(*slapd)
	}{
		{"deleted", func(d *slapd) {
			d.admin(func(c *ldap.Conn) error { return c.Del(ldap.NewDelRequest(bobDN, nil)) })
		}},
		{"renamed", func(d *slapd) {
			d.admin(func(c *ldap.Conn) error {
				return c.ModifyDN(ldap.NewModifyDNRequest(bobDN, "uid=robert", true, ""))
			})
		}},
		{"moved away", func(d *slapd) {
			d.admin(func(c *ldap.Conn) error {
				return c.ModifyDN(ldap.NewModifyDNRequest(bobDN, "uid=bob", true, "ou=services,dc=example,dc=com"))
			})
		}},
		{"excluded by the filter", func(d *slapd) { d.change(bobDN, "employeeType", "former") }},
		{"locked for good", func(d *slapd) { d.change(bobDN, "pwdAccountLockedTime", policyLockForever) }},
		{"must change the password", func(d *slapd) { d.change(bobDN, "pwdReset", "TRUE") }},
		{"another entry takes the name", func(d *slapd) { d.change("uid=frank,ou=people,dc=example,dc=com", "uid", "frank", "bob") }},
	} {
		t.Run(tt.why, func(t *testing.T) {
			d := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}, conf: "overlay ppolicy\n"})
			filter := func(c *LDAPConfig) { c.UsersFilter = "(&" + byNameOrMail + "(!(employeeType=former)))" }
			l, at := followed(t, d, filter)
			other, _ := followed(t, d, filter)
			if tt.why == "another entry takes the name" {
				d.change("uid=mallory,ou=people,dc=example,dc=com", "mail", "m@example.com")
				d.admin(func(c *ldap.Conn) error { return c.Del(ldap.NewDelRequest(bobDN, nil)) })
			}
			before := l.Epoch()
			tt.change(d)
			if u, ok := l.Known("bob"); !ok || u.Disabled {
				t.Fatalf("before anybody asked: %+v, %v", u, ok)
			}
			at.advance(5 * time.Minute)
			l.refresh(t.Context())
			if u, ok := l.Known("bob"); !ok || !u.Disabled || len(u.Groups) > 0 && tt.why == "deleted" {
				t.Errorf("after the interval: %+v, %v; want him disabled", u, ok)
			}
			if l.Epoch() == before {
				t.Error("the epoch has not moved")
			}
			// It may be another one's address, as a name may that nobody ever had.
			if u, err := l.Find(t.Context(), "bob"); err == nil && u.Name == "bob" && !u.Disabled || err != nil && err != ErrNotFound {
				t.Errorf("Find: %+v, %v", u, err)
			}
			if _, ok := l.Version("bob"); ok {
				t.Error("he has a version to reset the password with")
			}
			if _, err := l.Authenticate(t.Context(), "bob", "builder"); err != ErrBadCredentials {
				t.Errorf("Authenticate: %v", err)
			}
			if u, ok := l.Known("Alice"); !ok || u.Disabled {
				t.Errorf("Alice is %+v, %v", u, ok)
			}

			// The other one has not refreshed; the attempt to sign in tells it.
			before = other.Epoch()
			if _, err := other.Authenticate(t.Context(), "bob", "builder"); err != ErrBadCredentials {
				t.Errorf("Authenticate: %v", err)
			}
			eventually(t, "the attempt shuts him out", func() bool {
				u, ok := other.Known("bob")
				return ok && u.Disabled && other.Epoch() != before
			})
		})
	}
}

// TestLDAPComesBack: who was shut out and is let in again is known again.
func TestLDAPComesBack(t *testing.T) {
	d := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}, conf: "overlay ppolicy\n"})
	l, at := followed(t, d, nil)
	d.change(bobDN, "pwdAccountLockedTime", policyLockForever)
	at.advance(5 * time.Minute)
	l.refresh(t.Context())
	before := l.Epoch()
	d.change(bobDN, "pwdAccountLockedTime")
	at.advance(5 * time.Minute)
	l.refresh(t.Context())
	if u, ok := l.Known("bob"); !ok || u.Disabled || l.Epoch() == before {
		t.Errorf("%+v, %v, epoch moved: %v", u, ok, l.Epoch() != before)
	}
}

// TestLDAPComesBackAtOnce: who was shut out and is let in again signs in at his first try,
// also where a name is looked up before the password is, and is asked for like anybody whom
// the directory does not have: the time does not tell that he was there once.
func TestLDAPComesBackAtOnce(t *testing.T) {
	d := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}})
	l, at := followed(t, d, func(c *LDAPConfig) { c.UsersFilter = "(&" + byNameOrMail + "(!(employeeType=former)))" })
	b := &Backends{List: []Named{{"ldap", l}}}
	d.change(bobDN, "employeeType", "former")
	at.advance(5 * time.Minute)
	l.refresh(t.Context())
	if u, ok := l.Known("bob"); !ok || !u.Disabled {
		t.Fatalf("he is %+v, %v; want him shut out", u, ok)
	}
	for _, name := range []string{"bob", "nobody"} {
		if _, searches := operations(d, func() { _, _ = l.Find(t.Context(), name) }); searches != 2 {
			t.Errorf("%s: %d searches, want 2", name, searches)
		}
	}
	d.change(bobDN, "employeeType")
	if u, err := b.Authenticate(t.Context(), "bob", "builder"); err != nil || u.Name != "bob" {
		t.Errorf("let in again: %+v, %v", u, err)
	}
}

// TestLDAPAsksOnce: whatever is asked of the memory, the directory sees one search for the
// user and one for his groups in an interval, also when many ask at once.
func TestLDAPAsksOnce(t *testing.T) {
	d := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}})
	c := d.config()
	l, _ := directoryAt(t, c)
	at := newClock()
	l.Now = at.now
	if err := l.Check(t.Context()); err != nil { // connects
		t.Fatal(err)
	}
	searches := func(do func()) int {
		before := d.monitored("Search")
		do()
		return d.monitored("Search") - before - 1 // the monitor's own
	}
	crowd := func(f func()) {
		var all sync.WaitGroup
		for range 32 {
			all.Go(f)
		}
		all.Wait()
	}
	if n := searches(func() {
		crowd(func() {
			if u, err := l.Find(t.Context(), "alice@example.com"); err != nil || u.Name != "Alice" {
				t.Errorf("%+v, %v", u, err)
			}
		})
	}); n != 2 {
		t.Errorf("%d searches for 32 who ask at once, want 2", n)
	}
	if n := searches(func() {
		crowd(func() {
			for _, name := range []string{"Alice", "alice@example.com", " Alice"} {
				if _, err := l.Find(t.Context(), name); err != nil {
					t.Error(err)
				}
			}
			l.Known("Alice")
			l.Version("Alice")
			l.refresh(t.Context())
		})
	}); n != 0 {
		t.Errorf("%d searches for what is known, want none", n)
	}
	at.advance(5 * time.Minute)
	if n := searches(func() { crowd(func() { l.refresh(t.Context()) }) }); n != 2 {
		t.Errorf("%d searches in the next interval, want 2", n)
	}
}

// TestLDAPOutage: while the directory is away, people stay who they were for the grace;
// nobody signs in; afterwards nobody is known until it is back.
func TestLDAPOutage(t *testing.T) {
	d := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}})
	l, at := followed(t, d, func(c *LDAPConfig) { c.Grace = time.Hour })
	epoch := l.Epoch()
	d.stop()
	for range 12 {
		at.advance(5 * time.Minute)
		l.refresh(t.Context())
		if u, ok := l.Known("Alice"); !ok || len(u.Groups) != 2 || u.Disabled {
			t.Fatalf("within the grace: %+v, %v", u, ok)
		}
		if u, err := l.Find(t.Context(), "alice"); err != nil || u.Name != "Alice" {
			t.Fatalf("Find within the grace: %+v, %v", u, err)
		}
	}
	if l.Epoch() != epoch {
		t.Error("the epoch moves though nothing has changed")
	}
	if _, err := l.Authenticate(t.Context(), "alice", "wonderland"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Authenticate: %v", err)
	}
	if _, err := l.Find(t.Context(), "frank"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Find of somebody who was not asked for: %v", err)
	}
	at.advance(5*time.Minute + time.Second)
	l.refresh(t.Context())
	if u, ok := l.Known("Alice"); ok {
		t.Errorf("after the grace she is still %+v", u)
	}
	if l.Epoch() == epoch {
		t.Error("the epoch does not say so")
	}
	if _, err := l.Find(t.Context(), "Alice"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Find after the grace: %v", err)
	}
	epoch = l.Epoch()
	d.start()
	eventually(t, "she is known again", func() bool {
		at.advance(5 * time.Minute)
		l.refresh(t.Context())
		u, ok := l.Known("Alice")
		return ok && !u.Disabled
	})
	if l.Epoch() == epoch {
		t.Error("the epoch does not say that she is back")
	}
}

// TestLDAPForgets: whom nobody has asked for in an hour is followed no longer, and the
// epoch has everybody ask who still needs to know.
func TestLDAPForgets(t *testing.T) {
	d := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}})
	l, at := followed(t, d, nil)
	epoch := l.Epoch()
	for range 13 {
		at.advance(5 * time.Minute)
		l.Known("Alice")
		l.refresh(t.Context())
	}
	if _, ok := l.Known("Alice"); !ok {
		t.Error("Alice is forgotten though she is asked for")
	}
	if _, ok := l.Known("bob"); ok || l.Epoch() == epoch {
		t.Errorf("Bob is known: %v, epoch moved: %v", ok, l.Epoch() != epoch)
	}
	if u, err := l.Find(t.Context(), "bob"); err != nil || u.Name != "bob" {
		t.Errorf("Find: %+v, %v", u, err)
	}
}

// TestLDAPRun follows changes by itself and ends with its context.
func TestLDAPRun(t *testing.T) {
	d := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}})
	l, _ := directoryAt(t, d.config())
	l.Config.Refresh = 50 * time.Millisecond // less than Validate allows
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- l.Run(ctx) }()
	if _, err := l.Find(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	d.change(staffDN, "member", bobDN)
	eventually(t, "she has left the staff", func() bool {
		u, ok := l.Known("Alice")
		return ok && !slices.Contains(u.Groups, "staff")
	})
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	l.pool().mu.Lock()
	defer l.pool().mu.Unlock()
	if n := len(l.pool().idle); n != 0 {
		t.Errorf("%d connections stay open", n)
	}
}

// TestLDAPCacheIsBounded: what is remembered has an end, and the one who is evicted is the
// one whom nobody asked for.
func TestLDAPCacheIsBounded(t *testing.T) {
	m := &ldapCache{}
	at := time.Unix(1_700_000_000, 0)
	for i := range 64 {
		m.put(&person{User: User{Name: strconv.Itoa(i)}}, "typed "+strconv.Itoa(i), at.Add(time.Duration(i)*time.Second))
	}
	m.get("0", at.Add(time.Hour))
	epoch := m.epoch.Load()
	m.evict()
	if len(m.entries) != 60 || m.entries["0"] == nil || m.entries["1"] != nil || m.entries["4"] != nil || m.entries["5"] == nil {
		t.Errorf("%d are left; 0 is %v, 1 is %v", len(m.entries), m.entries["0"], m.entries["1"])
	}
	if m.epoch.Load() == epoch {
		t.Error("the epoch does not say so")
	}
	for i := range maxSpelled + 1 {
		m.put(&person{User: User{Name: "5"}}, "spelled "+strconv.Itoa(i), at)
	}
	if len(m.spelled) > maxSpelled {
		t.Errorf("%d spellings are remembered, want at most %d", len(m.spelled), maxSpelled)
	}
}
