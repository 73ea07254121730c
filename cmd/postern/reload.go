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
			var waiting []string
			if err := (daemon{cfg.Control}).call(c.Context, "/reload", nil, &waiting); err != nil {
				return err
			}
			for _, key := range waiting {
				fmt.Fprintf(t.Stderr, "postern: a change of %s waits for a restart\n", key)
			}
			fmt.Fprintln(t.Stdout, "reloaded")
			return nil
		},
	}
}

// Reload reads the configuration and the users again. A file that is broken changes
// nothing: what was in force stays, and the error says what is wrong. It returns the keys
// whose changes wait for a restart. The journal has what came of it.
func (m *Main) Reload(ctx context.Context) (waiting []string, err error) {
	m.loading.Lock()
	defer m.loading.Unlock()
	changed, waiting, err := m.reload()
	if err != nil {
		m.tell(ctx, journal.Event{Kind: journal.ReloadRefused, Detail: firstLine(err)})
		return nil, err
	}
	what := "nothing changed"
	if len(changed) > 0 {
		what = strings.Join(changed, "; ")
	}
	if len(waiting) > 0 {
		what += "; waiting for a restart: " + strings.Join(waiting, ", ")
	}
	m.tell(ctx, journal.Event{Kind: journal.Reloaded, Detail: what})
	return waiting, nil
}

func (m *Main) reload() (changed, waiting []string, err error) {
	cfg, err := readConfig(m.Config.File())
	if err != nil {
		return nil, nil, m.kept(err)
	}
	rules, err := policy.Compile(cfg.Domains, cfg.Access)
	if err != nil {
		return nil, nil, m.kept(cfg.Check(err))
	}
	if err := m.users.Reload(); err != nil {
		return nil, nil, err // the users say themselves that they stay
	}
	m.rules.Store(rules)
	if m.Level != nil {
		setLevel(m.Level, cfg.Log.Level)
	}
	if err := m.journal.decisions.Set(cfg.Log.Decisions); err != nil {
		return nil, nil, m.kept(cfg.Check(fmt.Errorf("log.decisions: %w", err)))
	}
	changed = changes(m.journal.loaded, cfg)
	m.journal.loaded = cfg
	waiting = needRestart(m.Config, cfg)
	for _, key := range waiting {
		m.Log.Warn("a change waits for a restart", "key", key)
	}
	m.Log.Info("configuration reloaded", "file", cfg.File(), "rules", rules.Len())
	return changed, waiting, nil
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
		{"headers", old.Headers, now.Headers},
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
