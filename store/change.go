package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// change runs f in one transaction. When it returns nil the change is on disk; else
// nothing has changed. what says in the error what was being done.
func (s *Store) change(ctx context.Context, what string, f func(*sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return fault(what, err)
	}
	defer tx.Rollback() // does nothing after Commit; its error adds nothing to f's
	if err := f(tx); err != nil {
		return fault(what, err)
	}
	err = tx.Commit()
	if errors.Is(err, sql.ErrTxDone) && ctx.Err() != nil {
		err = ctx.Err() // it ended before the commit began
	}
	return fault(what, err)
}

// fault gives an error of the database its kind: ErrExists, ErrUnavailable, or the end
// of the context. nil stays nil.
func fault(what string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("store: %s: %w", what, err)
	}
	if e := new(sqlite.Error); errors.As(err, &e) {
		switch e.Code() {
		case sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE:
			return fmt.Errorf("store: %s: %w: %w", what, ErrExists, err)
		}
		switch e.Code() & 0xff { // the rest is detail, https://www.sqlite.org/rescode.html
		case sqlite3.SQLITE_FULL:
			return fmt.Errorf("store: %s: %w: no space left: %w", what, ErrUnavailable, err)
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			return fmt.Errorf("store: %s: %w: the file is damaged, restore a backup: %w", what, ErrUnavailable, err)
		}
	}
	return fmt.Errorf("store: %s: %w: %w", what, ErrUnavailable, err)
}

// nanos is how times are stored: Unix nanoseconds, 0 for the zero time. What lies further
// away than they reach, some 292 years, is stored as the last moment there is.
func nanos(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Before(time.Unix(0, math.MinInt64)):
		return math.MinInt64
	case t.After(time.Unix(0, math.MaxInt64)):
		return math.MaxInt64
	}
	return t.UnixNano()
}

// moment is the inverse of nanos, in UTC.
func moment(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// list stores a slice in a TEXT column, as JSON; an empty one comes back nil.
type list[T any] struct{ items *[]T }

// Value implements driver.Valuer.
func (l list[T]) Value() (driver.Value, error) {
	if len(*l.items) == 0 {
		return "[]", nil
	}
	text, err := json.Marshal(*l.items)
	return string(text), err
}

// Scan implements sql.Scanner.
func (l list[T]) Scan(src any) error {
	text, ok := src.(string)
	if !ok {
		return fmt.Errorf("a list is stored as %T", src)
	}
	*l.items = nil
	if text == "[]" {
		return nil
	}
	return json.Unmarshal([]byte(text), l.items)
}
