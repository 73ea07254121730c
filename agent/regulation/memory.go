package regulation

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// Memory is a Keeper that forgets when the process ends. The zero Memory is empty.
type Memory struct {
	mu     sync.Mutex
	counts map[Key]Count
	bans   map[string]Ban
}

// ChangeCounts implements Keeper.
func (m *Memory) ChangeCounts(ctx context.Context, keys []Key, change func([]Count) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	counts := make([]Count, len(keys))
	for i, k := range keys {
		counts[i] = m.counts[k]
		counts[i].Failed = slices.Clone(counts[i].Failed)
	}
	if err := change(counts); err != nil {
		return err
	}
	if m.counts == nil {
		m.counts = map[Key]Count{}
	}
	for i, k := range keys {
		if counts[i].IsZero() {
			delete(m.counts, k)
			continue
		}
		m.counts[k] = counts[i]
	}
	return nil
}

// PruneCounts implements Keeper.
func (m *Memory) PruneCounts(ctx context.Context, now time.Time, room int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.counts, func(_ Key, c Count) bool { return !c.Expires.After(now) })
	maps.DeleteFunc(m.bans, func(_ string, b Ban) bool { return b.ended(now) })
	if over := len(m.counts) - room; over > 0 {
		keys := slices.SortedFunc(maps.Keys(m.counts), func(a, b Key) int {
			x, y := m.counts[a], m.counts[b]
			return cmp.Or(x.Waits-y.Waits, len(x.Failed)-len(y.Failed), x.Expires.Compare(y.Expires))
		})
		for _, k := range keys[:over] {
			delete(m.counts, k)
		}
	}
	var mine []Ban
	for _, b := range m.bans {
		if !b.Manual() {
			mine = append(mine, b)
		}
	}
	if over := len(mine) - room; over > 0 {
		slices.SortFunc(mine, func(a, b Ban) int { return a.Until.Compare(b.Until) })
		for _, b := range mine[:over] {
			delete(m.bans, b.ID)
		}
	}
	return nil
}

// PutBan implements Keeper.
func (m *Memory) PutBan(ctx context.Context, b Ban) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bans == nil {
		m.bans = map[string]Ban{}
	}
	if !b.Manual() {
		maps.DeleteFunc(m.bans, func(_ string, o Ban) bool { return o.Key == b.Key })
	}
	m.bans[b.ID] = b
	return nil
}

// ListBans implements Keeper.
func (m *Memory) ListBans(ctx context.Context, now time.Time) ([]Ban, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []Ban
	for _, b := range m.bans {
		if !b.ended(now) {
			list = append(list, b)
		}
	}
	slices.SortFunc(list, func(a, b Ban) int { return cmp.Or(b.Since.Compare(a.Since), cmp.Compare(a.ID, b.ID)) })
	return list, nil
}

// LiftBans implements Keeper.
func (m *Memory) LiftBans(ctx context.Context, ids []string, keys []Key) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		delete(m.bans, id)
	}
	for _, k := range keys {
		delete(m.counts, k)
	}
	return nil
}
