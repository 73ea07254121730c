package regulation_test

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/agent/regulation"
)

func TestRequestsOfOneAddress(t *testing.T) {
	l := newLimiter(func(l *regulation.Limiter) { l.Config.Requests = 10 })
	here := addr("192.0.2.7")
	for n := range 10 {
		if wait := l.Take(here, noon); wait != 0 {
			t.Fatalf("request %d waits %v", n, wait)
		}
	}
	for range 20 { // who is refused does not make it worse
		if wait := l.Take(here, noon); wait != 6*time.Second {
			t.Fatalf("the eleventh waits %v, want 6s", wait)
		}
	}
	if wait := l.Take(addr("192.0.2.8"), noon); wait != 0 {
		t.Errorf("a neighbour waits %v", wait)
	}
	at := noon.Add(6 * time.Second)
	if wait := l.Take(here, at); wait != 0 {
		t.Errorf("after 6s the wait is %v", wait)
	}
	if wait := l.Take(here, at); wait != 6*time.Second {
		t.Errorf("and then %v", wait)
	}
	at = at.Add(time.Hour)
	for n := range 10 {
		if wait := l.Take(here, at); wait != 0 {
			t.Fatalf("an hour later request %d waits %v", n, wait)
		}
	}
	if l.Take(here, at) == 0 {
		t.Error("an hour saved is more than a minute's requests")
	}
}

func TestRequestsByLine(t *testing.T) {
	l := newLimiter(func(l *regulation.Limiter) { l.Config.Requests = 1 })
	l.Take(addr("2001:db8::1"), noon)
	if l.Take(addr("2001:db8::2%eth0"), noon) == 0 {
		t.Error("another address of the same /64 has a minute of its own")
	}
	l.Take(addr("192.0.2.1"), noon)
	if l.Take(addr("::ffff:192.0.2.1"), noon) == 0 {
		t.Error("IPv4 in IPv6's clothes has a minute of its own")
	}
	for range 3 {
		if l.Take(netip.Addr{}, noon) != 0 {
			t.Error("an unknown address waits")
		}
	}
	l.Config.Requests = 0
	if l.Take(addr("192.0.2.1"), noon) != 0 {
		t.Error("0 is a bound")
	}
}

// Threat 36: requests at the same moment cannot pass together.
func TestThreat36ParallelRequests(t *testing.T) {
	l := newLimiter(func(l *regulation.Limiter) { l.Config.Requests = 10 })
	var passed atomic.Int32
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if l.Take(addr("192.0.2.7"), noon) == 0 {
				passed.Add(1)
			}
		})
	}
	wg.Wait()
	if passed.Load() != 10 {
		t.Errorf("%d requests passed, want 10", passed.Load())
	}
}

// Threat 63: whoever has many addresses takes bounded memory, and frees nobody.
func TestThreat63ManyAddressesTakeBoundedMemory(t *testing.T) {
	l := newLimiter(func(l *regulation.Limiter) { l.Config.Requests = 10 })
	here := addr("192.0.2.7")
	for range 11 {
		l.Take(here, noon)
	}
	for n := range 2 * regulation.MaxRates {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], 0x0a000000+uint32(n))
		l.Take(netip.AddrFrom4(a), noon)
	}
	if n := l.Rates(); n > regulation.MaxRates {
		t.Errorf("%d addresses are kept, want at most %d", n, regulation.MaxRates)
	}
	if l.Take(here, noon) == 0 {
		t.Error("a flood from other addresses gives a new minute")
	}
	for n := range 1000 {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], 0x0b000000+uint32(n))
		l.Take(netip.AddrFrom4(a), noon.Add(time.Hour))
	}
	if n := l.Rates(); n > regulation.MaxRates {
		t.Errorf("an hour later %d addresses are kept", n)
	}
	l.Sweep(noon.Add(time.Hour))
	if n := l.Rates(); n > 1000 {
		t.Errorf("after sweeping %d addresses are kept, want the 1000 of this minute", n)
	}
}
