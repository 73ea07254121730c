package agent_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"math/big"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/agent"
	"postern/agent/credential"
	"postern/agent/policy"
	"postern/agent/session"
	"postern/agent/spop"
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

// TestCredentials: every way in without a session, and what bars it, with all variables.
func TestCredentials(t *testing.T) {
	k := machineHouse(t)
	token, _ := k.make(t, credential.Draft{})
	strong, _ := k.make(t, credential.Draft{Level: policy.LevelTwo})
	scoped, _ := k.make(t, credential.Draft{Scope: credential.Scope{Path: "/api"}})
	app, _ := k.make(t, credential.Draft{Kind: credential.App})
	bots, _ := k.make(t, credential.Draft{Owner: "bob"})
	outs, _ := k.make(t, credential.Draft{Owner: "eve"})
	gone, _ := k.make(t, credential.Draft{Owner: "nobody"})
	jwt := bearer("eyJhbGciOiJIUzI1NiJ9.e30.x")
	page := spoptest.Str(agent.ArgFetchMode, "navigate")
	const login = "reason=sign_in location=https://auth.example.com/?rd=https%3A%2F%2F"
	p := start(t, k.Server)
	for _, tt := range []struct {
		name string
		ask  spoptest.Message
		want string
	}{
		{"a token", script("api.example.com", bearer(token)), isMachine + "rule=api reason=token credential=token " + ok200},
		{"a token, by a browser's script", script("api.example.com", bearer(token), spoptest.Str(agent.ArgFetchMode, "cors")), isMachine + "rule=api reason=token credential=token " + ok200},
		{"a token of level two", script("bank.example.com", bearer(strong)), strings.Replace(isMachine, "level=1", "level=2", 1) + "rule=bank reason=token credential=token " + ok200},
		{"a token in place of a password", script("api.example.com", basicOf("token", token)), isMachine + "rule=api reason=token credential=token " + ok200},
		{"a token in place of its owner's password", script("api.example.com", basicOf("alice", token)), isMachine + "rule=api reason=token credential=token " + ok200},
		{"a token in place of somebody else's password", script("api.example.com", basicOf("bob", token)), "rule=api reason=bad_credential " + bearer401},
		{"a path that is not canonical, within the scope", script("api.example.com", bearer(scoped), spoptest.Str(agent.ArgPath, "/x/../api//y")), isMachine + "rule=api reason=token path=/api/y credential=token " + ok200},
		{"out of the scope", script("api.example.com", bearer(scoped), spoptest.Str(agent.ArgPath, "/api/../y")), `rule=api reason=scope challenge=Bearer realm="example.com", error="insufficient_scope" status=401 verdict=challenge`},
		{"an unknown token", script("api.example.com", bearer("pst_x")), "rule=api reason=bad_credential " + bearer401},
		{"a token of an application", script("api.example.com", jwt), "rule=api reason=bad_credential " + bearer401},
		{"an application password as a token", script("any.example.com", bearer(app)), `rule=any reason=bad_credential challenge=Basic realm="example.com", charset="UTF-8", Bearer realm="example.com", error="invalid_token" status=401 verdict=challenge`},
		{"a token whose owner is gone", script("api.example.com", bearer(gone)), "rule=api reason=no_user " + bearer401},
		{"no credential", script("api.example.com", ""), `rule=api reason=sign_in challenge=Bearer realm="example.com" status=401 verdict=challenge`},
		{"another scheme", script("api.example.com", "Digest x"), `rule=api reason=sign_in challenge=Bearer realm="example.com" status=401 verdict=challenge`},
		{"Basic where only tokens are taken", script("api.example.com", basicOf("alice", "right")), `rule=api reason=sign_in challenge=Bearer realm="example.com" status=401 verdict=challenge`},
		{"a token where only Basic is taken", script("dav.example.com", bearer(token)), "rule=dav reason=sign_in " + basic401},

		{"a name and its password", script("dav.example.com", basicOf("Alice", "right")), isMachine + "rule=dav reason=basic credential=basic " + ok200},
		{"again, from memory", script("dav.example.com", basicOf("Alice", "right")), isMachine + "rule=dav reason=basic credential=basic " + ok200},
		{"a wrong password", script("dav.example.com", basicOf("alice", "wrong")), "rule=dav reason=bad_credential " + basic401},
		{"an unknown name", script("dav.example.com", basicOf("mallory", "right")), "rule=dav reason=bad_credential " + basic401},
		{"an application password", script("dav.example.com", basicOf("alice", app)), isMachine + "rule=dav reason=app_password credential=basic " + ok200},
		{"an application password by mail address", script("dav.example.com", basicOf("Alice@Example.com", app)), isMachine + "rule=dav reason=app_password credential=basic " + ok200},
		{"an application password under another name", script("dav.example.com", basicOf("bob", app)), "rule=dav reason=bad_credential " + basic401},
		{"a token in place of a password where tokens are not taken", script("dav.example.com", basicOf("alice", token)), "rule=dav reason=bad_credential " + basic401},
		{"broken Basic", script("dav.example.com", "Basic !"), "rule=dav reason=bad_credential " + basic401},
		{"a browser that sent a wrong password", script("dav.example.com", basicOf("alice", "wrong"), page), "rule=dav reason=bad_credential " + basic401},
		{"a browser that sends nothing goes to the portal", script("dav.example.com", "", page), "rule=dav " + login + "dav.example.com%2Fx&rm=GET status=302 verdict=login"},
		{"a browser's script that sends nothing is told of no Basic", script("dav.example.com", "", spoptest.Str(agent.ArgFetchMode, "cors")), "rule=dav reason=sign_in status=401 verdict=challenge"},

		{"one factor where two are asked", script("bank.example.com", basicOf("alice", "right")), `rule=bank reason=second_factor challenge=Basic realm="example.com", charset="UTF-8", Bearer realm="example.com" status=401 verdict=challenge`},
		{"a token of one factor where two are asked", script("bank.example.com", bearer(token)), `rule=bank reason=second_factor challenge=Basic realm="example.com", charset="UTF-8", Bearer realm="example.com", error="insufficient_user_authentication" status=401 verdict=challenge`},
		{"a token where freshness is asked", script("fresh.example.com", bearer(strong)), `rule=fresh reason=stale challenge=Basic realm="example.com", charset="UTF-8", Bearer realm="example.com", error="insufficient_user_authentication" status=401 verdict=challenge`},

		{"a subject that the rule means", script("club.example.com", bearer(bots)), "user=bob groups=bots level=1 rule=bots reason=token credential=token " + ok200},
		{"a subject whom a rule denies", script("club.example.com", bearer(outs)), "user=eve groups=out level=1 rule=out reason=denied location=https://auth.example.com/?rd=https%3A%2F%2Fclub.example.com%2Fx&rm=GET status=403 verdict=deny"},
		{"a subject whose rule takes no token", script("club.example.com", bearer(token)), `rule=out reason=sign_in challenge=Bearer realm="example.com", error="insufficient_user_authentication" status=401 verdict=challenge`},

		{"a rule that takes nothing", script("app.example.com", bearer(token), page), "rule=app " + login + "app.example.com%2Fx&rm=GET status=302 verdict=login"},
		{"an open host", script("open.example.com", bearer(token)), "rule=open reason=bypass " + ok200},
	} {
		if got := text(t, ask(t, p, tt.ask)); got != rid+tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, rid+tt.want)
		}
	}
}

