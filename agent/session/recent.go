package session

import (
	"math/bits"
	"sync/atomic"
)

// recent finds most entries in one step instead of the four that a lookup in a map of a
// million takes, each of them a trip to main memory. It holds hints: at most one entry
// for each slot, perhaps one that has ended, so that whoever follows a hint looks at the
// entry's token and state. Every entry that is not in its shard has ended.
type recent struct {
	slots atomic.Pointer[[]atomic.Pointer[Entry]] // a power of two of them
}

// recentLeast is the number of slots of a small table: 8 KiB.
const recentLeast = 1024

func (r *recent) slot(selector []byte) *atomic.Pointer[Entry] {
	_ = selector[7]
	x := uint64(selector[0]) | uint64(selector[1])<<8 | uint64(selector[2])<<16 | uint64(selector[3])<<24 |
		uint64(selector[4])<<32 | uint64(selector[5])<<40 | uint64(selector[6])<<48 | uint64(selector[7])<<56
	slots := *r.slots.Load()
	return &slots[x*0x9e3779b97f4a7c15>>32&uint64(len(slots)-1)]
}

// find returns an entry that may be the one, or nil.
func (r *recent) find(selector []byte) *Entry { return r.slot(selector).Load() }

func (r *recent) keep(e *Entry) { r.slot(e.token[:]).Store(e) }

// drop lets go of an entry that has ended, so that its memory is free.
func (r *recent) drop(e *Entry) { r.slot(e.token[:]).CompareAndSwap(e, nil) }

// fit makes it as large as n entries need; it fills again with use.
func (r *recent) fit(n int) {
	size := max(recentLeast, 1<<bits.Len(uint(n)))
	if slots := r.slots.Load(); slots == nil || len(*slots) < size || len(*slots) > 4*size {
		next := make([]atomic.Pointer[Entry], size)
		r.slots.Store(&next)
	}
}
