package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/agent/credential"
	"postern/portal/journal"
	"postern/store"
)

func openTokenDesk(t *testing.T) (*tokenDesk, *store.Store, *strings.Builder) {
	t.Helper()
	s, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "postern.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	log := &strings.Builder{}
	d := &tokenDesk{book: &credential.Book{Keeper: s}, journal: &journal.Stream{Ledger: s, Key: make([]byte, 32)}, log: slog.New(slog.NewTextHandler(log, nil))}
	if err := d.book.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d, s, log
}

func draftOf(owner, name string) *credential.Draft {
	return &credential.Draft{Kind: credential.Token, Owner: owner, Name: name}
}

// TestThreat68TokenDeskNeedsAName: a question that lost its user, its ids or its draft
// makes, shows and revokes nothing.
func TestThreat68TokenDeskNeedsAName(t *testing.T) {
	d, s, _ := openTokenDesk(t)
	ids := map[string]string{}
	for _, owner := range []string{"ann", "bob"} {
		a, err := d.create(t.Context(), tokenQuestion{Draft: draftOf(owner, "Backup")})
		if err != nil {
			t.Fatal(err)
		}
		ids[owner] = a.Records[0].ID
	}
	for _, q := range []tokenQuestion{{}, {User: "bob"}, {Draft: draftOf("bob", "x"), All: true}, {Draft: draftOf("", "x")}, {Draft: draftOf("bob", "")}} {
		if a, err := d.create(t.Context(), q); err == nil || a.Secret != "" {
			t.Errorf("%+v makes %+v", q, a)
		}
	}
	for _, q := range []tokenQuestion{
		{}, {All: true}, {User: "bob"}, {IDs: []string{""}}, {User: "bob", IDs: []string{}}, {User: "bob", All: true, IDs: []string{ids["bob"]}},
		{User: "bob", IDs: []string{ids["ann"]}}, {IDs: []string{ids["ann"], "nothing"}}, {Draft: draftOf("bob", "x"), User: "bob", All: true},
	} {
		if a, err := d.revoke(t.Context(), q); err == nil || len(a.Records) != 0 {
			t.Errorf("%+v revokes %+v", q, a.Records)
		}
	}
	if all, err := d.list(t.Context(), tokenQuestion{}); err != nil || len(all.Records) != 2 {
		t.Fatalf("%+v, %v", all.Records, err)
	}
	if a, err := d.revoke(t.Context(), tokenQuestion{IDs: []string{ids["ann"], ids["ann"]}}); err != nil || len(a.Records) != 1 {
		t.Errorf("named twice: %+v, %v", a.Records, err)
	}
	events, err := s.ListRecords(t.Context(), journal.Filter{User: "ann"})
	if err != nil || len(events) != 4 || events[1].Kind != journal.TokenRevoked || events[1].Detail != "Backup" || events[0].Kind != journal.Admin || events[0].Detail != "token revoke "+ids["ann"] {
		t.Errorf("events %+v, %v", events, err)
	}
}

// TestThreat32TheDeskKeepsNoSecret: the secret is in the answer alone.
func TestThreat32TheDeskKeepsNoSecret(t *testing.T) {
	d, s, log := openTokenDesk(t)
	a, err := d.create(t.Context(), tokenQuestion{Draft: draftOf("bob", "Backup")})
	if err != nil || credential.KindOf([]byte(a.Secret)) != credential.Token {
		t.Fatalf("%+v, %v", a, err)
	}
	events, err := s.ListRecords(t.Context(), journal.Filter{})
	if err != nil || len(events) == 0 {
		t.Fatalf("%+v, %v", events, err)
	}
	for _, e := range events {
		if strings.Contains(e.Detail+e.Reason, a.Secret[:12]) {
			t.Errorf("event %+v", e)
		}
	}
	if !strings.Contains(log.String(), "credential made") || strings.Contains(log.String(), a.Secret[:12]) {
		t.Errorf("log %s", log)
	}
}

// TestATokenThatTheJournalMissed is made all the same, and the operator is told.
func TestATokenThatTheJournalMissed(t *testing.T) {
	d, s, _ := openTokenDesk(t)
	d.journal = &journal.Stream{Ledger: shut{s}, Key: make([]byte, 32)}
	a, err := d.create(t.Context(), tokenQuestion{Draft: draftOf("bob", "Backup")})
	if err != nil || a.Secret == "" || !strings.Contains(a.Untold, "the journal is shut") {
		t.Errorf("%+v, %v", a, err)
	}
}

// shut is a ledger that takes nothing.
type shut struct{ *store.Store }

func (shut) AppendEvents(context.Context, []journal.Event, journal.Seal) ([]journal.Record, error) {
	return nil, errors.New("the journal is shut")
}

func TestParseExpiry(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for _, tt := range []struct {
		text string
		want time.Duration // 0: never, -1: an error
	}{
		{"never", 0}, {"90d", 90 * 24 * time.Hour}, {"1d", 24 * time.Hour}, {"12h", 12 * time.Hour}, {"1m", time.Minute},
		{"0d", -1}, {"-1d", -1}, {"59s", -1}, {"", -1}, {"d", -1}, {"1.5d", -1}, {"65536d", -1}, {"40000d", -1}, {"2540400h10m", -1}, {"Never", -1}, {"soon", -1},
	} {
		got, err := parseExpiry(tt.text, now)
		switch {
		case tt.want == -1:
			if err == nil || !errors.As(err, new(usageError)) {
				t.Errorf("%q: %v, %v", tt.text, got, err)
			}
		case err != nil, tt.want == 0 && !got.IsZero(), tt.want > 0 && got.Sub(now) != tt.want:
			t.Errorf("%q: %v, %v", tt.text, got, err)
		}
	}
}
