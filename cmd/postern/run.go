package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"postern/agent"
	"postern/agent/credential"
	"postern/agent/policy"
	"postern/agent/session"
	"postern/agent/thread"
	"postern/cmd/postern/config"
	"postern/portal"
	"postern/portal/journal"
	"postern/portal/mail"
	"postern/store"
)

// Main is everything that `postern serve` runs, so that the demo and the tests run the
// same. Fill the exported fields, call Open, then Run once, then Close.
type Main struct {
	Config    *config.Config
	Log       *slog.Logger
	Level     *slog.LevelVar          // of Log; nil when it cannot change
	Listeners map[string]net.Listener // agent, portal, control; those that are missing are opened
	Ready     func()                  // called when everybody listens; may be nil

	loading sync.Mutex // one Reload at a time
	rules   atomic.Pointer[policy.Rules]
	keys    keys
	store   *store.Store
	users   *directory
	table   *session.Table
	factors portal.Factors
	doors
	outbox  *mail.Outbox // nil when mail is off
	journal *record
}

// Open opens what can be wrong: rules, users, store, secret and sockets. What it opened
// it closes again when it fails.
func (m *Main) Open(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, m.Close())
		}
	}()
	rules, err := policy.Compile(m.Config.Domains, m.Config.Access)
	if err != nil {
		return m.Config.Check(err)
	}
	m.rules.Store(rules)
	m.users = newDirectory(newUsers(m.Config, m.Log), m.Config.Users.Grace())
	if err := loadUsers(m.users.Backends, false); err != nil {
		return err
	}
	if m.store, err = openStore(ctx, m.Config); err != nil {
		return err
	}
	made := m.Config.Secret.File != "" && !exists(m.Config.Secret.File)
	secret, err := openSecret(m.Config.Secret)
	if err != nil {
		return err
	}
	if m.keys, err = deriveKeys(secret); err != nil {
		return err
	}
	if err := m.openRecord(); err != nil {
		return err
	}
	if made {
		m.tell(ctx, journal.Event{Kind: journal.SecretMade, Detail: m.Config.Secret.File})
	}
	m.table = &session.Table{
		Config: m.Config.Session, Keeper: m.store, Directory: m.users,
		Key: m.keys.token, Prepare: agent.Prepare, Log: m.Log,
		Aside: (&thread.Crew{Most: store.Readers}).Do,
	}
	m.book = &credential.Book{Keeper: m.store, Log: m.Log}
	if err := m.book.Load(ctx); err != nil {
		return err
	}
	if m.factors, err = newFactors(m.Config, m.keys, m.store, m.Log); err != nil {
		return err
	}
	m.factors.Programs = m.book
	m.guesses = m.newGuesses()
	m.passwords = &credential.Passwords{Directory: checker{m.users, m.guesses}, Guesses: checker{m.users, m.guesses}}
	if err := m.guesses.Load(ctx); err != nil {
		return err
	}
	if m.outbox, err = newOutbox(m.Config, m.Log); err != nil {
		return m.Config.Check(err)
	}
	return m.listen()
}

func openStore(ctx context.Context, cfg *config.Config) (*store.Store, error) {
	if path, ok := cfg.StorePath(); ok {
		if err := makeFolder(path, 0o700); err != nil {
			return nil, err
		}
	}
	s, err := store.Open(ctx, cfg.Store)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// listen opens the sockets that nobody handed over.
func (m *Main) listen() error {
	if m.Listeners == nil {
		m.Listeners = map[string]net.Listener{}
	}
	c := m.Config
	for name, e := range map[string]endpoint{
		"agent":   {"agent.listen", c.Agent.Listen, c.Agent.Mode, c.Agent.Group},
		"portal":  {"portal.listen", c.Portal.Listen, c.Portal.Mode, c.Portal.Group},
		"control": {"control", "unix:" + c.Control, "0600", ""},
	} {
		if m.Listeners[name] != nil {
			continue
		}
		ln, err := listen(e)
		if err != nil {
			return err
		}
		m.Listeners[name] = ln
	}
	return nil
}

// Run serves until ctx ends or one part dies; then all of it ends, and the error is that
// part's. People stay signed in: what is in memory is written before it returns.
func (m *Main) Run(ctx context.Context) error {
	behind, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	back, behind := errgroup.WithContext(behind)
	back.Go(part("sessions", behind, m.table.Run))
	back.Go(part("credentials", behind, m.book.Run))
	back.Go(part("audit", behind, m.copyJournal))
	back.Go(part("decisions", behind, m.journal.decisions.Run))
	if m.outbox != nil {
		back.Go(part("mail", behind, m.outbox.Run))
	}
	m.begun(ctx)

	front, ctx := errgroup.WithContext(ctx)
	m.journal.agent = m.agent()
	front.Go(part("agent", ctx, func(ctx context.Context) error { return m.journal.agent.Serve(ctx, m.Listeners["agent"]) }))
	front.Go(part("portal", ctx, func(ctx context.Context) error { return m.portal().Serve(ctx, m.Listeners["portal"]) }))
	front.Go(part("control", ctx, func(ctx context.Context) error { return m.control().serve(ctx, m.Listeners["control"]) }))
	front.Go(part("users", ctx, m.users.Run))
	front.Go(part("bans", ctx, m.guesses.Run))
	front.Go(part("journal", ctx, m.pruneJournal))
	front.Go(func() error { m.tryMail(ctx); return nil })
	front.Go(func() error { m.tryUsers(ctx); return nil })
	front.Go(func() error { // the sessions' end is the end of all
		select {
		case <-behind.Done():
			return errors.New("sessions are not kept any more")
		case <-ctx.Done():
			return nil
		}
	})
	front.Go(func() error { tendHeap(ctx, m.Log); return nil })
	if m.Ready != nil {
		m.Ready()
	}
	err := front.Wait()
	m.tell(ctx, journal.Event{Kind: journal.Stopped, Detail: release()})
	stop()
	return errors.Join(err, back.Wait())
}

// part runs one part; that it returns before ctx ended is an error.
func part(name string, ctx context.Context, serve func(context.Context) error) func() error {
	return func() error {
		err := serve(ctx)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", name, err)
		case ctx.Err() == nil:
			return fmt.Errorf("%s: stopped by itself", name)
		}
		return nil
	}
}

func (m *Main) agent() *agent.Server {
	return &agent.Server{Config: m.Config.Agent, Rules: m.rules.Load, Sessions: m.table, Credentials: m.credentials(), Decisions: m.journal.decisions, Log: m.Log}
}

func (m *Main) portal() *portal.Server {
	s := &portal.Server{
		Config: m.Config.Portal, Cookie: m.Config.Session, Rules: m.rules.Load, Domains: m.Config.Domains,
		Users: m.users, Sessions: m.table, Factors: m.factors, Guesses: m.guesses, Journal: m.journal,
		Strength: m.Config.Passwords, Key: m.keys.csrf, Log: m.Log,
	}
	if m.Config.Users.Writable() {
		s.Password = m.users
	}
	if m.outbox != nil {
		s.Letters = m.outbox
	}
	return s
}

func (m *Main) control() *control { return &control{main: m, log: m.Log} }

// Close closes what Open opened. It may be called more than once.
func (m *Main) Close() error {
	var errs []error
	for _, ln := range m.Listeners {
		if err := ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	m.Listeners = nil
	if m.store != nil {
		errs = append(errs, m.store.Close())
		m.store = nil
	}
	return errors.Join(errs...)
}
