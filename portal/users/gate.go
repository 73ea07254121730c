package users

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// gate lets hashes through as far as memory and their number allow, in the order in
// which people came.
type gate struct {
	turns   *semaphore.Weighted // KiB
	size    int64               // KiB in all
	least   int64               // KiB that the cheapest hash counts for, so that Parallel holds
	queue   int64
	wait    time.Duration
	waiting atomic.Int64
}

func newGate(h Hashing) *gate {
	h = h.withDefaults()
	size := int64(h.Memory) << 10
	return &gate{
		turns: semaphore.NewWeighted(size),
		size:  size,
		least: max(1, size/int64(h.Parallel)),
		queue: int64(h.Queue),
		wait:  h.Wait,
	}
}

// enter waits for a turn of so many KiB; the caller must call leave. Errors: ErrBusy when
// too many wait already or the turn did not come in time, ctx's when the caller gave up.
func (g *gate) enter(ctx context.Context, memory int64) (leave func(), err error) {
	n := min(max(memory, g.least), g.size)
	leave = func() { g.turns.Release(n) }
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if g.turns.TryAcquire(n) { // fails while anybody waits
		return leave, nil
	}
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) > g.queue {
		return nil, ErrBusy
	}
	ctx, cancel := context.WithTimeout(ctx, g.wait)
	defer cancel()
	if err := g.turns.Acquire(ctx, n); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return nil, fmt.Errorf("%w: %w", ErrBusy, err)
		}
		return nil, err
	}
	return leave, nil
}
