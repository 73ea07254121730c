package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"postern/agent/credential"
	"postern/cmd/postern/config"
	"postern/portal/journal"
	"postern/store"
)

// tokenDesk makes, lists and revokes the credentials of users' programs in an operator's
// name. The daemon has one, and so has a command while no daemon runs.
type tokenDesk struct {
	book    *credential.Book
	journal journal.Keeper
	log     *slog.Logger
}

// tokenQuestion says what is to be made, or which are meant.
type tokenQuestion struct {
	Draft *credential.Draft `json:"draft"` // to be made
	User  string            `json:"user"`  // canonical name; "" is everybody, for a list and with IDs only
	IDs   []string          `json:"ids"`   // to be revoked
	All   bool              `json:"all"`   // every one of User
}

// tokenAnswer is what has been made, found or revoked.
type tokenAnswer struct {
	Secret  string              `json:"secret,omitempty"` // of the one that was made; nobody can see it again
	Records []credential.Record `json:"records"`
	Untold  string              `json:"untold,omitempty"` // why the journal does not know what was done
}

// errTokens says that a question names too little or too much.
var errTokens = errors.New("name a draft, or IDs, or a user and all")

func (d *tokenDesk) create(ctx context.Context, q tokenQuestion) (tokenAnswer, error) {
	if q.Draft == nil || q.User != "" || q.IDs != nil || q.All {
		return tokenAnswer{}, errTokens
	}
	secret, r, err := d.book.Create(ctx, *q.Draft)
	if err != nil {
		return tokenAnswer{}, err
	}
	d.log.Info("credential made", "user", r.Owner, "kind", string(r.Kind), "credential", r.ID, "level", int(r.Level), "by", "operator")
	a := tokenAnswer{Secret: secret, Records: []credential.Record{r}}
	d.note(ctx, &a, journal.TokenCreated, "token create", r)
	return a, nil
}

func (d *tokenDesk) list(ctx context.Context, q tokenQuestion) (tokenAnswer, error) {
	if q.Draft != nil || q.IDs != nil || q.All {
		return tokenAnswer{}, errTokens
	}
	records, err := d.book.List(ctx, q.User)
	return tokenAnswer{Records: records}, err
}

// revoke ends those that are named by id, whosever they are, or all of one user. An id
// that nobody has is an error, and then none is revoked.
func (d *tokenDesk) revoke(ctx context.Context, q tokenQuestion) (a tokenAnswer, err error) {
	switch {
	case q.Draft != nil, q.All && (q.User == "" || q.IDs != nil), !q.All && len(q.IDs) == 0, slices.Contains(q.IDs, ""):
		return a, errTokens
	case q.All:
		a.Records, err = d.book.RevokeAll(ctx, q.User)
	default:
		a.Records, err = d.revokeEach(ctx, q)
	}
	for _, r := range a.Records {
		d.log.Info("credential revoked", "user", r.Owner, "kind", string(r.Kind), "credential", r.ID, "by", "operator")
		d.note(ctx, &a, journal.TokenRevoked, "token revoke", r)
	}
	return a, err
}

func (d *tokenDesk) revokeEach(ctx context.Context, q tokenQuestion) (gone []credential.Record, err error) {
	all, err := d.book.List(ctx, q.User)
	if err != nil {
		return nil, err
	}
	var found []credential.Record
	for _, id := range q.IDs {
		i := slices.IndexFunc(all, func(r credential.Record) bool { return r.ID == id })
		if i < 0 {
			return nil, fmt.Errorf("there is no token %s", id)
		}
		found = append(found, all[i])
	}
	for _, r := range found {
		err := d.book.Revoke(ctx, r.Owner, r.ID)
		if errors.Is(err, credential.ErrNotFound) { // named twice, or gone meanwhile
			continue
		}
		if err != nil {
			return gone, err
		}
		gone = append(gone, r)
	}
	return gone, nil
}

// note tells the journal of the user what has become of one, and what the operator did.
// That it cannot be told undoes nothing: it is said beside the answer.
func (d *tokenDesk) note(ctx context.Context, a *tokenAnswer, kind journal.Kind, command string, r credential.Record) {
	now := time.Now()
	err := errors.Join(
		d.journal.AddEvent(ctx, journal.Event{At: now, Kind: kind, User: r.Owner, Detail: r.Name}),
		d.journal.AddEvent(ctx, journal.Event{At: now, Kind: journal.Admin, User: r.Owner, Detail: command + " " + r.ID}))
	if err != nil {
		d.log.Error("journal not written", "user", r.Owner, "credential", r.ID, "error", err.Error())
		a.Untold = err.Error()
	}
}

// paths are what the control socket asks of a tokenDesk.
func (d *tokenDesk) paths() paths[tokenQuestion, tokenAnswer] {
	return paths[tokenQuestion, tokenAnswer]{"/tokens/create": d.create, "/tokens/list": d.list, "/tokens/revoke": d.revoke}
}

// tokenDesk is the daemon's own.
func (m *Main) tokenDesk() *tokenDesk {
	return &tokenDesk{book: m.book, journal: m.journal, log: m.Log}
}

// askTokens asks the daemon or, when none runs, the store itself.
func askTokens(ctx context.Context, cfg *config.Config, path string, q tokenQuestion) (tokenAnswer, error) {
	return askAnybody(ctx, cfg, path, q, func(s *store.Store, k keys) (paths[tokenQuestion, tokenAnswer], error) {
		d := &tokenDesk{book: &credential.Book{Keeper: s}, journal: localRecord(s, k), log: slog.New(slog.DiscardHandler)}
		return d.paths(), nil
	})
}
