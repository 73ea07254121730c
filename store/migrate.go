package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migration is one numbered file.
type migration struct {
	version int
	name    string
	sql     string
}

// applicationID marks a database as ours, in the header of the file: "Pstn".
const applicationID = 0x5073746e

// migrations returns the files of fsys in order. They are numbered from 1 without gaps.
func migrations(fsys fs.FS) ([]migration, error) {
	names, err := fs.Glob(fsys, "migrations/*.sql") // sorted
	if err != nil {
		return nil, err
	}
	all := make([]migration, 0, len(names))
	for i, path := range names {
		name := strings.TrimSuffix(strings.TrimPrefix(path, "migrations/"), ".sql")
		number, _, _ := strings.Cut(name, "_")
		if n, err := strconv.Atoi(number); err != nil || n != i+1 || len(number) != 4 {
			return nil, fmt.Errorf("store: migration %s should have number %04d", path, i+1)
		}
		text, err := fs.ReadFile(fsys, path)
		if err != nil {
			return nil, err
		}
		all = append(all, migration{version: i + 1, name: name, sql: string(text)})
	}
	return all, nil
}

// migrate brings the database up to date, each step in a transaction of its own: a
// failed or killed one leaves the schema of before.
func migrate(ctx context.Context, db *sql.DB, path string) error {
	all, err := migrations(migrationFiles)
	if err != nil {
		return err
	}
	return migrateTo(ctx, db, path, all)
}

func migrateTo(ctx context.Context, db *sql.DB, path string, all []migration) error {
	version, err := schemaVersion(ctx, db, path)
	if err != nil {
		return err
	}
	if version > len(all) {
		return fmt.Errorf("store: %s has schema %d, and this postern knows up to %d; use the postern that wrote it, or a newer one: %w",
			path, version, len(all), ErrSchema)
	}
	// Only now, so that a file of somebody else stays as it is. The mode stays with the file.
	var mode string
	if err := db.QueryRowContext(ctx, `PRAGMA journal_mode = WAL`).Scan(&mode); err != nil || mode != "wal" {
		return fault("open "+path, errors.Join(err, fmt.Errorf("journal mode is %q, not wal", mode)))
	}
	for _, m := range all[version:] {
		if err := apply(ctx, db, m); err != nil {
			return fault("migrate "+path+" to "+m.name, err)
		}
	}
	return nil
}

// schemaVersion is 0 for an empty database. One with tables but without ours belongs to
// somebody else.
func schemaVersion(ctx context.Context, db *sql.DB, path string) (int, error) {
	var tables, ours int
	err := db.QueryRowContext(ctx, `SELECT count(*), count(*) FILTER (WHERE name = 'schema') FROM sqlite_schema`).Scan(&tables, &ours)
	if err != nil {
		return 0, fault("open "+path, err)
	}
	if tables == 0 {
		return 0, nil
	}
	var id, version int
	if err := db.QueryRowContext(ctx, `PRAGMA application_id`).Scan(&id); err != nil {
		return 0, fault("open "+path, err)
	}
	if ours == 0 || id != applicationID {
		return 0, fmt.Errorf("store: %s is a database of another program: %w", path, ErrSchema)
	}
	if err := db.QueryRowContext(ctx, `SELECT max(version) FROM schema`).Scan(&version); err != nil {
		return 0, fault("open "+path, err)
	}
	return version, nil
}

func apply(ctx context.Context, db *sql.DB, m migration) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after Commit
	if m.version == 1 {
		_, err = tx.ExecContext(ctx, fmt.Sprintf(`PRAGMA application_id = %d;
			CREATE TABLE schema (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied TEXT NOT NULL) STRICT`, applicationID))
		if err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, m.sql); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO schema (version, name, applied) VALUES (?, ?, datetime('now'))`, m.version, m.name)
	if err != nil {
		return err
	}
	return tx.Commit()
}
