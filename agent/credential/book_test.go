package credential

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/agent/policy"
)

// anywhere is a request that every scope of the tests without a word on it covers.
func anywhere() *Use {
	return &Use{Method: "GET", Host: "app.example.com", Path: "/api/v1", Addr: netip.MustParseAddr("192.0.2.7")}
}

func TestCreate(t *testing.T) {
	b, k, c := open(t)
	end := start.Add(time.Hour)
	secret, r := create(t, b, Draft{Name: " backup ", Level: policy.LevelTwo, Expires: end, Scope: Scope{
		Hosts: []string{"App.Example.com.", "*.Example.net"}, Methods: []string{"get", "PROPFIND"}, Path: "/api/", Networks: []string{"10.1.2.3/8", "::1"},
	}})
	if r.ID == "" || r.Name != "backup" || r.Owner != "alice" || r.Level != policy.LevelTwo || r.Kind != Token || !r.Created.Equal(start) || !r.Expires.Equal(end) || !r.Used.IsZero() {
		t.Errorf("made %+v", r)
	}
	if got := fmt.Sprint(r.Scope); got != "{[app.example.com *.example.net] [GET PROPFIND] /api [10.0.0.0/8 ::1/128]}" {
		t.Errorf("scope %s", got)
	}
	stored := k.all[r.ID]
	if stored.Hash != hashOf([]byte(secret)) {
		t.Error("not kept under the hash of its secret")
	}
	if text := fmt.Sprintf("%+v", stored); strings.Contains(text, secret) || strings.Contains(text, secret[4:20]) {
		t.Error("the secret is kept")
	}
	if list, err := b.List(t.Context(), "alice"); err != nil || len(list) != 1 || fmt.Sprint(list[0]) != fmt.Sprint(r) {
		t.Errorf("listed %+v, %v", list, err)
	}
	c.pass(time.Second)
	if _, app := create(t, b, Draft{Kind: App}); app.Level != policy.LevelOne {
		t.Errorf("an application password has level %v", app.Level)
	}
}

func TestCreateRefuses(t *testing.T) {
	b, k, _ := open(t)
	good := Draft{Kind: Token, Owner: "alice", Name: "x"}
	for _, tt := range []struct {
		name   string
		change func(*Draft)
		want   string
	}{
		{"no kind", func(d *Draft) { d.Kind = "" }, "is no kind"},
		{"another kind", func(d *Draft) { d.Kind = "jwt" }, "is no kind"},
		{"no owner", func(d *Draft) { d.Owner = "" }, "needs an owner"},
		{"no name", func(d *Draft) { d.Name = "  " }, "needs a name"},
		{"a long name", func(d *Draft) { d.Name = strings.Repeat("x", MaxName+1) }, "longer than 64"},
		{"a name with a line break", func(d *Draft) { d.Name = "a\nb" }, "control characters"},
		{"a name that is no text", func(d *Draft) { d.Name = "\xff" }, "control characters"},
		{"a level that is none", func(d *Draft) { d.Level = 3 }, "no level 3"},
		{"an application password for two factors", func(d *Draft) { d.Kind, d.Level = App, policy.LevelTwo }, "proves one factor"},
		{"an end in the past", func(d *Draft) { d.Expires = start }, "expired already"},
		{"a host with a port", func(d *Draft) { d.Scope.Hosts = []string{"a.example.com:443"} }, "is no host"},
		{"a star in the middle", func(d *Draft) { d.Scope.Hosts = []string{"a.*.com"} }, "is no host"},
		{"a star alone", func(d *Draft) { d.Scope.Hosts = []string{"*"} }, "is no host"},
		{"an empty host", func(d *Draft) { d.Scope.Hosts = []string{""} }, "is no host"},
		{"a method that is none", func(d *Draft) { d.Scope.Methods = []string{"FETCH"} }, "is no method"},
		{"a network that is none", func(d *Draft) { d.Scope.Networks = []string{"10.0.0.0/33"} }, "is no network"},
		{"a path with dots", func(d *Draft) { d.Scope.Path = "/a/../b" }, "is no path"},
		{"a path without a slash", func(d *Draft) { d.Scope.Path = "api" }, "is no path"},
		{"an encoded path", func(d *Draft) { d.Scope.Path = "/a%2fb" }, "is no path"},
		{"a long path", func(d *Draft) { d.Scope.Path = "/" + strings.Repeat("x", maxPath) }, "is no path"},
		{"very many hosts", func(d *Draft) { d.Scope.Hosts = make([]string, maxScope+1) }, "at most 32"},
	} {
		d := good
		tt.change(&d)
		if secret, _, err := b.Create(t.Context(), d); !errors.Is(err, ErrDraft) || !strings.Contains(err.Error(), tt.want) || secret != "" {
			t.Errorf("%s: %q, %v, want %s", tt.name, secret, err, tt.want)
		}
	}
	if len(k.all) != 0 {
		t.Errorf("kept %d all the same", len(k.all))
	}
	k.err = errDisk
	if secret, _, err := b.Create(t.Context(), good); !errors.Is(err, errDisk) || secret != "" {
		t.Errorf("a full disk: %q, %v", secret, err)
	}
	k.err = nil
	for range MaxPerOwner {
		create(t, b, good)
	}
	if _, _, err := b.Create(t.Context(), good); !errors.Is(err, ErrTooMany) {
		t.Errorf("one too many: %v", err)
	}
}

