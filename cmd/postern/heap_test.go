package main

import (
	"context"
	"log/slog"
	"runtime/debug"
	"testing"
)

func TestGarbagePercent(t *testing.T) {
	for live, want := range map[uint64]int{
		0: 6400, 8 << 20: 800, 16 << 20: 400, 64 << 20: 100, 100 << 20: 100, 128 << 20: 100, 256 << 20: 50, 512 << 20: 25, 1 << 30: 12,
	} {
		if got := garbagePercent(live); got != want {
			t.Errorf("%d MiB: %d, want %d", live>>20, got, want)
		}
	}
}

// TestTendHeapHeedsTheOperator: with GOGC set nothing changes; without it, all is as
// before in the end.
func TestTendHeapHeedsTheOperator(t *testing.T) {
	before := debug.SetGCPercent(77)
	defer debug.SetGCPercent(before)
	for _, set := range []string{"", "200"} {
		t.Setenv("GOGC", set)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		tendHeap(ctx, slog.New(slog.DiscardHandler))
		if got := debug.SetGCPercent(77); got != 77 {
			t.Errorf("GOGC=%q: %d afterwards", set, got)
		}
	}
}
