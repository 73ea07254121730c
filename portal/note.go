package portal

import (
	"context"
	"time"

	"postern/portal/journal"
)

const (
	noteTimeout = time.Second // what an answer may wait for the journal
	maxDetail   = 256         // of an event's texts for people, in bytes
)

// note writes an event into the journal: when, from where, in which browser and session
// is filled in from the visit. It never fails the answer; what could not be written is
// logged. An event without a user is nobody's that is known here.
func (s *site) note(v *visit, e journal.Event) {
	if s.Journal == nil {
		return
	}
	if e.At.IsZero() {
		e.At = s.now()
	}
	if e.Session == "" && v.session != nil && v.session.User == e.User {
		e.Session = v.session.ID
	}
	if v.addr.IsValid() {
		e.Addr = v.addr.String()
	}
	e.Request = v.id
	e.Browser = v.agent
	e.Detail = clip(e.Detail, maxDetail)
	ctx, cancel := context.WithTimeout(context.Background(), noteTimeout)
	defer cancel()
	if err := s.Journal.AddEvent(ctx, e); err != nil {
		s.log().Error("journal not written", "rid", v.id, "kind", string(e.Kind), "user", e.User, "error", err.Error())
	}
}
