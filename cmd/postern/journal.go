package main

import (
	"context"
	"time"
)

// pruneEvery is how often old events are removed from the journal.
const pruneEvery = 24 * time.Hour

// prune removes what is older than journal.keep, now and every day, until ctx ends.
func (m *Main) prune(ctx context.Context) error {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		if keep := m.Config.Journal.Keep; keep > 0 {
			n, err := m.store.PruneEvents(ctx, time.Now().Add(-keep))
			switch {
			case err != nil && ctx.Err() == nil:
				m.Log.Error("journal not pruned", "error", err.Error())
			case n > 0:
				m.Log.Info("journal pruned", "events", n)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
