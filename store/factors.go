package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"postern/portal/factor"
)

// AddFactor implements factor.Keeper.
func (s *Store) AddFactor(ctx context.Context, r factor.Record, others int) error {
	var refused error // outside the transaction: it is no fault of the store
	err := s.change(ctx, "add factor", func(tx *sql.Tx) error {
		var taken, have int
		err := tx.QueryRowContext(ctx, `SELECT
			(SELECT count(*) FROM factors WHERE id = ?1 OR lookup = ?2),
			(SELECT count(*) FROM factors WHERE user_name = ?3)`, r.ID, blob(r.Lookup), r.User).Scan(&taken, &have)
		switch {
		case err != nil:
			return err
		case taken > 0:
			refused = factor.ErrExists
			return nil
		case have > others:
			refused = factor.ErrTooMany
			return nil
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO factors (`+factorColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			r.ID, r.User, string(r.Kind), r.Name, r.Site, nanos(r.Created), nanos(r.Used), nanos(r.Warned), blob(r.Lookup), r.Count, r.Sealed)
		return err
	})
	return or(err, refused)
}

// ListFactors implements factor.Keeper.
func (s *Store) ListFactors(ctx context.Context, f factor.Filter) ([]factor.Record, error) {
	terms, args := []string{`1`}, []any{}
	add := func(term string, value any) { terms, args = append(terms, term), append(args, value) }
	if f.User != "" {
		add(`user_name = ?`, f.User)
	}
	if f.Kind != "" {
		add(`kind = ?`, string(f.Kind))
	}
	if f.Lookup != nil {
		add(`lookup = ?`, f.Lookup)
	}
	rows, err := s.read.QueryContext(ctx, `SELECT `+factorColumns+` FROM factors WHERE `+strings.Join(terms, ` AND `)+
		` ORDER BY user_name, created, id`, args...)
	if err != nil {
		return nil, fault("list factors", err)
	}
	records, err := scanFactors(rows)
	return records, fault("list factors", err)
}

// AdvanceFactor implements factor.Keeper.
func (s *Store) AdvanceFactor(ctx context.Context, a factor.Advance) error {
	var refused error
	err := s.change(ctx, "advance factor", func(tx *sql.Tx) error {
		var count int64
		err := tx.QueryRowContext(ctx, `SELECT count FROM factors WHERE user_name = ? AND id = ?`, a.User, a.ID).Scan(&count)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			refused = factor.ErrNotFound
			return nil
		case err != nil:
			return err
		case a.Count <= count && (a.Count != 0 || count != 0):
			refused = factor.ErrSpent
			return nil
		}
		_, err = tx.ExecContext(ctx, `UPDATE factors SET count = ?, used = ?, sealed = coalesce(?, sealed) WHERE user_name = ? AND id = ?`,
			a.Count, nanos(a.Used), blob(a.Sealed), a.User, a.ID)
		return err
	})
	return or(err, refused)
}

// AmendFactor implements factor.Keeper.
func (s *Store) AmendFactor(ctx context.Context, a factor.Amend) error {
	var refused error
	err := s.change(ctx, "amend factor", func(tx *sql.Tx) error {
		n, err := affected(tx.ExecContext(ctx, `UPDATE factors SET
			name = CASE WHEN ?1 = '' THEN name ELSE ?1 END,
			warned = CASE WHEN ?2 = 0 THEN warned ELSE ?2 END
			WHERE user_name = ?3 AND id = ?4`, a.Name, nanos(a.Warned), a.User, a.ID))
		if err == nil && n == 0 {
			refused = factor.ErrNotFound
		}
		return err
	})
	return or(err, refused)
}

// DeleteFactors implements factor.Keeper.
func (s *Store) DeleteFactors(ctx context.Context, user, id string) (records []factor.Record, err error) {
	if user == "" {
		return nil, errors.New("store: delete factors: no user")
	}
	err = s.change(ctx, "delete factors", func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `DELETE FROM factors WHERE user_name = ?1 AND (?2 = '' OR id = ?2) RETURNING `+factorColumns, user, id)
		if err != nil {
			return err
		}
		records, err = scanFactors(rows)
		return err
	})
	if err != nil {
		return nil, err
	}
	return records, nil
}

const factorColumns = `id, user_name, kind, name, site, created, used, warned, lookup, count, sealed`

// scanFactors reads all rows, in the order of factorColumns, and closes them.
func scanFactors(rows *sql.Rows) ([]factor.Record, error) {
	defer rows.Close()
	var records []factor.Record
	for rows.Next() {
		var (
			r                     factor.Record
			created, used, warned int64
		)
		err := rows.Scan(&r.ID, &r.User, &r.Kind, &r.Name, &r.Site, &created, &used, &warned, &r.Lookup, &r.Count, &r.Sealed)
		if err != nil {
			return nil, err
		}
		r.Created, r.Used, r.Warned = moment(created), moment(used), moment(warned)
		records = append(records, r)
	}
	return records, rows.Err()
}

// affected is how many rows a statement changed.
func affected(result sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// or is the store's fault, else the refusal that a transaction came to.
func or(fault, refused error) error {
	if fault != nil {
		return fault
	}
	return refused
}

// blob is b for a column where nil is NULL.
func blob(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}
