// Package portal is where people sign in: the pages, the flow of a sign-in, and the
// cookie that comes out of it.
//
// It does not decide about requests to applications (agent does) and does not know how
// users, sessions or factors are kept: it declares what it needs of them.
package portal

import (
	"context"
	"log/slog"
	"net"
	"time"

	"postern/agent/policy"
	"postern/agent/session"
	"postern/portal/users"
)

// Users checks passwords. users.File is one.
type Users interface {
	Authenticate(ctx context.Context, name, password string) (users.User, error)
	Canonical(name string) string
	Find(name string) (users.User, bool)
}

// Sessions makes and ends sessions. session.Table is one.
type Sessions interface {
	Find(token []byte, domain string, now time.Time) (*session.Entry, session.Result)
	Load(ctx context.Context, token []byte, domain string) (*session.Entry, session.Result, error)
	Create(ctx context.Context, s session.Session, old string) (token string, created session.Session, err error)
	List(ctx context.Context, f session.Filter) ([]session.Session, error)
	Revoke(ctx context.Context, f session.Filter) ([]session.Session, error)
}

// Config is `portal` of the configuration.
type Config struct {
	Listen  string   `yaml:"listen"`          // host:port or unix:/path
	Proxies []string `yaml:"trusted_proxies"` // who may say X-Forwarded-For; addresses and networks
}

// DefaultConfig is what an absent `portal` means.
func DefaultConfig() Config {
	return Config{Listen: "127.0.0.1:9080", Proxies: []string{"127.0.0.0/8", "::1/128"}}
}

// Server is the portal.
type Server struct {
	Config   Config
	Cookie   session.Config // name and lifetimes of the cookie
	Rules    func() *policy.Rules
	Domains  []policy.Domain
	Users    Users
	Sessions Sessions
	Key      []byte           // 32 bytes; for CSRF tokens
	Now      func() time.Time // nil means time.Now
	Log      *slog.Logger
}

// Serve answers on ln until ctx ends, then lets requests in flight finish.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error { <-ctx.Done(); return nil }