func TestFind(t *testing.T) {
	b, _, c := open(t)
	scoped, _ := create(t, b, Draft{Scope: Scope{
		Hosts: []string{"app.example.com", "*.example.net"}, Methods: []string{"GET", "HEAD"}, Path: "/api", Networks: []string{"192.0.2.0/24", "2001:db8::/32"},
	}})
	plain, _ := create(t, b, Draft{})
	app, _ := create(t, b, Draft{Kind: App})
	short, _ := create(t, b, Draft{Expires: start.Add(time.Minute)})
	use := func(change func(*Use)) *Use { u := anywhere(); change(u); return u }
	for _, tt := range []struct {
		name, secret string
		kind         Kind
		use          *Use
		after        time.Duration
		want         string
	}{
		{"no scope", plain, Token, anywhere(), 0, ""},
		{"within the scope", scoped, Token, anywhere(), 0, ""},
		{"a host under a suffix, from IPv6", scoped, Token, use(func(u *Use) { u.Host, u.Addr = "A.B.example.net:443", netip.MustParseAddr("2001:db8::9") }), 0, ""},
		{"from a mapped address", scoped, Token, use(func(u *Use) { u.Addr = netip.MustParseAddr("::ffff:192.0.2.1") }), 0, ""},
		{"another host", scoped, Token, use(func(u *Use) { u.Host = "bad.example.com" }), 0, Scoped},
		{"the suffix itself", scoped, Token, use(func(u *Use) { u.Host = "example.net" }), 0, Scoped},
		{"another method", scoped, Token, use(func(u *Use) { u.Method = "POST" }), 0, Scoped},
		{"another path", scoped, Token, use(func(u *Use) { u.Path = "/apiary" }), 0, Scoped},
		{"a path that some servers read as another one", scoped, Token, use(func(u *Use) { u.Path = "/api;x/../admin" }), 0, Scoped},
		{"another network", scoped, Token, use(func(u *Use) { u.Addr = netip.MustParseAddr("198.51.100.1") }), 0, Scoped},
		{"no address at all", scoped, Token, use(func(u *Use) { u.Addr = netip.Addr{} }), 0, Scoped},
		{"an application password as a token", app, Token, anywhere(), 0, Unknown},
		{"a token as an application password", plain, App, anywhere(), 0, Unknown},
		{"an application password", app, App, anywhere(), 0, ""},
		{"one that was never made", mint(Token), Token, anywhere(), 0, Unknown},
		{"junk", "junk", Token, anywhere(), 0, Unknown},
		{"just before its end", short, Token, anywhere(), time.Minute - time.Nanosecond, ""},
		{"at its end", short, Token, anywhere(), time.Minute, Expired},
	} {
		e, why := b.Find([]byte(tt.secret), tt.kind, tt.use, c.now().Add(tt.after))
		if why != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, why, tt.want)
		}
		if known := tt.want != Unknown; known != (e != nil) || known && e.Owner != "alice" {
			t.Errorf("%s: entry %+v", tt.name, e)
		}
	}
	secret, u := []byte(scoped), anywhere()
	if n := testing.AllocsPerRun(200, func() { b.Find(secret, Token, u, start) }); n != 0 {
		t.Errorf("%v allocations for each look-up", n)
	}
}

