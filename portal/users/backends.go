package users

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Backend knows people: a File, a directory server, or Backends, which are several.
//
// A canonical name finds its own user in Find, whatever else the backend lets people type.
type Backend interface {
	// Authenticate checks a password. Errors: ErrBadCredentials, ErrBusy, ErrUnavailable, ctx's.
	Authenticate(ctx context.Context, name, password string) (User, error)
	// Find returns the user whom a name means at the sign-in, disabled or not; it may ask a
	// server. Errors: ErrNotFound, ErrUnavailable, ctx's.
	Find(ctx context.Context, name string) (User, error)
	// Known returns a user by canonical name, disabled or not, from memory: it never
	// blocks. ok is false for a user who has not been asked for.
	Known(canonical string) (u User, ok bool)
	// Epoch grows whenever an answer of Known may have changed. Who sees the new number
	// sees the new users.
	Epoch() uint64
	// Run follows changes until ctx ends; it returns nil then.
	Run(ctx context.Context) error
}

// Writer is a Backend that can set passwords.
type Writer interface {
	// ReplacePassword sets the password of a user, by canonical name, when it still has
	// that Version. Errors: ErrNotFound, ErrChanged, ErrPassword, ErrBusy, ErrReadOnly,
	// ErrUnavailable.
	ReplacePassword(ctx context.Context, name, password, version string) error
	// Version changes whenever the user's password does. It is answered from memory; ok is
	// false when there is no such user, he is disabled, or his password cannot be set here.
	Version(name string) (version string, ok bool)
}

// Named is one of several backends.
type Named struct {
	Name string // for people: "file", "ldap"; no two are the same
	Backend
}

// Backends are several in order, and one Backend themselves: the first that knows a name
// has its user, so that a name in an earlier one hides the same name in a later one. Names
// that fold to one text are the same. Fill List before the first call.
type Backends struct {
	List []Named

	mu     sync.Mutex
	owners map[string]int // canonical name → index in List, as it was found last
}

// The times that answers about names take at least, except where there is a single file:
// the time that one backend took would tell which names it has. A hash takes 50 ms and
// more, a directory's answer a few, and what is in memory nothing. Both together stay below
// what a request with Basic may wait for (agent.timeout).
const (
	evenFailure = 250 * time.Millisecond
	evenName    = 40 * time.Millisecond
)

// maxOwners bounds what is remembered of who is where; beyond it, it is asked again.
const maxOwners = 1 << 17

// Authenticate lets the first backend decide that knows the name: what it refuses, no
// other is asked about. A directory that cannot be asked may know the name, so that the
// ones behind it are not asked either: ErrUnavailable.
func (b *Backends) Authenticate(ctx context.Context, name, password string) (User, error) {
	if checkPassword(password) != nil || len(b.List) == 0 {
		return User{}, ErrBadCredentials
	}
	began := time.Now()
	at, u, err := b.find(ctx, name)
	if errors.Is(err, ErrNotFound) {
		_, err = b.List[len(b.List)-1].Authenticate(ctx, name, password) // for what it costs
		if err == nil {
			err = ErrBadCredentials
		}
	} else if err == nil {
		known := u.Name
		if u, err = b.List[at].Authenticate(ctx, name, password); err == nil && u.Name != known {
			err = ErrBadCredentials // the name leads to another one by now, who may be hidden
		}
	}
	if errors.Is(err, ErrBadCredentials) {
		if late := b.wait(ctx, began, evenFailure); late != nil {
			return User{}, late
		}
	}
	if err != nil {
		return User{}, err
	}
	return u, nil
}

// Find returns the user whom a name means at the sign-in.
func (b *Backends) Find(ctx context.Context, name string) (User, error) {
	_, u, err := b.find(ctx, name)
	return u, err
}

// find asks one after the other, and remembers who answered.
func (b *Backends) find(ctx context.Context, name string) (at int, u User, err error) {
	for i, e := range b.List {
		u, err := e.Find(ctx, name)
		if err == nil && i > 0 {
			err = b.hidden(ctx, i, name, u.Name)
		}
		switch {
		case err == nil:
			b.remember(u.Name, i)
			return i, u, nil
		case !errors.Is(err, ErrNotFound):
			return 0, User{}, err
		}
	}
	return 0, User{}, ErrNotFound
}