// TestSessionComesFirst: with a valid cookie nothing else is looked at, and a header that
// is Postern's goes no further all the same.
func TestSessionComesFirst(t *testing.T) {
	k := machineHouse(t)
	cookie := create(t, k.table, alice)
	token, _ := k.make(t, credential.Draft{Owner: "bob"})
	p := start(t, k.Server)
	const isAlice = "user=alice groups=staff,wiki name=Alice A. email=alice@example.com level=1 "
	and := func(host, authorization string) spoptest.Message {
		m := script(host, authorization)
		for i, a := range with(cookie).Args {
			if a.Name == agent.ArgToken || a.Name == agent.ArgTokens {
				m.Args[i] = a
			}
		}
		return m
	}
	for _, tt := range []struct {
		name string
		ask  spoptest.Message
		want string
	}{
		{"with somebody else's token", and("api.example.com", bearer(token)), isAlice + "rule=api reason=proved credential=token " + ok200},
		{"with a wrong password", and("dav.example.com", basicOf("bob", "wrong")), isAlice + "rule=dav reason=proved credential=basic " + ok200},
		{"with an application's own token", and("any.example.com", bearer("eyJ.x.y")), isAlice + "rule=any reason=proved " + ok200},
		{"with an application's own Basic where only tokens are taken", and("api.example.com", basicOf("app", "own")), isAlice + "rule=api reason=proved " + ok200},
		{"where nothing is taken", and("app.example.com", basicOf("alice", "right")), isAlice + "rule=app reason=proved " + ok200},
		{"that proves too little, with a token", and("bank.example.com", bearer(token)), isAlice + "rule=bank reason=second_factor status=401 verdict=challenge"},
	} {
		if got := text(t, ask(t, p, tt.ask)); got != rid+tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, rid+tt.want)
		}
	}
	if k.folk.count() != 0 {
		t.Errorf("%d passwords were hashed", k.folk.count())
	}
	junk := script("api.example.com", bearer(token), spoptest.Str(agent.ArgToken, "junk"), spoptest.Int(agent.ArgTokens, 1))
	if a := ask(t, p, junk); a.Str(agent.VarUser) != "bob" {
		t.Errorf("a broken cookie bars the token: %s", text(t, a))
	}
}

