package session

import (
	"math/bits"
	"sync/atomic"
)

// recent finds most entries with two trips to main memory instead of the five or more of
// a lookup in a map of a million. It holds hints: not every entry, and perhaps one that
// has ended, so that whoever follows a hint looks at the entry's state. Every entry that
// is not in its shard has ended.
type recent struct {
	buckets atomic.Pointer[[]bucket] // a power of two of them
}

// bucket is one cache line: entries, and a byte of the hash of each so that only the
// right one need be looked at. A tag and an entry that do not belong together, after a
// race, are a hint that leads nowhere.
type bucket struct {
	tags    atomic.Uint64 // the lowest byte is that of entries[0]; the highest counts
	entries [bucketSize]atomic.Pointer[Entry]
}

const (
	bucketSize  = 7
	bucketFill  = 4   // entries for each bucket that fit aims at
	bucketLeast = 256 // buckets of a small table: 16 KiB
)

// place is the bucket of a selector, and its tag.
func (r *recent) place(selector []byte) (*bucket, byte) {
	_ = selector[7]
	x := uint64(selector[0]) | uint64(selector[1])<<8 | uint64(selector[2])<<16 | uint64(selector[3])<<24 |
		uint64(selector[4])<<32 | uint64(selector[5])<<40 | uint64(selector[6])<<48 | uint64(selector[7])<<56
	x *= 0x9e3779b97f4a7c15
	buckets := *r.buckets.Load()
	return &buckets[x>>24&uint64(len(buckets)-1)], byte(x >> 56)
}

// find returns the entry of that token when it is among the recent ones, or nil.
func (r *recent) find(token []byte) *Entry {
	b, tag := r.place(token)
	tags := b.tags.Load()
	for i := range bucketSize {
		if byte(tags>>(8*i)) == tag {
			if e := b.entries[i].Load(); e != nil && e.near() && e.has(token) {
				return e
			}
		}
	}
	return nil
}

// fetch reads what find will need of these tokens: for all of them the buckets, then for
// all of them the entries. The reads of a round do not depend on one another, nor on a
// branch that depends on them, so the processor has them all under way at once.
func (r *recent) fetch(tokens [][]byte) (seen uint64) {
	var (
		places  [fetchMost]*bucket
		entries [fetchMost]*Entry
	)
	n := min(len(tokens), fetchMost)
	for i := range n {
		b, _ := r.place(tokens[i])
		places[i] = b
		seen += b.tags.Load()
	}
	for i := range n {
		b, tag := r.place(tokens[i])
		entries[i] = b.entries[tagged(b.tags.Load(), tag)].Load()
	}
	for _, e := range entries[:n] {
		if e != nil {
			seen += e.lines()
		}
	}
	return seen
}

// fetchMost is how many entries fetch fetches.
const fetchMost = 32

// tagged is the first place whose tag is that one; any place when there is none.
func tagged(tags uint64, tag byte) int {
	const low, high = 0x0101010101010101, 0x8080808080808080
	x := tags ^ low*uint64(tag)
	return min(bits.TrailingZeros64((x-low)&^x&high)/8, bucketSize-1)
}

// far says that there are so many entries that processors' caches do not hold them.
func (r *recent) far() bool { return len(*r.buckets.Load()) >= farBuckets }

// farBuckets are those of 16,384 entries, of 8 MiB.
const farBuckets = 8192

// keep puts e in a free place, or in the next one in turn.
func (r *recent) keep(e *Entry) {
	b, tag := r.place(e.token[:])
	tags := b.tags.Load()
	i := int(tags>>56) % bucketSize
	for j := range bucketSize {
		if b.entries[j].Load() == nil {
			i = j
			break
		}
	}
	b.entries[i].Store(e)
	next := tags&^(0xff<<(8*i)) | uint64(tag)<<(8*i)
	b.tags.Store(next + 1<<56)
}

// drop lets go of an entry that has ended, so that its memory is free.
func (r *recent) drop(e *Entry) {
	b, _ := r.place(e.token[:])
	for i := range bucketSize {
		b.entries[i].CompareAndSwap(e, nil)
	}
}

// fit makes it as large as n entries need; it fills again with use.
func (r *recent) fit(n int) {
	size := max(bucketLeast, 1<<bits.Len(uint(n/bucketFill)))
	if buckets := r.buckets.Load(); buckets == nil || len(*buckets) < size || len(*buckets) > 4*size {
		next := make([]bucket, size)
		r.buckets.Store(&next)
	}
}
