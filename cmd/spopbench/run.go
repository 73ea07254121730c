package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

func runCommand() *cli.Command {
	return &cli.Command{
		Name:  "run",
		Usage: "measure everything and write bench.json, bench.md and the charts",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "postern", Value: "bin/postern", Usage: "the program to measure"},
			&cli.StringSliceFlag{Name: "haproxy", Usage: "`SERIES=PATH`, as often as there are versions"},
			&cli.IntFlag{Name: "rounds", Value: 5},
			&cli.DurationFlag{Name: "each", Value: 2 * time.Second, Usage: "how long one measurement takes"},
			&cli.IntFlag{Name: "sessions", Value: 1_000_000, Usage: "the most sessions"},
			&cli.StringSliceFlag{Name: "only", Usage: "agents, rules or sessions; all when absent"},
			&cli.StringFlag{Name: "out", Value: "bench-out", Usage: "`FOLDER` of the results"},
		},
		Action: func(c *cli.Context) error {
			p, err := findPrograms(c.String("postern"), c.StringSlice("haproxy"))
			if err != nil {
				return err
			}
			pl := plan{rounds: c.Int("rounds"), each: c.Duration("each"), log: c.App.ErrWriter}
			r := Report{Machine: machine(), Rounds: pl.rounds, Seconds: pl.each.Seconds()}
			if r.Sections, err = measureAll(c.Context, p, pl, c.StringSlice("only"), c.Int("sessions")); err != nil {
				return err
			}
			if err := r.writeFiles(c.String("out")); err != nil {
				return err
			}
			return r.writeTable(c.App.Writer)
		},
	}
}

func findPrograms(postern string, haproxies []string) (programs, error) {
	p := programs{}
	var err error
	if p.postern, err = filepath.Abs(postern); err != nil {
		return p, err
	}
	if _, err := os.Stat(p.postern); err != nil {
		return p, fmt.Errorf("the program to measure: %w", err)
	}
	if p.self, err = os.Executable(); err != nil {
		return p, err
	}
	p.haproxy, p.series, err = parseHaproxies(haproxies)
	return p, err
}

func measureAll(ctx context.Context, p programs, pl plan, only []string, sessions int) ([]Section, error) {
	wanted := func(part string) bool { return len(only) == 0 || strings.Contains(strings.Join(only, " "), part) }
	var all []Section
	if wanted("agents") {
		for _, series := range p.series {
			s, err := compareAgents(ctx, p, pl, series)
			if err != nil {
				return nil, fmt.Errorf("HAProxy %s: %w", series, err)
			}
			all = append(all, s...)
		}
	}
	if wanted("rules") {
		s, err := compareRules(ctx, p, pl)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	if wanted("sessions") {
		s, err := compareSessions(ctx, p, pl, sessions)
		if err != nil {
			return nil, err
		}
		all = append(all, s...)
	}
	return all, nil
}

// machine says on what was measured, as far as it matters to a reader.
func machine() string {
	model := runtime.GOARCH
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for _, line := range strings.Split(string(b), "\n") {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%d cores, %s, %s", runtime.NumCPU(), model, runtime.Version())
}

// writeFiles writes bench.json, bench.md and one chart a section below bench/.
func (r Report) writeFiles(dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, "bench"), 0o755); err != nil {
		return err
	}
	write := func(name string, f func(io.Writer) error) error {
		out, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		defer out.Close()
		if err := f(out); err != nil {
			return err
		}
		return out.Close()
	}
	if err := write("bench.json", r.writeJSON); err != nil {
		return err
	}
	if err := write("bench.md", r.writeMarkdown); err != nil {
		return err
	}
	for _, s := range r.Sections {
		if err := write(filepath.Join("bench", s.chartName()), s.writeChart); err != nil {
			return err
		}
	}
	return nil
}
