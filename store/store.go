// Package store keeps what survives a restart, behind every Keeper: SQLite here.
//
// It does not interpret what it keeps: no expiry, no permission, no encryption is decided
// here, and no token comes here: sessions are kept under hashes.
//
// # Adding a table
//
// A feature that keeps something declares the Keeper it needs in its own package, and
// the store satisfies it with three files:
//
//   - migrations/000N_things.sql, with the next number: STRICT tables, times as Unix
//     nanoseconds (nanos, moment), lists as JSON (list). A migration that was released
//     is never edited.
//   - things.go, with methods on Store: reads through s.read, each change through
//     s.change, which is one transaction and is durable when it returns nil. Errors go
//     through fault, so that callers can tell ErrUnavailable and ErrExists.
//   - storetest/things.go, with the promises of the Keeper as tests, called from
//     storetest.Run, so that every engine is held to them.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

var (
	// ErrUnavailable says that the store could not be read or written: disk full, file
	// gone, damaged or closed. Nothing was changed.
	ErrUnavailable = errors.New("store unavailable")
	// ErrExists says that a key is taken. Nothing was changed.
	ErrExists = errors.New("exists already")
	// ErrInUse says that another process has the database open; InUseError names it.
	ErrInUse = errors.New("store in use")
	// ErrSchema says that the file is not a database this version can work on.
	ErrSchema = errors.New("unknown schema")
)

// Store is an open database. It implements session.Keeper. It is safe for use by any
// number of goroutines; changes happen one after the other.
type Store struct {
	path  string
	lock  *os.File
	write *sql.DB // one connection
	read  *sql.DB
	load  *sql.Stmt // of read: LoadSession, which requests wait for
}

// Open opens "sqlite:/path" and brings its schema up to date. The file is made with mode
// 0600 and locked: a second process gets an error that names the first. The directory
// must exist.
func Open(ctx context.Context, url string) (*Store, error) {
	path, err := sqlitePath(url)
	if err != nil {
		return nil, err
	}
	path, err = resolve(path)
	if err != nil {
		return nil, err
	}
	lock, err := acquire(path + ".lock")
	if err != nil {
		return nil, err
	}
	s := &Store{path: path, lock: lock}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	if err := prepare(s.path); err != nil {
		return err
	}
	var err error
	if s.write, err = sql.Open("sqlite", dsn(s.path, "_txlock=immediate")); err != nil {
		return fault("open "+s.path, err)
	}
	s.write.SetMaxOpenConns(1)
	if err := migrate(ctx, s.write, s.path); err != nil {
		return err
	}
	if s.read, err = sql.Open("sqlite", dsn(s.path, "_pragma=query_only(1)")); err != nil {
		return fault("open "+s.path, err)
	}
	s.read.SetMaxOpenConns(Readers)
	s.read.SetMaxIdleConns(Readers)
	s.load, err = s.read.PrepareContext(ctx, loadSession)
	return fault("open "+s.path, err)
}

// Readers is how many reads are made at once; more of them wait.
const Readers = 4

// Close waits for the change under way, tidies the file up and unlocks it. Reads should
// have come to their end.
func (s *Store) Close() error {
	// Closing a pool waits for nobody. The writer's has one connection: whoever holds it
	// knows that nothing is being changed.
	var last *sql.Conn
	if s.write != nil {
		last, _ = s.write.Conn(context.Background()) // fails when the store is closed already
	}
	var faults []error
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			faults = append(faults, fault("close", db.Close()))
		}
	}
	if last != nil {
		faults = append(faults, fault("close", last.Close())) // of all connections the last: it clears the log
	}
	return errors.Join(append(faults, s.lock.Close())...)
}

// sqlitePath takes the path out of "sqlite:/path". The error shows no more of another
// URL than its scheme: there may be a password in it.
func sqlitePath(url string) (string, error) {
	scheme, path, ok := strings.Cut(url, ":")
	switch {
	case !ok:
		return "", fmt.Errorf("store: %q has no scheme; write sqlite:%s", url, url)
	case scheme != "sqlite":
		return "", fmt.Errorf("store: scheme %q is not supported; use sqlite:/path/to/postern.db", scheme)
	case path == "" || strings.HasPrefix(path, ":") || strings.ContainsRune(path, 0):
		return "", fmt.Errorf("store: %q names no file; use sqlite:/path/to/postern.db", url)
	case strings.HasPrefix(path, "//"):
		path = "/" + strings.TrimLeft(path, "/")
	}
	return path, nil
}

// dsn is path with the settings of every connection. An absent file is not created.
//
// synchronous=FULL syncs the log at each commit: with NORMAL a power cut could take back
// a session that was acknowledged, or a revocation.
func dsn(path, more string) string {
	u := url.URL{Scheme: "file", Path: path}
	return u.String() + "?mode=rw&_defensive=1&_dqs=0" +
		"&_pragma=busy_timeout(5000)&_pragma=synchronous(FULL)" +
		"&_pragma=journal_size_limit(67108864)&_pragma=trusted_schema(0)" +
		"&_pragma=foreign_keys(1)&_pragma=temp_store(2)&" + more
}

// resolve makes path absolute, with its links followed, so that one file has one lock
// whatever it is called, and refuses what cannot hold a database.
func resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("store: %w", err)
	}
	real, err := filepath.EvalSymlinks(path)
	if err == nil {
		return real, nil
	}
	if target, notALink := os.Readlink(path); notALink == nil { // a file made there would have another name from then on
		return "", fmt.Errorf("store: %s is a link to %s, which is not there; name that file itself, or make an empty one: %w", path, target, err)
	}
	dir := filepath.Dir(path)
	real, err = filepath.EvalSymlinks(dir)
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("store: the directory %s does not exist; create it for the user that runs postern, mode 0700", dir)
	}
	if err != nil {
		return "", fmt.Errorf("store: %w", err)
	}
	return filepath.Join(real, filepath.Base(path)), nil
}
