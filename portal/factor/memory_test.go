package factor_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"postern/portal/factor"
)

// memory is every Keeper of this package, in a map: what a store promises, at its shortest.
type memory struct {
	mu      sync.Mutex
	records []factor.Record
	codes   map[string]map[[32]byte]bool // by user; true is spent
	mails   []*mail
	spent   map[[32]byte]time.Time
}

type mail struct {
	factor.Mail
	tries  int
	closed bool
}

func newMemory() *memory {
	return &memory{codes: make(map[string]map[[32]byte]bool), spent: make(map[[32]byte]time.Time)}
}

func (m *memory) AddFactor(_ context.Context, r factor.Record, others int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, have := range m.records {
		if have.ID == r.ID || (r.Lookup != nil && bytes.Equal(have.Lookup, r.Lookup)) {
			return factor.ErrExists
		}
		if have.User == r.User {
			n++
		}
	}
	if n > others {
		return factor.ErrTooMany
	}
	m.records = append(m.records, r)
	return nil
}

func (m *memory) ListFactors(_ context.Context, f factor.Filter) ([]factor.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []factor.Record
	for _, r := range m.records {
		if (f.User == "" || r.User == f.User) && (f.Kind == "" || r.Kind == f.Kind) && (f.Lookup == nil || bytes.Equal(r.Lookup, f.Lookup)) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b factor.Record) int {
		return cmp.Or(cmp.Compare(a.User, b.User), a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return out, nil
}

func (m *memory) find(user, id string) *factor.Record {
	for i := range m.records {
		if m.records[i].User == user && m.records[i].ID == id {
			return &m.records[i]
		}
	}
	return nil
}

func (m *memory) AdvanceFactor(_ context.Context, a factor.Advance) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.find(a.User, a.ID)
	if r == nil {
		return factor.ErrNotFound
	}
	if a.Count <= r.Count && (a.Count != 0 || r.Count != 0) {
		return factor.ErrSpent
	}
	r.Count, r.Used = a.Count, a.Used
	if a.Sealed != nil {
		r.Sealed = a.Sealed
	}
	return nil
}

func (m *memory) AmendFactor(_ context.Context, a factor.Amend) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.find(a.User, a.ID)
	if r == nil {
		return factor.ErrNotFound
	}
	r.Name = cmp.Or(a.Name, r.Name)
	if !a.Warned.IsZero() {
		r.Warned = a.Warned
	}
	return nil
}

func (m *memory) DeleteFactors(_ context.Context, user, id string) ([]factor.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if user == "" {
		return nil, errors.New("no user")
	}
	var gone []factor.Record
	m.records = slices.DeleteFunc(m.records, func(r factor.Record) bool {
		if r.User != user || (id != "" && r.ID != id) {
			return false
		}
		gone = append(gone, r)
		return true
	})
	return gone, nil
}

func (m *memory) ReplaceRecovery(_ context.Context, user string, macs [][32]byte, _ time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.codes[user] = make(map[[32]byte]bool)
	for _, mac := range macs {
		m.codes[user][mac] = false
	}
	return nil
}

func (m *memory) SpendRecovery(_ context.Context, user string, mac [32]byte, _ time.Time) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	spent, ok := m.codes[user][mac]
	if !ok {
		return 0, factor.ErrNotFound
	}
	if spent {
		return 0, factor.ErrSpent
	}
	m.codes[user][mac] = true
	return m.left(user), nil
}

func (m *memory) CountRecovery(_ context.Context, user string) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.left(user), nil
}

func (m *memory) left(user string) (n int) {
	for _, spent := range m.codes[user] {
		if !spent {
			n++
		}
	}
	return n
}

func (m *memory) SaveMail(_ context.Context, c factor.Mail, max int, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, have := range m.mails {
		if have.User == c.User && now.Before(have.Expires) {
			n++
		}
	}
	if n >= max {
		return factor.ErrTooMany
	}
	for _, have := range m.mails {
		have.closed = have.closed || have.Slot == c.Slot
	}
	m.mails = append(m.mails, &mail{Mail: c})
	return nil
}

func (m *memory) TryMail(_ context.Context, slot [32]byte, max int, now time.Time) (factor.Mail, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, have := range m.mails {
		if have.Slot == slot && !have.closed && have.tries < max && now.Before(have.Expires) {
			have.tries++
			return have.Mail, nil
		}
	}
	return factor.Mail{}, factor.ErrNotFound
}

func (m *memory) CloseMail(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, have := range m.mails {
		if have.ID == id && !have.closed {
			have.closed = true
			return nil
		}
	}
	return factor.ErrSpent
}

func (m *memory) Spend(_ context.Context, key [32]byte, until, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.spent[key]; ok {
		return factor.ErrSpent
	}
	m.spent[key] = until
	return nil
}
