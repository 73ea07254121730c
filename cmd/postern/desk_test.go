package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/agent/session"
	"postern/cmd/postern/config"
	"postern/portal/factor"
	"postern/portal/journal"
	"postern/store"
)

// newDesk is a desk over an empty store, which ends with the test.
func newDesk(t *testing.T) (*desk, *store.Store) {
	t.Helper()
	s, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "postern.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	f, err := newFactors(&config.Config{Factors: factor.DefaultConfig()}, keys{seal: make([]byte, 32)}, s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return &desk{factors: f, journal: &journal.Stream{Ledger: s}, log: slog.New(slog.DiscardHandler)}, s
}

// TestDeskListsWhoHasOnlyCodes: a user without any device can come in with recovery codes,
// and is no less in the list of all than in his own.
func TestDeskListsWhoHasOnlyCodes(t *testing.T) {
	d, s := newDesk(t)
	if _, err := d.recovery(t.Context(), deskQuestion{User: "ann"}); err != nil {
		t.Fatal(err)
	}
	r := factor.Record{Device: factor.Device{ID: "one", Kind: factor.KindTOTP, User: "bob", Name: "Phone", Created: time.Now()}, Sealed: []byte("sealed")}
	if err := s.AddFactor(t.Context(), r, 9); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ user, want string }{{"ann", "ann recovery 10"}, {"bob", "bob totp 0"}, {"", "ann recovery 10, bob totp 0"}} {
		a, err := d.list(t.Context(), deskQuestion{User: tt.user})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range factorLines(a) {
			got = append(got, fmt.Sprintf("%s %s %d", l.User, l.Kind, l.Left))
		}
		if got := strings.Join(got, ", "); got != tt.want {
			t.Errorf("the list of %q is %q, want %q", tt.user, got, tt.want)
		}
	}
}

// TestThreat68DeskNeedsAName: a question that lost its user or its device changes nothing.
func TestThreat68DeskNeedsAName(t *testing.T) {
	d, s := newDesk(t)
	var signedOut []session.Filter
	d.signOut = func(_ context.Context, f session.Filter) error {
		signedOut = append(signedOut, f)
		return nil
	}
	for _, id := range []string{"one", "two"} {
		r := factor.Record{Device: factor.Device{ID: id, Kind: factor.KindTOTP, User: "bob", Name: "Phone " + id, Created: time.Now()}, Sealed: []byte("sealed")}
		if err := s.AddFactor(t.Context(), r, 9); err != nil {
			t.Fatal(err)
		}
	}
	for _, q := range []deskQuestion{{}, {All: true}, {ID: "one"}, {User: "bob"}, {User: "bob", ID: "one", All: true}} {
		if a, err := d.remove(t.Context(), q); err == nil {
			t.Errorf("%+v removes %+v", q, a.Devices)
		}
	}
	for _, q := range []deskQuestion{{}, {User: "bob", All: true}, {User: "bob", ID: "one"}} {
		if _, err := d.recovery(t.Context(), q); err == nil {
			t.Errorf("%+v makes codes", q)
		}
	}
	for _, q := range []deskQuestion{{User: "ann", ID: "one"}, {User: "bob", ID: "three"}} {
		if a, err := d.remove(t.Context(), q); err != nil || len(a.Devices) != 0 {
			t.Errorf("%+v removes %+v, %v", q, a.Devices, err)
		}
	}
	if all, err := d.list(t.Context(), deskQuestion{}); err != nil || len(all.Devices) != 2 || len(signedOut) != 0 {
		t.Fatalf("devices %+v, %v; signed out %+v", all.Devices, err, signedOut)
	}

	// What does say enough is done, noted, and ends the sessions of that user alone.
	if _, err := d.remove(t.Context(), deskQuestion{User: "bob", ID: "one"}); err != nil {
		t.Fatal(err)
	}
	if len(signedOut) != 1 || signedOut[0].User != "bob" {
		t.Errorf("signed out %+v", signedOut)
	}
	events, err := s.ListEvents(t.Context(), journal.Filter{User: "bob"})
	if err != nil || len(events) != 2 || events[0].Kind != journal.Admin || events[1].Kind != journal.FactorRemoved || events[1].Detail != "Phone one" {
		t.Errorf("events %+v, %v", events, err)
	}
}