// TestCredentialAfterALookUp: a cookie that is not in memory is looked up first; when it
// is nobody's, the credential counts.
func TestCredentialAfterALookUp(t *testing.T) {
	k := machineHouse(t)
	token, _ := k.make(t, credential.Draft{})
	k.Sessions = &sessions{load: func(context.Context, string) (*session.Entry, session.Result, error) { return nil, session.None, nil }}
	p := start(t, k.Server)
	for _, authorization := range []string{bearer(token), basicOf("alice", "right")} {
		m := script("any.example.com", authorization, spoptest.Str(agent.ArgToken, "t"), spoptest.Int(agent.ArgTokens, 1))
		if a := ask(t, p, m); a.Str(agent.VarVerdict) != "allow" || a.Str(agent.VarUser) != "alice" {
			t.Errorf("%s", text(t, a))
		}
	}
}

// TestThreat31GoneOwner: a token of somebody who is disabled is refused at the next
// request, and so is a remembered password.
func TestThreat31GoneOwner(t *testing.T) {
	k := machineHouse(t)
	token, _ := k.make(t, credential.Draft{})
	p := start(t, k.Server)
	asks := []spoptest.Message{script("api.example.com", bearer(token)), script("dav.example.com", basicOf("alice", "right"))}
	for _, m := range asks {
		if a := ask(t, p, m); a.Str(agent.VarVerdict) != "allow" {
			t.Fatal(text(t, a))
		}
	}
	k.folk.remove("alice")
	for _, m := range asks {
		if a := ask(t, p, m); a.Str(agent.VarVerdict) != "challenge" || a.Str(agent.VarUser) != "" {
			t.Errorf("after she was disabled: %s", text(t, a))
		}
	}
}

// TestThreat30StaleGroups: a token brings the groups that its owner has now.
func TestThreat30StaleGroups(t *testing.T) {
	k := machineHouse(t)
	token, _ := k.make(t, credential.Draft{Owner: "bob"})
	p := start(t, k.Server)
	m := script("club.example.com", bearer(token))
	if a := ask(t, p, m); a.Str(agent.VarVerdict) != "allow" {
		t.Fatal(text(t, a))
	}
	k.folk.mu.Lock()
	k.folk.known["bob"] = session.Identity{Groups: []string{"out"}}
	k.folk.epoch++
	k.folk.mu.Unlock()
	if a := ask(t, p, m); a.Str(agent.VarVerdict) != "deny" || a.Str(agent.VarGroups) != "out" {
		t.Errorf("after the groups changed: %s", text(t, a))
	}
}

func TestRevokedToken(t *testing.T) {
	k := machineHouse(t)
	token, r := k.make(t, credential.Draft{})
	p := start(t, k.Server)
	m := script("api.example.com", bearer(token))
	if a := ask(t, p, m); a.Str(agent.VarVerdict) != "allow" {
		t.Fatal(text(t, a))
	}
	if err := k.book.Revoke(t.Context(), "alice", r.ID); err != nil {
		t.Fatal(err)
	}
	if got := text(t, ask(t, p, m)); got != rid+"rule=api reason=bad_credential "+bearer401 {
		t.Errorf("after it was revoked: %s", got)
	}
}

