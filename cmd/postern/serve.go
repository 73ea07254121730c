package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/urfave/cli/v2"
)

// gcPercent keeps a million sessions within a gigabyte. Answering HAProxy allocates
// nothing, so that collecting earlier costs the portal's pages a little and no decision.
const gcPercent = 20

func (t terminal) serveCommand() *cli.Command {
	return &cli.Command{
		Name:  "serve",
		Usage: "answer HAProxy and serve the portal",
		Flags: []cli.Flag{configFlag(), &cli.BoolFlag{Name: "strict", Usage: "refuse to start while a directory of users cannot be reached"}},
		Action: func(c *cli.Context) error {
			if _, err := arguments(c); err != nil {
				return err
			}
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			if os.Getenv("GOGC") == "" {
				debug.SetGCPercent(gcPercent)
			}
			log, level := newLogger(t.Stderr, cfg.Log)
			listeners, err := activated(os.Getenv)
			if err != nil {
				return err
			}
			if c.Bool("strict") {
				if err := tryDirectories(c.Context, cfg, newUsers(cfg, log)); err != nil {
					return fmt.Errorf("refused by --strict: %w", err)
				}
			}
			return serve(c.Context, &Main{Config: cfg, Log: log, Level: level, Listeners: listeners}, notifier{os.Getenv("NOTIFY_SOCKET")})
		},
	}
}

// serve runs m until ctx ends, reloads it on SIGHUP, and keeps systemd informed.
func serve(ctx context.Context, m *Main, systemd notifier) (err error) {
	tell := func(err error) {
		if err != nil {
			m.Log.Warn("systemd does not listen", "error", err.Error())
		}
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP) // before it could end the process
	defer signal.Stop(hup)
	if err := m.Open(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	m.Ready = func() {
		m.Log.Info("ready", "version", release(), "agent", m.Config.Agent.Listen, "portal", m.Config.Portal.Listen, "config", m.Config.File(), "pid", os.Getpid())
		tell(systemd.ready())
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case <-hup:
				tell(systemd.reloading())
				_, _ = m.Reload(context.Background()) // it has said what is wrong
				tell(systemd.ready())
			case <-ctx.Done():
				m.Log.Info("stopping")
				tell(systemd.stopping())
				return
			case <-done:
				return
			}
		}
	}()
	return m.Run(ctx)
}
