// Package agent answers HAProxy: a NOTIFY comes in, a verdict goes out.
//
// It joins the wire (agent/spop), the sessions (agent/session), what programs have in
// their place (agent/credential) and the rules (agent/policy), and owns the names of the
// contract with HAProxy (contract.go). It signs nobody in, and never waits on the read
// loop: whatever has to be asked or written is asked or written behind it.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"postern/agent/policy"
	"postern/agent/session"
	"postern/agent/spop"
	"postern/agent/thread"
)

// Sessions finds the session a token names. session.Table is one.
type Sessions interface {
	Find(token []byte, domain string, now time.Time) (*session.Entry, session.Result)
	Load(ctx context.Context, token []byte, domain string) (*session.Entry, session.Result, error)
	// Near may fetch what Find will need of these tokens, and returns nothing: they may be
	// anything. Far says that it is worth the trouble.
	Near(tokens [][]byte)
	Far() bool
}

// Config is `agent` of the configuration.
type Config struct {
	Listen  string        `yaml:"listen"`  // unix:/path or host:port
	Mode    string        `yaml:"mode"`    // of the unix socket, octal: "0660"
	Group   string        `yaml:"group"`   // of the unix socket; HAProxy's primary group
	Timeout time.Duration `yaml:"timeout"` // per NOTIFY; below HAProxy's "timeout processing"
	Workers int           `yaml:"workers"` // slow look-ups at once
}

// DefaultConfig is what an absent `agent` means.
func DefaultConfig() Config {
	return Config{Listen: "unix:/run/postern/agent.sock", Mode: "0660", Group: "haproxy", Timeout: 400 * time.Millisecond, Workers: 16}
}

// maxWorkers bounds Config.Workers: more look-ups at once help no store.
const maxWorkers = 1024

// Validate returns every fault of c, each under its key.
func (c Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if path, ok := strings.CutPrefix(c.Listen, "unix:"); ok {
		if !strings.HasPrefix(path, "/") {
			fault("agent.listen: %q: the path of a unix socket begins with a slash", c.Listen)
		}
	} else if _, port, err := net.SplitHostPort(c.Listen); err != nil || port == "" {
		fault("agent.listen: %q is neither unix:/path nor host:port", c.Listen)
	}
	if mode, err := strconv.ParseUint(c.Mode, 8, 32); err != nil || mode&^0o777 != 0 {
		fault("agent.mode: %q is not an octal mode like 0660", c.Mode)
	} else if mode&0o007 != 0 {
		fault("agent.mode: %q lets every user of the machine ask for verdicts", c.Mode)
	}
	if c.Timeout <= 0 {
		fault("agent.timeout: %v is not positive", c.Timeout)
	}
	if c.Workers < 1 || c.Workers > maxWorkers {
		fault("agent.workers: %d is not between 1 and %d", c.Workers, maxWorkers)
	}
	return errors.Join(faults...)
}

// drain is how long connections have to fall silent at the end. A busy one never does;
// meanwhile nobody accepts, and a HAProxy whose health checks go unanswered for long
// stops to ask.
const drain = time.Second

// Server is the agent. A number of Config that is zero is that of DefaultConfig.
type Server struct {
	Config   Config
	Rules    func() *policy.Rules // the rules in force
	Sessions Sessions
	Now      func() time.Time // nil means time.Now
	Log      *slog.Logger     // nil: silent

	Credentials *Credentials // what can stand in for a session; nil: nothing
	Decisions   *Decisions   // logs decisions; nil: none

	counts    counts
	connected atomic.Int64
}

// Serve answers on ln until ctx ends, then drains: every NOTIFY that was received is
// answered before its connection is closed.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	h := newHandler(s)
	stop := h.slow.start(s.Config.Workers)
	stopChecks := h.startChecks()
	err := (&spop.Server{Handler: h, Log: s.Log, Drain: drain, Connected: &s.connected, Thread: thread.Prompt}).Serve(ctx, ln)
	stop()
	stopChecks()
	return err
}
