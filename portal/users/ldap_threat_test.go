package users

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// operations counts what the directory is asked while do runs.
func operations(d *slapd, do func()) (binds, searches int) {
	b, s := d.monitored("Bind"), d.monitored("Search")
	do()
	b2, s2 := d.monitored("Bind"), d.monitored("Search")
	return b2 - b, s2 - s - 2 // the monitor's own
}

// TestThreat44LDAPInjection: what is typed is a value, never a part of a filter or a DN.
func TestThreat44LDAPInjection(t *testing.T) {
	d := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}})
	c := d.config()
	c.UsersFilter = "(&(objectClass=inetOrgPerson)(uid={input}))"
	c.GroupsFilter = "(&(objectClass=groupOfNames)(description={username}))"
	for _, c := range []LDAPConfig{c, d.config()} {
		l, _ := directoryAt(t, c)
		for _, name := range []string{
			"*", "A*", "*lice", "alice)(objectClass=*", "*)(uid=*))(|(uid=*", "alice))(|(uid=*", `alice\2a`, `\2a`,
			"alice\x00", "alice)\x00", "alice)(userPassword=*", "uid=alice", "alice,ou=people", "Alice+uid=bob",
			"{dn}", "{input}", "{username_attribute}", "alice&", "|alice", "!bob", "alice#", "(alice)", "alice\\",
		} {
			for _, password := range []string{"wonderland", "builder", "*"} {
				if u, err := l.Authenticate(t.Context(), name, password); err != ErrBadCredentials {
					t.Errorf("%q with %q: %+v, %v", name, password, u, err)
				}
			}
			if u, err := l.Find(t.Context(), name); err != ErrNotFound {
				t.Errorf("Find of %q: %+v, %v", name, u, err)
			}
		}
		if _, err := l.Authenticate(t.Context(), "alice", "wonderland"); err != nil {
			t.Errorf("Alice: %v", err)
		}
	}
}

// TestThreat44GroupInjection: a DN with the signs of filters finds the groups of nobody
// else.
func TestThreat44GroupInjection(t *testing.T) {
	d := startSlapd(t, slapdSetup{ldif: []string{"example.ldif", `dn: cn=\2A,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
cn: *
sn: Star
uid: *)(cn=*
userPassword: everybody's
`}})
	l, _ := directoryAt(t, d.config())
	u, err := l.Authenticate(t.Context(), "*)(cn=*", "everybody's")
	if err != nil || u.Name != "*)(cn=*" || len(u.Groups) != 0 {
		t.Errorf("%+v, %v; want no groups", u, err)
	}
}

// TestThreat44EmptyPassword: a server that takes an empty password for nobody's sign-in,
// and says yes, never gets to see one.
func TestThreat44EmptyPassword(t *testing.T) {
	d := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}, global: "allow bind_anon_cred bind_anon_dn\n"})
	l, _ := directoryAt(t, d.config())
	if err := l.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	binds, searches := operations(d, func() {
		for _, password := range []string{"", "\x00", "\x00wonderland", "\xff"} {
			if u, err := l.Authenticate(t.Context(), "alice", password); err != ErrBadCredentials {
				t.Errorf("password %q: %+v, %v", password, u, err)
			}
		}
	})
	if binds != 0 || searches != 0 {
		t.Errorf("%d binds and %d searches, want none", binds, searches)
	}
	err := l.bindAs(t.Context(), aliceDN, "")
	if r := (*refusal)(nil); !errors.As(err, &r) {
		t.Errorf("a bind with an empty password: %v", err)
	}
	err = l.bindAs(t.Context(), "", "wonderland")
	if r := (*refusal)(nil); !errors.As(err, &r) {
		t.Errorf("a bind with an empty name: %v", err)
	}
	c := d.config()
	c.Password = ""
	if c.Validate("ldap") == nil {
		t.Error("an empty password of our own is no fault")
	}
}

// TestThreat44Referral: nobody is sent elsewhere with a name or a password.
func TestThreat44Referral(t *testing.T) {
	trap, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer trap.Close()
	var visits atomic.Int64
	go func() {
		for {
			c, err := trap.Accept()
			if err != nil {
				return
			}
			visits.Add(1)
			c.Close()
		}
	}()
	d := startSlapd(t, slapdSetup{ldif: []string{"example.ldif", fmt.Sprintf(`dn: uid=away,ou=people,dc=example,dc=com
objectClass: referral
objectClass: extensibleObject
uid: away
ref: ldap://%s/uid=away,dc=evil,dc=com
`, trap.Addr())}})
	l, _ := directoryAt(t, d.config())
	if u, err := l.Authenticate(t.Context(), "away", "wonderland"); err != ErrBadCredentials {
		t.Errorf("somebody who is elsewhere: %+v, %v", u, err)
	}
	if _, err := l.Authenticate(t.Context(), "alice", "wonderland"); err != nil {
		t.Errorf("Alice, beside him: %v", err)
	}
	c := d.config()
	c.UsersDN = "uid=away,ou=people"
	l, _ = directoryAt(t, c)
	if u, err := l.Authenticate(t.Context(), "alice", "wonderland"); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "refers to another") {
		t.Errorf("a folder that is elsewhere: %+v, %v", u, err)
	}
	if n := visits.Load(); n != 0 {
		t.Errorf("%d connections to where the directory refers", n)
	}
}

