package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"postern/cmd/postern/config"
	"postern/portal/users"
)

// newUsers makes the backends of a configuration, which still have to be loaded.
func newUsers(cfg *config.Config, log *slog.Logger) *users.Backends {
	b := &users.Backends{List: make([]users.Named, len(cfg.Users))}
	names := cfg.Users.Names()
	for i, s := range cfg.Users {
		b.List[i].Name = names[i]
		if s.LDAP != nil {
			b.List[i].Backend = &users.LDAP{Config: *s.LDAP, Log: log}
		} else {
			b.List[i].Backend = &users.File{Path: s.File, Search: s.Search, Hashing: s.Hashing, Log: log}
		}
	}
	return b
}

// filesOf are the files among backends, with their places in the list.
func filesOf(b *users.Backends) map[int]*users.File {
	files := map[int]*users.File{}
	for i, e := range b.List {
		if f, ok := e.Backend.(*users.File); ok {
			files[i] = f
		}
	}
	return files
}

// loadUsers reads the files. One that does not exist yet has no users where missing allows
// that.
func loadUsers(b *users.Backends, missing bool) error {
	var errs []error
	for i := range b.List {
		if f, ok := b.List[i].Backend.(*users.File); ok {
			if err := f.Load(); err != nil && !(missing && errors.Is(err, fs.ErrNotExist)) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// Reload reads the files again; a broken one keeps its users and has said so in the log.
func (d *directory) Reload() error {
	var errs []error
	for _, e := range d.List {
		if f, ok := e.Backend.(*users.File); ok {
			errs = append(errs, f.Reload())
		}
	}
	return errors.Join(errs...)
}

// tryTimeout bounds the look at one directory.
const tryTimeout = 10 * time.Second

// tryUsers says in the log which directory cannot be used. Nobody is kept waiting: whoever
// is in a file signs in, and who was signed in stays so for the grace.
func (m *Main) tryUsers(ctx context.Context) {
	err := tryDirectories(ctx, m.Config, m.users.Backends)
	if err == nil || ctx.Err() != nil {
		return
	}
	for _, err := range split(err) {
		m.Log.Warn("a directory of users cannot be used as things are", "error", err.Error())
	}
}

// split takes joined errors apart.
func split(err error) []error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return many.Unwrap()
	}
	return []error{err}
}

// tryDirectories asks every directory server once; the errors begin with its key path.
func tryDirectories(ctx context.Context, cfg *config.Config, b *users.Backends) error {
	var errs []error
	for i, e := range b.List {
		l, ok := e.Backend.(*users.LDAP)
		if !ok {
			continue
		}
		within, cancel := context.WithTimeout(ctx, tryTimeout)
		if err := l.Check(within); err != nil {
			errs = append(errs, fmt.Errorf("%s.ldap: %w", cfg.UsersKey(i), err))
		}
		cancel()
	}
	return errors.Join(errs...)
}
