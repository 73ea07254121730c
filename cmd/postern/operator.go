package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"postern/agent/session"
	"postern/cmd/postern/config"
	"postern/portal/journal"
	"postern/store"
)

// operatorKey is where the context of a question on the control socket has who asks.
type operatorKey struct{}

// withOperator notes who is at the other end of a connection to the control socket.
func withOperator(ctx context.Context, c net.Conn) context.Context {
	if u, ok := c.(*net.UnixConn); ok {
		if uid, ok := peerUser(u); ok {
			return context.WithValue(ctx, operatorKey{}, osUser(int(uid)))
		}
	}
	return context.WithValue(ctx, operatorKey{}, "operator")
}

// operator is who asks, "" when it is nobody at the control socket.
func operator(ctx context.Context) string {
	by, _ := ctx.Value(operatorKey{}).(string)
	return by
}

// osUser is an operating-system user as the journal names him: os:root.
func osUser(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return "os:" + u.Username
	}
	return "os:" + strconv.Itoa(uid)
}

// told tells the journal of a command that has been done without the daemon. That it
// cannot be told is said, and undoes nothing.
func (t terminal) told(c *cli.Context, cfg *config.Config, name, detail string) {
	command := strings.TrimSpace(strings.TrimPrefix(c.Command.HelpName, "postern ") + " " + detail)
	e := journal.Event{Kind: journal.Admin, User: name, Detail: command}
	if err := noteCommand(c.Context, cfg, e); err != nil {
		fmt.Fprintf(t.Stderr, "postern: done, but the journal does not know: %v\n", err)
	}
}

// noteCommand adds an event through the daemon or, when none runs, to the store itself. Where
// nothing has been kept yet, there is no journal either.
func noteCommand(ctx context.Context, cfg *config.Config, e journal.Event) error {
	err := daemon{cfg.Control}.call(ctx, "/journal/add", e, nil)
	if !errors.Is(err, errNoDaemon) {
		return err
	}
	err = withRecord(ctx, cfg, func(r *record) error { return r.AddEvent(ctx, e) })
	if errors.Is(err, errNoStore) {
		return nil
	}
	return err
}

// withRecord calls work with the journal of a postern that does not run.
func withRecord(ctx context.Context, cfg *config.Config, work func(*record) error) error {
	return withStore(ctx, cfg, keysOf, func(s *store.Store, k keys) error { return work(localRecord(s, k)) })
}

// localRecord is the journal for whoever runs a command.
func localRecord(l journal.Ledger, k keys) *record {
	return &record{Stream: &journal.Stream{Ledger: l, Key: k.journal}, by: osUser(os.Getuid())}
}

// AddEvent implements journal.Keeper: it fills in who did it, where that is known.
func (r *record) AddEvent(ctx context.Context, e journal.Event) error {
	if e.By == "" {
		e.By = r.by
	}
	if by := operator(ctx); e.By == "" && by != "" {
		e.By = by
	}
	return r.Stream.AddEvent(ctx, e)
}

// maxRevoked bounds how many sessions of one command get an event each.
const maxRevoked = 1000

// revoked notes sessions that an operator has ended, each for the user whose it was.
func (r *record) revoked(ctx context.Context, log *slog.Logger, ended []session.Session) {
	now := time.Now()
	by := r.by
	if by == "" {
		by = operator(ctx)
	}
	var events []journal.Event
	for _, s := range ended[:min(len(ended), maxRevoked)] {
		events = append(events, journal.Event{At: now, Kind: journal.Revoked, User: s.User, By: by, Detail: s.ID})
	}
	if len(events) == 0 {
		return
	}
	if err := r.AddEvents(ctx, events); err != nil {
		log.Error("journal not written", "kind", string(journal.Revoked), "error", err.Error())
	}
}

// keysOf derives the keys from the secret that is there; none is made.
func keysOf(cfg *config.Config) (keys, error) {
	secret := []byte(cfg.Secret.Value)
	if cfg.Secret.File != "" {
		var err error
		if secret, err = readSecret(cfg.Secret.File); err != nil {
			return keys{}, err
		}
	}
	return deriveKeys(secret)
}

// makeKeys are the keys, under a new secret where there is none yet.
func makeKeys(cfg *config.Config) (keys, error) {
	secret, err := openSecret(cfg.Secret)
	if err != nil {
		return keys{}, err
	}
	return deriveKeys(secret)
}
