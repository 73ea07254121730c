package users

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// proxy stands between a backend and a server, and breaks what passes when it is told to.
type proxy struct {
	ln     net.Listener
	server string // host:port
	// toServer and toClient see what passes and return what goes on; ok false cuts the
	// connection. nil lets everything through.
	toServer atomic.Pointer[func([]byte) (out []byte, ok bool)]
	toClient atomic.Pointer[func([]byte) (out []byte, ok bool)]
	made     atomic.Int64 // connections
}

func newProxy(t *testing.T, d *slapd) *proxy {
	t.Helper()
	e, err := parseEndpoint(d.ldap)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{ln: ln, server: e.dial}
	go p.serve()
	t.Cleanup(func() { ln.Close() })
	return p
}

func (p *proxy) url() string { return "ldap://" + p.ln.Addr().String() }

// onServer breaks what goes to the server; nil heals. onClient is its counterpart.
func (p *proxy) onServer(f func([]byte) ([]byte, bool)) { p.toServer.Store(&f) }
func (p *proxy) onClient(f func([]byte) ([]byte, bool)) { p.toClient.Store(&f) }

func (p *proxy) serve() {
	for {
		client, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.made.Add(1)
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			client.Close()
			continue
		}
		cut := sync.OnceFunc(func() { client.Close(); server.Close() })
		go pass(server, client, &p.toServer, cut)
		go pass(client, server, &p.toClient, cut)
	}
}

func pass(to, from net.Conn, through *atomic.Pointer[func([]byte) ([]byte, bool)], cut func()) {
	defer cut()
	b := make([]byte, 1<<16)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		out, ok := b[:n], true
		if f := through.Load(); f != nil && *f != nil {
			out, ok = (*f)(bytes.Clone(out))
		}
		if _, err := to.Write(out); err != nil || !ok {
			return
		}
	}
}

// behindProxy is a backend that reaches a server through a proxy.
func behindProxy(t *testing.T, change func(*LDAPConfig)) (*LDAP, *proxy, *slapd) {
	t.Helper()
	d := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}})
	p := newProxy(t, d)
	c := d.config()
	c.Address = p.url()
	if change != nil {
		change(&c)
	}
	l, _ := directoryAt(t, c)
	return l, p, d
}

// cutOnce cuts the first connection on which text passes.
func cutOnce(text string) func([]byte) ([]byte, bool) {
	var done atomic.Bool
	return func(b []byte) ([]byte, bool) {
		if bytes.Contains(b, []byte(text)) && done.CompareAndSwap(false, true) {
			return nil, false
		}
		return b, true
	}
}

// TestLDAPDeadConnection: a connection that was idle and dies with the question on it costs
// nobody anything; a fresh one that dies is the server's failure.
func TestLDAPDeadConnection(t *testing.T) {
	l, p, _ := behindProxy(t, nil)
	if _, err := l.Authenticate(t.Context(), "bob", "builder"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		why  string
		text string // on the way to the server: the connection ends there
	}{
		{"with the search for the user", "inetOrgPerson"},
		{"with his password", "builder"},
		{"with the search for his groups", "uniqueMember"},
	} {
		p.onServer(cutOnce(tt.text))
		if u, err := l.Authenticate(t.Context(), "bob", "builder"); err != nil || u.Name != "bob" {
			t.Errorf("%s: %+v, %v", tt.why, u, err)
		}
	}
	for _, tt := range []struct{ why, text string }{
		{"the answer to the search", "uid=bob"},
	} {
		p.onServer(nil)
		p.onClient(cutOnce(tt.text))
		if u, err := l.Authenticate(t.Context(), "bob", "builder"); err != nil || u.Name != "bob" {
			t.Errorf("%s: %+v, %v", tt.why, u, err)
		}
	}
	p.onClient(func([]byte) ([]byte, bool) { return nil, false }) // every connection
	if _, err := l.Authenticate(t.Context(), "bob", "builder"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("no connection lives: %v", err)
	}
	made := p.made.Load()
	for range 8 { // the server is left alone now
		if _, err := l.Authenticate(t.Context(), "bob", "builder"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("no connection lives: %v", err)
		}
	}
	if n := p.made.Load() - made; n > 4 {
		t.Errorf("a server that fails was tried %d times at once", n)
	}
	p.onClient(nil)
	eventually(t, "it is tried again", func() bool {
		_, err := l.Authenticate(t.Context(), "bob", "builder")
		return err == nil
	})
}

