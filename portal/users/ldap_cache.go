package users

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of what is remembered.
const (
	maxKnown   = 1 << 17 // users
	maxSpelled = 1 << 14 // other spellings of names
)

// ldapEntry is what is known of one user.
type ldapEntry struct {
	user   User
	dn     string
	mark   string
	asked  time.Time    // when the directory said so
	tried  time.Time    // when it was last asked, with or without an answer
	used   atomic.Int64 // when somebody last wanted to know, Unix seconds
	gone   bool         // the directory has no such user any more, or excludes him
	lapsed bool         // too old to be believed
}

// spelling is another way to write a user's name.
type spelling struct {
	name  string // canonical
	asked time.Time
}

// ldapCache remembers users by canonical name.
type ldapCache struct {
	mu      sync.RWMutex
	entries map[string]*ldapEntry
	spelled map[string]spelling
	epoch   atomic.Uint64
}

// get returns a copy of what is known of a user; the times are what they are.
func (m *ldapCache) get(name string, now time.Time) (u User, e ldapTimes, ok bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	x := m.entries[name]
	if x == nil {
		return User{}, ldapTimes{}, false
	}
	if t := now.Unix(); x.used.Load() != t {
		x.used.Store(t)
	}
	u = x.user
	u.Emails, u.Groups = slices.Clone(u.Emails), slices.Clone(u.Groups)
	return u, ldapTimes{asked: x.asked, gone: x.gone, mark: x.mark}, true
}

// ldapTimes is what get says beside the user.
type ldapTimes struct {
	asked time.Time
	gone  bool
	mark  string
}

// means returns the canonical name that a spelling had when it was last asked for.
func (m *ldapCache) means(typed string) (spelling, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	s, ok := m.spelled[typed]
	return s, ok
}

// put remembers what the directory said about a person, and under which spelling.
// Whoever was known and is another one now moves the epoch.
func (m *ldapCache) put(p *person, typed string, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries == nil {
		m.entries, m.spelled = map[string]*ldapEntry{}, map[string]spelling{}
	}
	if typed != "" && typed != p.Name {
		if len(m.spelled) >= maxSpelled {
			clear(m.spelled)
		}
		m.spelled[typed] = spelling{p.Name, now}
	}
	e := m.entries[p.Name]
	if e == nil {
		if len(m.entries) >= maxKnown {
			m.evict()
		}
		e = &ldapEntry{}
		e.used.Store(now.Unix())
		m.entries[p.Name] = e
	} else {
		if sameItems(e.user.Emails, p.Emails) {
			p.Emails = e.user.Emails // directories do not keep an order
		}
		if e.gone || e.lapsed || !sameUser(e.user, p.User) {
			defer m.epoch.Add(1)
		}
	}
	e.user, e.dn, e.mark = p.User, p.dn, p.mark
	e.asked, e.tried, e.gone, e.lapsed = now, now, false, false
}

// miss remembers that the directory has a user no more. One who was never known is not
// remembered.
func (m *ldapCache) miss(name string, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entries[name]
	if e == nil {
		return
	}
	if !e.gone || e.lapsed {
		defer m.epoch.Add(1)
	}
	e.user.Disabled, e.user.Groups = true, nil
	e.asked, e.tried, e.gone, e.lapsed, e.mark = now, now, true, false, ""
}

// evict forgets the sixteenth of the users that nobody has wanted to know of for longest;
// under mu. Whom it hits is asked for again.
func (m *ldapCache) evict() {
	names := make([]string, 0, len(m.entries))
	for name := range m.entries {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(m.entries[a].used.Load(), m.entries[b].used.Load()) })
	for _, name := range names[:max(1, len(names)/16)] {
		delete(m.entries, name)
	}
	m.epoch.Add(1)
}

// due lists the users who are to be asked for again, the oldest answer first. It forgets
// those whom nobody needs, unless the directory is away, and marks those whose time is over.
func (m *ldapCache) due(now time.Time, refresh, believed time.Duration) (names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	moved := false
	for name, e := range m.entries {
		age := now.Sub(e.asked)
		switch {
		case now.Sub(time.Unix(e.used.Load(), 0)) > unused && (age < 2*refresh || age > believed):
			delete(m.entries, name)
			moved = true
			continue
		case !e.lapsed && age > believed:
			e.lapsed, moved = true, true
		}
		if now.Sub(e.tried) >= refresh {
			names = append(names, name)
		}
	}
	if moved {
		m.epoch.Add(1)
	}
	slices.SortFunc(names, func(a, b string) int { return m.entries[a].asked.Compare(m.entries[b].asked) })
	return names
}

// try notes that a user is being asked for. It is false when somebody else has done so
// since before.
func (m *ldapCache) try(name string, now time.Time, refresh time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entries[name]
	if e == nil || now.Sub(e.tried) < refresh {
		return false
	}
	e.tried = now
	return true
}

func sameUser(a, b User) bool {
	return a.DisplayName == b.DisplayName && a.Disabled == b.Disabled &&
		slices.Equal(a.Emails, b.Emails) && slices.Equal(a.Groups, b.Groups)
}

// sameItems says whether two lists hold the same, in any order.
func sameItems(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}
