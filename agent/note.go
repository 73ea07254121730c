package agent

import (
	"context"
	"strings"
	"time"

	"postern/agent/session"
	"postern/portal/journal"
)

// maxNotes bounds the events that wait to be written. What comes when it is full is lost:
// the journal never holds up a verdict.
const maxNotes = 256

// note has an event written behind the answer. Its texts are copied: those of q are views.
func (h *handler) note(q *question, e journal.Event) {
	if h.Credentials.Journal == nil {
		return
	}
	e.At, e.Request = h.now(), strings.Clone(q.rid)
	if q.Addr.IsValid() {
		e.Addr = q.Addr.String()
	}
	select {
	case h.notes <- e:
	default:
	}
}

// failed is what the journal says of a wrong password for a name. One that nobody has is
// left out: it may be a password, typed in the wrong field.
func (h *handler) failed(name string) (user, reason string) {
	switch _, standing := h.people.directory.Recall(name); standing {
	case session.Present:
		return name, journal.Wrong
	case session.Gone:
		return "", journal.Unknown
	}
	return "", journal.Wrong
}

// keepNotes writes events until ctx ends, and then those that wait.
func (h *handler) keepNotes(ctx context.Context) {
	keep := func(e journal.Event) {
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := h.Credentials.Journal.AddEvent(within, e); err != nil {
			h.slow.report("note for the journal", err)
		}
	}
	for {
		select {
		case e := <-h.notes:
			keep(e)
		case <-ctx.Done():
			for {
				select {
				case e := <-h.notes:
					keep(e)
				default:
					return
				}
			}
		}
	}
}