// TestOwnerWhoIsNotInMemory is asked for at his directory, off the read loop.
func TestOwnerWhoIsNotInMemory(t *testing.T) {
	k := machineHouse(t)
	k.folk.away["far"] = true
	token, _ := k.make(t, credential.Draft{Owner: "far"})
	p := start(t, k.Server)
	m := script("api.example.com", bearer(token))
	if a := ask(t, p, m); a.Str(agent.VarVerdict) != "allow" || a.Str(agent.VarUser) != "far" {
		t.Errorf("asked for: %s", text(t, a))
	}
	k.folk.mu.Lock()
	k.folk.err, k.folk.epoch = errors.New("no server"), 1
	k.folk.mu.Unlock()
	if got := text(t, ask(t, p, m)); got != rid+"reason=store status=503 verdict=error" {
		t.Errorf("a server that is away: %s", got)
	}
	k.folk.mu.Lock()
	k.folk.err = nil
	delete(k.folk.known, "far")
	k.folk.mu.Unlock()
	if a := ask(t, p, m); a.Str(agent.VarVerdict) != "challenge" {
		t.Errorf("who is gone: %s", text(t, a))
	}
}

func TestBannedMachines(t *testing.T) {
	k := machineHouse(t)
	token, _ := k.make(t, credential.Draft{})
	p := start(t, k.Server)
	const wait = "reason=wait "
	if a := ask(t, p, script("dav.example.com", basicOf("alice", "right"))); a.Str(agent.VarVerdict) != "allow" {
		t.Fatal(text(t, a))
	}
	for _, who := range []string{"alice", "192.0.2.7"} {
		k.folk.banned = who
		for name, m := range map[string]spoptest.Message{
			"a token": script("api.example.com", bearer(token)), "a remembered password": script("dav.example.com", basicOf("alice", "right")),
		} {
			a := ask(t, p, m)
			if v, _ := a.Var(agent.VarStatus); v.Int != 429 || a.Str(agent.VarVerdict) != "challenge" || !strings.Contains(text(t, a), wait) {
				t.Errorf("%s banned, %s: %s", who, name, text(t, a))
			}
		}
	}
	k.folk.banned, k.folk.limit = "", 1
	before := k.folk.count()
	for _, want := range []int64{401, 429, 429} {
		a := ask(t, p, script("dav.example.com", basicOf("bob", "wrong")))
		if v, _ := a.Var(agent.VarStatus); v.Int != want {
			t.Errorf("status %d, want %d: %s", v.Int, want, text(t, a))
		}
	}
	if n := k.folk.count() - before; n != 1 {
		t.Errorf("%d hashes, want one", n)
	}
	if a := ask(t, p, script("api.example.com", bearer(token))); a.Str(agent.VarVerdict) != "allow" {
		t.Errorf("guesses at passwords bar a token: %s", text(t, a))
	}
}

// clientCertificate is one that a client shows; who signed it is HAProxy's to check.
func clientCertificate(t testing.TB, cn string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: cn}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// certified adds the arguments of a certificate.
func certified(m spoptest.Message, der []byte, used bool, verify int64) spoptest.Message {
	m.Args = append(m.Args, spoptest.Bool(agent.ArgCertificateUsed, used), spoptest.Int(agent.ArgCertificateVerify, verify),
		spoptest.Arg{Name: agent.ArgCertificate, Value: spop.Value{Type: spop.Binary, Bytes: der}})
	return m
}

