package store

import (
	"context"
	"database/sql"
	"net/netip"
	"strings"

	"postern/portal/journal"
)

// maxEvents is how many events a list holds whose filter names no limit.
const maxEvents = 1000

const eventColumns = `id, at, kind, user_name, by_whom, factor, reason, detail, session, request, addr, browser, sum`

// AppendEvents implements journal.Ledger.
func (s *Store) AppendEvents(ctx context.Context, events []journal.Event, seal journal.Seal) ([]journal.Record, error) {
	var records []journal.Record
	err := s.change(ctx, "add events", func(tx *sql.Tx) (err error) {
		records, err = appendEvents(ctx, tx, events, seal)
		return err
	})
	if err != nil {
		return nil, err
	}
	return records, nil
}

func appendEvents(ctx context.Context, tx *sql.Tx, events []journal.Event, seal journal.Seal) ([]journal.Record, error) {
	seq, sum, err := lastEvent(ctx, tx)
	if err != nil {
		return nil, err
	}
	add, err := tx.PrepareContext(ctx, `INSERT INTO events (`+eventColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return nil, err
	}
	defer add.Close()
	records := make([]journal.Record, len(events))
	for i, e := range events {
		seq++
		sum = seal(sum, seq, e)
		_, err := add.ExecContext(ctx, int64(seq), nanos(e.At), string(e.Kind), e.User, e.By, e.Factor, e.Reason, e.Detail,
			e.Session, e.Request, e.Addr, e.Browser, sum[:])
		if err != nil {
			return nil, err
		}
		records[i] = journal.Record{Seq: seq, Sum: sum, Event: e}
	}
	return records, nil
}

// lastEvent is what the next event is sealed upon. What is there already is never sealed
// anew: that would make good whatever somebody wrote there who took the sums away.
func lastEvent(ctx context.Context, tx *sql.Tx) (seq uint64, sum journal.Sum, err error) {
	last, err := scanEvents(tx.QueryContext(ctx, `SELECT `+eventColumns+` FROM events ORDER BY id DESC LIMIT 1`))
	switch {
	case err != nil:
		return 0, sum, err
	case len(last) > 0:
		return last[0].Seq, last[0].Sum, nil
	}
	marks, err := readMarks(tx.QueryRowContext(ctx, selectMarks))
	return marks.Pruned, marks.Sum, err
}

// ListEvents returns the events that f selects, without their numbers and sums.
func (s *Store) ListEvents(ctx context.Context, f journal.Filter) ([]journal.Event, error) {
	records, err := s.ListRecords(ctx, f)
	var events []journal.Event
	for _, r := range records {
		events = append(events, r.Event)
	}
	return events, err
}

// ListRecords implements journal.Ledger.
func (s *Store) ListRecords(ctx context.Context, f journal.Filter) ([]journal.Record, error) {
	limit := f.Limit
	if limit <= 0 {
		limit = maxEvents
	}
	query, args := eventQuery(f)
	if !f.Addr.IsValid() || f.Addr.IsSingleIP() {
		query, args = query+` LIMIT ?`, append(args, limit)
	}
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fault("list events", err)
	}
	defer rows.Close()
	var records []journal.Record
	for len(records) < limit && rows.Next() {
		r, err := scanEvent(rows)
		if err != nil {
			return nil, fault("list events", err)
		}
		if f.Addr.IsValid() && !within(f.Addr, r.Addr) {
			continue
		}
		records = append(records, r)
	}
	return records, fault("list events", rows.Err())
}

// eventQuery is f as SQL. An address is compared as text where that is exact; a network
// is left to the caller.
func eventQuery(f journal.Filter) (query string, args []any) {
	terms := []string{`1`}
	add := func(term string, values ...any) { terms, args = append(terms, term), append(args, values...) }
	if f.User != "" {
		add(`user_name = ?`, f.User)
	}
	if len(f.Kinds) > 0 {
		var kinds []any
		for _, k := range f.Kinds {
			kinds = append(kinds, string(k))
		}
		add(`kind IN (?`+strings.Repeat(`, ?`, len(kinds)-1)+`)`, kinds...)
	}
	if f.Addr.IsSingleIP() {
		add(`addr = ?`, f.Addr.Addr().String())
	}
	if !f.Since.IsZero() {
		add(`at >= ?`, nanos(f.Since))
	}
	if !f.Until.IsZero() {
		add(`at < ?`, nanos(f.Until))
	}
	if f.After > 0 {
		add(`id > ?`, int64(min(f.After, 1<<62)))
	}
	order := ` ORDER BY id DESC`
	if f.Oldest {
		order = ` ORDER BY id`
	}
	return `SELECT ` + eventColumns + ` FROM events WHERE ` + strings.Join(terms, ` AND `) + order, args
}

func within(network netip.Prefix, addr string) bool {
	a, err := netip.ParseAddr(addr)
	return err == nil && network.Contains(a.Unmap().WithZone(""))
}

func scanEvents(rows *sql.Rows, err error) ([]journal.Record, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []journal.Record
	for rows.Next() {
		r, err := scanEvent(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

func scanEvent(rows *sql.Rows) (r journal.Record, err error) {
	var at, seq int64
	var sum []byte
	err = rows.Scan(&seq, &at, &r.Kind, &r.User, &r.By, &r.Factor, &r.Reason, &r.Detail, &r.Session, &r.Request, &r.Addr, &r.Browser, &sum)
	r.Seq, r.At = uint64(seq), moment(at)
	copy(r.Sum[:], sum)
	return r, err
}
