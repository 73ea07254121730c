package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"postern/portal/factor"
)

// ReplaceRecovery implements factor.CodeKeeper.
func (s *Store) ReplaceRecovery(ctx context.Context, user string, macs [][32]byte, now time.Time) error {
	return s.change(ctx, "replace recovery codes", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM recovery_codes WHERE user_name = ?`, user); err != nil {
			return err
		}
		for i := range macs {
			_, err := tx.ExecContext(ctx, `INSERT INTO recovery_codes (user_name, mac, created, spent) VALUES (?, ?, ?, 0)`,
				user, macs[i][:], nanos(now))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// SpendRecovery implements factor.CodeKeeper.
func (s *Store) SpendRecovery(ctx context.Context, user string, mac [32]byte, now time.Time) (left int, err error) {
	var refused error
	err = s.change(ctx, "spend recovery code", func(tx *sql.Tx) error {
		var spent int64
		err := tx.QueryRowContext(ctx, `SELECT spent FROM recovery_codes WHERE user_name = ? AND mac = ?`, user, mac[:]).Scan(&spent)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			refused = factor.ErrNotFound
			return nil
		case err != nil:
			return err
		case spent != 0:
			refused = factor.ErrSpent
			return nil
		}
		_, err = tx.ExecContext(ctx, `UPDATE recovery_codes SET spent = ? WHERE user_name = ? AND mac = ?`, nanos(now), user, mac[:])
		if err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, countRecovery, user).Scan(&left)
	})
	if err = or(err, refused); err != nil {
		return 0, err
	}
	return left, nil
}

const countRecovery = `SELECT count(*) FROM recovery_codes WHERE user_name = ? AND spent = 0`

// CountRecovery implements factor.CodeKeeper.
func (s *Store) CountRecovery(ctx context.Context, user string) (left int, err error) {
	err = s.read.QueryRowContext(ctx, countRecovery, user).Scan(&left)
	return left, fault("count recovery codes", err)
}

// ListRecovery implements factor.CodeKeeper.
func (s *Store) ListRecovery(ctx context.Context) (left map[string]int, err error) {
	const op = "list recovery codes"
	rows, err := s.read.QueryContext(ctx, `SELECT user_name, count(*) FROM recovery_codes WHERE spent = 0 GROUP BY user_name`)
	if err != nil {
		return nil, fault(op, err)
	}
	defer rows.Close()
	left = map[string]int{}
	for rows.Next() {
		var user string
		var n int
		if err := rows.Scan(&user, &n); err != nil {
			return nil, fault(op, err)
		}
		left[user] = n
	}
	if err := rows.Err(); err != nil {
		return nil, fault(op, err)
	}
	return left, nil
}

// SaveMail implements factor.MailKeeper.
func (s *Store) SaveMail(ctx context.Context, m factor.Mail, max int, now time.Time) error {
	var refused error
	err := s.change(ctx, "save mailed code", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM mailed_codes WHERE expires <= ?`, nanos(now)); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM mailed_codes WHERE user_name = ?`, m.User).Scan(&n); err != nil {
			return err
		}
		if n >= max {
			refused = factor.ErrTooMany
			return nil
		}
		if _, err := tx.ExecContext(ctx, `UPDATE mailed_codes SET closed = 1 WHERE slot = ?`, m.Slot[:]); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO mailed_codes (id, user_name, slot, mac, expires, tries, closed) VALUES (?, ?, ?, ?, ?, 0, 0)`,
			m.ID, m.User, m.Slot[:], m.MAC[:], nanos(m.Expires))
		return err
	})
	return or(err, refused)
}

// TryMail implements factor.MailKeeper.
func (s *Store) TryMail(ctx context.Context, slot [32]byte, max int, now time.Time) (factor.Mail, error) {
	var (
		refused error
		m       = factor.Mail{Slot: slot}
		mac     []byte
		expires int64
	)
	err := s.change(ctx, "try mailed code", func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `UPDATE mailed_codes SET tries = tries + 1
			WHERE slot = ? AND closed = 0 AND expires > ? AND tries < ?
			RETURNING id, user_name, mac, expires`, slot[:], nanos(now), max).Scan(&m.ID, &m.User, &mac, &expires)
		if errors.Is(err, sql.ErrNoRows) {
			refused = factor.ErrNotFound
			return nil
		}
		return err
	})
	if err = or(err, refused); err != nil {
		return factor.Mail{}, err
	}
	copy(m.MAC[:], mac)
	m.Expires = moment(expires)
	return m, nil
}

// CloseMail implements factor.MailKeeper.
func (s *Store) CloseMail(ctx context.Context, id string) error {
	var refused error
	err := s.change(ctx, "close mailed code", func(tx *sql.Tx) error {
		n, err := affected(tx.ExecContext(ctx, `UPDATE mailed_codes SET closed = 1 WHERE id = ? AND closed = 0`, id))
		if err == nil && n == 0 {
			refused = factor.ErrSpent
		}
		return err
	})
	return or(err, refused)
}

// Spend implements factor.SpentKeeper.
func (s *Store) Spend(ctx context.Context, key [32]byte, until, now time.Time) error {
	var refused error
	err := s.change(ctx, "spend", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM spent WHERE expires <= ?`, nanos(now)); err != nil {
			return err
		}
		n, err := affected(tx.ExecContext(ctx, `INSERT INTO spent (key, expires) VALUES (?, ?) ON CONFLICT DO NOTHING`, key[:], nanos(until)))
		if err == nil && n == 0 {
			refused = factor.ErrSpent
		}
		return err
	})
	return or(err, refused)
}

// Unspend implements factor.SpentKeeper.
func (s *Store) Unspend(ctx context.Context, key [32]byte) error {
	return s.change(ctx, "unspend", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM spent WHERE key = ?`, key[:])
		return err
	})
}