// TestThreat34LDAPUserEnumeration: unknown, wrong, excluded and disabled cost the directory
// the same, and get the same answer. It counts operations; it does not measure time.
func TestThreat34LDAPUserEnumeration(t *testing.T) {
	d := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}, conf: "overlay ppolicy\n"})
	c := d.config()
	c.UsersFilter = "(&" + byNameOrMail + "(!(employeeType=former)))"
	l, _ := directoryAt(t, c)
	d.change("uid=zoë,ou=people,dc=example,dc=com", "employeeType", "former")
	d.change("uid=frank,ou=people,dc=example,dc=com", "pwdAccountLockedTime", policyLockForever)
	for _, name := range []string{"alice", "nobody"} { // warms both kinds of connection
		l.Authenticate(t.Context(), name, "wrong")
	}
	for _, tt := range []struct{ why, name, password string }{
		{"wrong password", "alice", "wrong"},
		{"wrong password, by address", "alice@example.com", "wrong"},
		{"unknown", "nobody", "wrong"},
		{"unknown with the password of another", "nobody", "wonderland"},
		{"unknown address", "nobody@example.com", "wrong"},
		{"excluded, right password", "zoë", "snow"},
		{"disabled, wrong password", "frank", "wrong"},
		{"several", "twin", "double"},
	} {
		binds, searches := operations(d, func() {
			if u, err := l.Authenticate(t.Context(), tt.name, tt.password); err != ErrBadCredentials || u.Name != "" {
				t.Errorf("%s: %+v, %v", tt.why, u, err)
			}
		})
		if binds != 1 || searches != 1 {
			t.Errorf("%s: %d binds and %d searches, want one each", tt.why, binds, searches)
		}
	}
	// The search for a name costs the same too, whoever it is.
	for _, name := range []string{"eve", "nobody", "mallory", "twin"} {
		if _, searches := operations(d, func() { l.Find(t.Context(), name) }); searches != 2 {
			t.Errorf("Find of %s: %d searches, want 2", name, searches)
		}
	}
}

// TestThreat34LDAPPace: for an unknown name one waits as long as the directory took lately
// to refuse a password.
func TestThreat34LDAPPace(t *testing.T) {
	d := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}})
	l, _ := directoryAt(t, d.config())
	if got := l.pace.pick(); got != 0 {
		t.Errorf("before the first refusal one waits %v", got)
	}
	l.Authenticate(t.Context(), "alice", "wrong")
	if got := l.pace.pick(); got <= 0 || got > time.Minute {
		t.Errorf("after a refusal one waits %v", got)
	}
	for range len(l.pace.took) {
		l.pace.add(time.Hour)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := l.Authenticate(ctx, "nobody", "wrong")
		done <- err
	}()
	eventually(t, "the decoy has been refused", func() bool {
		l.pool().mu.Lock()
		defer l.pool().mu.Unlock()
		return l.pool().open == 2 && len(l.pool().idle) == 2
	})
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("who is unknown waits no hour but gets %v", err)
	}
}

// TestThreat35LDAPOneName: however a user is spelled, and by whichever address, he has one
// name; the spellings of nobody have one too.
func TestThreat35LDAPOneName(t *testing.T) {
	d := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}})
	l, _ := directoryAt(t, d.config())
	for _, typed := range []string{"Alice", "alice", "ALICE ", " aLiCe", "alice@example.com", "Alice@EXAMPLE.com", "a.liddell@example.org", "\uff21lice"} {
		name, err := l.Canonical(t.Context(), typed)
		if err != nil || name != "Alice" {
			t.Errorf("%q counts for %q, %v; want Alice", typed, name, err)
		}
		if u, err := l.Authenticate(t.Context(), typed, "wonderland"); err != nil || u.Name != "Alice" {
			t.Errorf("%q signs in as %q, %v", typed, u.Name, err)
		}
		if u, err := l.Find(t.Context(), typed); err != nil || u.Name != "Alice" {
			t.Errorf("%q finds %q, %v", typed, u.Name, err)
		}
	}
	if _, ok := l.Known("alice"); ok {
		t.Error("there is a second one by the name in small letters")
	}
	first := ""
	for _, typed := range []string{"Nobody", "nobody ", "NOBODY", "\uff2eobody"} {
		name, err := l.Canonical(t.Context(), typed)
		if first == "" {
			first = name
		}
		if err != nil || name != first || name == "" {
			t.Errorf("%q counts for %q, %v; want %q", typed, name, err, first)
		}
	}
	for _, typed := range []string{"ali\u00adce", "alice\u200b", "\u202ealice", "alice\u0000", "al\nice"} { // a directory would not see these
		if u, err := l.Authenticate(t.Context(), typed, "wonderland"); err != ErrBadCredentials {
			t.Errorf("%q signs in as %+v, %v", typed, u, err)
		}
	}
}

