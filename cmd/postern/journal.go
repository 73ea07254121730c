package main

import (
	"context"
	"time"

	"postern/portal/journal"
)

// record is the daemon's journal, and how it gets about.
type record struct {
	*journal.Stream
	pruned time.Time // when old events were removed last
}

// newRecord is the journal of m, whose store and keys are there.
func (m *Main) newRecord() record {
	return record{Stream: &journal.Stream{Ledger: m.store, Key: m.keys.journal, Log: m.Log}}
}

const (
	pruneLook  = time.Hour      // how often the journal's size is looked at
	pruneEvery = 24 * time.Hour // how often old events are removed
)

// pruneJournal removes what is older than journal.keep or more than journal.max, now and
// again and again, until ctx ends.
func (m *Main) pruneJournal(ctx context.Context) error {
	tick := time.NewTicker(pruneLook)
	defer tick.Stop()
	for {
		n, err := m.journal.prune(ctx, m.Config.Journal, time.Now())
		switch {
		case err != nil && ctx.Err() == nil:
			m.Log.Error("journal not pruned", "error", err.Error())
		case n > 0:
			m.Log.Info("journal pruned", "events", n)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// prune does what is due: each prune leaves an event, so that there is one a day, and one
// more whenever a tenth too many events are there.
func (r *record) prune(ctx context.Context, c journal.Config, now time.Time) (int, error) {
	p := journal.Prune{Now: now, Max: c.Max}
	if c.Keep > 0 && (now.Sub(r.pruned) >= pruneEvery || now.Before(r.pruned)) {
		p.Before = now.Add(-c.Keep)
	}
	if c.Max > 0 && p.Before.IsZero() {
		m, err := r.Ledger.Marks(ctx)
		if err != nil {
			return 0, err
		}
		newest, err := r.Ledger.ListRecords(ctx, journal.Filter{Limit: 1})
		if err != nil || len(newest) == 0 || newest[0].Seq-m.Pruned <= uint64(c.Max)+uint64(c.Max)/10 {
			return 0, err
		}
	}
	n, err := r.Prune(ctx, p)
	if err == nil && !p.Before.IsZero() {
		r.pruned = now
	}
	return n, err
}
