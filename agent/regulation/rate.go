package regulation

import (
	"maps"
	"net/netip"
	"sync"
	"time"
)

// maxRates bounds the memory of rates: about 100 bytes each.
const maxRates = 1 << 16

// rates bounds how much one address may ask for, whatever comes of it. It is this node's
// own: what it protects is this node's time.
type rates struct {
	mu   sync.Mutex
	free map[netip.Prefix]time.Time // when an address has all of its minute again
}

// Take counts one request of an address (IPv6: of its /64) against Config.Requests in a
// minute. It returns how long to wait when there were too many, 0 when this one may pass.
// An address may use its minute up at once; then it gets one request at a time.
func (l *Limiter) Take(a netip.Addr, now time.Time) time.Duration {
	n := networkOf(a)
	if l.Config.Requests <= 0 || !n.IsValid() || l.Exempt(a) {
		return 0
	}
	r, each := &l.rates, time.Minute/time.Duration(l.Config.Requests)
	r.mu.Lock()
	defer r.mu.Unlock()
	free, known := r.free[n]
	if free.Before(now) {
		free = now
	}
	if wait := free.Add(each).Sub(now) - time.Minute; wait > 0 {
		return wait
	}
	if !known && len(r.free) >= maxRates {
		r.evict(now)
	}
	if r.free == nil {
		r.free = map[netip.Prefix]time.Time{}
	}
	r.free[n] = free.Add(each)
	return 0
}

// sweep drops the addresses that have their whole minute again.
func (r *rates) sweep(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.free, func(_ netip.Prefix, free time.Time) bool { return !free.After(now) })
}

// evict makes room: of a few addresses, picked at random, for the one that has used the
// least, and for all that have their whole minute again.
func (r *rates) evict(now time.Time) {
	var least netip.Prefix
	seen := 0
	for n, free := range r.free {
		if !free.After(now) {
			delete(r.free, n)
		} else if !least.IsValid() || free.Before(r.free[least]) {
			least = n
		}
		if seen++; seen >= 64 {
			break
		}
	}
	if len(r.free) >= maxRates {
		delete(r.free, least)
	}
}
