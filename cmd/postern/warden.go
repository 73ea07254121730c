package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"time"

	"postern/agent/regulation"
	"postern/agent/session"
	"postern/cmd/postern/config"
	"postern/portal/journal"
	"postern/portal/users"
	"postern/store"
)

// newGuesses bounds guessing; every ban is told to the journal, and whoever had to wait at
// the agent is looked at again when one is lifted.
func (m *Main) newGuesses() *regulation.Limiter {
	known := func(name string) bool { _, ok := m.users.Known(name); return ok }
	note := tellBans(m.journal, m.Log)
	tell := func(n regulation.Notice) {
		note(n)
		if n.Lifted {
			m.passwords.Relieve()
		}
	}
	return &regulation.Limiter{
		Config: m.Config.Regulation, Keeper: m.store, Key: m.keys.guess, Known: known, Tell: tell, Log: m.Log,
	}
}

// tellBans notes bans in a journal.
func tellBans(j journal.Keeper, log *slog.Logger) func(regulation.Notice) {
	return func(n regulation.Notice) {
		b := n.Ban
		e := journal.Event{At: time.Now(), Kind: journal.Banned, User: b.User, By: b.By, Reason: string(b.Kind), Detail: "ban " + b.ID + ": " + b.Whom()}
		if b.Until.IsZero() {
			e.Detail += ", without end"
		} else {
			e.Detail += ", until " + b.Until.UTC().Format(time.RFC3339)
		}
		if b.Reason != "" {
			e.Detail += ": " + b.Reason
		}
		if b.Network.IsValid() && b.Network.IsSingleIP() {
			e.Addr = b.Network.Addr().String()
		}
		if n.Lifted {
			e.Kind, e.By, e.Detail = journal.Unbanned, n.By, "ban "+b.ID+": "+b.Whom()
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := j.AddEvent(ctx, e); err != nil {
			log.Error("the journal does not know of a ban", "error", err)
		}
	}
}

// warden bans and lifts bans in an operator's name. The daemon has one, and so has a
// command while no daemon runs.
type warden struct {
	guesses *regulation.Limiter
	users   interface {
		Find(ctx context.Context, name string) (users.User, error)
	}
	list    func(ctx context.Context, f session.Filter) ([]session.Session, error)
	signOut func(ctx context.Context, f session.Filter) (int, error)
	journal journal.Keeper
}

// banQuestion says whom to ban: a user or a network.
type banQuestion struct {
	User    string        `json:"user"`
	Network netip.Prefix  `json:"network"`
	For     time.Duration `json:"for"` // 0: until it is revoked
	Reason  string        `json:"reason"`
	SignOut bool          `json:"sign_out"`
}

// banAnswer is the ban that was made, and how many sessions it ended.
type banAnswer struct {
	Ban   regulation.Ban `json:"ban"`
	Ended int            `json:"ended"`
}

// add bans. A user is found first, so that a ban has the name that sign-ins have.
func (w *warden) add(ctx context.Context, q banQuestion) (a banAnswer, err error) {
	if q.User != "" {
		if q.User, err = w.canonical(ctx, q.User); err != nil {
			return a, err
		}
	}
	b := regulation.Ban{User: q.User, Network: q.Network, Reason: q.Reason, By: operator(ctx)}
	switch {
	case q.For < 0:
		return a, fmt.Errorf("a ban for %v would be over already", q.For)
	case q.For > 0:
		b.Until = time.Now().Add(q.For)
	}
	if a.Ban, err = w.guesses.Ban(ctx, b); err != nil {
		return a, err
	}
	note := w.note(ctx, q.User, "ban add "+a.Ban.Whom())
	if q.SignOut {
		a.Ended, err = w.end(ctx, a.Ban)
	}
	return a, errors.Join(err, note)
}

// canonical is the name of a user. One who cannot be asked for goes by what was typed.
func (w *warden) canonical(ctx context.Context, name string) (string, error) {
	u, err := w.users.Find(ctx, name)
	switch {
	case err == nil:
		return u.Name, nil
	case errors.Is(err, users.ErrNotFound):
		return "", fmt.Errorf("there is no user %q", name)
	}
	return name, nil
}

// end ends the sessions of whom a ban is about: those of the user, or those that began in
// the network.
func (w *warden) end(ctx context.Context, b regulation.Ban) (ended int, err error) {
	if b.User != "" {
		return w.signOut(ctx, session.Filter{User: b.User})
	}
	all, err := w.list(ctx, session.Filter{})
	if err != nil {
		return 0, err
	}
	for _, s := range all {
		addr, err := netip.ParseAddr(s.Addr)
		if err != nil || !b.Network.Contains(addr.Unmap()) {
			continue
		}
		n, err := w.signOut(ctx, session.Filter{ID: s.ID})
		if err != nil {
			return ended, err
		}
		ended += n
	}
	return ended, nil
}

// revoke lifts bans. A ban that is named and is not there is an error, and then none is
// lifted.
func (w *warden) revoke(ctx context.Context, which regulation.Which) ([]regulation.Ban, error) {
	if len(which.IDs) == 0 && which.User == "" && !which.Network.IsValid() && !which.All {
		return nil, errors.New("name bans, a user, a network, or all")
	}
	there, err := w.guesses.Bans(ctx)
	if err != nil {
		return nil, err
	}
	ids := map[string]bool{}
	for _, b := range there {
		ids[b.ID] = true
	}
	for _, id := range which.IDs {
		if !ids[id] {
			return nil, fmt.Errorf("there is no ban %q", id)
		}
	}
	if which.User != "" {
		if name, err := w.canonical(ctx, which.User); err == nil {
			which.User = name
		}
	}
	which.By = operator(ctx)
	lifted, err := w.guesses.Revoke(ctx, which)
	return lifted, errors.Join(err, w.note(ctx, which.User, fmt.Sprintf("ban revoke: %d lifted", len(lifted))))
}

// bans lists the bans there are.
func (w *warden) bans(ctx context.Context, _ struct{}) ([]regulation.Ban, error) {
	return w.guesses.Bans(ctx)
}

func (w *warden) note(ctx context.Context, user, what string) error {
	return w.journal.AddEvent(ctx, journal.Event{At: time.Now(), Kind: journal.Admin, User: user, By: operator(ctx), Detail: what})
}

// warden is the daemon's own.
func (m *Main) warden() *warden {
	return &warden{
		guesses: m.guesses, users: m.users, journal: m.journal, list: m.table.List,
		signOut: func(ctx context.Context, f session.Filter) (int, error) {
			ended, err := m.table.Revoke(ctx, f)
			return len(ended), err
		},
	}
}

// handle answers for the daemon's warden.
func (w *warden) handle(mux *http.ServeMux) {
	mux.HandleFunc("POST /bans/list", answer(w.bans))
	mux.HandleFunc("POST /bans/add", answer(w.add))
	mux.HandleFunc("POST /bans/revoke", answer(w.revoke))
}

// askWarden asks the daemon or, when none runs, does it over the store itself.
func askWarden[Q, A any](ctx context.Context, cfg *config.Config, path string, q Q, do func(*warden, context.Context, Q) (A, error)) (a A, err error) {
	err = daemon{cfg.Control}.call(ctx, path, q, &a)
	if !errors.Is(err, errNoDaemon) {
		return a, err
	}
	err = withStore(ctx, cfg, makeKeys, func(s *store.Store, k keys) (err error) {
		log := slog.New(slog.DiscardHandler)
		all := newUsers(cfg, log)
		if err := loadUsers(all, true); err != nil {
			return err
		}
		r := localRecord(s, k)
		w := &warden{
			guesses: &regulation.Limiter{Config: cfg.Regulation, Keeper: s, Key: k.guess, Tell: tellBans(r, log), Log: log},
			users:   all, journal: r,
			list: func(ctx context.Context, f session.Filter) (found []session.Session, err error) {
				records, err := s.ListSessions(ctx, f)
				for _, one := range records {
					found = append(found, one.Session)
				}
				return found, err
			},
			signOut: func(ctx context.Context, f session.Filter) (int, error) {
				ended, err := s.DeleteSessions(ctx, f)
				return len(ended), err
			},
		}
		a, err = do(w, withLocalOperator(ctx), q)
		return err
	})
	return a, err
}

// withLocalOperator notes that whoever runs this command asks.
func withLocalOperator(ctx context.Context) context.Context {
	return context.WithValue(ctx, operatorKey{}, osUser(os.Getuid()))
}
