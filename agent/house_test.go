package agent_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"postern/agent"
	"postern/agent/policy"
	"postern/agent/session"
)

var domains = []policy.Domain{
	{Name: "example.com", Portal: "https://auth.example.com"},
	{Name: "example.net", Portal: "https://auth.example.net:8443", TLS: "upstream"},
}

// house is what the tests ask about.
const house = `
default_policy: deny
rules:
  - {name: open, domain: public.example.com, policy: bypass}
  - {name: admin, domain: admin.example.com, subject: 'group:admins', policy: two_factor}
  - {name: closed, domain: closed.example.com, policy: deny}
  - {name: staff, domain: staff.example.com, subject: 'group:staff', policy: deny}
  - {name: bank, domain: bank.example.com, policy: two_factor}
  - {domain: [app.example.com, app.example.net], policy: one_factor}
`

func compile(t testing.TB, text string) func() *policy.Rules {
	t.Helper()
	var c policy.Config
	if err := yaml.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	r, err := policy.Compile(domains, c)
	if err != nil {
		t.Fatal(err)
	}
	return func() *policy.Rules { return r }
}

// keeper keeps sessions in a map. It stands for the store, which is tested elsewhere.
type keeper struct {
	mu      sync.Mutex
	records map[[32]byte]session.Record
}

func (k *keeper) SaveSession(_ context.Context, r session.Record, old *[32]byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.records == nil {
		k.records = make(map[[32]byte]session.Record)
	}
	if old != nil {
		delete(k.records, *old)
	}
	k.records[r.Hash] = r
	return nil
}

func (k *keeper) LoadSession(_ context.Context, hash [32]byte) (session.Record, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r, ok := k.records[hash]
	if !ok {
		return r, session.ErrNotFound
	}
	return r, nil
}

func (k *keeper) ListSessions(context.Context, session.Filter) ([]session.Record, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []session.Record
	for _, r := range k.records {
		all = append(all, r)
	}
	return all, nil
}

func (k *keeper) DeleteSessions(_ context.Context, f session.Filter) ([]session.Record, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var gone []session.Record
	for hash, r := range k.records {
		if f.User == "" || f.User == r.User {
			gone = append(gone, r)
			delete(k.records, hash)
		}
	}
	return gone, nil
}

func (k *keeper) TouchSessions(context.Context, []session.Touch) error { return nil }

// table is a real table over k.
func table(k *keeper) *session.Table {
	return &session.Table{
		Config: session.DefaultConfig(), Keeper: k, Key: slices.Repeat([]byte("k"), 32), Prepare: agent.Prepare,
	}
}

func create(t testing.TB, tab *session.Table, s session.Session) (token string) {
	t.Helper()
	if s.Domain == "" {
		s.Domain = "example.com"
	}
	token, _, err := tab.Create(t.Context(), s, "")
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// alice is signed in with one factor, bob, an admin, with two.
var (
	alice = session.Session{User: "alice", Name: "Alice A.", Email: "alice@example.com", Groups: []string{"staff", "wiki"}, Level: policy.LevelOne}
	bob   = session.Session{User: "bob", Groups: []string{"admins"}, Level: policy.LevelTwo, Proofs: policy.Proofs{policy.Password: 1, policy.TOTP: time.Now().Unix()}}
)

// atHome is an agent with the rules of house and a table with alice and bob.
func atHome(t testing.TB) (s *agent.Server, aliceToken, bobToken string) {
	t.Helper()
	tab := table(&keeper{})
	s = &agent.Server{Rules: compile(t, house), Sessions: tab}
	return s, create(t, tab, alice), create(t, tab, bob)
}