// TestScopeThatCannotBeRead: a network in the store that is none covers nothing.
func TestScopeThatCannotBeRead(t *testing.T) {
	k := &keeper{all: map[string]Stored{}}
	secret := mint(Token)
	k.all["x"] = Stored{Hash: hashOf([]byte(secret)), Record: Record{ID: "x", Kind: Token, Owner: "alice", Scope: Scope{Networks: []string{"nonsense"}}}}
	b := &Book{Keeper: k}
	if err := b.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, why := b.Find([]byte(secret), Token, anywhere(), start); why != Scoped {
		t.Errorf("%q, want %q", why, Scoped)
	}
}

// TestThreat26RevokedAtOnce: what is revoked is refused from then on, also when the book
// is loaded again, and nobody revokes another one's.
func TestThreat26RevokedAtOnce(t *testing.T) {
	b, k, _ := open(t)
	first, r := create(t, b, Draft{})
	second, _ := create(t, b, Draft{})
	bobs, _ := create(t, b, Draft{Owner: "bob"})
	good := func(secret string) bool { _, why := b.Find([]byte(secret), Token, anywhere(), start); return why == "" }
	for _, tt := range []struct{ owner, id string }{{"bob", r.ID}, {"alice", ""}, {"alice", "unknown"}} {
		if err := b.Revoke(t.Context(), tt.owner, tt.id); !errors.Is(err, ErrNotFound) {
			t.Errorf("revoking %q of %s: %v", tt.id, tt.owner, err)
		}
	}
	if err := b.Revoke(t.Context(), "", r.ID); err == nil {
		t.Error("revoked without an owner")
	}
	if !good(first) || !good(second) || !good(bobs) {
		t.Fatal("one is gone before it was revoked")
	}
	if err := b.Revoke(t.Context(), "alice", r.ID); err != nil {
		t.Fatal(err)
	}
	if good(first) || !good(second) {
		t.Error("the wrong one was revoked")
	}
	if gone, err := b.RevokeAll(t.Context(), "alice"); err != nil || len(gone) != 1 {
		t.Errorf("all of alice's: %+v, %v", gone, err)
	}
	if good(second) || !good(bobs) {
		t.Error("all of alice's, and hers alone, should be gone")
	}
	if err := b.Load(t.Context()); err != nil || good(first) || good(second) || !good(bobs) {
		t.Errorf("loaded again: %v", err)
	}
	k.err = errDisk
	if err := b.Load(t.Context()); !errors.Is(err, errDisk) || !good(bobs) {
		t.Errorf("a book that cannot be read: %v", err)
	}
}

// TestThreat26RevokedOnAFullDisk: what could not be taken from the keeper is refused all the
// same, and can be revoked again.
func TestThreat26RevokedOnAFullDisk(t *testing.T) {
	b, k, _ := open(t)
	first, r := create(t, b, Draft{})
	second, _ := create(t, b, Draft{})
	bobs, _ := create(t, b, Draft{Owner: "bob"})
	good := func(secret string) bool { _, why := b.Find([]byte(secret), Token, anywhere(), start); return why == "" }
	k.err = errDisk
	for _, tt := range []struct{ owner, id string }{{"bob", r.ID}, {"alice", "unknown"}} {
		if err := b.Revoke(t.Context(), tt.owner, tt.id); !errors.Is(err, errDisk) || !good(first) {
			t.Errorf("revoking %q of %s: %v", tt.id, tt.owner, err)
		}
	}
	if err := b.Revoke(t.Context(), "alice", r.ID); !errors.Is(err, errDisk) || good(first) || !good(second) {
		t.Errorf("one of alice's: %v", err)
	}
	if _, err := b.RevokeAll(t.Context(), "alice"); !errors.Is(err, errDisk) || good(second) || !good(bobs) {
		t.Errorf("all of alice's: %v", err)
	}
	k.err = nil
	if gone, err := b.RevokeAll(t.Context(), "alice"); err != nil || len(gone) != 2 {
		t.Errorf("again: %+v, %v", gone, err)
	}
}

