package session

import (
	"context"
	"fmt"
	"reflect"
	"slices"
)

// revocation is a Revoke that the Keeper did not take: whatever it selects among the
// sessions of before is refused, and Run tries again.
type revocation struct {
	filter Filter
	at     int64 // table time
}

func (r *revocation) hits(s *Session) bool {
	return s.Created.UnixNano() <= r.at && r.filter.Match(s)
}

// Revoke ends the sessions that f selects, in memory and in the Keeper, and returns
// those that the Keeper had. They are refused from the next Find on, and the end of ctx
// does not stop half-way. An error says that the Keeper may still have them: this table
// refuses them all the same and goes on trying while it runs.
func (t *Table) Revoke(ctx context.Context, f Filter) ([]Session, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	m := t.memory()
	r := revocation{filter: f, at: m.at(t.now())}
	m.forget(&f)
	if err := m.gate.Acquire(ctx, gateAll); err != nil {
		m.fail(r)
		return nil, fmt.Errorf("session: revoke: %w", err)
	}
	defer m.gate.Release(gateAll)
	m.forget(&f) // what was loaded meanwhile
	records, err := t.Keeper.DeleteSessions(ctx, f)
	if err != nil {
		m.fail(r)
		return nil, fmt.Errorf("session: revoke: %w", err)
	}
	sessions := make([]Session, len(records))
	for i := range records {
		sessions[i] = records[i].Session
		m.remove(sessions[i].ID)
	}
	return sessions, nil
}

// forget removes from memory what f selects. One id is a lookup, everything else a walk
// over all entries: an index by user would cost every session memory for a rare need.
func (m *memory) forget(f *Filter) {
	if f.ID != "" {
		if e := m.get(f.ID); e != nil && f.Match(&e.Session) {
			m.remove(e.ID)
		}
		return
	}
	m.all(func(e *Entry) {
		if f.Match(&e.Session) {
			m.remove(e.ID)
		}
	})
}

// fail keeps a revocation for Run. One id is an ending like any other; of two for the
// same sessions the later one counts.
func (m *memory) fail(r revocation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.filter.ID != "" && reflect.DeepEqual(r.filter, Filter{ID: r.filter.ID}) {
		m.endings[r.filter.ID] = ending{reason: reasonRevoked}
		return
	}
	same := func(x revocation) bool { return reflect.DeepEqual(x.filter, r.filter) }
	m.failed = append(slices.DeleteFunc(slices.Clone(m.failed), same), r)
}

// succeed drops r from the revocations that wait, unless a later one took its place.
func (m *memory) succeed(r revocation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failed = slices.DeleteFunc(slices.Clone(m.failed), func(x revocation) bool {
		return x.at == r.at && reflect.DeepEqual(x.filter, r.filter)
	})
}

// hasEnded says whether s has ended in a way that the Keeper may not know of yet.
func (m *memory) hasEnded(s *Session) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.endings[s.ID]; ok {
		return true
	}
	return slices.ContainsFunc(m.failed, func(r revocation) bool { return r.hits(s) })
}
