package users

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"
)

// unused is how long somebody is followed whom nobody asks about. That he is forgotten
// moves the epoch, so that whoever still needs to know asks again.
const unused = time.Hour

// Run keeps what is known fresh, until ctx ends; it returns nil then. Each user is asked
// for at most once per refresh.
func (l *LDAP) Run(ctx context.Context) error {
	defer l.pool().close()
	c := l.config()
	tick := time.NewTicker(min(max(c.Refresh/20, 10*time.Millisecond), 15*time.Second))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			l.refresh(ctx)
		}
	}
}

// refresh asks for everybody whose time has come, half the connections at once. When the
// directory cannot be asked, the rest waits for the next time.
func (l *LDAP) refresh(ctx context.Context) {
	c := l.config()
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(max(1, c.Pool.Size/2))
	for _, name := range l.cache.due(l.now(), c.Refresh, c.Refresh+c.Grace) {
		if ctx.Err() != nil {
			break
		}
		all.Go(func() error {
			if ctx.Err() != nil || !l.cache.try(name, l.now(), c.Refresh) {
				return nil
			}
			err := l.again(ctx, name)
			if errors.Is(err, errTooMany) {
				l.log().Warn("a user cannot be followed", "user", name, "error", err.Error())
				return nil
			}
			return err
		})
	}
	_ = all.Wait() // it was logged where the server failed
}

// again asks for a known user, by canonical name, and remembers the answer.
func (l *LDAP) again(ctx context.Context, name string) error {
	p, err := l.ask(ctx, name)
	switch {
	case err == nil && p.Name == name:
		l.cache.put(p, "", l.now())
	case err == nil, errors.Is(err, ErrNotFound):
		l.cache.miss(name, l.now())
	default:
		return err
	}
	return nil
}
