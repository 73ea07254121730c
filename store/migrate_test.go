package store

import (
	"database/sql"
	"errors"
	"strings"
	"testing"
	"testing/fstest"

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

// TestUpgradeKeepsWhatIsThere goes through every released schema, one version after the
// other, with a session in the store since the first.
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
			if err := s.SaveSession(t.Context(), storetest.Session(1), nil); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.LoadSession(t.Context(), storetest.Session(1).Hash); err != nil {
			t.Errorf("schema %d: the session is gone: %v", n+1, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := openAt(t, path).LoadSession(t.Context(), storetest.Session(1).Hash); err != nil {
		t.Errorf("opened in the ordinary way: %v", err)
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
