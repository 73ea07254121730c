package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"postern/agent"
	"postern/cmd/postern/config"
	"postern/portal/journal"
)

// record is the journal, and how it gets about.
type record struct {
	*journal.Stream
	by string // who does what has nobody else's name on it; "" for the daemon

	file      *journal.File    // that events are copied to; nil: none
	decisions *agent.Decisions // beside the journal: they are logged, not kept
	agent     *agent.Server    // which counts them
	loaded    *config.Config   // what is in force; changed under Main.loading
	started   time.Time
	pruned    time.Time // when old events were removed last
}

// auditMode is the mode of the file: whoever ships logs may read it.
const auditMode = 0o640

// openRecord opens the journal of m, whose store and keys are there.
func (m *Main) openRecord() error {
	m.journal = &record{
		Stream: &journal.Stream{Ledger: m.store, Key: m.keys.journal, Log: m.Log}, loaded: m.Config, started: time.Now(),
		decisions: agent.NewDecisions(slog.New(always{m.Log.Handler()})),
	}
	if err := m.journal.decisions.Set(m.Config.Log.Decisions); err != nil {
		return fmt.Errorf("log.decisions: %w", err)
	}
	if path := m.Config.Journal.File; path != "" && path != journal.Stdout {
		m.journal.file = &journal.File{Path: path, Mode: auditMode}
		if err := m.journal.file.Open(); err != nil {
			return fmt.Errorf("journal.file: %w; events must not be lost from the first one on", err)
		}
	}
	return nil
}

// copyJournal writes events out until ctx ends, when the configuration wants it.
func (m *Main) copyJournal(ctx context.Context) error {
	var out io.Writer
	switch {
	case m.journal.file != nil:
		out = m.journal.file
		defer m.journal.file.Close()
	case m.Config.Journal.File == journal.Stdout:
		out = unbroken{os.Stdout}
	default:
		<-ctx.Done()
		return nil
	}
	return (&journal.Copy{Stream: m.journal.Stream, Out: out, Log: m.Log}).Run(ctx)
}

// tell adds an event of the daemon's own. That it cannot be kept is logged, and stops
// nothing.
func (m *Main) tell(ctx context.Context, e journal.Event) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := m.journal.AddEvent(ctx, e); err != nil {
		m.Log.Error("journal not written", "kind", string(e.Kind), "error", err.Error())
	}
}

// begun tells that the daemon has started, and where the chain stands: whoever keeps the
// log elsewhere can tell later that the newest events were cut.
func (m *Main) begun(ctx context.Context) {
	m.tell(ctx, journal.Event{Kind: journal.Started, Detail: release()})
	last, err := m.journal.Ledger.ListRecords(ctx, journal.Filter{Limit: 1})
	if err == nil && len(last) == 1 {
		m.Log.Info("journal", "event", last[0].Seq, "sum", fmt.Sprintf("%x", last[0].Sum))
	}
}

const (
	pruneLook  = time.Hour      // how often the journal's size is looked at
	pruneEvery = 24 * time.Hour // how often old events are removed
)

// pruneJournal removes what is older than journal.keep or more than journal.max, now and
// again and again, until ctx ends.
func (m *Main) pruneJournal(ctx context.Context) error {
	tick := time.NewTicker(pruneLook)
	defer tick.Stop()
	own := m.journal // when it was pruned last is nobody else's to read
	for {
		n, err := own.prune(ctx, m.Config.Journal, time.Now())
		switch {
		case err != nil && ctx.Err() == nil:
			m.Log.Error("journal not pruned", "error", err.Error())
		case n > 0:
			m.Log.Info("journal pruned", "events", n)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// prune does what is due: each prune leaves an event, so that there is one a day, and one
// more whenever a tenth too many events are there.
func (r *record) prune(ctx context.Context, c journal.Config, now time.Time) (int, error) {
	p := journal.Prune{Now: now, Max: c.Max}
	if c.Keep > 0 && (now.Sub(r.pruned) >= pruneEvery || now.Before(r.pruned)) {
		p.Before = now.Add(-c.Keep)
	}
	if p.Before.IsZero() {
		if full, err := r.full(ctx, c.Max); err != nil || !full {
			return 0, err
		}
	}
	n, err := r.Prune(ctx, p)
	if err == nil && !p.Before.IsZero() {
		r.pruned = now
	}
	return n, err
}

// full says whether a tenth more than max events are there.
func (r *record) full(ctx context.Context, max int) (bool, error) {
	if max == 0 {
		return false, nil
	}
	m, err := r.Ledger.Marks(ctx)
	if err != nil {
		return false, err
	}
	newest, err := r.Ledger.ListRecords(ctx, journal.Filter{Limit: 1})
	return err == nil && len(newest) == 1 && newest[0].Seq-m.Pruned > uint64(max)+uint64(max)/10, err
}

// always passes every line on, whatever its level.
type always struct{ slog.Handler }

// Enabled implements slog.Handler.
func (always) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs implements slog.Handler.
func (a always) WithAttrs(attrs []slog.Attr) slog.Handler { return always{a.Handler.WithAttrs(attrs)} }

// WithGroup implements slog.Handler.
func (a always) WithGroup(name string) slog.Handler { return always{a.Handler.WithGroup(name)} }
