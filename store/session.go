package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strings"

	"postern/agent/policy"
	"postern/agent/session"
)

// SaveSession implements session.Keeper.
func (s *Store) SaveSession(ctx context.Context, r session.Record, old *[32]byte) error {
	return s.change(ctx, "save session", func(tx *sql.Tx) error {
		if old != nil {
			if _, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE hash = ?`, old[:]); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, insertSession, sessionValues(&r)...)
		return err
	})
}

// LoadSession implements session.Keeper.
func (s *Store) LoadSession(ctx context.Context, hash [32]byte) (session.Record, error) {
	r, err := scanSession(s.load.QueryRowContext(ctx, hash[:]))
	if errors.Is(err, sql.ErrNoRows) {
		return session.Record{}, session.ErrNotFound
	}
	return r, fault("load session", err)
}

// ListSessions implements session.Keeper.
func (s *Store) ListSessions(ctx context.Context, f session.Filter) ([]session.Record, error) {
	where, args := sessionWhere(f)
	rows, err := s.read.QueryContext(ctx, `SELECT `+sessionColumns+` FROM sessions`+where+
		` ORDER BY user_name, created, id LIMIT ?`, append(args, limit(f))...)
	if err != nil {
		return nil, fault("list sessions", err)
	}
	records, err := scanSessions(rows)
	return records, fault("list sessions", err)
}

// DeleteSessions implements session.Keeper.
func (s *Store) DeleteSessions(ctx context.Context, f session.Filter) (records []session.Record, err error) {
	where, args := sessionWhere(f)
	if f.Limit > 0 {
		where = ` WHERE hash IN (SELECT hash FROM sessions` + where + ` LIMIT ?)`
		args = append(args, f.Limit)
	}
	err = s.change(ctx, "delete sessions", func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `DELETE FROM sessions`+where+` RETURNING `+sessionColumns, args...)
		if err != nil {
			return err
		}
		records, err = scanSessions(rows)
		return err
	})
	if err != nil {
		return nil, err
	}
	return records, nil
}

// TouchSessions implements session.Keeper.
func (s *Store) TouchSessions(ctx context.Context, touches []session.Touch) error {
	if len(touches) == 0 {
		return nil
	}
	return s.change(ctx, "touch sessions", func(tx *sql.Tx) error {
		update, err := tx.PrepareContext(ctx, `UPDATE sessions SET seen = ?1 WHERE hash = ?2 AND seen < ?1`)
		if err != nil {
			return err
		}
		defer update.Close()
		for i := range touches {
			if _, err := update.ExecContext(ctx, nanos(touches[i].Seen), touches[i].Hash[:]); err != nil {
				return err
			}
			if who := touches[i].Who; who != nil {
				const rename = `UPDATE sessions SET name = ?, email = ?, groups = ? WHERE hash = ?`
				if _, err := tx.ExecContext(ctx, rename, who.Name, who.Email, list[string]{&who.Groups}, touches[i].Hash[:]); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// importBatch is how many sessions ImportSessions writes in one transaction.
const importBatch = 20000

// ImportSessions inserts sessions in large transactions and returns how many are on
// disk, also with an error. It is for moving a store and for measuring with a full one.
func (s *Store) ImportSessions(ctx context.Context, records iter.Seq[session.Record]) (n int, err error) {
	next, stop := iter.Pull(records)
	defer stop()
	for more := true; more; {
		written := 0
		err := s.change(ctx, "import sessions", func(tx *sql.Tx) error {
			insert, err := tx.PrepareContext(ctx, insertSession)
			if err != nil {
				return err
			}
			defer insert.Close()
			for ; written < importBatch; written++ {
				var r session.Record
				if r, more = next(); !more {
					return nil
				}
				if _, err := insert.ExecContext(ctx, sessionValues(&r)...); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return n, err
		}
		n += written
	}
	return n, nil
}

const sessionColumns = `hash, id, domain, user_name, name, email, groups, level, proofs, remember, created, expires, seen, addr, browser`

const loadSession = `SELECT ` + sessionColumns + ` FROM sessions WHERE hash = ?`

const insertSession = `INSERT INTO sessions (` + sessionColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// sessionValues is in the order of sessionColumns.
func sessionValues(r *session.Record) []any {
	proofs := r.Proofs[:]
	return []any{r.Hash[:], r.ID, r.Domain, r.User, r.Name, r.Email, list[string]{&r.Groups}, int64(r.Level), list[int64]{&proofs},
		r.Remember, nanos(r.Created), nanos(r.Expires), nanos(r.Seen), r.Addr, r.Browser}
}

// scanSession is in the order of sessionColumns.
func scanSession(row interface{ Scan(...any) error }) (session.Record, error) {
	var (
		r                      session.Record
		hash                   []byte
		proofs                 []int64
		created, expires, seen int64
		level                  uint8
	)
	err := row.Scan(&hash, &r.ID, &r.Domain, &r.User, &r.Name, &r.Email, list[string]{&r.Groups}, &level, list[int64]{&proofs},
		&r.Remember, &created, &expires, &seen, &r.Addr, &r.Browser)
	if err != nil {
		return session.Record{}, err
	}
	if len(proofs) > len(r.Proofs) { // a factor that this version does not know proves nothing here
		proofs = proofs[:len(r.Proofs)]
	}
	copy(r.Hash[:], hash)
	copy(r.Proofs[:], proofs)
	r.Level = policy.Level(level)
	r.Created, r.Expires, r.Seen = moment(created), moment(expires), moment(seen)
	return r, nil
}

func scanSessions(rows *sql.Rows) ([]session.Record, error) {
	defer rows.Close()
	var records []session.Record
	for rows.Next() {
		r, err := scanSession(rows)
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, rows.Err()
}

// sessionWhere is f as a condition, with the values for its question marks.
func sessionWhere(f session.Filter) (where string, args []any) {
	var terms []string
	add := func(term string, value any) {
		terms = append(terms, term)
		args = append(args, value)
	}
	if f.ID != "" {
		add(`id = ?`, f.ID)
	}
	if f.IDs != nil {
		add(`id IN (SELECT value FROM json_each(?))`, list[string]{&f.IDs})
	}
	if f.User != "" {
		add(`user_name = ?`, f.User)
	}
	if f.Domain != "" {
		add(`domain = ?`, f.Domain)
	}
	if f.Except != "" {
		add(`id <> ?`, f.Except)
	}
	if !f.Before.IsZero() {
		add(`expires < ?`, nanos(f.Before))
	}
	if len(terms) == 0 {
		return "", nil
	}
	return fmt.Sprintf(` WHERE %s`, strings.Join(terms, ` AND `)), args
}

// limit is f.Limit as SQLite writes it: -1 is none.
func limit(f session.Filter) int {
	if f.Limit <= 0 {
		return -1
	}
	return f.Limit
}