// TestBookThatWasNotLoaded serves a command that only lists and changes.
func TestBookThatWasNotLoaded(t *testing.T) {
	b := &Book{Keeper: &keeper{}}
	secret, r := create(t, b, Draft{})
	if list, err := b.List(t.Context(), ""); err != nil || len(list) != 1 {
		t.Errorf("listed %+v, %v", list, err)
	}
	if _, why := b.Find([]byte(secret), Token, anywhere(), start); why != Unknown {
		t.Errorf("found before it was loaded: %q", why)
	}
	if err := b.Revoke(t.Context(), "alice", r.ID); err != nil {
		t.Error(err)
	}
}

func TestLastUse(t *testing.T) {
	b, k, c := open(t)
	secret, r := create(t, b, Draft{})
	find := func() *Entry { e, _ := b.Find([]byte(secret), Token, anywhere(), c.now()); return e }
	for _, tt := range []struct {
		after time.Duration
		first bool
	}{{0, true}, {time.Second, false}, {59 * time.Minute, false}, {time.Minute, true}, {time.Second, false}} {
		c.pass(tt.after)
		if first := b.Note(find(), c.now()); first != tt.first {
			t.Errorf("at %v: first %v, want %v", c.now().Sub(start), first, tt.first)
		}
	}
	if e := find(); !e.Refused(c.now()) || e.Refused(c.now()) {
		t.Error("a refusal is the first in an hour once")
	}
	used := c.now().Truncate(time.Second)
	if list, _ := b.List(t.Context(), "alice"); !list[0].Used.Equal(used) {
		t.Errorf("used %v, want %v, before it was written", list[0].Used, used)
	}
	b.flush(t.Context())
	b.flush(t.Context())
	if len(k.touches) != 1 || len(k.touches[0]) != 1 || !k.all[r.ID].Used.Equal(used) {
		t.Errorf("written %+v", k.touches)
	}
	for range 3 {
		b.Note(find(), c.now())
	}
	b.flush(t.Context())
	if len(k.touches) != 1 {
		t.Error("the same second was written again")
	}
}

// TestRunWritesAtTheEnd: uses that wait are written when the program stops.
func TestRunWritesAtTheEnd(t *testing.T) {
	b, k, c := open(t)
	secret, _ := create(t, b, Draft{})
	e, _ := b.Find([]byte(secret), Token, anywhere(), c.now())
	b.Note(e, c.now())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Run(ctx); err != nil || len(k.touches) != 1 {
		t.Errorf("%v, %d writes", err, len(k.touches))
	}
}

func TestParallelUse(t *testing.T) {
	b, _, c := open(t)
	secret, _ := create(t, b, Draft{})
	var wg sync.WaitGroup
	firsts := make(chan bool, 64)
	for range cap(firsts) {
		wg.Go(func() {
			e, _ := b.Find([]byte(secret), Token, anywhere(), c.now())
			firsts <- b.Note(e, c.now())
			_, other := create(t, b, Draft{Owner: "bob"})
			if err := b.Revoke(t.Context(), "bob", other.ID); err != nil {
				t.Error(err)
			}
			b.flush(t.Context())
		})
	}
	wg.Wait()
	close(firsts)
	n := 0
	for first := range firsts {
		if first {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d of many at once were the first", n)
	}
}
