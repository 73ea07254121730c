package users

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"
	"golang.org/x/sync/semaphore"
)

// Times of the connections.
const (
	ldapAge         = 10 * time.Minute       // a connection is not used for longer, so that the first server gets its work back
	ldapProbe       = 30 * time.Second       // one that was idle for longer is tried first
	ldapBackOff     = 250 * time.Millisecond // after the second failure of a server in a row; doubles
	ldapMaxBackOff  = 30 * time.Second
	ldapRefusal     = 10 * time.Second // the same for a server that refuses our account, which might lock it
	ldapMaxRefusals = 5 * time.Minute
)

// noDeadline takes a deadline away.
var noDeadline time.Time

// ErrServiceAccount says that the directory refuses Postern's own account. It comes
// together with ErrUnavailable.
var ErrServiceAccount = errors.New("the directory refuses Postern's own account")

// errSlow says that the configured time was over.
var errSlow = errors.New("no answer in time")

// ldapServer is one server and how it did lately.
type ldapServer struct {
	endpoint
	url   string
	fails int       // in a row; under ldapPool.mu, as the rest
	until time.Time // it is left alone until then
	last  error
}

// ldapPool keeps a bounded number of connections. Those of users, whose passwords were
// tried on them, and those of the service account are told apart: none changes its use
// without a bind.
type ldapPool struct {
	config LDAPConfig // filled
	log    *slog.Logger
	slots  *semaphore.Weighted

	mu      sync.Mutex
	servers []*ldapServer
	idle    []*ldapConn // the one used last is last
	open    int         // connections that there are, idle or not
	closed  bool
}

func newLDAPPool(c LDAPConfig, log *slog.Logger) *ldapPool {
	p := &ldapPool{config: c, log: log, slots: semaphore.NewWeighted(int64(c.Pool.Size))}
	for _, a := range c.addresses() {
		e, err := parseEndpoint(a)
		if err != nil {
			log.Error("directory server left out", "address", a, "error", err.Error())
			continue
		}
		p.servers = append(p.servers, &ldapServer{endpoint: e, url: a})
	}
	return p
}

// use calls f with a connection, within the configured time. An operation on a
// connection that had been idle and turns out to be dead is done again on a fresh one, so
// that f must bear to be called twice; once forbids it. Errors: ErrBusy, ErrUnavailable,
// ctx's, and f's own.
func (p *ldapPool) use(ctx context.Context, as identity, once bool, f func(*ldapConn) error) error {
	within, cancel := context.WithTimeoutCause(ctx, p.config.Timeout, errSlow)
	defer cancel()
	if err := p.slots.Acquire(within, 1); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return ErrBusy
	}
	defer p.slots.Release(1)
	for {
		c, fresh, err := p.get(within, as, once)
		if err != nil {
			return p.outcome(ctx, err)
		}
		err = c.run(within, f)
		if !isTransport(err) {
			p.put(c)
			return err
		}
		p.discard(c)
		if within.Err() == nil && !fresh && !once {
			p.drop(c.server)
			continue
		}
		if ctx.Err() == nil {
			p.failed(c.server, err)
		}
		return p.outcome(ctx, err)
	}
}

// outcome is what the caller learns of a connection that failed.
func (p *ldapPool) outcome(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %s", ErrUnavailable, reason(err))
}

// get takes an idle connection that fits, or makes one. sure asks for one that was heard
// of just now.
func (p *ldapPool) get(ctx context.Context, as identity, sure bool) (c *ldapConn, fresh bool, err error) {
	for {
		c := p.take(as)
		if c == nil {
			c, err = p.dial(ctx, as)
			return c, true, err
		}
		err := error(nil)
		if sure || time.Since(c.used) > ldapProbe {
			err = c.run(ctx, (*ldapConn).alive)
		}
		if err == nil && as == asService && c.as != asService {
			err = c.run(ctx, p.bind)
		}
		if err == nil {
			return c, false, nil
		}
		p.discard(c)
		if ctx.Err() != nil {
			return nil, false, err
		}
	}
}

func (p *ldapPool) bind(c *ldapConn) error { return c.bindService(p.config.User, p.config.Password) }

// take removes an idle connection from the pool, one that needs no bind if there is one.
// nil means that one may be made, and it counts already.
func (p *ldapPool) take(as identity) *ldapConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trim(time.Now())
	for i := len(p.idle) - 1; i >= 0; i-- {
		if c := p.idle[i]; c.as == as {
			p.idle = slices.Delete(p.idle, i, i+1)
			return c
		}
	}
	if p.open < p.config.Pool.Size || len(p.idle) == 0 {
		p.open++
		return nil
	}
	c := p.idle[0]
	p.idle = slices.Delete(p.idle, 0, 1)
	return c
}

