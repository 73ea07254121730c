package store

import (
	"context"
	"database/sql"
	"errors"

	"postern/agent/credential"
)

const credentialColumns = `id, hash, kind, name, owner, level, hosts, methods, path, networks, created, expires, used`

// AddCredential implements credential.Keeper.
func (s *Store) AddCredential(ctx context.Context, c credential.Stored, others int) error {
	var refused error // outside the transaction: it is no fault of the store
	err := s.change(ctx, "add credential", func(tx *sql.Tx) error {
		var have int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM credentials WHERE owner = ?`, c.Owner).Scan(&have); err != nil {
			return err
		}
		if have > others {
			refused = credential.ErrTooMany
			return nil
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO credentials (`+credentialColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			c.ID, c.Hash[:], string(c.Kind), c.Name, c.Owner, int64(c.Level), list[string]{&c.Scope.Hosts}, list[string]{&c.Scope.Methods},
			c.Scope.Path, list[string]{&c.Scope.Networks}, nanos(c.Created), nanos(c.Expires), nanos(c.Used))
		return err
	})
	return or(err, refused)
}

// ListCredentials implements credential.Keeper.
func (s *Store) ListCredentials(ctx context.Context, owner string) ([]credential.Stored, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT `+credentialColumns+` FROM credentials WHERE ?1 = '' OR owner = ?1
		ORDER BY owner, created, id`, owner)
	if err != nil {
		return nil, fault("list credentials", err)
	}
	all, err := scanCredentials(rows)
	return all, fault("list credentials", err)
}

// DeleteCredentials implements credential.Keeper.
func (s *Store) DeleteCredentials(ctx context.Context, owner, id string) (gone []credential.Stored, err error) {
	if owner == "" {
		return nil, errors.New("store: delete credentials: no owner")
	}
	err = s.change(ctx, "delete credentials", func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `DELETE FROM credentials WHERE owner = ?1 AND (?2 = '' OR id = ?2) RETURNING `+credentialColumns, owner, id)
		if err != nil {
			return err
		}
		gone, err = scanCredentials(rows)
		return err
	})
	if err != nil {
		return nil, err
	}
	return gone, nil
}

// TouchCredentials implements credential.Keeper.
func (s *Store) TouchCredentials(ctx context.Context, touches []credential.Touch) error {
	if len(touches) == 0 {
		return nil
	}
	return s.change(ctx, "touch credentials", func(tx *sql.Tx) error {
		touch, err := tx.PrepareContext(ctx, `UPDATE credentials SET used = max(used, ?) WHERE id = ?`)
		if err != nil {
			return err
		}
		defer touch.Close()
		for _, t := range touches {
			if _, err := touch.ExecContext(ctx, nanos(t.Used), t.ID); err != nil {
				return err
			}
		}
		return nil
	})
}

// scanCredentials reads all rows, in the order of credentialColumns, and closes them.
func scanCredentials(rows *sql.Rows) ([]credential.Stored, error) {
	defer rows.Close()
	var all []credential.Stored
	for rows.Next() {
		var (
			c                      credential.Stored
			hash                   []byte
			created, expires, used int64
		)
		err := rows.Scan(&c.ID, &hash, &c.Kind, &c.Name, &c.Owner, &c.Level, list[string]{&c.Scope.Hosts}, list[string]{&c.Scope.Methods},
			&c.Scope.Path, list[string]{&c.Scope.Networks}, &created, &expires, &used)
		if err != nil {
			return nil, err
		}
		copy(c.Hash[:], hash)
		c.Created, c.Expires, c.Used = moment(created), moment(expires), moment(used)
		all = append(all, c)
	}
	return all, rows.Err()
}
