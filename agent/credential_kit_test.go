package agent_test

import (
	"context"
	"encoding/base64"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/agent"
	"postern/agent/credential"
	"postern/agent/session"
	"postern/agent/spop/spoptest"
	"postern/portal/journal"
)

// machines is what the tests of credentials ask about.
const machines = `
default_policy: deny
rules:
  - {name: open, domain: open.example.com, policy: bypass}
  - {name: api, domain: api.example.com, policy: one_factor, credentials: [token]}
  - {name: dav, domain: dav.example.com, policy: one_factor, credentials: [basic]}
  - {name: any, domain: any.example.com, policy: one_factor, credentials: [basic, token, certificate]}
  - {name: crt, domain: crt.example.com, policy: one_factor, credentials: [certificate]}
  - {name: bank, domain: bank.example.com, policy: two_factor, credentials: [basic, token]}
  - {name: vault, domain: vault.example.com, policy: two_factor}
  - {name: fresh, domain: fresh.example.com, policy: one_factor, max_age: 5m, credentials: [basic, token]}
  - {name: out, domain: club.example.com, subject: 'group:out', policy: deny, credentials: [token]}
  - {name: bots, domain: club.example.com, subject: 'group:bots', policy: one_factor, credentials: [token]}
  - {name: rest, domain: club.example.com, policy: one_factor}
  - {name: app, domain: app.example.com, policy: one_factor}
`

// folk are the people of the tests: who they are, and their passwords.
type folk struct {
	mu     sync.Mutex
	epoch  uint64
	known  map[string]session.Identity
	away   map[string]bool // known to a server alone, until it is asked
	hashes int
	hold   chan struct{} // hashes wait for it; nil: they do not
	err    error         // of the server and of hashes
	failed int           // attempts that were counted as wrong
	limit  int           // attempts that may be wrong; 0: any number
	banned string
}

func newFolk() *folk {
	return &folk{known: map[string]session.Identity{
		"alice": {Name: "Alice A.", Email: "alice@example.com", Groups: []string{"staff"}},
		"bob":   {Groups: []string{"bots"}},
		"eve":   {Groups: []string{"out"}},
		"far":   {},
	}, away: map[string]bool{}}
}

func (f *folk) Epoch() uint64 { f.mu.Lock(); defer f.mu.Unlock(); return f.epoch }

func (f *folk) Recall(user string) (session.Identity, session.Standing) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id, ok := f.known[user]
	switch {
	case f.away[user]:
		return session.Identity{}, session.Unsure
	case !ok:
		return session.Identity{}, session.Gone
	}
	return id, session.Present
}

func (f *folk) Identify(_ context.Context, user string) (session.Identity, session.Standing, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id, ok := f.known[user]
	switch {
	case f.err != nil:
		return session.Identity{}, session.Unsure, f.err
	case !ok:
		return session.Identity{}, session.Gone, nil
	}
	return id, session.Present, nil
}

// remove disables a user.
func (f *folk) remove(user string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.known, user)
	f.epoch++
}

func (f *folk) Authenticate(ctx context.Context, name, password string) (string, error) {
	f.mu.Lock()
	f.hashes++
	hold, err := f.hold, f.err
	_, ok := f.known[strings.ToLower(name)]
	f.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	switch {
	case err != nil:
		return "", err
	case !ok || password != "right":
		return "", credential.ErrWrong
	}
	return strings.ToLower(name), nil
}

func (f *folk) Canonical(_ context.Context, name string) (string, error) {
	return strings.ToLower(name), nil
}

func (f *folk) Version(user string) (string, bool) { return "1", true }

func (f *folk) Begin(context.Context, string, netip.Addr, time.Time) (func(credential.Outcome), error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.limit > 0 && f.failed >= f.limit {
		return nil, &credential.WaitError{For: time.Minute}
	}
	f.failed++
	return func(o credential.Outcome) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if o != credential.Wrong {
			f.failed--
		}
	}, nil
}

func (f *folk) FindName(_ context.Context, name string) (string, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.known[name]
	return name, ok, f.err
}

func (f *folk) FindMail(context.Context, string) (string, bool, error) { return "", false, nil }

func (f *folk) count() int { f.mu.Lock(); defer f.mu.Unlock(); return f.hashes }

// shelf keeps credentials in a map; the store is tested elsewhere.
type shelf struct {
	credential.Keeper
	mu  sync.Mutex
	all []credential.Stored
}

func (s *shelf) AddCredential(_ context.Context, c credential.Stored, _ int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, c)
	return nil
}

func (s *shelf) ListCredentials(context.Context, string) ([]credential.Stored, error) {
	return nil, nil
}

func (s *shelf) DeleteCredentials(_ context.Context, owner, id string) (gone []credential.Stored, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.all {
		if c.Owner == owner && c.ID == id {
			gone = append(gone, c)
		}
	}
	return gone, nil
}

// events is a journal in memory.
type events struct {
	mu   sync.Mutex
	list []journal.Event
}

func (e *events) AddEvent(_ context.Context, ev journal.Event) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, ev)
	return nil
}

// kit is an agent that takes credentials.
type kit struct {
	*agent.Server
	folk   *folk
	book   *credential.Book
	events *events
	table  *session.Table
}

func machineHouse(t testing.TB) *kit {
	t.Helper()
	k := &kit{folk: newFolk(), events: &events{}, table: table(&keeper{}), book: &credential.Book{Keeper: &shelf{}}}
	if err := k.book.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	k.Server = &agent.Server{Rules: compile(t, machines), Sessions: k.table, Credentials: &agent.Credentials{
		Book: k.book, Passwords: &credential.Passwords{Directory: k.folk, Guesses: k.folk}, People: k.folk, Journal: k.events,
		Certificates: &credential.Certificates{Config: credential.CertificateConfig{By: []string{"cn"}}, Finder: k.folk},
		Banned: func(user string, addr netip.Addr, _ time.Time) bool {
			return k.folk.banned != "" && (user == k.folk.banned || addr.String() == k.folk.banned)
		},
	}}
	return k
}

func (k *kit) make(t testing.TB, d credential.Draft) (secret string, r credential.Record) {
	t.Helper()
	if d.Kind == "" {
		d.Kind = credential.Token
	}
	if d.Owner == "" {
		d.Owner = "alice"
	}
	d.Name = "a script"
	secret, r, err := k.book.Create(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return secret, r
}

func bearer(token string) string { return "Bearer " + token }

func basicOf(name, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}

// script is a request of a program for a host, with an Authorization header when that is
// not empty.
func script(host, authorization string, change ...spoptest.Arg) spoptest.Message {
	all := []spoptest.Arg{
		spoptest.Str(agent.ArgHost, host), spoptest.Str(agent.ArgPath, "/x"), spoptest.Null(agent.ArgQuery),
		spoptest.Str(agent.ArgAccept, "*/*"), spoptest.Null(agent.ArgFetchMode), spoptest.Null(agent.ArgFetchDest),
	}
	if authorization != "" {
		all = append(all, spoptest.Str(agent.ArgAuthorization, authorization))
	}
	return request(append(all, change...)...)
}

const (
	isMachine = "user=alice groups=staff name=Alice A. email=alice@example.com level=1 "
	ok200     = "status=200 verdict=allow"
	basic401  = `challenge=Basic realm="example.com", charset="UTF-8" status=401 verdict=challenge`
	bearer401 = `challenge=Bearer realm="example.com", error="invalid_token" status=401 verdict=challenge`
)
