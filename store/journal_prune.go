package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"postern/portal/journal"
)

// pruneStep is how many events one transaction removes, so that a long prune does not
// hold up sign-ins.
const pruneStep = 1000

// ahead is how far the clock of an event may have run ahead of the pruner's. What lies
// further in the future keeps nothing from being pruned.
const ahead = 24 * time.Hour

const selectMarks = `SELECT pruned, sum, copied FROM event_marks`

// Marks implements journal.Ledger.
func (s *Store) Marks(ctx context.Context) (journal.Marks, error) {
	m, err := readMarks(s.read.QueryRowContext(ctx, selectMarks))
	return m, fault("read the marks of events", err)
}

func readMarks(row *sql.Row) (m journal.Marks, err error) {
	var pruned, copied int64
	var sum []byte
	err = row.Scan(&pruned, &sum, &copied)
	m.Pruned, m.Copied = uint64(pruned), uint64(copied)
	copy(m.Sum[:], sum)
	return m, err
}

// SetCopied implements journal.Ledger.
func (s *Store) SetCopied(ctx context.Context, seq uint64) error {
	return s.change(ctx, "mark events as copied", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE event_marks SET copied = ?`, int64(seq))
		return err
	})
}

// PruneRecords implements journal.Ledger. What was removed before an error stays removed.
func (s *Store) PruneRecords(ctx context.Context, p journal.Prune, seal journal.Seal) (int, error) {
	var from, to uint64
	err := s.change(ctx, "prune events", func(tx *sql.Tx) (err error) {
		if from, to, err = pruneRange(ctx, tx, p); err != nil || from >= to {
			return err
		}
		_, err = appendEvents(ctx, tx, []journal.Event{{At: p.Now.UTC(), Kind: journal.Pruned, Detail: fmt.Sprint(to)}}, seal)
		return err
	})
	if err != nil {
		return 0, err
	}
	first := from
	for from < to {
		step := min(from+pruneStep, to)
		err := s.change(ctx, "prune events", func(tx *sql.Tx) error {
			// The mark first: what lies behind it can not be removed.
			if _, err := tx.ExecContext(ctx, `UPDATE event_marks SET (pruned, sum) = (SELECT id, sum FROM events WHERE id = ?)`, int64(step)); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, `DELETE FROM events WHERE id <= ?`, int64(step))
			return err
		})
		if err != nil {
			return int(from - first), err
		}
		from = step
	}
	return int(from - first), nil
}

// pruneRange is what p removes: the events from+1 to to. It is always the oldest by
// number, so that what stays is one chain.
func pruneRange(ctx context.Context, tx *sql.Tx, p journal.Prune) (from, to uint64, err error) {
	var pruned, last, old int64
	err = tx.QueryRowContext(ctx, `SELECT pruned, max(pruned, coalesce((SELECT max(id) FROM events), 0)) FROM event_marks`).Scan(&pruned, &last)
	if err != nil {
		return 0, 0, err
	}
	old = pruned
	if !p.Before.IsZero() {
		err := tx.QueryRowContext(ctx, `SELECT coalesce(min(id) - 1, ?) FROM events WHERE at >= ? AND at < ?`,
			last, nanos(p.Before), nanos(p.Now.Add(ahead))).Scan(&old)
		if err != nil {
			return 0, 0, err
		}
	}
	if p.Max > 0 {
		old = max(old, last+1-int64(p.Max)) // one more comes: the event that says so
	}
	return uint64(pruned), uint64(max(min(old, last), pruned)), nil
}