// put gives back a connection that is well.
func (p *ldapPool) put(c *ldapConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.used = time.Now()
	if c.server.fails > 0 {
		p.log.Info("directory server answers again", "server", c.server.url)
	}
	c.server.fails, c.server.until, c.server.last = 0, time.Time{}, nil
	if p.closed {
		p.end(c)
		return
	}
	p.idle = append(p.idle, c)
}

// discard closes a connection that was taken.
func (p *ldapPool) discard(c *ldapConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end(c)
}

// end closes a connection, which may take a moment; under mu.
func (p *ldapPool) end(c *ldapConn) {
	p.open--
	go c.close()
}

// trim closes what is too old, idle for too long, or closed by the server; under mu.
func (p *ldapPool) trim(now time.Time) {
	p.sweep(func(c *ldapConn) bool {
		return c.IsClosing() || now.Sub(c.born) > ldapAge || now.Sub(c.used) > p.config.Pool.Idle
	})
}

// sweep closes the idle connections that f chooses; under mu.
func (p *ldapPool) sweep(f func(*ldapConn) bool) {
	p.idle = slices.DeleteFunc(p.idle, func(c *ldapConn) bool {
		if !f(c) {
			return false
		}
		p.end(c)
		return true
	})
}

// drop closes the idle connections to a server: when one was dead, the others are likely
// to be.
func (p *ldapPool) drop(s *ldapServer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sweep(func(c *ldapConn) bool { return c.server == s })
}

// close closes the idle connections now and the others when they come back.
func (p *ldapPool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.sweep(func(*ldapConn) bool { return true })
}

// dial makes a connection to the first server that gives one. A server that failed lately
// is passed over; when all did, the answer is what the first of them said. take has counted
// the connection.
func (p *ldapPool) dial(ctx context.Context, as identity) (c *ldapConn, err error) {
	defer func() {
		if err != nil {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.open--
		}
	}()
	ready, why := p.ready(time.Now())
	for i, s := range ready {
		c, err := p.dialOne(ctx, s, as, len(ready)-i)
		if err == nil {
			return c, nil
		}
		if ctx.Err() != nil && !errors.Is(context.Cause(ctx), errSlow) {
			return nil, err // the caller did not wait, which is not the server's fault
		}
		p.failed(s, err)
		why = fmt.Errorf("%w: %s: %w", ErrUnavailable, s.url, err)
		if errors.Is(err, ErrServiceAccount) {
			return nil, why // the others would count one more wrong password
		}
	}
	return nil, why
}

// dialOne makes a connection to a server within its share of the time.
func (p *ldapPool) dialOne(ctx context.Context, s *ldapServer, as identity, shares int) (*ldapConn, error) {
	if at, ok := ctx.Deadline(); ok && shares > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, time.Until(at)/time.Duration(shares), errSlow)
		defer cancel()
	}
	raw, err := s.connect(ctx, p.config.LDAPServer)
	if err != nil {
		return nil, err
	}
	c := newLDAPConn(raw, s, p.config.Timeout, time.Now())
	if as != asService {
		return c, nil
	}
	if err := c.run(ctx, p.bind); err != nil {
		c.close()
		if isTransport(err) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %s", ErrServiceAccount, reason(err))
	}
	return c, nil
}

// ready lists the servers that may be tried, and says why when there is none.
func (p *ldapPool) ready(now time.Time) (ready []*ldapServer, why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	why = fmt.Errorf("%w: no server is configured", ErrUnavailable)
	for i := len(p.servers) - 1; i >= 0; i-- {
		s := p.servers[i]
		if now.Before(s.until) {
			why = fmt.Errorf("%w: %s: %w", ErrUnavailable, s.url, s.last)
			continue
		}
		ready = append(ready, s)
	}
	slices.Reverse(ready)
	return ready, why
}

// failed leaves a server alone for a while, longer each time; once is no time yet, unless
// it refuses our account.
func (p *ldapPool) failed(s *ldapServer, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.fails == 0 || s.last == nil || reason(s.last) != reason(err) {
		p.log.Warn("directory server fails", "server", s.url, "error", reason(err))
	}
	s.last = err
	var wait time.Duration
	switch {
	case errors.Is(err, ErrServiceAccount):
		wait = min(ldapRefusal<<min(s.fails, 16), ldapMaxRefusals)
	case s.fails > 0:
		wait = min(ldapBackOff<<min(s.fails-1, 16), ldapMaxBackOff)
	}
	s.until = time.Now().Add(wait)
	s.fails++
}

// isResult says whether the directory answered with that code.
func isResult(err error, code uint16) bool { return ldap.IsErrorWithCode(err, code) }
