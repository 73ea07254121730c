package session

import (
	"sync"
	"time"

	"github.com/patrickmn/go-cache"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"
)

// memory is what a Table keeps: the entries, the tokens known to name nothing, and what
// the Keeper still has to be told.
type memory struct {
	minter  minter
	start   time.Time // with the monotonic reading
	shards  [shardCount]shard
	recent  recent
	unknown unknown
	words   words
	flight  singleflight.Group
	// gate holds one unit for each Load and Create, from their look at the Keeper to the
	// entry in memory, and all units for an ending: no session that is being ended
	// enters memory behind its back. Unlike a sync.RWMutex it heeds contexts.
	gate *semaphore.Weighted

	mu      sync.Mutex
	endings map[string]ending // by id: ended in memory, not yet in the Keeper
	failed  []revocation      // revocations that the Keeper did not take
	changed map[string]bool   // by id: who the user is, the Keeper has not been told
}

// gateAll is every unit of memory.gate.
const gateAll = 1 << 30

// ending is a session that ended by itself.
type ending struct {
	user   string
	reason string
}

func newMemory(key []byte, now time.Time) *memory {
	m := &memory{start: now, gate: semaphore.NewWeighted(gateAll), endings: make(map[string]ending), changed: make(map[string]bool)}
	m.minter.key = key
	m.recent.fit(0)
	for i := range m.shards {
		// No janitor: Run sweeps, one shard after the other. No expiration of the
		// cache's own: it would read the clock at each lookup.
		m.shards[i].cache = cache.New(cache.NoExpiration, 0)
	}
	return m
}

// at is now as table time, in Unix nanoseconds: the wall clock, but never behind what
// the monotonic clock says has passed, so that setting the clock back extends nothing.
func (m *memory) at(now time.Time) int64 {
	return tableTime(now.UnixNano(), m.start.UnixNano(), now.Sub(m.start))
}

func tableTime(wall, start int64, passed time.Duration) int64 {
	return max(wall, start+int64(passed))
}

// shardCount is the number of go-caches: so many that a copy of one for sweeping takes
// about a millisecond with a million sessions, so few that their heads stay in the
// processor's cache.
const shardCount = 256

// shard is a go-cache whose changes are serialised, so that they can depend on what is
// there. Lookups do not take mu.
type shard struct {
	mu    sync.Mutex
	cache *cache.Cache
}

// shard picks by the first four characters, which are random; the top byte of the
// product depends on all of them.
func (m *memory) shard(c0, c1, c2, c3 byte) *shard {
	x := uint32(c0) | uint32(c1)<<8 | uint32(c2)<<16 | uint32(c3)<<24
	return &m.shards[x*2654435761>>24]
}

func (m *memory) shardOf(id string) *shard {
	if len(id) != selectorLen {
		return &m.shards[0] // where nothing has such an id either
	}
	return m.shard(id[0], id[1], id[2], id[3])
}

// count is how many entries there are.
func (m *memory) count() int {
	n := 0
	for i := range m.shards {
		n += m.shards[i].cache.ItemCount()
	}
	return n
}

// find returns nil when there is no entry under that selector.
func (m *memory) find(selector []byte) *Entry {
	return m.shard(selector[0], selector[1], selector[2], selector[3]).get(string(selector))
}

func (s *shard) get(id string) *Entry {
	x, ok := s.cache.Get(id)
	if !ok {
		return nil
	}
	return x.(*Entry)
}

func (m *memory) get(id string) *Entry { return m.shardOf(id).get(id) }

// insert keeps what is there already.
func (m *memory) insert(e *Entry) {
	s := m.shardOf(e.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.get(e.ID) == nil {
		s.cache.Set(e.key(), e, cache.NoExpiration)
	}
}

// replace puts next in the place of e, with e's state and uses, and returns it. When e
// is not there any more it returns what is, or nil.
func (m *memory) replace(e, next *Entry) *Entry {
	s := m.shardOf(e.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.get(e.ID); now != e {
		return now
	}
	next.last.Store(e.last.Load())
	next.written.Store(e.written.Load())
	next.state.Store(e.state.Load())
	s.cache.Set(next.key(), next, cache.NoExpiration)
	m.finish(e)
	return next
}

// finish is for an entry that has left its shard.
func (m *memory) finish(e *Entry) {
	e.state.Store(ended)
	m.recent.drop(e)
}

// remove ends the entry with that id; false when there is none.
func (m *memory) remove(id string) bool {
	s := m.shardOf(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.get(id)
	if e == nil {
		return false
	}
	s.cache.Delete(id)
	m.finish(e)
	return true
}

// evict drops an entry that has not been used since it was written; the Keeper has it.
func (m *memory) evict(e *Entry, last int64) {
	s := m.shardOf(e.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.get(e.ID) == e && e.last.Load() == last && e.state.Load() == live {
		s.cache.Delete(e.ID)
		m.finish(e)
	}
}

// claim makes a live entry a rotating one; false when it is not live.
func (m *memory) claim(id string) bool { return m.turn(id, live, rotating) }

// unclaim undoes claim.
func (m *memory) unclaim(id string) { m.turn(id, rotating, live) }

func (m *memory) turn(id string, from, to uint32) bool {
	s := m.shardOf(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.get(id)
	return e != nil && e.state.CompareAndSwap(from, to)
}

// addEnding leaves the Keeper's part of an ending to Run.
func (m *memory) addEnding(s *Session, reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.endings[s.ID] = ending{user: s.User, reason: reason}
}

// addChange leaves it to Run to tell the Keeper who a session's user is now: after a
// restart while the directory is away, that is who he is believed to be.
func (m *memory) addChange(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changed[id] = true
}

// all calls f with a copy of each shard's entries. Entries that come or go meanwhile
// may be seen or not.
func (m *memory) all(f func(*Entry)) {
	for i := range m.shards {
		m.shards[i].all(f)
	}
}

func (s *shard) all(f func(*Entry)) {
	if s.cache.ItemCount() == 0 {
		return
	}
	for _, item := range s.cache.Items() {
		f(item.Object.(*Entry))
	}
}

// unknown remembers tokens that were issued once and name nothing now: they are never
// issued again. It holds two generations of bounded size, and forgets the older one.
type unknown struct {
	mu       sync.Mutex
	new, old map[string]struct{}
	turned   int64 // table time
}

// A generation of unknown ends by size or by age.
const (
	unknownMax = 4096
	unknownAge = int64(time.Minute)
)

func (u *unknown) has(token []byte) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, ok := u.new[string(token)]; ok {
		return true
	}
	_, ok := u.old[string(token)]
	return ok
}

func (u *unknown) add(token string, at int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.turn(at)
	if u.new == nil || len(u.new) >= unknownMax {
		u.old, u.new, u.turned = u.new, make(map[string]struct{}), at
	}
	u.new[token] = struct{}{}
}

// age forgets what is old, so that memory is given back without new tokens.
func (u *unknown) age(at int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.turn(at)
}

func (u *unknown) turn(at int64) {
	if len(u.new)+len(u.old) > 0 && at-u.turned >= unknownAge {
		u.old, u.new, u.turned = u.new, nil, at
	}
}
