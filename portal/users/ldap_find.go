package users

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// Find returns the user whom a name means at the sign-in, however it is spelled: from
// memory while that is fresh, and as it was while the directory is away, for the grace. Who
// was gone is asked for again, as anybody whom the directory does not have: he may be back,
// and the time would tell that he was here once.
// Disabled is set for some who may not sign in; others, whom users_filter leaves out, are
// ErrNotFound. Errors: ErrNotFound, ErrBusy, ErrUnavailable, ctx's.
func (l *LDAP) Find(ctx context.Context, name string) (User, error) {
	name, ok := legible(name)
	if !ok {
		return User{}, ErrNotFound
	}
	c := l.config()
	if u, ok := l.remembered(name, c.Refresh); ok && u.Name != "" {
		return u, nil
	}
	result := l.asking.DoChan(name, func() (any, error) {
		ctx := context.WithoutCancel(ctx) // others may be waiting too; pool.use bounds it
		p, err := l.ask(ctx, name)
		switch {
		case err == nil:
			l.cache.put(p, name, l.now())
			if p.Name != name {
				l.lost(name)
			}
		case errors.Is(err, ErrNotFound):
			l.lost(name)
		default:
			return nil, err
		}
		return p, err
	})
	select {
	case <-ctx.Done():
		return User{}, ctx.Err()
	case r := <-result:
		if errors.Is(r.Err, ErrUnavailable) || errors.Is(r.Err, ErrBusy) {
			if u, ok := l.remembered(name, c.Refresh+c.Grace); ok {
				return found(u)
			}
		}
		if r.Err != nil {
			return User{}, r.Err
		}
		return r.Val.(*person).user(), nil
	}
}

// found is the answer about a remembered user.
func found(u User) (User, error) {
	if u.Name == "" {
		return User{}, ErrNotFound
	}
	return u, nil
}

// remembered returns what was said about a name not longer ago than age; the User has no
// name when it was that there is none.
func (l *LDAP) remembered(name string, age time.Duration) (u User, ok bool) {
	now := l.now()
	u, e, ok := l.cache.get(name, now)
	if !ok {
		s, spelled := l.cache.means(name)
		if !spelled || now.Sub(s.asked) > age {
			return User{}, false
		}
		if u, e, ok = l.cache.get(s.name, now); !ok {
			return User{}, false
		}
	}
	if now.Sub(e.asked) > age {
		return User{}, false
	}
	if e.gone {
		return User{}, true
	}
	return u, true
}

// Known returns a user by canonical name, from memory. A user who was known and whom the
// directory no longer has, or excludes, is known as disabled. ok is false for somebody
// who was not looked up yet, and for everybody when the directory has been away for
// longer than refresh and grace together: Find can tell then.
func (l *LDAP) Known(name string) (User, bool) {
	c := l.config()
	now := l.now()
	u, e, ok := l.cache.get(name, now)
	if !ok || now.Sub(e.asked) > c.Refresh+c.Grace {
		return User{}, false
	}
	return u, true
}

// Epoch grows whenever an answer of Known may have changed, unless it was that somebody
// is not known yet.
func (l *LDAP) Epoch() uint64 { return l.cache.epoch.Load() }

// Canonical returns the name under which failures of name are to be counted, for any
// input, known or not; at most 128 bytes. Errors: ErrBusy, ErrUnavailable, ctx's.
func (l *LDAP) Canonical(ctx context.Context, name string) (string, error) {
	u, err := l.Find(ctx, name)
	switch {
	case err == nil:
		return u.Name, nil
	case errors.Is(err, ErrNotFound):
		return Folded(name), nil
	}
	return "", err
}

// ldapPace remembers how long the directory took to refuse passwords, so that the time of
// a refusal does not tell whether there is such a user.
type ldapPace struct {
	mu    sync.Mutex
	took  [32]time.Duration
	count int
}

func (p *ldapPace) add(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.took[p.count%len(p.took)] = d
	p.count++
}

// pick returns one of the times, by chance; 0 when there is none yet.
func (p *ldapPace) pick() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count == 0 {
		return 0
	}
	return p.took[rand.IntN(min(p.count, len(p.took)))]
}

// wait returns when as much time has gone since began as a refusal takes.
func (p *ldapPace) wait(ctx context.Context, began time.Time) error {
	t := time.NewTimer(p.pick() - time.Since(began))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
