package session

import (
	"crypto/subtle"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// Entry is a session in memory. All fields but the last use are read-only, and an Entry
// is never copied.
//
// There may be a million, and then each cache line that a lookup touches is a trip to
// main memory, and each page one more. An Entry has 376 bytes, with eight more a size
// class of the allocator that is a multiple of a line: the first line is the key of the
// map, the second all that Find asks but the epoch, the third who the user is, the last
// the epoch and the way to what is sent, which follows.
type Entry struct {
	token   [TokenLength]byte
	last    atomic.Int64  // last use, table time
	written atomic.Uint32 // last use as the Keeper has it, Unix seconds
	state   atomic.Uint32
	Session
	Prepared []byte        // what Table.Prepare made of the session
	epoch    atomic.Uint64 // of the directory when the user was last identified
}

// The states of an Entry.
const (
	live     uint32 = iota
	rotating        // Create is replacing it; usable until that is done
	ended
)

// newEntry builds the entry of s. The strings that sessions have in common are shared.
func (t *Table) newEntry(m *memory, token string, s *Session, epoch uint64) *Entry {
	shared := *s
	shared.ID = token[:selectorLen]
	shared.Domain = m.words.share(s.Domain)
	shared.User = m.words.share(s.User)
	shared.Name = m.words.share(s.Name)
	shared.Email = m.words.share(s.Email)
	shared.Addr = m.words.share(s.Addr)
	shared.Browser = m.words.share(s.Browser)
	shared.Groups = m.words.shareList(s.Groups)
	var prepared []byte
	if t.Prepare != nil {
		prepared = t.Prepare(&shared)
	}
	e, room := allocate(len(prepared))
	e.Session = shared
	e.Prepared = append(room, prepared...)
	copy(e.token[:], token)
	e.ID = e.key()
	e.last.Store(s.Seen.UnixNano())
	e.written.Store(uint32(s.Seen.Unix()))
	e.epoch.Store(epoch)
	return e
}

// The room behind an Entry, in bytes, that fills the next size classes: 512, 576, 768.
// Over 512 bytes the allocator takes eight for itself.
const (
	smallRoom  = 136
	middleRoom = 192
	largeRoom  = 384
)

// allocate returns an entry with room for n bytes right behind it, so that the bytes
// that are sent lie on the page that was just looked at.
func allocate(n int) (*Entry, []byte) {
	switch {
	case n == 0:
		return new(Entry), nil
	case n <= smallRoom:
		x := new(struct {
			Entry
			room [smallRoom]byte
		})
		return &x.Entry, x.room[:0:n]
	case n <= middleRoom:
		x := new(struct {
			Entry
			room [middleRoom]byte
		})
		return &x.Entry, x.room[:0:n]
	case n <= largeRoom:
		x := new(struct {
			Entry
			room [largeRoom]byte
		})
		return &x.Entry, x.room[:0:n]
	}
	return new(Entry), make([]byte, 0, n)
}

// key is the selector as a string that shares the entry's memory, which nobody writes
// again: a copy for each of a million sessions would cost memory and a cache miss.
func (e *Entry) key() string { return unsafe.String(&e.token[0], selectorLen) }

// near reads a word of each line that a decision is about to need: a processor that does
// not find them in its caches then waits for all of them at once, and not for one after
// the other. It is true of every entry; comparisons that are not known to the compiler
// keep the reads from being left out.
func (e *Entry) near() bool {
	return e.epoch.Load() != math.MaxUint64 && e.last.Load() != math.MinInt64 && len(e.User) > 0
}

// lines reads a word of each line, too, those of what is sent included; the sum means
// nothing. It is for an entry that may be far away, where nothing may wait for a
// comparison.
func (e *Entry) lines() (sum uint64) {
	sum = e.epoch.Load() + uint64(e.last.Load()) + uint64(e.token[0]) + uint64(len(e.User))
	if n := len(e.Prepared); n > 0 {
		sum += uint64(e.Prepared[n/2]) + uint64(e.Prepared[n-1])
	}
	return sum
}

// has says whether token is e's, in a time that does not tell how much of it is right.
func (e *Entry) has(token []byte) bool { return subtle.ConstantTimeCompare(e.token[:], token) == 1 }

// LastUse is when the session was last used, to the second or better. Seen is what was
// written of it.
func (e *Entry) LastUse() time.Time { return fromNano(e.last.Load()) }

// snapshot is the session with its last use in Seen.
func (e *Entry) snapshot() Session {
	s := e.Session
	s.Seen = e.LastUse()
	return s
}

// lag is from half of most on, another one for each session, so that those that came into
// memory together are not written together for ever.
func (e *Entry) lag(most int64) int64 {
	spread := e.token[selectorLen] * 149 // of 64 characters, over all of a byte
	return most - most/512*int64(spread)
}

// fromSeconds is a table time.
func fromSeconds(n uint32) int64 { return int64(n) * int64(time.Second) }

// fromNano is the inverse of UnixNano, in UTC.
func fromNano(n int64) time.Time { return time.Unix(0, n).UTC() }

// words shares equal strings between sessions. It forgets everything when it is full:
// then equal strings are kept twice, nothing worse.
type words struct {
	mu    sync.Mutex
	texts map[string]string
	lists map[string][]string
}

// wordsMax bounds each map of words.
const wordsMax = 16384

func (w *words) share(s string) string {
	if s == "" {
		return ""
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if known, ok := w.texts[s]; ok {
		return known
	}
	if w.texts == nil || len(w.texts) >= wordsMax {
		w.texts = make(map[string]string)
	}
	s = strings.Clone(s) // s may be part of something large
	w.texts[s] = s
	return s
}

func (w *words) shareList(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	key := strings.Join(list, "\x00")
	w.mu.Lock()
	known, ok := w.lists[key]
	w.mu.Unlock()
	if ok && slices.Equal(known, list) {
		return known
	}
	shared := make([]string, len(list))
	for i, s := range list {
		shared[i] = w.share(s)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lists == nil || len(w.lists) >= wordsMax {
		w.lists = make(map[string][]string)
	}
	w.lists[key] = shared
	return shared
}
