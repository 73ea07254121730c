package portal

import (
	"context"
	"errors"
	"slices"

	"postern/agent/policy"
	"postern/agent/session"
	"postern/portal/journal"
)

// maxSessionID bounds the id of a session that a form names, in bytes.
const maxSessionID = 64

// sessionRow is one session as the page shows it.
type sessionRow struct {
	session.Session
	Here bool // it is the one that asks
	Two  bool // it has proved two factors
}

// sessionsBody is what /settings/sessions shows.
type sessionsBody struct {
	Rows    []sessionRow
	Others  int  // sessions besides this one
	Domains bool // they are for more than one cookie domain
}

// showSessions is GET /settings/sessions: this session first, then the last used.
func (s *site) showSessions(v *visit) error {
	if ok, err := s.gate(v, pageSessions); !ok {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	list, err := s.Sessions.List(ctx, session.Filter{User: v.session.User})
	if err != nil {
		return errors.Join(errNoSessions, err)
	}
	var b sessionsBody
	for _, one := range list {
		b.Domains = b.Domains || one.Domain != v.host.Name
		b.Rows = append(b.Rows, sessionRow{Session: one, Here: one.ID == v.session.ID, Two: one.Level >= policy.LevelTwo})
	}
	slices.SortStableFunc(b.Rows, func(x, y sessionRow) int {
		if x.Here != y.Here {
			return map[bool]int{true: -1, false: 1}[x.Here]
		}
		return y.Seen.Compare(x.Seen)
	})
	b.Others = len(slices.DeleteFunc(slices.Clone(b.Rows), func(r sessionRow) bool { return r.Here }))
	return s.own(v, pageSessions, page{Name: "sessions", Title: "sessions.title", Body: b})
}

// takeEnd is POST /settings/sessions/end: it ends one other session of the person. That
// it has ended already, or never was his, makes no difference that could be seen.
func (s *site) takeEnd(v *visit) error {
	if ok, err := s.change(v, pageSessions); !ok {
		return err
	}
	id := v.field("id")
	if id == "" || len(id) > maxSessionID {
		return errForm
	}
	if id == v.session.ID {
		return v.leave("/signout")
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	ended, err := s.Sessions.Revoke(ctx, session.Filter{User: v.session.User, ID: id, Except: v.session.ID})
	if err != nil {
		return errors.Join(errNoSessions, err)
	}
	s.noteEnded(v, ended)
	return v.leaveDone(pageSessions, "sessions.ended")
}

// takeEndOthers is POST /settings/sessions/end-others.
func (s *site) takeEndOthers(v *visit) error {
	if ok, err := s.change(v, pageSessions); !ok {
		return err
	}
	ended, err := s.endOthers(v)
	if err != nil {
		return errors.Join(errNoSessions, err)
	}
	s.noteEnded(v, ended)
	return v.leaveDone(pageSessions, "sessions.ended_others")
}

func (s *site) noteEnded(v *visit, ended []session.Session) {
	for _, one := range ended {
		s.log().Info("session ended by its owner", "rid", v.id, "addr", v.addr.String(), "user", one.User, "session", one.ID, "by", v.session.ID)
		s.note(v, journal.Event{Kind: journal.Revoked, User: v.session.User, Detail: one.ID})
	}
}
