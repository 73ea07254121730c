// Package agent answers HAProxy: a NOTIFY comes in, a verdict goes out.
//
// It joins the wire (agent/spop), the sessions (agent/session) and the rules
// (agent/policy), and owns the names of the contract with HAProxy (contract.go). It does
// not sign anybody in, writes nothing to a store, and never waits on the read loop.
package agent

import (
	"context"
	"log/slog"
	"net"
	"time"

	"postern/agent/policy"
	"postern/agent/session"
)

// Sessions finds the session a token names. session.Table is one.
type Sessions interface {
	Find(token []byte, domain string, now time.Time) (*session.Entry, session.Result)
	Load(ctx context.Context, token []byte, domain string) (*session.Entry, session.Result, error)
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

// Server is the agent.
type Server struct {
	Config   Config
	Rules    func() *policy.Rules // the rules in force
	Sessions Sessions
	Now      func() time.Time // nil means time.Now
	Log      *slog.Logger
}

// Serve answers on ln until ctx ends, then drains.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error { <-ctx.Done(); return nil }

// Prepare encodes the identity actions of a session once; it is the table's Prepare.
func Prepare(s *session.Session) []byte { return nil }
