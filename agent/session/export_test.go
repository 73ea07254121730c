package session

import "context"

// Cycle is what Run does in a minute: it looks at every shard once.
func (t *Table) Cycle(ctx context.Context) error {
	r := &runner{table: t, m: t.memory()}
	return r.step(ctx, shardCount)
}

// Entries is how many sessions are in memory.
func (t *Table) Entries() int { return t.memory().count() }

// Waiting is how many endings and revocations the Keeper has still to be told.
func (t *Table) Waiting() int {
	m := t.memory()
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.endings) + len(m.failed)
}