// TestLDAPSilence: a server that falls silent in the middle costs the configured time, and
// who gives up gets his own error at once; no connection is left behind.
func TestLDAPSilence(t *testing.T) {
	for _, tt := range []struct{ why, text string }{
		{"at the search", "inetOrgPerson"},
		{"at the password", "builder"},
		{"at the groups", "uniqueMember"},
	} {
		t.Run(tt.why, func(t *testing.T) {
			l, p, _ := behindProxy(t, func(c *LDAPConfig) { c.Timeout = 20 * time.Second })
			if _, err := l.Authenticate(t.Context(), "bob", "builder"); err != nil {
				t.Fatal(err)
			}
			asked := make(chan struct{}, 8)
			p.onServer(func(b []byte) ([]byte, bool) {
				if bytes.Contains(b, []byte(tt.text)) {
					asked <- struct{}{}
					return nil, true
				}
				return b, true
			})
			ctx, cancel := context.WithCancel(t.Context())
			go func() { <-asked; cancel() }()
			if _, err := l.Authenticate(ctx, "bob", "builder"); !errors.Is(err, context.Canceled) {
				t.Errorf("who gives up gets %v", err)
			}
			p.onServer(nil)
			if _, err := l.Authenticate(t.Context(), "bob", "builder"); err != nil {
				t.Errorf("who comes next gets %v", err)
			}
			l.pool().mu.Lock()
			defer l.pool().mu.Unlock()
			if l.pool().open != len(l.pool().idle) {
				t.Errorf("%d connections are open and %d idle", l.pool().open, len(l.pool().idle))
			}
		})
	}
}

// TestLDAPPasswordOnce: a password that was perhaps set is not set again.
func TestLDAPPasswordOnce(t *testing.T) {
	l, p, _ := behindProxy(t, nil)
	if _, err := l.Find(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	var sent atomic.Int64
	p.onServer(func(b []byte) ([]byte, bool) {
		if bytes.Contains(b, []byte("looking glass")) {
			sent.Add(1) // it arrives, and its answer does not
		}
		return b, true
	})
	p.onClient(func(b []byte) ([]byte, bool) {
		if sent.Load() > 0 {
			return nil, false
		}
		return b, true
	})
	version, _ := l.Version("Alice")
	if err := l.ReplacePassword(t.Context(), "Alice", "looking glass", version); !errors.Is(err, ErrUnavailable) {
		t.Errorf("an answer that was lost: %v", err)
	}
	if n := sent.Load(); n != 1 {
		t.Errorf("the password was sent %d times", n)
	}
}

// TestThreat44StartTLSInjection: what a stranger on the line adds to the answer that TLS may
// begin is not taken for the directory's word, and neither is his own answer.
func TestThreat44StartTLSInjection(t *testing.T) {
	ca := newCA(t)
	d := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}, tls: ca})
	p := newProxy(t, d)
	c := d.config()
	c.Address, c.StartTLS, c.TLS.CA = p.url(), true, ca.file
	// A search's result and a bind's success, in the clear, as messages 1 to 3.
	lies := "\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00\x30\x0c\x02\x01\x02\x61\x07\x0a\x01\x00\x04\x00\x04\x00"
	for _, tt := range []struct {
		why    string
		answer func([]byte) ([]byte, bool)
	}{
		{"lies behind the answer", func(b []byte) ([]byte, bool) {
			if bytes.Contains(b, []byte{0x78}) && b[0] == 0x30 { // [APPLICATION 24], in the clear
				return append(b, lies...), true
			}
			return b, true
		}},
		{"lies in place of the answer", func([]byte) ([]byte, bool) { return []byte(lies), true }},
		{"a refusal", func([]byte) ([]byte, bool) {
			return []byte("\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\x00\x04\x00"), true
		}},
		{"an endless answer", func([]byte) ([]byte, bool) { return []byte("\x30\x84\x7f\xff\xff\xff"), true }},
		{"no answer", func([]byte) ([]byte, bool) { return nil, false }},
	} {
		var leaked atomic.Bool
		p.onServer(func(b []byte) ([]byte, bool) {
			if bytes.Contains(b, []byte("service secret")) || bytes.Contains(b, []byte("wonderland")) {
				leaked.Store(true)
			}
			return b, true
		})
		p.onClient(tt.answer)
		l, log := directoryAt(t, c)
		if u, err := l.Authenticate(t.Context(), "alice", "wonderland"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %+v, %v", tt.why, u, err)
		}
		if leaked.Load() {
			t.Errorf("%s: a password went over the line in the clear", tt.why)
		}
		if !strings.Contains(log.String(), "server fails") {
			t.Errorf("%s: the log says nothing:\n%s", tt.why, log)
		}
	}
	p.onClient(nil)
	l, _ := directoryAt(t, c)
	if _, err := l.Authenticate(t.Context(), "alice", "wonderland"); err != nil {
		t.Errorf("without a stranger: %v", err)
	}
}

