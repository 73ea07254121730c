package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/urfave/cli/v2"

	"postern/agent/policy"
	"postern/cmd/postern/config"
	"postern/portal/journal"
)

func (t terminal) reloadCommand() *cli.Command {
	return &cli.Command{
		Name:  "reload",
		Usage: "make the running postern read its configuration and users again",
		Flags: []cli.Flag{configFlag()},
		Action: func(c *cli.Context) error {
			if _, err := arguments(c); err != nil {
				return err
			}
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			var done reloaded
			if err := (daemon{cfg.Control}).call(c.Context, "/reload", nil, &done); err != nil {
				return err
			}
			for _, key := range done.Waiting {
				fmt.Fprintf(t.Stderr, "postern: a change of %s waits for a restart\n", key)
			}
			if done.HAProxy {
				fmt.Fprintln(t.Stderr, "postern: HAProxy's files are as before; write them with postern haproxy, and reload HAProxy")
			}
			fmt.Fprintln(t.Stdout, "reloaded")
			return nil
		},
	}
}

// reloaded is what came of reading the configuration again.
type reloaded struct {
	Waiting []string `json:"waiting"` // keys whose changes wait for a restart
	HAProxy bool     `json:"haproxy"` // HAProxy's files have to be written anew

	changed []string
}

// Reload reads the configuration and the users again. A file that is broken changes
// nothing: what was in force stays, and the error says what is wrong. The journal has what
// came of it.
func (m *Main) Reload(ctx context.Context) (reloaded, error) {
	m.loading.Lock()
	defer m.loading.Unlock()
	done, err := m.reload()
	if err != nil {
		m.tell(ctx, journal.Event{Kind: journal.ReloadRefused, Detail: firstLine(err)})
		return done, err
	}
	what := "nothing changed"
	if len(done.changed) > 0 {
		what = strings.Join(done.changed, "; ")
	}
	if len(done.Waiting) > 0 {
		what += "; waiting for a restart: " + strings.Join(done.Waiting, ", ")
	}
	m.tell(ctx, journal.Event{Kind: journal.Reloaded, Detail: what})
	return done, nil
}

func (m *Main) reload() (done reloaded, err error) {
	cfg, err := readConfig(m.Config.File())
	if err != nil {
		return done, m.kept(err)
	}
	// Under the domains that the portal has: a new portal would be open here, and nobody there.
	rules, err := policy.Compile(m.Config.Domains, cfg.Access)
	if err != nil {
		return done, m.kept(cfg.Check(err))
	}
	if err := m.users.Reload(); err != nil {
		return done, err // the users say themselves that they stay
	}
	m.rules.Store(rules)
	if m.Level != nil {
		setLevel(m.Level, cfg.Log.Level)
	}
	if err := m.journal.decisions.Set(cfg.Log.Decisions); err != nil {
		return done, m.kept(cfg.Check(fmt.Errorf("log.decisions: %w", err)))
	}
	done = reloaded{
		Waiting: needRestart(m.Config, cfg), changed: changes(m.journal.loaded, cfg),
		HAProxy: !reflect.DeepEqual(haproxyConfig(m.journal.loaded, ""), haproxyConfig(cfg, "")),
	}
	m.journal.loaded = cfg
	for _, key := range done.Waiting {
		m.Log.Warn("a change waits for a restart", "key", key)
	}
	if done.HAProxy {
		m.Log.Warn("a change waits for HAProxy's files", "write", "postern haproxy")
	}
	m.Log.Info("configuration reloaded", "file", cfg.File(), "rules", rules.Len())
	return done, nil
}

// firstLine is the first of the faults that err joins.
func firstLine(err error) string {
	var faults config.Faults
	if errors.As(err, &faults) && len(faults) > 0 {
		return fmt.Sprintf("%s:%d:%d: %s: %s", faults[0].File, faults[0].Line, faults[0].Column, faults[0].Path, faults[0].Message)
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// kept says that the old configuration is still in force, a line for each fault.
func (m *Main) kept(err error) error {
	var faults config.Faults
	if errors.As(err, &faults) {
		for _, f := range faults {
			m.Log.Error("configuration refused; the old one stays", "file", f.File, "line", f.Line, "column", f.Column, "key", f.Path, "fault", f.Message)
		}
		return err
	}
	m.Log.Error("configuration not read; the old one stays", "error", err.Error())
	return err
}

// needRestart lists the parts that differ and that a reload does not reach.
func needRestart(old, now *config.Config) []string {
	var keys []string
	for _, p := range []struct {
		key      string
		old, now any
	}{
		{"domains", old.Domains, now.Domains},
		{"agent", old.Agent, now.Agent},
		{"portal", old.Portal, now.Portal},
		{"users", old.Users, now.Users},
		{"passwords", old.Passwords, now.Passwords},
		{"factors", old.Factors, now.Factors},
		{"mail", old.Mail, now.Mail},
		{"journal", old.Journal, now.Journal},
		{"regulation", old.Regulation, now.Regulation},
		{"certificates", old.Certificates, now.Certificates},
		{"session", old.Session, now.Session},
		{"store", old.Store, now.Store},
		{"secret", old.Secret, now.Secret},
		{"control", old.Control, now.Control},
		{"log.format", old.Log.Format, now.Log.Format},
	} {
		if !reflect.DeepEqual(p.old, p.now) {
			keys = append(keys, p.key)
		}
	}
	return keys
}