// hidden returns ErrNotFound when a backend before the i-th has a user of that name.
func (b *Backends) hidden(ctx context.Context, i int, asked, name string) error {
	for _, e := range b.List[:i] {
		if f, ok := e.Backend.(*File); ok {
			if f.holds(name) {
				return ErrNotFound
			}
			continue
		}
		if asked == name {
			continue // it has said so already
		}
		switch _, err := e.Find(ctx, name); {
		case err == nil:
			return ErrNotFound
		case !errors.Is(err, ErrNotFound):
			return err
		}
	}
	return nil
}

func (b *Backends) remember(name string, at int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.owners == nil || len(b.owners) >= maxOwners {
		b.owners = map[string]int{}
	}
	b.owners[name] = at
}

// Known returns a user by canonical name from memory. A backend that holds only a part of
// its users in memory can be passed over when a later one was found to have this one.
func (b *Backends) Known(canonical string) (User, bool) {
	_, u, ok := b.known(canonical)
	return u, ok
}

func (b *Backends) known(canonical string) (at int, u User, ok bool) {
	owner := -1
	if len(b.List) > 1 {
		b.mu.Lock()
		if i, ok := b.owners[canonical]; ok {
			owner = i
		}
		b.mu.Unlock()
	}
	for i, e := range b.List {
		// Whom a directory has no more, it knows as disabled; a later backend may have him.
		if u, ok := e.Known(canonical); ok && !(u.Disabled && owner > i) {
			return i, u, true
		}
		if owner <= i && !whole(e.Backend) {
			return 0, User{}, false
		}
		if f, ok := e.Backend.(*File); ok && f.holds(canonical) {
			return 0, User{}, false // the same name in another spelling hides it
		}
	}
	return 0, User{}, false
}

// whole says whether a backend has all of its users in memory.
func whole(b Backend) bool {
	_, ok := b.(*File)
	return ok
}

// Whole says whether all users are in memory, so that whom Known does not return does not
// exist.
func (b *Backends) Whole() bool {
	return !slices.ContainsFunc(b.List, func(e Named) bool { return !whole(e.Backend) })
}

// Owner is the backend that has the user whom a name means. Errors: ErrNotFound,
// ErrUnavailable, ctx's.
func (b *Backends) Owner(ctx context.Context, name string) (Named, error) {
	at, _, err := b.find(ctx, name)
	if err != nil {
		return Named{}, err
	}
	return b.List[at], nil
}

// Canonical returns the name under which failures of name are to be counted, for any
// input, known or not; at most 128 bytes. Errors: ErrUnavailable, ctx's.
func (b *Backends) Canonical(ctx context.Context, name string) (string, error) {
	began := time.Now()
	_, u, err := b.find(ctx, name)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return "", err
	}
	if late := b.wait(ctx, began, evenName); late != nil {
		return "", late
	}
	if err == nil {
		return u.Name, nil
	}
	for _, e := range b.List {
		if f, ok := e.Backend.(*File); ok {
			if c := f.users().canonical(name); f.holds(c) {
				return c, nil
			}
		}
	}
	return Folded(name), nil
}

// wait returns when an answer may be given that began then; nothing is uneven about a
// single file.
func (b *Backends) wait(ctx context.Context, began time.Time, least time.Duration) error {
	rest := least - time.Since(began)
	if len(b.List) < 2 && b.Whole() || rest <= 0 {
		return nil
	}
	t := time.NewTimer(rest)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Epoch grows whenever one of the backends' does.
func (b *Backends) Epoch() uint64 {
	var sum uint64
	for i := range b.List {
		sum += b.List[i].Epoch()
	}
	return sum
}

// Run runs all backends until ctx ends, or one of them fails.
func (b *Backends) Run(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	for _, e := range b.List {
		all.Go(func() error { return e.Run(ctx) })
	}
	return all.Wait()
}

// ReplacePassword sets the password at the backend that has the user.
func (b *Backends) ReplacePassword(ctx context.Context, name, password, version string) error {
	at, u, err := b.find(ctx, name)
	switch {
	case err != nil:
		return err
	case u.Name != name:
		return ErrNotFound
	}
	w, ok := b.List[at].Backend.(Writer)
	if !ok {
		return ErrReadOnly
	}
	return w.ReplacePassword(ctx, name, password, version)
}

// Version is that of the backend that has the user, as far as he is in memory.
func (b *Backends) Version(name string) (version string, ok bool) {
	at, _, ok := b.known(name)
	if !ok {
		return "", false
	}
	w, ok := b.List[at].Backend.(Writer)
	if !ok {
		return "", false
	}
	return w.Version(name)
}
