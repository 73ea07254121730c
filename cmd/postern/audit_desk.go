package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"postern/cmd/postern/config"
	"postern/portal/journal"
)

// auditQuestion is what a command asks of the daemon's journal.
type auditQuestion struct {
	Filter journal.Filter
	Wait   bool // for an event, when there is none yet; for at most auditWait
}

// auditWait is how long the daemon holds a question that waits.
const auditWait = 10 * time.Second

// errOnlyAdmin says that a command has something else to tell than what it did.
var errOnlyAdmin = errors.New("a command tells of itself only")

// handle answers for the daemon's journal until ctx ends.
func (r *record) handle(ctx context.Context, mux *http.ServeMux) {
	mux.HandleFunc("POST /journal/add", func(w http.ResponseWriter, q *http.Request) {
		e, err := ask[journal.Event](q)
		if err == nil && (e.Kind != journal.Admin || e.By != "" || !e.At.IsZero()) {
			err = errOnlyAdmin
		}
		if err == nil {
			err = r.AddEvent(q.Context(), e)
		}
		reply(w, nil, err)
	})
	mux.HandleFunc("POST /journal/list", func(w http.ResponseWriter, q *http.Request) {
		question, err := ask[auditQuestion](q)
		if err != nil {
			reply(w, nil, err)
			return
		}
		// Without this, the end of the time to read the question ends its context.
		if err := http.NewResponseController(w).SetReadDeadline(time.Time{}); err != nil {
			reply(w, nil, err)
			return
		}
		list, err := r.list(q.Context(), ctx.Done(), question)
		reply(w, list, err)
	})
	mux.HandleFunc("POST /journal/verify", func(w http.ResponseWriter, q *http.Request) {
		report, err := r.Verify(q.Context())
		reply(w, report, err)
	})
}

// list lists, and waits where that is asked.
func (r *record) list(ctx context.Context, stopped <-chan struct{}, q auditQuestion) ([]journal.Record, error) {
	enough := time.NewTimer(auditWait)
	defer enough.Stop()
	for {
		grown := r.Grown()
		list, err := r.Ledger.ListRecords(ctx, q.Filter)
		if err != nil || len(list) > 0 || !q.Wait {
			return list, err
		}
		select {
		case <-grown:
		case <-enough.C:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-stopped:
			return nil, nil
		}
	}
}

// storedAudit lists from the store of a postern that does not run. Where nothing has been
// kept, nothing has happened.
func storedAudit(ctx context.Context, cfg *config.Config, f journal.Filter) (list []journal.Record, err error) {
	err = withRecord(ctx, cfg, func(r *record) (err error) {
		list, err = r.Ledger.ListRecords(ctx, f)
		return err
	})
	if errors.Is(err, errNoStore) {
		return nil, nil
	}
	return list, err
}
