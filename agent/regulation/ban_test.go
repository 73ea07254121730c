package regulation_test

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/agent/regulation"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func network(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// listed returns the bans, without what is different each time.
func listed(t *testing.T, l *regulation.Limiter) []regulation.Ban {
	t.Helper()
	bans, err := l.Bans(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range bans {
		if len(bans[i].ID) != 16 {
			t.Errorf("ID %q", bans[i].ID)
		}
		bans[i].ID, bans[i].Key = "", regulation.Key{}
	}
	slices.SortFunc(bans, func(a, b regulation.Ban) int {
		return strings.Compare(a.Whom()+string(a.Kind), b.Whom()+string(b.Kind))
	})
	return bans
}

func TestAWaitIsABan(t *testing.T) {
	var told []regulation.Notice
	l := newLimiter(func(l *regulation.Limiter) {
		l.Known = func(name string) bool { return name == "bob" }
		l.Tell = func(n regulation.Notice) { told = append(told, n) }
	})
	for range 5 {
		guess(t, l, noon, password("bob"), from("2001:db8::7"))
		guess(t, l, noon, regulation.User(regulation.Letter, "bob")) // how often he gets mail is no ban
		guess(t, l, noon, regulation.Browser(regulation.TOTP, "browser", "bob"))
	}
	for range 5 {
		guess(t, l, noon, password("my secret password"))
	}
	end := noon.Add(30 * time.Second)
	want := []regulation.Ban{
		{Network: network("2001:db8::/64"), Kind: regulation.Password, Failures: 5, Since: noon, Until: end},
		{Kind: regulation.Password, Failures: 5, Since: noon, Until: end}, // a name that nobody has is not kept
		{User: "bob", Kind: regulation.Password, Failures: 5, Since: noon, Until: end},
		{User: "bob", Browser: true, Kind: regulation.TOTP, Failures: 5, Since: noon, Until: end},
	}
	if got := listed(t, l); !reflect.DeepEqual(got, want) {
		t.Errorf("listed\n%+v\nwant\n%+v", got, want)
	}
	if len(told) != len(want) {
		t.Errorf("told of %d bans: %+v", len(told), told)
	}
	later := noon.Add(time.Minute)
	guess(t, l, later, password("bob"))
	l.Now = func() time.Time { return later }
	want = []regulation.Ban{{User: "bob", Kind: regulation.Password, Failures: 5, Since: later, Until: later.Add(time.Minute)}}
	if got := listed(t, l); !reflect.DeepEqual(got, want) {
		t.Errorf("after the next failure listed\n%+v\nwant\n%+v", got, want)
	}
}

func TestWhom(t *testing.T) {
	for _, tt := range []struct {
		ban  regulation.Ban
		want string
	}{
		{regulation.Ban{User: "bob"}, "user bob"},
		{regulation.Ban{Network: network("192.0.2.7/32")}, "192.0.2.7"},
		{regulation.Ban{Network: network("192.0.2.0/24")}, "192.0.2.0/24"},
		{regulation.Ban{Network: network("2001:db8::/64")}, "2001:db8::/64"},
		{regulation.Ban{Kind: regulation.Password}, "a name that nobody has"},
	} {
		if got := tt.ban.Whom(); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.ban, got, tt.want)
		}
	}
}

