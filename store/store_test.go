package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"postern/agent/regulation"
	"postern/agent/session"
	"postern/store/storetest"
)

// openTemp opens a new store that lives as long as the test.
func openTemp(t testing.TB) *Store {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "postern.db"))
}

func openAt(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return s
}

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store { return openTemp(t) })
}

// TestSettings: what durability and safety rest on is really set, on every connection.
func TestSettings(t *testing.T) {
	s := openTemp(t)
	for name, db := range map[string]*sql.DB{"write": s.write, "read": s.read} {
		for pragma, want := range map[string]string{
			"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "trusted_schema": "0",
			"busy_timeout": "5000", "query_only": map[string]string{"write": "0", "read": "1"}[name],
		} {
			var got string
			if err := db.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s: %s is %q, %v, want %q", name, pragma, got, err, want)
			}
		}
	}
	if _, err := s.read.Exec(`DELETE FROM sessions`); err == nil {
		t.Error("a connection for reading has written")
	}
}

// TestNoSpace: with no page left changes fail as ErrUnavailable and change nothing,
// reads go on, and so does everything once there is room.
func TestNoSpace(t *testing.T) {
	s := openTemp(t)
	var pages int
	if err := s.write.QueryRow(`PRAGMA page_count`).Scan(&pages); err != nil {
		t.Fatal(err)
	}
	limit := func(n int) {
		t.Helper()
		var got int
		if err := s.write.QueryRow(fmt.Sprintf(`PRAGMA max_page_count = %d`, n)).Scan(&got); err != nil || got != n {
			t.Fatalf("max_page_count %d, %v", got, err)
		}
	}
	limit(pages + 5)
	saved := 0
	var err error
	for err == nil {
		if err = s.SaveSession(t.Context(), storetest.Session(saved), nil); err == nil {
			saved++
		}
	}
	if !errors.Is(err, ErrUnavailable) || saved == 0 {
		t.Errorf("after %d sessions: %v", saved, err)
	}
	all, err := s.ListSessions(t.Context(), session.Filter{})
	if err != nil || len(all) != saved {
		t.Errorf("%d sessions, %v, want %d", len(all), err, saved)
	}
	if _, err := s.DeleteSessions(t.Context(), session.Filter{ID: storetest.Session(0).ID}); err != nil {
		t.Errorf("a revocation on a full disk: %v", err)
	}
	limit(pages + 500)
	if err := s.SaveSession(t.Context(), storetest.Session(saved), nil); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestClosedStoreIsUnavailable(t *testing.T) {
	s, err := Open(t.Context(), "sqlite:"+t.TempDir()+"/postern.db")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, loadErr := s.LoadSession(t.Context(), storetest.Session(1).Hash)
	_, deleteErr := s.DeleteSessions(t.Context(), session.Filter{})
	for what, err := range map[string]error{"load": loadErr, "delete": deleteErr, "save": s.SaveSession(t.Context(), storetest.Session(1), nil)} {
		if !errors.Is(err, ErrUnavailable) || errors.Is(err, session.ErrNotFound) {
			t.Errorf("%s: %v, want ErrUnavailable", what, err)
		}
	}
}

func TestTakenKeyIsErrExists(t *testing.T) {
	s := openTemp(t)
	if err := s.SaveSession(t.Context(), storetest.Session(1), nil); err != nil {
		t.Fatal(err)
	}
	err := s.SaveSession(t.Context(), storetest.Session(1), nil)
	if !errors.Is(err, ErrExists) || errors.Is(err, ErrUnavailable) {
		t.Errorf("%v, want ErrExists", err)
	}
}

// TestWaitingHeedsItsContext: who waits for the one writer can give up, and reads do
// not wait for it.
func TestWaitingHeedsItsContext(t *testing.T) {
	s := openTemp(t)
	err := s.change(t.Context(), "hold", func(*sql.Tx) error {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if err := s.SaveSession(ctx, storetest.Session(1), nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a change that waited: %v", err)
		}
		if _, err := s.LoadSession(t.Context(), storetest.Session(1).Hash); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("a read meanwhile: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestACommitThatCameTooLate: a change whose context ends when all is done but the commit
// is not made, and the store is not to blame.
func TestACommitThatCameTooLate(t *testing.T) {
	s := openTemp(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := s.change(ctx, "late", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, insertSession, sessionValues(aSession())...); err != nil {
			return err
		}
		cancel()
		return tx.Rollback() // as database/sql does by itself, at some moment after the end
	})
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnavailable) {
		t.Errorf("%v, want context.Canceled", err)
	}
	if _, err := s.LoadSession(t.Context(), storetest.Session(1).Hash); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("what it changed: %v", err)
	}
}

// TestCloseWaitsForTheChange: nobody else opens the store while it is still written.
func TestCloseWaitsForTheChange(t *testing.T) {
	path := t.TempDir() + "/postern.db"
	s, err := Open(t.Context(), "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	err = s.change(t.Context(), "hold", func(tx *sql.Tx) error {
		go func() { closed <- s.Close() }()
		for s.write.Stats().WaitCount == 0 && len(closed) == 0 { // until Close waits, or does not
			runtime.Gosched()
		}
		if other, err := Open(t.Context(), "sqlite:"+path); !errors.Is(err, ErrInUse) {
			t.Errorf("opened while it is written: %v", err)
			if err == nil {
				other.Close()
			}
		}
		_, err := tx.ExecContext(t.Context(), insertSession, sessionValues(aSession())...)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 2 {
		t.Errorf("%v are left, %v; want the database and its lock", entries, err)
	}
	if _, err := openAt(t, path).LoadSession(t.Context(), storetest.Session(1).Hash); err != nil {
		t.Errorf("what was changed: %v", err)
	}
}

// TestFarMoments: what lies further away than nanoseconds count stays in its order. An
// operator's ban for 300 years does not end at the next start.
func TestFarMoments(t *testing.T) {
	s := openTemp(t)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ban := regulation.Ban{ID: "1", User: "mallory", By: "os:root", Since: now, Until: now.AddDate(300, 0, 0)}
	if err := s.PutBan(t.Context(), ban); err != nil {
		t.Fatal(err)
	}
	if err := s.PruneCounts(t.Context(), now, 10); err != nil {
		t.Fatal(err)
	}
	if bans, err := s.ListBans(t.Context(), now.AddDate(200, 0, 0)); err != nil || len(bans) != 1 {
		t.Errorf("bans %+v, %v", bans, err)
	}
	far := []time.Time{{}, time.Unix(0, 1), now, now.AddDate(200, 0, 0), now.AddDate(5000, 0, 0)}
	for i := range far[1:] {
		if nanos(far[i]) >= nanos(far[i+1]) {
			t.Errorf("%v is stored as %d, %v as %d", far[i], nanos(far[i]), far[i+1], nanos(far[i+1]))
		}
	}
	if n := nanos(time.Date(1000, 1, 1, 0, 0, 0, 0, time.UTC)); n >= 0 {
		t.Errorf("long ago is stored as %d", n)
	}
}

// TestARefusedChangeIsNoTakenKey: only a key that is taken is ErrExists.
func TestARefusedChangeIsNoTakenKey(t *testing.T) {
	s := openTemp(t)
	for _, statement := range []string{
		`DELETE FROM event_marks`,
		`INSERT INTO spent (key, expires) VALUES (x'00', 0)`,
		`INSERT INTO spent (key, expires) VALUES (zeroblob(32), NULL)`,
	} {
		err := s.change(t.Context(), "what the schema forbids", func(tx *sql.Tx) error { _, err := tx.Exec(statement); return err })
		if !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrExists) {
			t.Errorf("%s: %v", statement, err)
		}
	}
}

func TestPanicInAChangeFreesTheWriter(t *testing.T) {
	s := openTemp(t)
	func() {
		defer func() { _ = recover() }()
		_ = s.change(t.Context(), "panic", func(tx *sql.Tx) error { panic("in a change") })
	}()
	if err := s.SaveSession(t.Context(), storetest.Session(1), nil); err != nil {
		t.Errorf("after a panic: %v", err)
	}
}

func TestImportSessions(t *testing.T) {
	s := openTemp(t)
	first := importBatch + 7
	if n, err := s.ImportSessions(t.Context(), numbered(0, first)); n != first || err != nil {
		t.Fatalf("imported %d, %v, want %d", n, err, first)
	}
	if r, err := s.LoadSession(t.Context(), storetest.Session(importBatch).Hash); err != nil || r.ID != storetest.Session(importBatch).ID {
		t.Errorf("loaded %+v, %v", r, err)
	}
	// The second batch holds a session that is there: the first one is on disk.
	n, err := s.ImportSessions(t.Context(), func(yield func(session.Record) bool) {
		numbered(first, first+importBatch+1)(yield)
		yield(storetest.Session(3))
	})
	if n != importBatch || !errors.Is(err, ErrExists) {
		t.Errorf("imported %d, %v, want %d and ErrExists", n, err, importBatch)
	}
	var count int
	if err := s.read.QueryRow(`SELECT count(*) FROM sessions`).Scan(&count); err != nil || count != first+importBatch {
		t.Errorf("%d sessions are stored, %v, want %d", count, err, first+importBatch)
	}
}

func aSession() *session.Record {
	r := storetest.Session(1)
	return &r
}

// numbered yields the sessions from one number up to another.
func numbered(from, to int) func(yield func(session.Record) bool) {
	return func(yield func(session.Record) bool) {
		for n := from; n < to && yield(storetest.Session(n)); n++ {
		}
	}
}
