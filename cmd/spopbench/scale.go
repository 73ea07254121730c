package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// bench is one running Postern with the sessions it has.
type bench struct {
	name   string
	site   site
	proc   *proc
	tokens []string
}

// startBench makes a site and starts its Postern; dir must be empty.
func startBench(ctx context.Context, p programs, name string, rules, sessions int, machines bool) (*bench, error) {
	dir, err := os.MkdirTemp("", "spopbench-")
	if err != nil {
		return nil, err
	}
	s, err := newSite(dir, rules, machines)
	if err != nil {
		return nil, err
	}
	b := &bench{name: name, site: s}
	if b.tokens, err = s.addSessions(ctx, sessions); err == nil {
		b.proc, err = startPostern(ctx, p, s)
	}
	if err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bench) close() {
	if b.proc != nil {
		b.proc.stop()
	}
	os.RemoveAll(b.site.dir)
}

// warm has every session found, so that all are in memory. A look-up that took the store
// too long is tried again: what is in memory by then costs nothing.
func (b *bench) warm(ctx context.Context) error {
	l := Load{Socket: b.site.socket(), Conns: 2, InFlight: 6, Host: "app.example.com", Tokens: b.tokens, Once: true, Want: "allow", Lenient: true}
	for range 5 {
		out, err := l.Run(ctx, time.Hour)
		if err != nil {
			return err
		}
		if out.Frames == int64(len(b.tokens)) && out.Others == 0 {
			return nil
		}
	}
	return fmt.Errorf("not all of %d sessions are found", len(b.tokens))
}

// cost is what a number of decisions took.
type cost struct {
	frames       int64
	elapsed, cpu time.Duration
}

func (c *cost) add(other cost) {
	c.frames += other.frames
	c.elapsed += other.elapsed
	c.cpu += other.cpu
}

// each returns the time between two decisions and its CPU for one, both in microseconds.
func (c cost) each() (each, cpu float64) {
	n := float64(c.frames) * 1000
	return float64(c.elapsed.Nanoseconds()) / n, float64(c.cpu.Nanoseconds()) / n
}

// measure drives the agent as fast as it answers.
func (b *bench) measure(ctx context.Context, d time.Duration) (cost, error) {
	before, err := b.proc.cpu()
	if err != nil {
		return cost{}, err
	}
	l := Load{Socket: b.site.socket(), Conns: 2, InFlight: 20, Host: "app.example.com", Tokens: b.tokens, Want: "allow"}
	out, err := l.Run(ctx, d)
	if err != nil {
		return cost{}, fmt.Errorf("%s: %w", b.name, err)
	}
	after, err := b.proc.cpu()
	return cost{out.Frames, out.Elapsed, after - before}, err
}

// turns is how often a round goes from one thing that is compared to the next and back, in
// short slices: what else the machine does, for seconds at a time, falls on all.
const turns = 10

// compareScales measures some benches against the first.
func compareScales(ctx context.Context, pl plan, title string, benches []*bench) (Section, error) {
	each, cpu := make([][]float64, len(benches)), make([][]float64, len(benches))
	for round := range pl.rounds {
		sums := make([]cost, len(benches))
		for range turns {
			for i, b := range benches {
				c, err := b.measure(ctx, pl.each/turns)
				if err != nil {
					return Section{}, err
				}
				sums[i].add(c)
			}
		}
		for i, b := range benches {
			e, c := sums[i].each()
			each[i], cpu[i] = append(each[i], e), append(cpu[i], c)
			pl.say("%s, round %d: %.2f µs a decision, %.2f µs CPU", b.name, round+1, e, c)
		}
	}
	s := Section{Title: title, Base: benches[0].name}
	for i, b := range benches[1:] {
		c, e := against(b.name+", CPU", "µs", cpu[i+1], cpu[0]), against(b.name+", time", "µs", each[i+1], each[0])
		c.Bound, e.Bound = 1.3, 1.3
		s.Rows = append(s.Rows, c, e)
	}
	return s, nil
}

// compareRules: 10, 1,000 and 10,000 rules.
func compareRules(ctx context.Context, p programs, pl plan) (Section, error) {
	var all []*bench
	for _, n := range []int{12, 1000, 10000} {
		b, err := startBench(ctx, p, fmt.Sprintf("%d rules", n), n, 1000, false)
		if err != nil {
			return Section{}, err
		}
		defer b.close()
		if err := b.warm(ctx); err != nil {
			return Section{}, err
		}
		all = append(all, b)
	}
	return compareScales(ctx, pl, "Decisions with more rules", all)
}

// compareSessions: 1,000 sessions, 100,000 and so many.
func compareSessions(ctx context.Context, p programs, pl plan, most int) ([]Section, error) {
	var all []*bench
	for _, n := range []int{1000, 100_000, most} {
		pl.say("making %d sessions", n)
		b, err := startBench(ctx, p, fmt.Sprintf("%d sessions", n), 12, n, false)
		if err != nil {
			return nil, err
		}
		defer b.close()
		if err := b.warm(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", b.name, err)
		}
		all = append(all, b)
	}
	s, err := compareScales(ctx, pl, "Decisions with more sessions", all)
	if err != nil {
		return nil, err
	}
	bounds, err := holdBounds(ctx, p, pl, all[0], all[2])
	return []Section{s, bounds}, err
}

