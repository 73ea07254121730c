package session

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// Table finds the session that a cookie names: from memory, and behind it from the Keeper.
// Fill the exported fields, then call Run; Find works before and after.
type Table struct {
	Config    Config
	Keeper    Keeper
	Directory Directory             // nil: users stay who they were at sign-in
	Key       []byte                // 32 bytes; the key of the tokens' MAC
	Prepare   func(*Session) []byte // may be nil; its result is kept in Entry.Prepared
	Aside     func(work func())     // runs a look at the Keeper and returns when it has ended; nil: anywhere
	Now       func() time.Time      // nil means time.Now
	Log       *slog.Logger          // nil means none

	mem atomic.Pointer[memory] // made at first use
}

// Result says how a Find ended.
type Result uint8

// The results of Find.
const (
	None Result = iota // no token, junk, expired, revoked, or for another domain
	Hit                // in memory
	Miss               // well-formed but not in memory: Load can tell
)

// Find looks in memory only and never blocks: it is called on the agent's read loop.
// token is a view that it does not keep. A hit counts as a use of the session.
func (t *Table) Find(token []byte, domain string, now time.Time) (*Entry, Result) {
	if len(token) != TokenLength {
		return nil, None
	}
	m := t.memory()
	if e := m.recent.find(token); e != nil {
		if e.state.Load() != ended {
			return t.use(m, e, domain, now)
		}
		m.recent.drop(e)
	}
	for e := m.find(token[:selectorLen]); e != nil; e = m.find(token[:selectorLen]) {
		if !e.has(token) {
			return nil, None
		}
		if e.state.Load() != ended { // else it has just been replaced or removed: look again
			m.recent.keep(e)
			return t.use(m, e, domain, now)
		}
	}
	if !m.minter.issued(token) || m.unknown.has(token) {
		return nil, None
	}
	return nil, Miss
}

// Near fetches what Find will need of these tokens, of TokenLength bytes each, from main
// memory into the processor's caches, for all of them in the time of one or two. Others
// than those of sessions in memory fetch nothing.
func (t *Table) Near(tokens [][]byte) { fetched(t.memory().recent.fetch(tokens)) }

// fetched keeps the compiler from leaving reads out whose sum nobody needs.
//
//go:noinline
func fetched(uint64) {}

// Far says that there are so many sessions that Near pays.
func (t *Table) Far() bool { return t.memory().recent.far() }

// use holds an entry against everything that can make it None.
func (t *Table) use(m *memory, e *Entry, domain string, now time.Time) (*Entry, Result) {
	if e.Domain != domain {
		return nil, None
	}
	at := m.at(now)
	if reason := t.over(&e.Session, e.last.Load(), at); reason != "" {
		t.end(m, e, reason)
		return nil, None
	}
	if t.Directory != nil {
		if epoch := t.Directory.Epoch(); epoch != e.epoch.Load() {
			var r Result
			if e, r = t.refresh(m, e); r != Hit {
				return nil, r
			}
		}
	}
	if at-e.last.Load() >= int64(time.Second) { // not more often: the line is shared
		e.last.Store(at)
	}
	return e, Hit
}

// Why a session ends by itself, for logs.
const (
	reasonExpired  = "expired"
	reasonInactive = "inactive"
	reasonUser     = "user disabled or gone"
	reasonRevoked  = "revoked"
)

// over says why the session has ended at that table time, or "".
func (t *Table) over(s *Session, last, at int64) string {
	switch {
	case at >= s.Expires.UnixNano():
		return reasonExpired
	case !s.Remember && t.Config.Inactivity > 0 && at-last > int64(t.Config.Inactivity):
		return reasonInactive
	}
	return ""
}

// end removes an entry from memory now and leaves the Keeper's part, and the log line,
// to Run.
func (t *Table) end(m *memory, e *Entry, reason string) {
	m.addEnding(&e.Session, reason)
	m.remove(e.ID)
}

// refresh asks the directory's memory who the user is now. The answer is Miss when that
// cannot tell, None when the session has ended by it, else an entry that is e or has taken
// its place.
func (t *Table) refresh(m *memory, e *Entry) (*Entry, Result) {
	a := t.recall(e.User)
	if a.standing == Unsure {
		return nil, Miss
	}
	return t.settle(m, e, a)
}

// settle holds an entry against what the directory has said.
func (t *Table) settle(m *memory, e *Entry, a answer) (*Entry, Result) {
	switch {
	case a.standing == Gone:
		t.end(m, e, reasonUser)
		return nil, None
	case a.standing == Unsure, a.id.is(&e.Session):
		e.epoch.Store(a.epoch)
		return e, Hit
	}
	s := e.Session
	s.Name, s.Email, s.Groups = a.id.Name, a.id.Email, a.id.Groups
	next := t.newEntry(m, string(e.token[:]), &s, a.epoch)
	switch now := m.replace(e, next); {
	case now == nil:
		return nil, None
	case now == next:
		m.addChange(now.ID)
		return now, Hit
	case now.epoch.Load() != a.epoch: // another one's answer, to an older question
		return t.refresh(m, now)
	default:
		return now, Hit
	}
}

// List returns the live sessions that f selects, ordered by user, then sign-in, with
// their last uses.
func (t *Table) List(ctx context.Context, f Filter) ([]Session, error) {
	m := t.memory()
	records, err := t.Keeper.ListSessions(ctx, f)
	if err != nil {
		return nil, err
	}
	at := m.at(t.now())
	sessions := make([]Session, 0, len(records))
	for i := range records {
		s := records[i].Session
		if e := m.get(s.ID); e != nil {
			s = e.snapshot()
		}
		if t.over(&s, s.Seen.UnixNano(), at) == "" && !m.hasEnded(&s) {
			sessions = append(sessions, s)
		}
	}
	return sessions, nil
}

// Count is how many sessions are in memory.
func (t *Table) Count() int { return t.memory().count() }

// memory makes the memory at first use; everybody gets the same one.
func (t *Table) memory() *memory {
	if m := t.mem.Load(); m != nil {
		return m
	}
	t.mem.CompareAndSwap(nil, newMemory(t.Key, t.now()))
	return t.mem.Load()
}

func (t *Table) now() time.Time {
	if t.Now != nil {
		return t.Now()
	}
	return time.Now()
}

func (t *Table) log() *slog.Logger {
	if t.Log != nil {
		return t.Log
	}
	return slog.New(slog.DiscardHandler)
}
