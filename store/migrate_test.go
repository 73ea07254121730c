package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"postern/agent/regulation"
	"postern/portal/factor"
	"postern/store/storetest"
)

func TestMigrationsAreNumbered(t *testing.T) {
	file := &fstest.MapFile{Data: []byte("SELECT 1")}
	for _, tt := range []struct {
		name  string
		files []string
		want  string // in the error; "" for none
	}{
		{"in order", []string{"0001_a.sql", "0002_b.sql", "0003_c.sql"}, ""},
		{"with a gap", []string{"0001_a.sql", "0003_c.sql"}, "0003_c.sql should have number 0002"},
		{"with the same number twice", []string{"0001_a.sql", "0001_b.sql"}, "0001_b.sql should have number 0002"},
		{"from zero", []string{"0000_a.sql"}, "should have number 0001"},
		{"with short numbers", []string{"1_a.sql"}, "should have number 0001"},
		{"without number", []string{"a.sql"}, "should have number 0001"},
	} {
		fsys := fstest.MapFS{}
		for _, name := range tt.files {
			fsys["migrations/"+name] = file
		}
		all, err := migrations(fsys)
		if tt.want == "" && (err != nil || len(all) != len(tt.files)) {
			t.Errorf("%s: %d migrations, %v", tt.name, len(all), err)
		}
		if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	if _, err := migrations(migrationFiles); err != nil {
		t.Errorf("our own: %v", err)
	}
}

// holdings put something into the store when it has come to a schema. Events have a test of
// their own: their table is another one now.
var holdings = map[int]func(context.Context, *Store) error{
	1: func(ctx context.Context, s *Store) error { return s.SaveSession(ctx, storetest.Session(1), nil) },
	2: func(ctx context.Context, s *Store) error {
		d := factor.Device{ID: "1", Kind: factor.KindTOTP, User: "alice", Created: time.Now()}
		return errors.Join(
			s.AddFactor(ctx, factor.Record{Device: d, Sealed: []byte("sealed")}, 9),
			s.ReplaceRecovery(ctx, "alice", [][32]byte{{1}}, time.Now()),
			s.Spend(ctx, [32]byte{1}, time.Now().Add(time.Hour), time.Now()),
		)
	},
	3: func(context.Context, *Store) error { return nil },
	4: func(ctx context.Context, s *Store) error { return s.AddCredential(ctx, storetest.Credential(1), 9) },
	5: func(context.Context, *Store) error { return nil },
	6: func(ctx context.Context, s *Store) error {
		return s.PutBan(ctx, regulation.Ban{ID: "1", User: "mallory", By: "os:root", Since: time.Now()})
	},
}

// TestUpgradeKeepsWhatIsThere goes through every released schema, one version after the
// other, with what each of them can hold in the store since then.
func TestUpgradeKeepsWhatIsThere(t *testing.T) {
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
	s := &Store{write: db, read: db}
	for n := range all {
		if err := migrateTo(t.Context(), db, path, all[:n+1]); err != nil {
			t.Fatal(err)
		}
		if version, err := schemaVersion(t.Context(), db, path); version != n+1 || err != nil {
			t.Fatalf("schema %d, %v, want %d", version, err, n+1)
		}
		if n == 0 {
			if s.load, err = db.PrepareContext(t.Context(), loadSession); err != nil {
				t.Fatal(err)
			}
		}
		put, ok := holdings[n+1]
		if !ok {
			t.Fatalf("schema %d: nothing says what it can hold", n+1)
		}
		if err := put(t.Context(), s); err != nil {
			t.Fatalf("schema %d: %v", n+1, err)
		}
		if _, err := s.LoadSession(t.Context(), storetest.Session(1).Hash); err != nil {
			t.Errorf("schema %d: the session is gone: %v", n+1, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path)
	_, sessionErr := s.LoadSession(t.Context(), storetest.Session(1).Hash)
	factors, factorErr := s.ListFactors(t.Context(), factor.Filter{User: "alice"})
	codes, codeErr := s.CountRecovery(t.Context(), "alice")
	tokens, tokenErr := s.ListCredentials(t.Context(), "")
	bans, banErr := s.ListBans(t.Context(), time.Now())
	if err := errors.Join(sessionErr, factorErr, codeErr, tokenErr, banErr); err != nil {
		t.Errorf("opened in the ordinary way: %v", err)
	}
	if len(factors) != 1 || codes != 1 || len(tokens) != 1 || len(bans) != 1 {
		t.Errorf("factors %+v, %d recovery codes, tokens %+v, bans %+v; want one of each", factors, codes, tokens, bans)
	}
	if err := s.Spend(t.Context(), [32]byte{1}, time.Now().Add(time.Hour), time.Now()); !errors.Is(err, factor.ErrSpent) {
		t.Errorf("what was spent can be spent again: %v", err)
	}
}

func TestFailedMigrationChangesNothing(t *testing.T) {
	s := openTemp(t)
	if err := s.SaveSession(t.Context(), storetest.Session(1), nil); err != nil {
		t.Fatal(err)
	}
	all, err := migrations(migrationFiles)
	if err != nil {
		t.Fatal(err)
	}
	bad := migration{version: len(all) + 1, name: "bad", sql: `DROP TABLE sessions; CREATE TABLE x (y INTEGER) STRICT; THIS IS NO SQL`}
	err = migrateTo(t.Context(), s.write, s.path, append(all, bad))
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "to bad") {
		t.Errorf("a bad migration: %v", err)
	}
	if version, err := schemaVersion(t.Context(), s.write, s.path); version != len(all) || err != nil {
		t.Errorf("schema %d, %v, want %d", version, err, len(all))
	}
	if _, err := s.LoadSession(t.Context(), storetest.Session(1).Hash); err != nil {
		t.Errorf("the session is gone: %v", err)
	}
}
