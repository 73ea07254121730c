package store

import (
	"context"
	"database/sql"
	"errors"
	"net/netip"
	"time"

	"postern/agent/regulation"
)

const (
	loadCount = `SELECT failed, waits, until, expires FROM counts WHERE subject = ?`
	saveCount = `INSERT INTO counts (subject, failed, waits, until, expires) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (subject) DO UPDATE SET failed = excluded.failed, waits = excluded.waits, until = excluded.until, expires = excluded.expires`
	dropCount  = `DELETE FROM counts WHERE subject = ?`
	banColumns = `id, subject, user_name, network, browser, kind, failures, reason, author, since, until`
)

// ChangeCounts implements regulation.Keeper.
func (s *Store) ChangeCounts(ctx context.Context, keys []regulation.Key, change func([]regulation.Count) error) error {
	var refused error
	err := s.change(ctx, "change counts", func(tx *sql.Tx) error {
		counts := make([]regulation.Count, len(keys))
		for i, k := range keys {
			if err := readCount(ctx, tx, k, &counts[i]); err != nil {
				return err
			}
		}
		if refused = change(counts); refused != nil {
			return nil
		}
		for i, k := range keys {
			if err := writeCount(ctx, tx, k, counts[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return or(err, refused)
}

func readCount(ctx context.Context, tx *sql.Tx, k regulation.Key, c *regulation.Count) error {
	var failed []int64
	var until, expires int64
	err := tx.QueryRowContext(ctx, loadCount, k[:]).Scan(list[int64]{&failed}, &c.Waits, &until, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	for i := 0; i+1 < len(failed); i += 2 {
		c.Failed = append(c.Failed, regulation.Failure{At: moment(failed[i]), ID: failed[i+1]})
	}
	c.Until, c.Expires = moment(until), moment(expires)
	return err
}

func writeCount(ctx context.Context, tx *sql.Tx, k regulation.Key, c regulation.Count) error {
	if c.IsZero() {
		_, err := tx.ExecContext(ctx, dropCount, k[:])
		return err
	}
	failed := make([]int64, 0, 2*len(c.Failed))
	for _, f := range c.Failed {
		failed = append(failed, nanos(f.At), f.ID)
	}
	_, err := tx.ExecContext(ctx, saveCount, k[:], list[int64]{&failed}, c.Waits, nanos(c.Until), nanos(c.Expires))
	return err
}

// PruneCounts implements regulation.Keeper. What was removed before an error stays removed.
func (s *Store) PruneCounts(ctx context.Context, now time.Time, room int) error {
	for {
		var gone int64
		err := s.change(ctx, "prune counts", func(tx *sql.Tx) (err error) {
			gone, err = affected(tx.ExecContext(ctx,
				`DELETE FROM counts WHERE subject IN (SELECT subject FROM counts WHERE expires <= ? LIMIT ?)`, nanos(now), pruneStep))
			return err
		})
		if err != nil {
			return err
		}
		if gone < pruneStep {
			break
		}
	}
	return s.change(ctx, "prune counts", func(tx *sql.Tx) error {
		var have int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM counts`).Scan(&have); err != nil {
			return err
		}
		if have > room {
			_, err := tx.ExecContext(ctx, `DELETE FROM counts WHERE subject IN
				(SELECT subject FROM counts ORDER BY waits, json_array_length(failed), expires LIMIT ?)`, have-room)
			if err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM bans WHERE until <> 0 AND until <= ?`, nanos(now)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM bans WHERE id IN
			(SELECT id FROM bans WHERE subject IS NOT NULL ORDER BY until DESC LIMIT -1 OFFSET ?)`, room)
		return err
	})
}

// PutBan implements regulation.Keeper.
func (s *Store) PutBan(ctx context.Context, b regulation.Ban) error {
	var subject any // NULL: an operator's
	if !b.Manual() {
		subject = b.Key[:]
	}
	network := ""
	if b.Network.IsValid() {
		network = b.Network.String()
	}
	return s.change(ctx, "put ban", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM bans WHERE id = ? OR subject = ?`, b.ID, subject); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO bans (`+banColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			b.ID, subject, b.User, network, b.Browser, string(b.Kind), b.Failures, b.Reason, b.By, nanos(b.Since), nanos(b.Until))
		return err
	})
}

// ListBans implements regulation.Keeper.
func (s *Store) ListBans(ctx context.Context, now time.Time) ([]regulation.Ban, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT `+banColumns+` FROM bans WHERE until = 0 OR until > ? ORDER BY since DESC, id`, nanos(now))
	if err != nil {
		return nil, fault("list bans", err)
	}
	defer rows.Close()
	var bans []regulation.Ban
	for rows.Next() {
		b, err := scanBan(rows)
		if err != nil {
			return nil, fault("list bans", err)
		}
		bans = append(bans, b)
	}
	return bans, fault("list bans", rows.Err())
}

func scanBan(rows *sql.Rows) (b regulation.Ban, err error) {
	var subject []byte
	var network string
	var since, until int64
	err = rows.Scan(&b.ID, &subject, &b.User, &network, &b.Browser, &b.Kind, &b.Failures, &b.Reason, &b.By, &since, &until)
	if err != nil {
		return b, err
	}
	copy(b.Key[:], subject)
	if network != "" {
		if b.Network, err = netip.ParsePrefix(network); err != nil {
			return b, err
		}
	}
	b.Since, b.Until = moment(since), moment(until)
	return b, nil
}

// LiftBans implements regulation.Keeper.
func (s *Store) LiftBans(ctx context.Context, ids []string, keys []regulation.Key) error {
	return s.change(ctx, "lift bans", func(tx *sql.Tx) error {
		for _, id := range ids {
			if _, err := tx.ExecContext(ctx, `DELETE FROM bans WHERE id = ?`, id); err != nil {
				return err
			}
		}
		for _, k := range keys {
			if _, err := tx.ExecContext(ctx, dropCount, k[:]); err != nil {
				return err
			}
		}
		return nil
	})
}
