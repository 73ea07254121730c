package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"
)

// plan is how long and how often to measure.
type plan struct {
	rounds int
	each   time.Duration
	log    io.Writer
}

func (p plan) say(format string, args ...any) { fmt.Fprintf(p.log, format+"\n", args...) }

// figures are the measurements of one mode, a value for each round.
type figures struct {
	rate, cpu, allocs []float64
	p50, p99, p999    []float64
}

// compareAgents measures every mode through one series of HAProxy, round by round so that
// a machine that drifts drifts for all, and reports against the constant agent.
func compareAgents(ctx context.Context, p programs, pl plan, series string) ([]Section, error) {
	dir, err := os.MkdirTemp("", "spopbench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	r, err := newRig(ctx, p, series, dir)
	if err != nil {
		return nil, err
	}
	defer r.stop()
	got := map[string]*figures{}
	for _, m := range modes() {
		got[m.name] = &figures{}
		if _, err := r.saturate(ctx, m, time.Second); err != nil { // warm up
			return nil, err
		}
	}
	for round := range pl.rounds {
		for _, m := range modes() {
			l, err := r.saturate(ctx, m, pl.each)
			if err != nil {
				return nil, err
			}
			f, cpu := got[m.name], float64(l.cpu.Nanoseconds())/1000
			f.rate, f.cpu, f.allocs = append(f.rate, l.rate), append(f.cpu, cpu), append(f.allocs, l.allocs)
			pl.say("HAProxy %s, round %d, %s: %.0f requests/s, %.2f µs of the agent's CPU and %.4f allocations each", series, round+1, m.name, l.rate, cpu, l.allocs)
		}
	}
	memory, err := r.memory(series)
	if err != nil {
		return nil, err
	}
	half := spread(got["constant agent"].rate).Median / 2
	for round := range pl.rounds {
		for _, m := range modes() {
			load := Rate{Addr: r.addr[m.proxy], Request: request(m.host, r.cookie(m)), Conns: 64, Rate: half, Status: m.status}
			out, err := load.Run(ctx, pl.each)
			if err != nil {
				return nil, fmt.Errorf("%s at %.0f/s: %w", m.name, half, err)
			}
			f := got[m.name]
			f.p50 = append(f.p50, float64(out.Latency.ValueAtQuantile(50))/1e6)
			f.p99 = append(f.p99, float64(out.Latency.ValueAtQuantile(99))/1e6)
			f.p999 = append(f.p999, float64(out.Latency.ValueAtQuantile(99.9))/1e6)
			pl.say("HAProxy %s, round %d, %s at %.0f/s: p50 %.2f p99 %.2f p99.9 %.2f ms", series, round+1, m.name, half, f.p50[round], f.p99[round], f.p999[round])
		}
	}
	return append(agentSections(series, got), memory), nil
}

// agentSections makes the tables of one series.
func agentSections(series string, got map[string]*figures) []Section {
	base := got["constant agent"]
	rate := Section{Title: "Requests a second through HAProxy " + series, Base: "an agent that answers constants"}
	cpu := Section{Title: "CPU of the agent per request, HAProxy " + series, Base: rate.Base}
	allocs := Section{Title: "Allocations of Postern per request, HAProxy " + series, Base: "one for each request"}
	late := Section{Title: "Latency at half the saturation rate, HAProxy " + series, Base: rate.Base}
	for _, m := range modes() {
		f := got[m.name]
		row := against(m.name, "requests/s", f.rate, base.rate)
		if m.name == "valid session" {
			row.Bound, row.Least = 0.9, true
		}
		rate.Rows = append(rate.Rows, row)
		late.Rows = append(late.Rows, against(m.name+", p50", "ms", f.p50, base.p50),
			against(m.name+", p99", "ms", f.p99, base.p99), against(m.name+", p99.9", "ms", f.p999, base.p999))
		if m.proxy == "none" {
			continue
		}
		row = against(m.name, "µs", f.cpu, base.cpu)
		if m.name == "valid session" {
			row.Bound = 1.6
		}
		cpu.Rows = append(cpu.Rows, row)
		if m.proxy == "postern" {
			// The tests hold the decision to none; here what runs beside it is counted, too.
			allocs.Rows = append(allocs.Rows, Row{Name: m.name, Ratio: spread(f.allocs), Bound: 0.1, Unit: "allocations", Value: spread(f.allocs)})
		}
	}
	return []Section{rate, cpu, allocs, late}
}

// memory compares what the agents have taken under load.
func (r *rig) memory(series string) (Section, error) {
	constant, err := r.constant.rss()
	if err != nil {
		return Section{}, err
	}
	postern, err := r.postern.rss()
	if err != nil {
		return Section{}, err
	}
	base := []float64{float64(constant) / 1e6}
	return Section{Title: "Memory of the agent after that, HAProxy " + series, Base: "an agent that answers constants", Rows: []Row{
		against("constant agent", "MB", base, base), against("Postern", "MB", []float64{float64(postern) / 1e6}, base),
	}}, nil
}

// against is the ratio of two series of values, round by round.
func against(name, unit string, values, base []float64) Row {
	ratios := make([]float64, len(values))
	for i := range values {
		ratios[i] = values[i] / base[i]
	}
	return Row{Name: name, Ratio: spread(ratios), Unit: unit, Value: spread(values)}
}