func TestExemptAddressesAreNeverBanned(t *testing.T) {
	l := newLimiter(func(l *regulation.Limiter) { l.Config.Exempt = []string{"192.0.2.0/24", "2001:db8::5"} })
	for _, exempt := range []string{"192.0.2.7", "::ffff:192.0.2.7", "2001:db8::5"} {
		for range 20 {
			if wait := guess(t, l, noon, from(exempt)); wait != 0 {
				t.Fatalf("%s waits %v", exempt, wait)
			}
		}
		if wait := l.Take(addr(exempt), noon); wait != 0 {
			t.Errorf("%s waits %v", exempt, wait)
		}
	}
	for range 5 {
		guess(t, l, noon, password("bob"), from("192.0.2.7"))
	}
	if guess(t, l, noon, password("bob"), from("192.0.2.7")) == 0 {
		t.Error("a user is not protected from an exempt address")
	}
	for range 5 {
		guess(t, l, noon, from("2001:db8::6"))
	}
	if guess(t, l, noon, from("2001:db8::6")) == 0 {
		t.Error("the neighbour of an exempt address is exempt")
	}
	for _, b := range []string{"192.0.2.7/32", "192.0.2.0/24"} {
		if _, err := l.Ban(t.Context(), regulation.Ban{Network: network(b)}); !errors.Is(err, regulation.ErrBan) {
			t.Errorf("banning %s: %v", b, err)
		}
	}
	if _, err := l.Ban(t.Context(), regulation.Ban{Network: network("192.0.0.0/16")}); err != nil {
		t.Fatal(err)
	}
	if err := l.Check("", addr("192.0.2.7"), noon); err != nil {
		t.Errorf("within a wider ban: %v", err)
	}
	if err := l.Check("", addr("192.0.3.7"), noon); err == nil {
		t.Error("the wider ban does not hold")
	}
}

func TestOperatorsBans(t *testing.T) {
	end := noon.Add(time.Hour)
	l := newLimiter()
	for _, b := range []regulation.Ban{
		{User: "mallory", Until: end, By: "os:root"},
		{User: "eve"},
		{Network: network("192.0.2.0/24"), Reason: "scans"},
		{Network: network("198.51.100.7/32"), Until: end},
		{Network: network("2001:db8::1/128")}, // becomes the /64
		{Network: network("2001:db8:8000::/33")},
	} {
		if _, err := l.Ban(t.Context(), b); err != nil {
			t.Fatalf("%+v: %v", b, err)
		}
	}
	for _, tt := range []struct {
		why, user, addr string
		at              time.Time
		banned          bool
	}{
		{"a user", "mallory", "203.0.113.1", noon, true},
		{"a user whose ban is over", "mallory", "203.0.113.1", end, false},
		{"a user whose ban has no end", "eve", "203.0.113.1", end.Add(87600 * time.Hour), true},
		{"another user", "bob", "203.0.113.1", noon, false},
		{"a user without an address", "eve", "", noon, true},
		{"in a network", "bob", "192.0.2.255", noon, true},
		{"beside it", "bob", "192.0.3.0", noon, false},
		{"in IPv6's clothes", "bob", "::ffff:192.0.2.7", noon, true},
		{"one address", "", "198.51.100.7", noon, true},
		{"its ban is over", "", "198.51.100.7", end, false},
		{"its neighbour", "", "198.51.100.8", noon, false},
		{"the same line in IPv6", "", "2001:db8::ffff", noon, true},
		{"with a zone", "", "2001:db8::ffff%eth0", noon, true},
		{"another line", "", "2001:db8:0:1::1", noon, false},
		{"an odd length", "", "2001:db8:ffff::1", noon, true},
		{"nobody from nowhere", "", "", noon, false},
	} {
		var a netip.Addr
		if tt.addr != "" {
			a = addr(tt.addr)
		}
		err := l.Check(tt.user, a, tt.at)
		if (err != nil) != tt.banned || err != nil && !errors.As(err, new(*regulation.BanError)) {
			t.Errorf("%s: %v, want banned: %v", tt.why, err, tt.banned)
		}
	}
	if n := testing.AllocsPerRun(100, func() { _ = l.Check("bob", addr("203.0.113.1"), noon) }); n > 0 {
		t.Errorf("a check of somebody who is not banned allocates %v times", n)
	}
}

