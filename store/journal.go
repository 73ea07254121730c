package store

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"postern/portal/journal"
)

// maxEvents is how many events a list holds whose filter names no limit.
const maxEvents = 1000

// pruneStep is how many events one transaction removes, so that a long prune does not
// hold up sign-ins.
const pruneStep = 1000

const eventColumns = `at, kind, user_name, factor, reason, detail, session, request, addr, browser`

// AddEvent implements journal.Keeper.
func (s *Store) AddEvent(ctx context.Context, e journal.Event) error {
	return s.change(ctx, "add event", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO events (`+eventColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			nanos(e.At), string(e.Kind), e.User, e.Factor, e.Reason, e.Detail, e.Session, e.Request, e.Addr, e.Browser)
		return err
	})
}

// ListEvents implements journal.Keeper. Of events at the same moment the later one comes
// first.
func (s *Store) ListEvents(ctx context.Context, f journal.Filter) ([]journal.Event, error) {
	terms, args := []string{`1`}, []any{}
	if f.User != "" {
		terms, args = append(terms, `user_name = ?`), append(args, f.User)
	}
	if !f.Since.IsZero() {
		terms, args = append(terms, `at >= ?`), append(args, nanos(f.Since))
	}
	limit := f.Limit
	if limit <= 0 {
		limit = maxEvents
	}
	rows, err := s.read.QueryContext(ctx, `SELECT `+eventColumns+` FROM events WHERE `+strings.Join(terms, ` AND `)+
		` ORDER BY at DESC, id DESC LIMIT ?`, append(args, limit)...)
	if err != nil {
		return nil, fault("list events", err)
	}
	defer rows.Close()
	var events []journal.Event
	for rows.Next() {
		var e journal.Event
		var at int64
		if err := rows.Scan(&at, &e.Kind, &e.User, &e.Factor, &e.Reason, &e.Detail, &e.Session, &e.Request, &e.Addr, &e.Browser); err != nil {
			return nil, fault("list events", err)
		}
		e.At = moment(at)
		events = append(events, e)
	}
	return events, fault("list events", rows.Err())
}

// PruneEvents implements journal.Keeper. What was removed before an error stays removed.
func (s *Store) PruneEvents(ctx context.Context, before time.Time) (int, error) {
	total := 0
	for {
		var gone int64
		err := s.change(ctx, "prune events", func(tx *sql.Tx) (err error) {
			gone, err = affected(tx.ExecContext(ctx,
				`DELETE FROM events WHERE id IN (SELECT id FROM events WHERE at < ? ORDER BY at LIMIT ?)`, nanos(before), pruneStep))
			return err
		})
		if err != nil {
			return total, err
		}
		total += int(gone)
		if gone < pruneStep {
			return total, nil
		}
	}
}
