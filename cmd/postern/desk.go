package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"postern/agent/session"
	"postern/cmd/postern/config"
	"postern/portal"
	"postern/portal/factor"
	"postern/portal/journal"
	"postern/store"
)

// desk changes what users prove besides their passwords, in an operator's name. The
// daemon has one, and so has a command while no daemon runs.
type desk struct {
	factors portal.Factors
	journal journal.Keeper
	signOut func(ctx context.Context, f session.Filter) error
	log     *slog.Logger
}

// deskQuestion says whose factors are meant, and which.
type deskQuestion struct {
	User string `json:"user"` // canonical name; "" is everybody, for a list only
	ID   string `json:"id"`   // of a device
	All  bool   `json:"all"`  // every device, and the recovery codes
}

// deskAnswer is what has been found, removed or made.
type deskAnswer struct {
	Devices []factor.Device `json:"devices"`
	Left    map[string]int  `json:"left"`  // recovery codes that are left, by user
	Codes   []string        `json:"codes"` // new recovery codes; nobody can see them again
}

// errDesk says that a question names too little or too much.
var errDesk = errors.New("name a user, and one factor or all")

// list finds the devices of a user, or of all, and how many codes are left.
func (d *desk) list(ctx context.Context, q deskQuestion) (deskAnswer, error) {
	list, err := d.factors.Devices.List(ctx, q.User)
	if err != nil {
		return deskAnswer{}, err
	}
	left, err := d.left(ctx, q.User)
	if err != nil {
		return deskAnswer{}, err
	}
	return deskAnswer{Devices: list, Left: left}, nil
}

// left counts the recovery codes of a user, or of all: who has lost his devices may have
// nothing else.
func (d *desk) left(ctx context.Context, user string) (map[string]int, error) {
	if user == "" {
		return d.factors.Recovery.All(ctx)
	}
	n, err := d.factors.Recovery.Left(ctx, user)
	return map[string]int{user: n}, err
}

// remove removes one device of a user, or everything, and ends his sessions: whoever had
// the device may be in one of them. A device that is not there is no error.
func (d *desk) remove(ctx context.Context, q deskQuestion) (deskAnswer, error) {
	if q.User == "" || (q.ID == "") != q.All {
		return deskAnswer{}, errDesk
	}
	var gone []factor.Device
	var err error
	if q.All {
		gone, err = d.factors.Devices.DeleteAll(ctx, q.User)
	} else {
		var one factor.Device
		if one, err = d.factors.Devices.Delete(ctx, q.User, q.ID); one.ID != "" {
			gone = append(gone, one)
		}
	}
	for _, one := range gone {
		d.log.Info("factor removed", "user", q.User, "factor", string(one.Kind), "device", one.ID, "by", "operator")
		err = errors.Join(err, d.note(ctx, journal.Event{Kind: journal.FactorRemoved, User: q.User, Factor: one.Kind.Factor().String(), Detail: one.Name}))
	}
	switch {
	case errors.Is(err, factor.ErrNotFound):
		return deskAnswer{}, nil
	case err != nil:
		return deskAnswer{}, err
	}
	if err := d.signOut(ctx, session.Filter{User: q.User}); err != nil {
		return deskAnswer{}, err
	}
	return deskAnswer{Devices: gone}, d.note(ctx, journal.Event{Kind: journal.Admin, User: q.User, Detail: "user factors delete"})
}

// recovery replaces a user's recovery codes.
func (d *desk) recovery(ctx context.Context, q deskQuestion) (deskAnswer, error) {
	if q.User == "" || q.ID != "" || q.All {
		return deskAnswer{}, errDesk
	}
	codes, err := d.factors.Recovery.Generate(ctx, q.User, time.Now())
	if err != nil {
		return deskAnswer{}, err
	}
	d.log.Info("recovery codes made", "user", q.User, "by", "operator")
	return deskAnswer{Codes: codes}, errors.Join(
		d.note(ctx, journal.Event{Kind: journal.CodesMade, User: q.User, Factor: "recovery"}),
		d.note(ctx, journal.Event{Kind: journal.Admin, User: q.User, Detail: "user recovery"}))
}

func (d *desk) note(ctx context.Context, e journal.Event) error {
	e.At = time.Now()
	return d.journal.AddEvent(ctx, e)
}

// desk is the daemon's own.
func (m *Main) desk() *desk {
	return &desk{factors: m.factors, journal: m.journal, log: m.Log, signOut: func(ctx context.Context, f session.Filter) error {
		_, err := m.table.Revoke(ctx, f)
		return err
	}}
}

// paths are what the control socket asks of a desk.
func (d *desk) paths() paths[deskQuestion, deskAnswer] {
	return paths[deskQuestion, deskAnswer]{"/factors/list": d.list, "/factors/remove": d.remove, "/factors/recovery": d.recovery}
}

// askDesk asks the daemon or, when none runs, the store itself.
func askDesk(ctx context.Context, cfg *config.Config, path string, q deskQuestion) (deskAnswer, error) {
	return askAnybody(ctx, cfg, path, q, func(s *store.Store, k keys) (paths[deskQuestion, deskAnswer], error) {
		log := slog.New(slog.DiscardHandler)
		f, err := newFactors(cfg, k, s, log)
		if err != nil {
			return nil, err
		}
		d := &desk{factors: f, journal: localRecord(s, k), log: log, signOut: func(ctx context.Context, f session.Filter) error {
			_, err := s.DeleteSessions(ctx, f)
			return err
		}}
		return d.paths(), nil
	})
}
