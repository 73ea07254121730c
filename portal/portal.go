// Package portal is where people sign in: the pages, the flow of a sign-in, and the
// cookie that comes out of it.
//
// It does not decide about requests to applications (agent does) and does not know how
// users, sessions or factors are kept: it declares what it needs of them.
package portal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"postern/agent/policy"
	"postern/agent/regulation"
	"postern/agent/session"
	"postern/portal/journal"
	"postern/portal/strength"
	"postern/portal/users"
)

// Users checks passwords and says who people are. users.File and users.Backends are such.
type Users interface {
	Authenticate(ctx context.Context, name, password string) (users.User, error)
	// Canonical is the name under which failures of a name count, known or not.
	Canonical(ctx context.Context, name string) (string, error)
	// Find may ask a server; Known answers a canonical name from memory.
	Find(ctx context.Context, name string) (users.User, error)
	Known(canonical string) (u users.User, ok bool)
}

// Sessions makes and ends sessions. session.Table is one.
type Sessions interface {
	Find(token []byte, domain string, now time.Time) (*session.Entry, session.Result)
	Load(ctx context.Context, token []byte, domain string) (*session.Entry, session.Result, error)
	Create(ctx context.Context, s session.Session, old string) (token string, created session.Session, err error)
	List(ctx context.Context, f session.Filter) ([]session.Session, error)
	Revoke(ctx context.Context, f session.Filter) ([]session.Session, error)
}

// Server is the portal. Fill it and call Serve; it can serve one listener at a time.
type Server struct {
	Config   Config
	Cookie   session.Config // name and lifetimes of the cookie
	Rules    func() *policy.Rules
	Domains  []policy.Domain
	Users    Users
	Sessions Sessions
	Factors  Factors
	Letters  Letters        // nil: no mail is set up
	Journal  journal.Keeper // nil: nothing is kept
	Password Passwords      // nil: passwords cannot be changed here
	Guesses  *regulation.Limiter
	Strength strength.Config  // of new passwords
	Key      []byte           // 32 bytes; for CSRF tokens
	Now      func() time.Time // nil means time.Now
	Log      *slog.Logger
}

// drain is how long requests in flight may take once ctx has ended.
const drain = 5 * time.Second

// Serve answers on ln until ctx ends, then lets requests in flight finish. It closes ln.
// Its errors are those of the branding's files, of a half-filled Server, and of ln.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	defer ln.Close()
	site, err := s.open()
	if err != nil {
		return err
	}
	app := site.app()
	stopped := make(chan error, 1)
	served := make(chan struct{})
	go func() {
		select {
		case <-ctx.Done():
		case <-served:
		}
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
		defer cancel()
		stopped <- app.ShutdownWithContext(within)
		_ = ln.Close() // ends Serve also when it had not begun yet
	}()
	err = app.Listener(ln)
	close(served)
	closing := <-stopped
	site.behind.work.Wait()
	if ctx.Err() != nil {
		if errors.Is(closing, context.DeadlineExceeded) {
			return fmt.Errorf("portal: requests still open after %v", drain)
		}
		return nil
	}
	return fmt.Errorf("portal: %w", err)
}

// open checks that the Server is whole and reads what it serves.
func (s *Server) open() (*site, error) {
	if s.Rules == nil || s.Users == nil || s.Sessions == nil || s.Guesses == nil || len(s.Domains) == 0 {
		return nil, errors.New("portal: Rules, Users, Sessions, Guesses and Domains must be set")
	}
	if len(s.Key) < 32 {
		return nil, errors.New("portal: Key is shorter than 32 bytes")
	}
	brand, err := openBrand(s.Config.Brand)
	if err != nil {
		return nil, err
	}
	assets, err := openAssets(brand)
	if err != nil {
		return nil, err
	}
	words, err := openCatalogue()
	if err != nil {
		return nil, err
	}
	pages, err := openTemplates()
	if err != nil {
		return nil, err
	}
	hosts, err := openHosts(s.Domains)
	if err != nil {
		return nil, err
	}
	return &site{
		Server: s, hosts: hosts, proxies: parseProxies(s.Config.Proxies),
		assets: assets, brand: brand, words: words, pages: pages,
		judges: make(chan struct{}, judging), behind: newBehind(),
	}, nil
}

func (s *Server) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

func (s *Server) log() *slog.Logger {
	if s.Log != nil {
		return s.Log
	}
	return slog.New(slog.DiscardHandler)
}
