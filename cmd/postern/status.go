package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"postern/portal/journal"
)

// status is how a running postern is.
type status struct {
	Version     string        `json:"version"`
	PID         int           `json:"pid"`
	Started     time.Time     `json:"started"`
	Uptime      time.Duration `json:"uptime_ns"`
	Rules       int           `json:"rules"`
	Decisions   decisions     `json:"decisions"`
	Unlogged    uint64        `json:"decisions_not_logged"` // of those that should have been
	Connections int64         `json:"agent_connections"`
	Sessions    int           `json:"sessions_in_memory"`
	Tokens      int           `json:"tokens"` // and application passwords
	Events      uint64        `json:"events"` // the number of the last one
	Memory      memory        `json:"memory"`
}

// decisions counts verdicts since the start.
type decisions struct {
	Allow     uint64 `json:"allow"`
	Login     uint64 `json:"login"`
	StepUp    uint64 `json:"step_up"`
	Challenge uint64 `json:"challenge"`
	Deny      uint64 `json:"deny"`
	Error     uint64 `json:"error"`
}

// memory is what the process takes, in bytes, and has asked for since the start.
type memory struct {
	Resident    uint64 `json:"resident"` // 0 where the system does not tell
	Live        uint64 `json:"live"`     // of the heap, at the last collection
	Collections uint64 `json:"collections"`
	Allocations uint64 `json:"allocations"`
}

func (t terminal) statusCommand() *cli.Command {
	return &cli.Command{
		Name:  "status",
		Usage: "show how the running postern is: decisions, connections, sessions",
		Flags: []cli.Flag{configFlag(), outputFlag()},
		Action: func(c *cli.Context) error {
			if _, err := arguments(c); err != nil {
				return err
			}
			if err := checkOutput(c); err != nil {
				return err
			}
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			var s status
			if err := (daemon{cfg.Control}).call(c.Context, "/status", nil, &s); err != nil {
				return err
			}
			return t.output(c, s, func() { t.showStatus(s) })
		},
	}
}

func (t terminal) showStatus(s status) {
	d := s.Decisions
	for _, line := range [][2]string{
		{"running", fmt.Sprintf("since %s (%v), version %s, process %d", clock(s.Started), s.Uptime.Round(time.Second), s.Version, s.PID)},
		{"rules", fmt.Sprint(s.Rules)},
		{"decisions", fmt.Sprintf("%d: allow %d, login %d, step_up %d, challenge %d, deny %d, error %d",
			d.Allow+d.Login+d.StepUp+d.Challenge+d.Deny+d.Error, d.Allow, d.Login, d.StepUp, d.Challenge, d.Deny, d.Error)},
		{"not logged", fmt.Sprint(s.Unlogged)},
		{"connections", fmt.Sprintf("%d from HAProxy", s.Connections)},
		{"sessions", fmt.Sprintf("%d in memory", s.Sessions)},
		{"tokens", fmt.Sprint(s.Tokens)},
		{"events", fmt.Sprint(s.Events)},
		{"memory", fmt.Sprintf("%s resident, %s of live heap, %d collections, %d allocations",
			megabytes(s.Memory.Resident), megabytes(s.Memory.Live), s.Memory.Collections, s.Memory.Allocations)},
	} {
		if line[0] != "not logged" || s.Unlogged > 0 {
			fmt.Fprintf(t.Stdout, "%-12s %s\n", line[0], line[1])
		}
	}
}

func megabytes(n uint64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// status counts. The numbers are not of one moment.
func (m *Main) status(ctx context.Context) (status, error) {
	n := m.journal.agent.Stats()
	s := status{
		Version: release(), PID: os.Getpid(), Started: m.journal.started.UTC(), Uptime: time.Since(m.journal.started),
		Rules:     m.rules.Load().Len(),
		Decisions: decisions{n.Allow, n.Login, n.StepUp, n.Challenge, n.Deny, n.Error}, Unlogged: m.journal.decisions.Lost(),
		Connections: n.Connections, Sessions: m.table.Count(), Memory: ownMemory(),
	}
	tokens, err := m.book.List(ctx, "")
	if err != nil {
		return s, err
	}
	s.Tokens = len(tokens)
	last, err := m.journal.Ledger.ListRecords(ctx, journal.Filter{Limit: 1})
	if err != nil {
		return s, err
	}
	if len(last) > 0 {
		s.Events = last[0].Seq
	}
	return s, nil
}