// TestLDAPChaos: while connections break at any point, nobody who has the right password is
// told that it is wrong, nobody gets in with a wrong one, and nobody is somebody else.
func TestLDAPChaos(t *testing.T) {
	l, p, _ := behindProxy(t, func(c *LDAPConfig) { c.Pool.Size = 4 })
	breaking := func(b []byte) ([]byte, bool) {
		switch rand.IntN(40) {
		case 0:
			return nil, false
		case 1:
			return b[:rand.IntN(len(b)+1)], false
		}
		return b, true
	}
	p.onServer(breaking)
	p.onClient(breaking)
	people := []struct {
		name, password, want string
		groups               int
	}{
		{"alice", "wonderland", "Alice", 2}, {"bob", "builder", "bob", 0}, {"alice@example.com", "wonderland", "Alice", 2},
		{"bob", "wonderland", "", 0}, {"nobody", "builder", "", 0}, {"frank", "honest", "frank", 1},
	}
	var all sync.WaitGroup
	var right, away atomic.Int64
	for i := range 24 {
		all.Go(func() {
			for j := range 12 {
				who := people[(i+j)%len(people)]
				u, err := l.Authenticate(t.Context(), who.name, who.password)
				switch {
				case errors.Is(err, ErrUnavailable), errors.Is(err, ErrBusy):
					away.Add(1)
				case u.Name != who.want || (err == nil) != (who.want != "") || len(u.Groups) != who.groups:
					t.Errorf("%s with %s: %+v, %v", who.name, who.password, u, err)
				default:
					right.Add(1)
				}
			}
		})
	}
	all.Wait()
	t.Logf("%d answers, %d times none", right.Load(), away.Load())
	if right.Load() == 0 || p.made.Load() < 5 {
		t.Errorf("%d answers over %d connections: nothing was tried", right.Load(), p.made.Load())
	}
	p.onServer(nil)
	p.onClient(nil)
	eventually(t, "all is well again", func() bool {
		u, err := l.Authenticate(t.Context(), "alice", "wonderland")
		return err == nil && u.Name == "Alice"
	})
	l.pool().mu.Lock()
	defer l.pool().mu.Unlock()
	if l.pool().open > 4 || l.pool().open != len(l.pool().idle) {
		t.Errorf("%d connections are open and %d idle, want at most 4 and all idle", l.pool().open, len(l.pool().idle))
	}
}

// TestLDAPAnnouncements: what a directory announces decides how passwords are set there.
func TestLDAPAnnouncements(t *testing.T) {
	announced := t.TempDir() + "/root.ldif"
	if err := os.WriteFile(announced, []byte("dn:\nsupportedCapabilities: "+oidAD+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ad := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}, global: "rootDSE " + announced + "\n"})
	plain := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}})
	for _, tt := range []struct {
		why, preset, way, want string
		d                      *slapd
	}{
		{"OpenLDAP announces the extended operation", presetOpenLDAP, changeAuto, changeExtended, plain},
		{"a custom directory that says it is Active Directory", presetOpenLDAP, changeAuto, changeUnicode, ad},
		{"the preset says it", presetAD, changeAuto, changeUnicode, plain},
		{"the operator says it", presetOpenLDAP, changeUnicode, changeUnicode, plain},
		{"the operator says otherwise", presetAD, changeExtended, changeExtended, ad},
		{"the attribute", presetOpenLDAP, changeModify, changeModify, ad},
	} {
		c := tt.d.config()
		c.Preset, c.PasswordChange = tt.preset, tt.way
		l, _ := directoryAt(t, c)
		err := l.pool().use(t.Context(), asService, false, func(c *ldapConn) error {
			way, _, err := l.way(c)
			if way != tt.want {
				t.Errorf("%s: %s, want %s", tt.why, way, tt.want)
			}
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", tt.why, err)
		}
	}
}

// TestLDAPAnonymous: without an account Postern searches as nobody, where that is allowed.
func TestLDAPAnonymous(t *testing.T) {
	open := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"},
		conf: "access to attrs=userPassword by anonymous auth by * none\naccess to * by anonymous read by * none\n"})
	c := open.config()
	c.User, c.Password, c.Pool.Size = "", "", 1
	l, log := directoryAt(t, c)
	for range 2 { // over the only connection, where users read nothing
		u, err := l.Authenticate(t.Context(), "alice", "wonderland")
		if err != nil || len(u.Groups) != 2 {
			t.Errorf("%+v, %v\n%s", u, err, log)
		}
	}
	if _, err := l.Authenticate(t.Context(), "alice", "wrong"); err != ErrBadCredentials {
		t.Errorf("wrong password: %v", err)
	}
	strict := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}, global: "security simple_bind=128\n",
		conf: "access to attrs=userPassword by anonymous auth by * none\naccess to * by anonymous read by * none\n"})
	c.Address = strict.ldap
	l, _ = directoryAt(t, c)
	for name, password := range map[string]string{"alice": "wonderland", "nobody": "wonderland"} {
		if _, err := l.Authenticate(t.Context(), name, password); !errors.Is(err, ErrUnavailable) {
			t.Errorf("a directory that takes no password in the clear, %s: %v", name, err)
		}
	}
	closed := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}, global: "disallow bind_anon\nrequire authc\n"})
	c.Address = closed.ldap
	l, _ = directoryAt(t, c)
	if _, err := l.Authenticate(t.Context(), "alice", "wonderland"); !errors.Is(err, ErrUnavailable) || !errors.Is(err, ErrServiceAccount) {
		t.Errorf("a directory that lets nobody search: %v", err)
	}
}