func TestABanIsReplacedByTheNext(t *testing.T) {
	l := newLimiter()
	first, err := l.Ban(t.Context(), regulation.Ban{User: "eve", Reason: "first"})
	if err != nil {
		t.Fatal(err)
	}
	second, err := l.Ban(t.Context(), regulation.Ban{User: "eve", Reason: "second", Until: noon.Add(time.Hour)})
	if err != nil || second.ID != first.ID {
		t.Errorf("the second has ID %s, want %s; %v", second.ID, first.ID, err)
	}
	if got := listed(t, l); len(got) != 1 || got[0].Reason != "second" {
		t.Errorf("listed %+v", got)
	}
}

func TestBansThatCannotBe(t *testing.T) {
	l := newLimiter()
	for _, tt := range []struct {
		why  string
		ban  regulation.Ban
		want string
	}{
		{"nobody", regulation.Ban{}, "name a user or a network"},
		{"both", regulation.Ban{User: "eve", Network: network("192.0.2.0/24")}, "name a user or a network"},
		{"everybody", regulation.Ban{Network: network("0.0.0.0/0")}, "0.0.0.0/0 is more than a /8"},
		{"half of everybody", regulation.Ban{Network: network("::/1")}, "::/1 is more than a /16"},
		{"over already", regulation.Ban{User: "eve", Until: noon}, "it would be over already"},
		{"a name of two lines", regulation.Ban{User: "e\nve"}, "printable text"},
		{"a long name", regulation.Ban{User: strings.Repeat("e", 257)}, "at most 256 bytes"},
		{"a reason that is a terminal's command", regulation.Ban{User: "eve", Reason: "\x1b[2J"}, "printable text"},
		{"a reason that is no text", regulation.Ban{User: "eve", Reason: "\xff"}, "printable text"},
		{"a long reason", regulation.Ban{User: "eve", Reason: strings.Repeat("e", 201)}, "at most 200 bytes"},
	} {
		if _, err := l.Ban(t.Context(), tt.ban); !errors.Is(err, regulation.ErrBan) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.why, err, tt.want)
		}
	}
	if got := listed(t, l); len(got) != 0 {
		t.Errorf("listed %+v", got)
	}
}

