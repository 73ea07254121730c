package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/agent/regulation"
	"postern/agent/session"
	"postern/portal/journal"
	"postern/portal/users"
	"postern/store"
)

// names are users: BOB is bob, and away cannot be asked for.
type names struct{}

func (names) Find(_ context.Context, name string) (users.User, error) {
	switch name {
	case "bob", "BOB":
		return users.User{Name: "bob"}, nil
	case "away":
		return users.User{}, users.ErrUnavailable
	}
	return users.User{}, users.ErrNotFound
}

// wards are a warden over a store of its own, with sessions that are there.
func wards(t *testing.T, sessions ...session.Session) (*warden, *[]session.Filter) {
	t.Helper()
	s, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "postern.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	log := slog.New(slog.DiscardHandler)
	stream := &journal.Stream{Ledger: s, Key: make([]byte, 32)}
	ended := &[]session.Filter{}
	return &warden{
		guesses: &regulation.Limiter{Config: regulation.DefaultConfig(), Keeper: s, Key: make([]byte, 32), Tell: tellBans(stream, log)},
		users:   names{}, journal: stream,
		list: func(context.Context, session.Filter) ([]session.Session, error) { return sessions, nil },
		signOut: func(_ context.Context, f session.Filter) (int, error) {
			*ended = append(*ended, f)
			return 1, nil
		},
	}, ended
}

// told lists what the journal says of bans, the oldest first.
func told(t *testing.T, w *warden) []string {
	t.Helper()
	all, err := w.journal.ListEvents(t.Context(), journal.Filter{Oldest: true})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range all {
		detail := e.Detail
		if e.Kind != journal.Admin { // without the ban's ID
			_, detail, _ = strings.Cut(detail, ": ")
		}
		lines = append(lines, strings.Join([]string{string(e.Kind), e.User, e.By, e.Addr, e.Reason, detail}, "|"))
	}
	return lines
}

func TestTheJournalKnowsOfBans(t *testing.T) {
	w, _ := wards(t)
	now := time.Now()
	for n := range 5 {
		try, err := w.guesses.Begin(t.Context(), now,
			regulation.User(regulation.TOTP, "bob"), regulation.Address(regulation.TOTP, netip.MustParseAddr("192.0.2.7")))
		if err != nil {
			t.Fatalf("guess %d: %v", n, err)
		}
		try.Fail(now)
	}
	root := context.WithValue(t.Context(), operatorKey{}, "os:root")
	if _, err := w.add(root, banQuestion{User: "BOB", Reason: "laptop stolen"}); err != nil {
		t.Fatal(err)
	}
	if got, err := w.revoke(root, regulation.Which{User: "BOB"}); err != nil || len(got) != 2 {
		t.Errorf("revoked %+v, %v; want bob's two", got, err)
	}
	until := now.Add(30 * time.Second).UTC().Format(time.RFC3339)
	want := []string{
		"banned|bob|||totp|user bob, until " + until,
		"banned|||192.0.2.7|totp|192.0.2.7, until " + until,
		"banned|bob|os:root|||user bob, without end: laptop stolen",
		"admin|bob|os:root|||ban add user bob",
		"unbanned|bob|os:root|||user bob",
		"unbanned|bob|os:root||totp|user bob",
		"admin|bob|os:root|||ban revoke: 2 lifted",
	}
	if got := told(t, w); !slices.Equal(got, want) {
		t.Errorf("the journal says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestABanEndsSessionsWhenAsked(t *testing.T) {
	var all []session.Session
	for n, addr := range []string{"192.0.2.7", "192.0.3.7", "::ffff:192.0.2.9", "2001:db8::7", "", "nonsense"} {
		all = append(all, session.Session{ID: fmt.Sprint("s", n), User: "bob", Addr: addr})
	}
	for _, tt := range []struct {
		why  string
		q    banQuestion
		want []session.Filter
	}{
		{"a user, not asked", banQuestion{User: "bob"}, nil},
		{"a user", banQuestion{User: "BOB", SignOut: true}, []session.Filter{{User: "bob"}}},
		{"a network, not asked", banQuestion{Network: netip.MustParsePrefix("192.0.2.0/24")}, nil},
		{"a network", banQuestion{Network: netip.MustParsePrefix("192.0.2.0/24"), SignOut: true}, []session.Filter{{ID: "s0"}, {ID: "s2"}}},
		{"a line of IPv6", banQuestion{Network: netip.MustParsePrefix("2001:db8::1/128"), SignOut: true}, []session.Filter{{ID: "s3"}}},
	} {
		w, ended := wards(t, all...)
		a, err := w.add(t.Context(), tt.q)
		if err != nil || a.Ended != len(tt.want) || len(*ended)+len(tt.want) > 0 && !reflect.DeepEqual(*ended, tt.want) {
			t.Errorf("%s: ended %+v (%d), %v; want %+v", tt.why, *ended, a.Ended, err, tt.want)
		}
	}
}

// TestThreat68WardenNeedsAName: a question that lost what it names changes nothing.
func TestThreat68WardenNeedsAName(t *testing.T) {
	w, ended := wards(t)
	if _, err := w.add(t.Context(), banQuestion{User: "bob"}); err != nil {
		t.Fatal(err)
	}
	for _, q := range []banQuestion{{}, {SignOut: true}, {User: "nobody"}, {User: "bob", Network: netip.MustParsePrefix("192.0.2.0/24"), SignOut: true}, {User: "bob", For: -1}} {
		if a, err := w.add(t.Context(), q); err == nil {
			t.Errorf("%+v bans %+v", q, a)
		}
	}
	for _, q := range []regulation.Which{{}, {By: "os:root"}, {IDs: []string{""}}, {IDs: []string{"nosuchban"}}} {
		if lifted, err := w.revoke(t.Context(), q); err == nil {
			t.Errorf("%+v lifts %+v", q, lifted)
		}
	}
	if bans, err := w.bans(t.Context(), struct{}{}); err != nil || len(bans) != 1 || len(*ended) != 0 {
		t.Errorf("bans %+v, %v; ended %+v", bans, err, *ended)
	}
	// One whom a directory cannot be asked for is banned as he was typed: there may be no time.
	if a, err := w.add(t.Context(), banQuestion{User: "away"}); err != nil || a.Ban.User != "away" {
		t.Errorf("away: %+v, %v", a, err)
	}
}

// Nothing is done by halves when the store does not answer.
func TestAWardenWithoutAStore(t *testing.T) {
	w, ended := wards(t)
	if err := w.guesses.Keeper.(*store.Store).Close(); err != nil {
		t.Fatal(err)
	}
	_, addErr := w.add(t.Context(), banQuestion{User: "bob", SignOut: true})
	_, listErr := w.bans(t.Context(), struct{}{})
	_, revokeErr := w.revoke(t.Context(), regulation.Which{All: true})
	for what, err := range map[string]error{"add": addErr, "list": listErr, "revoke": revokeErr} {
		if !errors.Is(err, regulation.ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if len(*ended) != 0 {
		t.Errorf("ended %+v", *ended)
	}
}