// TestLDAPBadInput: what can be no name or no password is refused before anybody is asked.
func TestLDAPBadInput(t *testing.T) {
	d := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}})
	l, _ := directoryAt(t, d.config())
	if err := l.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	binds, searches := operations(d, func() {
		for _, tt := range []struct{ why, name, password string }{
			{"a password of 1 MB", "alice", strings.Repeat("x", 1<<20)},
			{"a password just too long", "alice", strings.Repeat("x", MaxPassword+1)},
			{"a password that is no text", "alice", "\xff\xfe"},
			{"a name of 1 MB", strings.Repeat("x", 1<<20), "wonderland"},
			{"a name just too long", strings.Repeat("x", maxTyped+1), "wonderland"},
			{"a name that is no text", "al\xffice", "wonderland"},
			{"a name with a NUL", "alice\x00", "wonderland"},
			{"a name with a line break", "alice\r\n", "wonderland\n"},
			{"spaces", "   ", "wonderland"},
		} {
			if tt.why == "a name with a line break" {
				tt.name = "al\r\nice"
			}
			if _, err := l.Authenticate(t.Context(), tt.name, tt.password); err != ErrBadCredentials {
				t.Errorf("%s: %v", tt.why, err)
			}
			if !strings.Contains(tt.why, "password") {
				if _, err := l.Find(t.Context(), tt.name); err != ErrNotFound {
					t.Errorf("Find, %s: %v", tt.why, err)
				}
			}
			if name, err := l.Canonical(t.Context(), strings.Repeat("x", 1<<20)); err != nil || len(name) > maxName {
				t.Errorf("a name of 1 MB counts for %d bytes, %v", len(name), err)
			}
		}
	})
	if binds != 0 || searches != 0 {
		t.Errorf("%d binds and %d searches, want none", binds, searches)
	}
}

// TestLDAPParallel: many at once over few connections; everybody is who he is, and the
// bound holds.
func TestLDAPParallel(t *testing.T) {
	d := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}})
	c := d.config()
	c.Pool.Size = 3
	l, _ := directoryAt(t, c)
	people := []struct {
		name, password, want string
		groups               int
	}{
		{"alice", "wonderland", "Alice", 2}, {"bob", "builder", "bob", 0}, {"frank", "honest", "frank", 1},
		{"alice", "builder", "", 0}, {"nobody", "wonderland", "", 0}, {"eve", "apple", "eve", 1},
	}
	var all sync.WaitGroup
	for i := range 48 {
		all.Go(func() {
			p := people[i%len(people)]
			u, err := l.Authenticate(t.Context(), p.name, p.password)
			if u.Name != p.want || (err == nil) != (p.want != "") || len(u.Groups) != p.groups {
				t.Errorf("%s with %s: %+v, %v", p.name, p.password, u, err)
			}
			if u, err := l.Find(t.Context(), p.name); err == nil && !strings.EqualFold(u.Name, p.name) {
				t.Errorf("%s is found as %+v", p.name, u)
			}
			l.refresh(t.Context())
			l.pool().mu.Lock()
			if l.pool().open > 3 || len(l.pool().idle) > 3 {
				t.Errorf("%d connections, want at most 3", l.pool().open)
			}
			l.pool().mu.Unlock()
		})
	}
	all.Wait()
}

// TestLDAPBusy: who finds no connection within the time is told so.
func TestLDAPBusy(t *testing.T) {
	d := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}})
	c := d.config()
	c.Pool.Size, c.Timeout = 1, 50*time.Millisecond
	l, _ := directoryAt(t, c)
	if err := l.pool().slots.Acquire(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Authenticate(t.Context(), "alice", "wonderland"); err != ErrBusy {
		t.Errorf("Authenticate: %v, want ErrBusy", err)
	}
	if _, err := l.Find(t.Context(), "alice"); err != ErrBusy {
		t.Errorf("Find: %v, want ErrBusy", err)
	}
}