func TestBansOfOperatorsAreBounded(t *testing.T) {
	keeper := &regulation.Memory{}
	l := newLimiter(func(l *regulation.Limiter) { l.Keeper = keeper })
	for n := range regulation.MaxBans {
		if err := keeper.PutBan(t.Context(), regulation.Ban{ID: fmt.Sprint(n), User: fmt.Sprint("u", n)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Ban(t.Context(), regulation.Ban{User: "one more"}); !errors.Is(err, regulation.ErrBan) {
		t.Errorf("one more: %v", err)
	}
}

func TestRevoking(t *testing.T) {
	for _, tt := range []struct {
		why   string
		which func(ids map[string]string) regulation.Which
		left  []string
	}{
		{"nothing", func(map[string]string) regulation.Which { return regulation.Which{} },
			[]string{"192.0.2.0/24", "192.0.2.7 password", "2001:db8::/64 password", "user bob password", "user bob totp", "user eve"}},
		{"one by its ID", func(ids map[string]string) regulation.Which {
			return regulation.Which{IDs: []string{ids["user bob totp"]}}
		},
			[]string{"192.0.2.0/24", "192.0.2.7 password", "2001:db8::/64 password", "user bob password", "user eve"}},
		{"all of a user", func(map[string]string) regulation.Which { return regulation.Which{User: "bob"} },
			[]string{"192.0.2.0/24", "192.0.2.7 password", "2001:db8::/64 password", "user eve"}},
		{"an operator's of a user", func(map[string]string) regulation.Which { return regulation.Which{User: "eve"} },
			[]string{"192.0.2.0/24", "192.0.2.7 password", "2001:db8::/64 password", "user bob password", "user bob totp"}},
		{"a network and what lies in it", func(map[string]string) regulation.Which { return regulation.Which{Network: network("192.0.2.0/24")} },
			[]string{"2001:db8::/64 password", "user bob password", "user bob totp", "user eve"}},
		{"an address within a banned network", func(map[string]string) regulation.Which { return regulation.Which{Network: network("192.0.2.7/32")} },
			[]string{"192.0.2.0/24", "2001:db8::/64 password", "user bob password", "user bob totp", "user eve"}},
		{"one address of a /64", func(map[string]string) regulation.Which {
			return regulation.Which{Network: network("2001:db8::99/128")}
		},
			[]string{"192.0.2.0/24", "192.0.2.7 password", "user bob password", "user bob totp", "user eve"}},
		{"all", func(map[string]string) regulation.Which { return regulation.Which{All: true} }, nil},
	} {
		var lifted int
		l := newLimiter()
		for range 6 {
			guess(t, l, noon, password("bob"))
			guess(t, l, noon, regulation.User(regulation.TOTP, "bob"))
			guess(t, l, noon, from("192.0.2.7"))
			guess(t, l, noon, from("2001:db8::1"))
		}
		for _, b := range []regulation.Ban{{User: "eve"}, {Network: network("192.0.2.0/24")}} {
			if _, err := l.Ban(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
		l.Tell = func(n regulation.Notice) {
			if n.Lifted {
				lifted++
			}
		}
		ids := map[string]string{}
		bans, err := l.Bans(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range bans {
			ids[strings.TrimSpace(b.Whom()+" "+string(b.Kind))] = b.ID
		}
		ended, err := l.Revoke(t.Context(), tt.which(ids))
		if err != nil || len(ended) != len(bans)-len(tt.left) || lifted != len(ended) {
			t.Errorf("%s: %d ended, told of %d, %v; want %d", tt.why, len(ended), lifted, err, len(bans)-len(tt.left))
		}
		var left []string
		for _, b := range listed(t, l) {
			left = append(left, strings.TrimSpace(b.Whom()+" "+string(b.Kind)))
		}
		if !slices.Equal(left, tt.left) {
			t.Errorf("%s: left are %q, want %q", tt.why, left, tt.left)
		}
		for what, s := range map[string]regulation.Subject{
			"user bob password": password("bob"), "user bob totp": regulation.User(regulation.TOTP, "bob"),
			"192.0.2.7 password": from("192.0.2.7"), "2001:db8::/64 password": from("2001:db8::1"),
		} {
			if waits := guess(t, l, noon, s) > 0; waits != slices.Contains(tt.left, what) {
				t.Errorf("%s: %s waits: %v", tt.why, what, waits)
			}
		}
		if banned := l.Check("eve", netip.Addr{}, noon) != nil; banned != slices.Contains(tt.left, "user eve") {
			t.Errorf("%s: eve is banned: %v", tt.why, banned)
		}
	}
}

// Failures that have not led to a ban yet are forgotten as well.
func TestRevokingForgetsFailures(t *testing.T) {
	l := newLimiter()
	for range 4 {
		guess(t, l, noon, password("bob"))
	}
	if _, err := l.Revoke(t.Context(), regulation.Which{User: "bob"}); err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		if wait := guess(t, l, noon, password("bob")); wait != 0 {
			t.Errorf("guess %d waits %v", n, wait)
		}
	}
}

// What one node is told, the other knows when it looks.
func TestBansAreSharedBetweenNodes(t *testing.T) {
	_, both := nodes(t)
	if _, err := both[0].Ban(t.Context(), regulation.Ban{User: "eve"}); err != nil {
		t.Fatal(err)
	}
	if err := both[0].Check("eve", netip.Addr{}, noon); err == nil {
		t.Error("the node that was told does not know")
	}
	for _, banned := range []bool{true, false} {
		if err := both[1].Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := both[1].Check("eve", netip.Addr{}, noon); (err != nil) != banned {
			t.Errorf("the other node: %v, want banned: %v", err, banned)
		}
		if _, err := both[0].Revoke(t.Context(), regulation.Which{User: "eve"}); err != nil {
			t.Fatal(err)
		}
	}
}
