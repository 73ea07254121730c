package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// programs are the paths of what is measured.
type programs struct {
	postern string
	self    string            // spopbench, for the constant agent
	haproxy map[string]string // series -> path
	series  []string          // in order
}

// rig is everything that runs for one version of HAProxy: three of it, and two agents.
type rig struct {
	postern, constant *proc
	proxies           []*proc
	addr              map[string]string // "none", "constant", "postern" -> host:port
	site              site
	token             string
}

// stop ends everything.
func (r *rig) stop() {
	for _, p := range append(r.proxies, r.postern, r.constant) {
		if p != nil {
			p.stop()
		}
	}
}

// startPostern starts `postern serve` and waits until it accepts.
func startPostern(ctx context.Context, p programs, s site) (*proc, error) {
	serve, err := start(ctx, p.postern, "serve", "--config", s.path("postern.yml"))
	if err != nil {
		return nil, err
	}
	if err := serve.until("listening", func() bool { return accepts("unix", s.socket()) }); err != nil {
		serve.stop()
		return nil, err
	}
	return serve, nil
}

// newRig starts it all for one series.
func newRig(ctx context.Context, p programs, series, dir string) (_ *rig, err error) {
	r := &rig{addr: map[string]string{}}
	defer func() {
		if err != nil {
			r.stop()
		}
	}()
	s, err := newSite(dir, 12, false)
	if err != nil {
		return nil, err
	}
	tokens, err := s.addSessions(ctx, 1)
	if err != nil {
		return nil, err
	}
	r.site, r.token = s, tokens[0]
	if r.postern, err = startPostern(ctx, p, s); err != nil {
		return nil, err
	}
	constant := s.path("constant.sock")
	if r.constant, err = start(ctx, p.self, "constant", "--listen", constant); err != nil {
		return nil, err
	}
	if err := r.constant.until("listening", func() bool { return accepts("unix", constant) }); err != nil {
		return nil, err
	}
	cfg, spoe, err := generate(ctx, p, s, series)
	if err != nil {
		return nil, err
	}
	other := s.path("constant.cfg")
	text, err := os.ReadFile(cfg)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(other, bytes.ReplaceAll(text, []byte(s.socket()), []byte(constant)), 0o600); err != nil {
		return nil, err
	}
	for _, f := range []struct{ name, cfg, spoe string }{{"none", "", ""}, {"constant", other, spoe}, {"postern", cfg, spoe}} {
		if err := r.startProxy(ctx, p.haproxy[series], s, f.name, f.cfg, f.spoe); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// generate has Postern write HAProxy's files.
func generate(ctx context.Context, p programs, s site, series string) (cfg, spoe string, err error) {
	out, err := exec.CommandContext(ctx, p.postern, "haproxy", "--config", s.path("postern.yml"), "--version", series, "--out", s.dir).CombinedOutput()
	if err != nil {
		return "", "", fmt.Errorf("postern haproxy: %w\n%s", err, out)
	}
	return s.path("postern.cfg"), s.path("spoe.conf"), nil
}

func (r *rig) startProxy(ctx context.Context, path string, s site, name, cfg, spoe string) error {
	addr, err := freePort()
	if err != nil {
		return err
	}
	files, err := s.frontend(name, addr, cfg, spoe)
	if err != nil {
		return err
	}
	args := []string{"-db"}
	for _, f := range files {
		args = append(args, "-f", f)
	}
	proxy, err := start(ctx, path, args...)
	if err != nil {
		return err
	}
	r.proxies = append(r.proxies, proxy)
	r.addr[name] = addr
	return proxy.until("listening", func() bool { return accepts("tcp", addr) })
}

// mode is one kind of request against one of the proxies.
type mode struct {
	name   string
	proxy  string // key of rig.addr
	host   string
	cookie bool
	status int
}

func modes() []mode {
	return []mode{
		{"no filter", "none", "app.example.com", true, 200},
		{"constant agent", "constant", "app.example.com", true, 200},
		{"valid session", "postern", "app.example.com", true, 200},
		{"anonymous", "postern", "app.example.com", false, 302},
		{"bypass", "postern", "public.example.com", false, 200},
		{"deny", "postern", "deny.example.com", true, 403},
	}
}

// logs is what HAProxy has said so far.
func (r *rig) logs() string {
	var b strings.Builder
	for _, p := range r.proxies {
		b.Write(p.log.Bytes())
	}
	return b.String()
}

func (r *rig) cookie(m mode) string {
	if !m.cookie {
		return ""
	}
	return "__Secure-postern=" + r.token
}

// agent is the process that answers a mode; nil when none does.
func (r *rig) agent(m mode) *proc {
	switch m.proxy {
	case "constant":
		return r.constant
	case "postern":
		return r.postern
	}
	return nil
}

// wrkResult is what wrk prints at its end.
var wrkResult = regexp.MustCompile(`(?m)^\s*(\d+) requests in ([\d.]+)(ms|s|m),`)

// throughput is what HAProxy and an agent did in one measurement.
type throughput struct {
	rate   float64       // requests a second
	cpu    time.Duration // the agent's, for each request
	allocs float64       // Postern's, for each request; what it does beside is in it
}

// saturate runs wrk with 64 connections.
func (r *rig) saturate(ctx context.Context, m mode, d time.Duration) (throughput, error) {
	if err := r.answers(ctx, m); err != nil {
		return throughput{}, fmt.Errorf("%s: %w\n%s", m.name, err, r.logs())
	}
	args := []string{"-t1", "-c64", "-d" + strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s", "-H", "Host: " + m.host,
		"-H", "Accept: text/html,*/*;q=0.8", "-H", "Sec-Fetch-Mode: navigate", "-H", "Sec-Fetch-Dest: document"}
	if m.cookie {
		args = append(args, "-H", "Cookie: "+r.cookie(m))
	}
	before, err := r.used(ctx, m)
	if err != nil {
		return throughput{}, err
	}
	out, err := exec.CommandContext(ctx, "wrk", append(args, "http://"+r.addr[m.proxy]+"/projects/42/board?view=week")...).Output()
	if err != nil {
		return throughput{}, fmt.Errorf("wrk: %w", err)
	}
	after, err := r.used(ctx, m)
	if err != nil {
		return throughput{}, err
	}
	requests, elapsed, err := parseWrk(out)
	if err != nil {
		return throughput{}, err
	}
	return throughput{
		rate:   requests / elapsed.Seconds(),
		cpu:    time.Duration(float64(after.cpu-before.cpu) / requests),
		allocs: float64(after.allocs-before.allocs) / requests,
	}, nil
}

// usage is what an agent has used since its start.
type usage struct {
	cpu    time.Duration
	allocs uint64 // of Postern alone
}

func (r *rig) used(ctx context.Context, m mode) (u usage, err error) {
	agent := r.agent(m)
	if agent == nil {
		return u, nil
	}
	if agent == r.postern {
		if u.allocs, err = r.allocations(ctx); err != nil {
			return u, err
		}
	}
	u.cpu, err = agent.cpu()
	return u, err
}

// allocations asks Postern how many it has made.
func (r *rig) allocations(ctx context.Context) (uint64, error) {
	cmd := exec.CommandContext(ctx, r.postern.cmd.Path, "status", "--config", r.site.path("postern.yml"), "-o", "json")
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("postern status: %w", err)
	}
	var s struct{ Memory struct{ Allocations uint64 } }
	if err := json.Unmarshal(out, &s); err != nil || s.Memory.Allocations == 0 {
		return 0, fmt.Errorf("postern status printed no allocations: %s: %w", out, errors.Join(err))
	}
	return s.Memory.Allocations, nil
}

// answers waits until a mode is answered as it should be: HAProxy may not have found its
// agent yet.
func (r *rig) answers(ctx context.Context, m mode) (err error) {
	check := Rate{Addr: r.addr[m.proxy], Request: request(m.host, r.cookie(m)), Conns: 1, Rate: 100, Status: m.status}
	for range 20 {
		if _, err = check.Run(ctx, 50*time.Millisecond); err == nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(200 * time.Millisecond)
	}
	return err
}

func parseWrk(out []byte) (requests float64, elapsed time.Duration, err error) {
	f := wrkResult.FindSubmatch(out)
	if f == nil {
		return 0, 0, fmt.Errorf("wrk printed no result:\n%s", out)
	}
	if bytes.Contains(out, []byte("Socket errors")) {
		return 0, 0, fmt.Errorf("wrk had errors:\n%s", out)
	}
	if requests, err = strconv.ParseFloat(string(f[1]), 64); err != nil {
		return 0, 0, err
	}
	elapsed, err = time.ParseDuration(string(f[2]) + string(f[3]))
	return requests, elapsed, err
}

// parseHaproxies reads flags like 2.6=/path.
func parseHaproxies(list []string) (map[string]string, []string, error) {
	paths, series := map[string]string{}, []string{}
	for _, item := range list {
		name, path, ok := strings.Cut(item, "=")
		if !ok {
			return nil, nil, fmt.Errorf("--haproxy %s: not SERIES=PATH", item)
		}
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, nil, err
		}
		paths[name] = abs
		series = append(series, name)
	}
	return paths, series, nil
}
