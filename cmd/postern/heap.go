package main

import (
	"context"
	"log/slog"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// How much garbage may gather between two collections: as much as there is live memory,
// as always in Go, but no less than garbageLeast, as each collection of a small heap holds
// up decisions like that of a middling one, and no more than garbageMost, as a million
// sessions would double their memory.
const (
	garbageLeast = 64 << 20
	garbageMost  = 128 << 20
)

// tendHeap keeps to that until ctx ends, unless the operator has set GOGC. What starting
// has left behind goes back to the system first.
func tendHeap(ctx context.Context, log *slog.Logger) {
	debug.FreeOSMemory()
	if err := forgetStart(); err != nil {
		log.Debug("what starting has read stays in memory", "error", err)
	}
	if os.Getenv("GOGC") != "" {
		return
	}
	now := debug.SetGCPercent(100)
	defer func() { debug.SetGCPercent(now) }()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for set := 100; ; {
		metrics.Read(live)
		// Setting it stops everything for a moment.
		if want := garbagePercent(live[0].Value.Uint64()); want > set*11/10 || want < set*9/10 {
			debug.SetGCPercent(want)
			set = want
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// garbagePercent is the GOGC for so much live memory, in bytes.
func garbagePercent(live uint64) int {
	live = max(live, 1<<20)
	return int(min(max(live, garbageLeast), garbageMost) * 100 / live)
}

// ownMemory is that of this process now.
func ownMemory() memory {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/cycles/total:gc-cycles"}, {Name: "/gc/heap/allocs:objects"}, {Name: "/gc/heap/tiny/allocs:objects"}}
	metrics.Read(s)
	return memory{Resident: resident(), Live: s[0].Value.Uint64(), Collections: s[1].Value.Uint64(), Allocations: s[2].Value.Uint64() + s[3].Value.Uint64()}
}
