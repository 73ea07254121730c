package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"time"
)

const (
	copyStep  = 500              // records that are written at once
	copyRetry = 5 * time.Second  // after a write that went wrong
	copyMark  = 10 * time.Second // how often it is kept how far was copied
	copyEnd   = 2 * time.Second  // for the last events, when the program ends
)

// Copy writes a stream out as lines of JSON, behind everybody's back: who adds an event
// never waits for it, and what cannot be written now is written when it can be. A line
// may come twice after a crash or a fault of the disk, and is told by its number.
type Copy struct {
	Stream *Stream
	Out    io.Writer     // a File, or standard output
	Log    *slog.Logger  // nil: silent
	Retry  time.Duration // 0: 5 s

	log    *slog.Logger
	copied uint64 // up to this one
	marked uint64 // up to this one, as the ledger knows
	broken bool   // the last write went wrong
}

// Run copies until ctx ends, and then what is left, for at most two seconds: a reader of
// standard output who reads no more is left behind.
func (c *Copy) Run(ctx context.Context) error {
	c.log = c.Log
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	ended := make(chan struct{})
	go func() { c.follow(ctx); close(ended) }()
	<-ctx.Done()
	select {
	case <-ended:
	case <-time.After(copyEnd):
		c.log.Error("the last events are not copied; they are kept, and copied later")
	}
	return nil
}

func (c *Copy) follow(ctx context.Context) {
	mark := time.NewTicker(copyMark)
	defer mark.Stop()
	for begun := false; ; {
		grown := c.Stream.Grown()
		if !begun {
			begun = c.begin(ctx)
		}
		for begun && c.step(ctx) {
		}
		var again <-chan time.Time
		if !begun || c.broken {
			again = time.After(c.retry())
		}
		select {
		case <-ctx.Done():
			c.end(ctx, begun)
			return
		case <-mark.C:
			c.mark(ctx)
		case <-grown:
			if c.broken { // no faster than it retries
				select {
				case <-again:
				case <-ctx.Done():
				}
			}
		case <-again:
		}
	}
}

func (c *Copy) retry() time.Duration {
	if c.Retry > 0 {
		return c.Retry
	}
	return copyRetry
}

// begin finds out where to go on: where the ledger says, or behind the file's last line.
func (c *Copy) begin(ctx context.Context) bool {
	m, err := c.Stream.Ledger.Marks(ctx)
	if err != nil {
		c.wrong(ctx, err)
		return false
	}
	newest, err := c.Stream.Ledger.ListRecords(ctx, Filter{Limit: 1})
	if err != nil {
		c.wrong(ctx, err)
		return false
	}
	c.copied, c.marked = m.Copied, m.Copied
	if f, ok := c.Out.(*File); ok && len(newest) == 1 {
		if last := f.last(); last <= newest[0].Seq { // else it is not a line of ours
			c.copied = max(c.copied, last)
		}
	}
	if m.Pruned > c.copied {
		if c.copied > 0 {
			c.log.Error("events were pruned before they were copied", "from", c.copied+1, "to", m.Pruned)
		}
		c.copied = m.Pruned
	}
	return true
}

// step copies some events and says whether there may be more.
func (c *Copy) step(ctx context.Context) (more bool) {
	records, err := c.Stream.Ledger.ListRecords(ctx, Filter{After: c.copied, Oldest: true, Limit: copyStep})
	if err != nil {
		c.wrong(ctx, err)
		return false
	}
	if len(records) == 0 {
		return false
	}
	var lines bytes.Buffer
	for _, r := range records {
		data, err := json.Marshal(r)
		if err != nil {
			c.wrong(ctx, err)
			return false
		}
		lines.Write(append(data, '\n'))
	}
	if n, err := c.Out.Write(lines.Bytes()); err != nil {
		c.copied += uint64(bytes.Count(lines.Bytes()[:n], []byte{'\n'}))
		if errors.Is(err, errLeft) {
			c.copied = c.marked // the new file gets what the old one may have lost
		}
		c.wrong(ctx, err)
		return false
	}
	if c.broken {
		c.broken = false
		c.log.Info("events are copied again", "from", c.copied+1)
	}
	c.copied = records[len(records)-1].Seq
	return len(records) == copyStep
}

// wrong says once that it cannot go on.
func (c *Copy) wrong(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return // it is the end
	}
	if !c.broken {
		c.log.Error("events are not copied; they are kept, and copied later", "from", c.copied+1, "error", err.Error())
	}
	c.broken = true
}

// mark has the ledger know how far was copied, when that is on the disk.
func (c *Copy) mark(ctx context.Context) {
	if c.copied == c.marked {
		return
	}
	var err error
	if f, ok := c.Out.(*File); ok {
		err = f.Sync()
	}
	if err = errors.Join(err, c.Stream.Ledger.SetCopied(ctx, c.copied)); err != nil {
		c.wrong(ctx, err)
		return
	}
	c.marked = c.copied
}

// end copies the last events.
func (c *Copy) end(ctx context.Context, begun bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), copyEnd)
	defer cancel()
	for (begun || c.begin(ctx)) && c.step(ctx) {
		begun = true
	}
	c.mark(ctx)
}
