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

// knownUser is a name when somebody has it, else "": what nobody has may be a password,
// typed in the wrong field.
func (h *handler) knownUser(name string) string {
	if _, standing := h.people.directory.Recall(name); standing == session.Present {
		return name
	}
	return ""
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
