package store

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"postern/portal/journal"
)

// TestThreat68EventsAreOnlyAppended: the database itself refuses what would change the
// past, from whatever statement.
func TestThreat68EventsAreOnlyAppended(t *testing.T) {
	s, err := Open(t.Context(), "sqlite:"+t.TempDir()+"/postern.db")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	stream := &journal.Stream{Ledger: s, Key: []byte("a key of the test")}
	for range 5 {
		if err := stream.AddEvent(t.Context(), journal.Event{Kind: journal.SignIn, User: "bob"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ statement, want string }{
		{`UPDATE events SET user_name = 'mallory' WHERE id = 3`, "events are never changed"},
		{`UPDATE events SET at = 0`, "events are never changed"},
		{`UPDATE events SET id = 9 WHERE id = 5`, "events are never changed"},
		{`UPDATE events SET sum = x''`, "events are never changed"},
		{`DELETE FROM events WHERE id = 1`, "events are removed by pruning alone"},
		{`DELETE FROM events WHERE id = 5`, "events are removed by pruning alone"},
		{`DELETE FROM events`, "events are removed by pruning alone"},
		{`INSERT INTO events SELECT 9, at, kind, user_name, by_whom, factor, reason, detail, session, request, addr, browser, sum FROM events WHERE id = 1`, "an event follows the last one"},
		{`INSERT OR REPLACE INTO events SELECT 3, at, kind, 'mallory', by_whom, factor, reason, detail, session, request, addr, browser, sum FROM events WHERE id = 1`, "an event follows the last one"},
		{`INSERT INTO events (at, kind, user_name, by_whom, factor, reason, detail, session, request, addr, browser, sum) SELECT at, kind, user_name, by_whom, factor, reason, detail, session, request, addr, browser, sum FROM events WHERE id = 1`, "an event follows the last one"},
		{`UPDATE event_marks SET pruned = 6`, "events are pruned from the oldest on"},
		{`DELETE FROM event_marks`, "the marks stay"},
		{`INSERT INTO event_marks VALUES (2, 0, x'', 0)`, "CHECK constraint"},
	} {
		if _, err := s.write.ExecContext(t.Context(), tt.statement); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.statement, err, tt.want)
		}
	}
	if r, err := stream.Verify(t.Context()); err != nil || len(r.Faults) > 0 || r.Last != 5 {
		t.Errorf("%+v, %v", r, err)
	}
	if n, err := stream.Prune(t.Context(), journal.Prune{Now: time.Now(), Max: 3}); n != 3 || err != nil {
		t.Errorf("pruned %d, %v", n, err)
	}
	if _, err := s.write.ExecContext(t.Context(), `UPDATE event_marks SET pruned = 1`); err == nil {
		t.Error("pruning is undone")
	}
	// Whoever moves the mark as pruning does is found out by the chain.
	if _, err := s.write.ExecContext(t.Context(), `UPDATE event_marks SET (pruned, sum) = (SELECT id, sum FROM events WHERE id = 5)`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.write.ExecContext(t.Context(), `DELETE FROM events WHERE id <= 5`); err != nil {
		t.Fatal(err)
	}
	if r, err := stream.Verify(t.Context()); err != nil || len(r.Faults) != 1 || !strings.Contains(r.Faults[0], "no event says that they were pruned") {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestUpgradeKeepsWhatHappenedBefore: events of the first schema stay, in order, with
// numbers without gaps. They have no sums and get none: nobody can tell any more whether
// they are as they were written. The chain begins behind them.
func TestUpgradeKeepsWhatHappenedBefore(t *testing.T) {
	all, err := migrations(migrationFiles)
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/postern.db"
	if err := prepare(path); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", dsn(path, "_txlock=immediate"))
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	if err := migrateTo(t.Context(), db, path, all[:3]); err != nil {
		t.Fatal(err)
	}
	for _, id := range []int{3, 4, 9} {
		_, err := db.ExecContext(t.Context(), `INSERT INTO events VALUES (?, ?, 'sign_in', ?, 'password', '', '', 's', 'r', '192.0.2.1', 'b')`, id, id, fmt.Sprint("u", id))
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	stream := &journal.Stream{Ledger: s, Key: []byte("a key of the test")}
	if r, err := stream.Verify(t.Context()); err != nil || len(r.Faults) != 3 {
		t.Errorf("before the first event: %+v, %v", r, err)
	}
	if err := stream.AddEvent(t.Context(), journal.Event{Kind: journal.Started}); err != nil {
		t.Fatal(err)
	}
	if r, err := stream.Verify(t.Context()); err != nil || len(r.Faults) != 3 || r.First != 1 || r.Last != 4 {
		t.Errorf("after it: %+v, %v", r, err)
	}
	events, err := s.ListEvents(t.Context(), journal.Filter{Oldest: true})
	if err != nil || len(events) != 4 || events[0].User != "u3" || events[2].User != "u9" || events[1].Addr != "192.0.2.1" || events[1].At.UnixNano() != 4 {
		t.Errorf("%+v, %v", events, err)
	}
}

// TestThreat68NothingIsSealedAnew: who has the database and not the secret changes an event
// and takes the sums away, as if it were from before there were any. No later event makes
// good what he wrote.
func TestThreat68NothingIsSealedAnew(t *testing.T) {
	s, err := Open(t.Context(), "sqlite:"+t.TempDir()+"/postern.db")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	stream := &journal.Stream{Ledger: s, Key: []byte("a key of the test")}
	add := func() {
		t.Helper()
		if err := stream.AddEvent(t.Context(), journal.Event{Kind: journal.SignIn, User: "mallory"}); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		add()
	}
	for _, statement := range []string{`DROP TRIGGER events_stay`, `DROP TRIGGER events_sealed`,
		`UPDATE events SET user_name = 'bob' WHERE id = 2`, `UPDATE events SET sum = x''`} {
		if _, err := s.write.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	add()
	if r, err := stream.Verify(t.Context()); err != nil || len(r.Faults) != 3 {
		t.Errorf("%+v, %v; want a fault for each that has no sum", r, err)
	}
}
