package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"postern/agent/session"
	"postern/portal/users"
)

// directory tells the sessions who a user is now. While a directory server is away, who
// somebody was is believed for the grace; see Identify.
type directory struct {
	*users.Backends
	grace time.Duration
	again time.Duration // what was believed is asked again after this; 0: againEvery

	heard    atomic.Int64  // when the server answered last, or this process started; Unix nanoseconds
	believed atomic.Bool   // since the last tick of Run
	moved    atomic.Uint64 // ticks after which to ask again
}

// againEvery is how often a session whose user could not be asked for asks again.
const againEvery = 15 * time.Second

// newDirectory starts the grace: people who were signed in when this process started may
// go on while their directory is away.
func newDirectory(b *users.Backends, grace time.Duration) *directory {
	d := &directory{Backends: b, grace: grace}
	d.heard.Store(time.Now().UnixNano())
	return d
}

// Epoch grows whenever an answer may be another one than before.
func (d *directory) Epoch() uint64 { return d.Backends.Epoch() + d.moved.Load() }

// Recall answers from memory.
func (d *directory) Recall(name string) (session.Identity, session.Standing) {
	u, ok := d.Known(name)
	switch {
	case ok:
		return identity(u)
	case d.Whole():
		return session.Identity{}, session.Gone
	}
	return session.Identity{}, session.Unsure
}

// Identify asks the backends. When a directory server cannot answer, who the user was is
// believed until the grace has passed since it answered last, or since the start.
func (d *directory) Identify(ctx context.Context, name string) (session.Identity, session.Standing, error) {
	u, err := d.Find(ctx, name)
	switch {
	case err == nil && u.Name == name:
		d.heard.Store(time.Now().UnixNano())
		id, standing := identity(u)
		return id, standing, nil
	case err == nil, errors.Is(err, users.ErrNotFound):
		d.heard.Store(time.Now().UnixNano())
		return session.Identity{}, session.Gone, nil
	case errors.Is(err, users.ErrUnavailable) && time.Since(time.Unix(0, d.heard.Load())) < d.grace:
		d.believed.Store(true)
		return session.Identity{}, session.Unsure, nil
	}
	return session.Identity{}, session.Unsure, err
}

// identity is what a session takes from a user.
func identity(u users.User) (session.Identity, session.Standing) {
	if u.Disabled {
		return session.Identity{}, session.Gone
	}
	id := session.Identity{Name: u.DisplayName, Groups: u.Groups}
	if len(u.Emails) > 0 {
		id.Email = u.Emails[0]
	}
	return id, session.Present
}

// Run follows the backends until ctx ends, and has sessions ask again that believed.
func (d *directory) Run(ctx context.Context) error {
	every := d.again
	if every == 0 {
		every = againEvery
	}
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return d.Backends.Run(ctx) })
	all.Go(func() error {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if d.believed.Swap(false) {
					d.moved.Add(1)
				}
			case <-ctx.Done():
				return nil
			}
		}
	})
	return all.Wait()
}