// holdBounds measures what has a bound of its own: memory, start, size, a slow neighbour.
func holdBounds(ctx context.Context, p programs, pl plan, small, large *bench) (Section, error) {
	s := Section{Title: "Bounds", Base: "the bound of each"}
	row := func(name, unit string, bound float64, values ...float64) {
		ratios := make([]float64, len(values))
		for i, v := range values {
			ratios[i] = v / bound
		}
		s.Rows = append(s.Rows, Row{Name: name, Ratio: spread(ratios), Bound: 1, Unit: unit, Value: spread(values)})
	}
	rss, err := large.proc.rss()
	if err != nil {
		return s, err
	}
	row("memory with "+large.name, "MB", 1000, float64(rss)/1e6)
	var idle, first []float64
	for range pl.rounds {
		size, _, err := small.restart(ctx, p)
		if err != nil {
			return s, err
		}
		_, d, err := large.restart(ctx, p)
		if err != nil {
			return s, err
		}
		idle, first = append(idle, size), append(first, d)
	}
	row("memory when idle", "MB", 30, idle...)
	row("start to first verdict, "+large.name, "ms", 300, first...)
	program, err := os.Stat(p.postern)
	if err != nil {
		return s, err
	}
	row("program", "MB", 40, float64(program.Size())/1e6)
	added, err := large.neighbour(ctx, pl)
	if err != nil {
		return s, err
	}
	row("p99 added by store misses", "ms", 1, added...)
	machines, err := startBench(ctx, p, "machines", 12, 1000, true)
	if err != nil {
		return s, err
	}
	defer machines.close()
	if added, err = machines.hashing(ctx, pl); err != nil {
		return s, err
	}
	row("p99 added by Basic hashes", "ms", 1, added...)
	return s, nil
}

// restart starts the bench's Postern anew and returns its memory after the first verdict
// in megabytes, and how long that verdict took from the start, in milliseconds.
func (b *bench) restart(ctx context.Context, p programs) (rss, first float64, err error) {
	b.proc.stop()
	begin := time.Now()
	if b.proc, err = startPostern(ctx, p, b.site); err != nil {
		return 0, 0, err
	}
	one := Load{Socket: b.site.socket(), Conns: 1, InFlight: 1, Host: "app.example.com", Tokens: b.tokens[:1], Once: true, Want: "allow"}
	if _, err := one.Run(ctx, time.Minute); err != nil {
		return 0, 0, err
	}
	took := time.Since(begin)
	size, err := b.proc.rss()
	return float64(size) / 1e6, float64(took.Microseconds()) / 1000, err
}

// neighbour measures what one store miss at a time adds to the 99th percentile of cached
// decisions on the same connection. The bench must just have been started anew.
func (b *bench) neighbour(ctx context.Context, pl plan) ([]float64, error) {
	cached, rest := b.tokens[:1000], b.tokens[1000:]
	warm := Load{Socket: b.site.socket(), Conns: 1, InFlight: 4, Host: "app.example.com", Tokens: cached, Once: true, Want: "allow"}
	if _, err := warm.Run(ctx, time.Minute); err != nil {
		return nil, err
	}
	return b.beside(ctx, pl, "a store miss", cached, rest, false)
}

// hashing measures the same for one password at a time that has to be hashed: every user
// signs in once.
func (b *bench) hashing(ctx context.Context, pl plan) ([]float64, error) {
	if err := b.warm(ctx); err != nil {
		return nil, err
	}
	var all []string
	for i := range userCount {
		all = append(all, authorization(userName(i)))
	}
	return b.beside(ctx, pl, "a password", b.tokens, all, true)
}

// beside measures decisions for cached sessions alone, and with one slow request at a time
// on the same connection, by turns.
func (b *bench) beside(ctx context.Context, pl plan, what string, cached, slow []string, basic bool) ([]float64, error) {
	var added []float64
	rounds := 3 * pl.rounds // one pause of the machine decides over a percent of a second
	share := len(slow) / (rounds * turns)
	for range rounds {
		alone, beside := newHistogram(), newHistogram()
		for range turns {
			for _, h := range []*hdrhistogram.Histogram{alone, beside} {
				l := Load{Socket: b.site.socket(), Conns: 1, InFlight: 20, Rate: 5000, Host: "app.example.com", Tokens: cached, Want: "allow", Basic: basic}
				if h == beside {
					l.Slow, slow = slow[:share], slow[share:]
				}
				out, err := l.Run(ctx, pl.each/turns)
				if err != nil {
					return nil, err
				}
				h.Merge(out.Latency)
			}
		}
		ms := float64(beside.ValueAtQuantile(99)-alone.ValueAtQuantile(99)) / 1e6
		pl.say("p99 alone %v, beside %s %v", quantile(alone, 99), what, quantile(beside, 99))
		added = append(added, max(0, ms))
	}
	return added, nil
}