func TestClientCertificates(t *testing.T) {
	k := machineHouse(t)
	cookie, bobs := create(t, k.table, alice), create(t, k.table, session.Session{User: "bob", Level: policy.LevelOne})
	mine, nobodys := clientCertificate(t, "alice"), clientCertificate(t, "mallory")
	host := func(h string) spoptest.Arg { return spoptest.Str(agent.ArgHost, h) }
	p := start(t, k.Server)
	const (
		isAlice = "user=alice groups=staff,wiki name=Alice A. email=alice@example.com level=1 "
		step    = "rule=vault reason=second_factor location=https://auth.example.com/?rd=https%3A%2F%2Fvault.example.com%2Fprojects%2F42%3Fview%3Dweek%26page%3D3&rm=GET status=302 verdict=step_up"
	)
	for _, tt := range []struct {
		name string
		ask  spoptest.Message
		want string // "…" for what else is not looked at
	}{
		{"alone where it is taken", certified(script("crt.example.com", ""), mine, true, 0), isMachine + "rule=crt reason=certificate " + ok200},
		{"alone where it is not", certified(script("api.example.com", ""), mine, true, 0), `rule=api reason=sign_in challenge=Bearer realm="example.com" status=401 verdict=challenge`},
		{"not used on this connection", certified(script("crt.example.com", ""), mine, false, 0), "rule=crt reason=sign_in status=401 verdict=challenge"},
		{"that HAProxy did not verify", certified(script("crt.example.com", ""), mine, true, 20), "rule=crt reason=sign_in status=401 verdict=challenge"},
		{"of nobody", certified(script("crt.example.com", ""), nobodys, true, 0), "rule=crt reason=bad_credential status=401 verdict=challenge"},
		{"of nobody, in a browser", certified(request(host("crt.example.com")), nobodys, true, 0), "rule=crt reason=bad_credential location=https://auth.example.com/?rd=https%3A%2F%2Fcrt.example.com%2Fprojects%2F42%3Fview%3Dweek%26page%3D3&rm=GET status=302 verdict=login"},
		{"that is none", certified(script("crt.example.com", ""), []byte("junk"), true, 0), "rule=crt reason=bad_credential status=401 verdict=challenge"},
		{"that is empty", certified(script("crt.example.com", ""), nil, true, 0), "rule=crt reason=sign_in status=401 verdict=challenge"},
		{"beside a wrong token", certified(script("any.example.com", bearer("x")), mine, true, 0), `rule=any reason=bad_credential challenge=Basic realm="example.com", charset="UTF-8", Bearer realm="example.com", error="invalid_token" status=401 verdict=challenge`},
		{"beside a session of the same user", certified(with(cookie, host("vault.example.com")), mine, true, 0), isAlice + "level=2 rule=vault reason=certificate " + ok200},
		{"beside a session that suffices", certified(with(cookie, host("app.example.com")), mine, true, 0), isAlice + "rule=app reason=proved " + ok200},
		{"beside a session of another user", certified(with(bobs, host("vault.example.com")), mine, true, 0), "user=bob level=1 " + step},
		{"of nobody beside a session", certified(with(cookie, host("vault.example.com")), nobodys, true, 0), isAlice + step},
		{"no certificate beside a session", with(cookie, host("vault.example.com")), isAlice + step},
	} {
		for _, again := range []string{"", ", from memory"} {
			if got := text(t, ask(t, p, tt.ask)); got != rid+tt.want {
				t.Errorf("%s%s:\n got %s\nwant %s", tt.name, again, got, rid+tt.want)
			}
		}
	}
	for _, odd := range []spoptest.Arg{spoptest.Int(agent.ArgCertificateUsed, 1), spoptest.Str(agent.ArgCertificateVerify, "0"), spoptest.Str(agent.ArgCertificate, string(mine))} {
		m := certified(script("crt.example.com", ""), mine, true, 0)
		for i := range m.Args {
			if m.Args[i].Name == odd.Name {
				m.Args[i] = odd
			}
		}
		if got := text(t, ask(t, p, m)); got != rid+"reason=bad_argument status=503 verdict=error" {
			t.Errorf("%s of another type: %s", odd.Name, got)
		}
	}
	for _, name := range []string{agent.ArgCertificateUsed, agent.ArgCertificateVerify, agent.ArgCertificate} {
		if a := ask(t, p, without(certified(script("crt.example.com", ""), mine, true, 0), name)); a.Str(agent.VarVerdict) != "challenge" {
			t.Errorf("without %s: %s", name, text(t, a))
		}
	}
}

// TestCertificatesThatAreOff: what HAProxy sends of them says nothing then.
func TestCertificatesThatAreOff(t *testing.T) {
	k := machineHouse(t)
	k.Credentials.Certificates = nil
	cookie := create(t, k.table, alice)
	p := start(t, k.Server)
	mine := clientCertificate(t, "alice")
	if a := ask(t, p, certified(script("crt.example.com", ""), mine, true, 0)); a.Str(agent.VarVerdict) != "challenge" {
		t.Error(text(t, a))
	}
	if a := ask(t, p, certified(with(cookie, spoptest.Str(agent.ArgHost, "vault.example.com")), mine, true, 0)); a.Str(agent.VarVerdict) != "step_up" {
		t.Error(text(t, a))
	}
}

// TestWithoutCredentials: an agent that was given none takes none.
func TestWithoutCredentials(t *testing.T) {
	k := machineHouse(t)
	token, _ := k.make(t, credential.Draft{})
	k.Credentials = nil
	p := start(t, k.Server)
	for _, authorization := range []string{bearer(token), basicOf("alice", "right")} {
		if got := text(t, ask(t, p, script("any.example.com", authorization))); got != rid+"rule=any reason=sign_in status=401 verdict=challenge" {
			t.Error(got)
		}
	}
}
