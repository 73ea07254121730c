package main

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"postern/agent"
	"postern/agent/credential"
	"postern/agent/regulation"
	"postern/portal/users"
)

// doors are the ways in that are not a password at the portal, and what bounds guessing.
type doors struct {
	guesses   *regulation.Limiter
	book      *credential.Book
	passwords *credential.Passwords
}

// credentials are what can stand in for a session where a rule takes it.
func (m *Main) credentials() *agent.Credentials {
	all := &agent.Credentials{
		Book: m.book, Passwords: m.passwords, People: m.users, Journal: m.journal,
		Banned: func(user string, addr netip.Addr, now time.Time) bool { return m.guesses.Check(user, addr, now) != nil },
	}
	if m.Config.Certificates.On() {
		all.Certificates = &credential.Certificates{Config: m.Config.Certificates, Finder: checker{m.users, m.guesses}}
	}
	return all
}

// checker checks names with passwords, and finds users, for package credential.
type checker struct {
	*directory
	guesses *regulation.Limiter
}

// Authenticate implements credential.Directory.
func (c checker) Authenticate(ctx context.Context, name, password string) (string, error) {
	u, err := c.directory.Authenticate(ctx, name, password)
	if errors.Is(err, users.ErrBadCredentials) {
		return "", credential.ErrWrong
	}
	return u.Name, err
}

// Begin implements credential.Guesses. A right password forgives no failures: a program
// that signs in every minute would forgive those of somebody else.
func (c checker) Begin(ctx context.Context, user string, addr netip.Addr, now time.Time) (func(credential.Outcome), error) {
	if c.guesses.Check(user, addr, now) != nil {
		return nil, &credential.WaitError{For: time.Minute}
	}
	try, err := c.guesses.Begin(ctx, now, regulation.User(regulation.Basic, user), regulation.Address(regulation.Basic, addr))
	if wait := new(regulation.WaitError); errors.As(err, &wait) {
		return nil, &credential.WaitError{For: wait.For, Address: wait.Address}
	}
	if err != nil {
		return nil, err
	}
	return func(o credential.Outcome) {
		if o == credential.Wrong {
			try.Fail(time.Now())
		} else {
			try.Release()
		}
	}, nil
}

// FindName implements credential.Finder.
func (c checker) FindName(ctx context.Context, name string) (string, bool, error) {
	u, err := c.Find(ctx, name)
	switch {
	case errors.Is(err, users.ErrNotFound):
		return "", false, nil
	case err != nil:
		return "", false, err
	}
	return u.Name, !u.Disabled && strings.EqualFold(u.Name, name), nil
}

// FindMail implements credential.Finder. A users file is searched whether or not people
// sign in by address; a directory finds whom its own filter lets sign in by one.
func (c checker) FindMail(ctx context.Context, address string) (string, bool, error) {
	has := func(u users.User) bool {
		return slices.ContainsFunc(u.Emails, func(e string) bool { return strings.EqualFold(e, address) })
	}
	u, err := c.Find(ctx, address)
	if err != nil && !errors.Is(err, users.ErrNotFound) {
		return "", false, err
	}
	if err == nil && has(u) {
		return u.Name, !u.Disabled, nil
	}
	var holders []users.User
	for _, f := range filesOf(c.Backends) {
		for _, u := range f.List() {
			if has(u) {
				holders = append(holders, u)
			}
		}
	}
	if len(holders) != 1 {
		return "", false, nil
	}
	// An earlier backend may hide him.
	u, err = c.Find(ctx, holders[0].Name)
	if errors.Is(err, users.ErrNotFound) || err == nil && !has(u) {
		return "", false, nil
	}
	return u.Name, err == nil && !u.Disabled, err
}
