package users

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// TestLDAPTransports signs in over every transport.
func TestLDAPTransports(t *testing.T) {
	ca := newCA(t)
	d := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}, tls: ca})
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(d.ldaps, "ldaps://"))
	cert, key := ca.issue(t, t.TempDir(), nil, false)
	for _, tt := range []struct {
		why    string
		change func(*LDAPServer)
	}{
		{"plain, on this machine", func(*LDAPServer) {}},
		{"TLS at once", func(s *LDAPServer) { s.Address, s.TLS.CA = d.ldaps, ca.file }},
		{"StartTLS", func(s *LDAPServer) { s.StartTLS, s.TLS.CA = true, ca.file }},
		{"StartTLS, TLS 1.3 only", func(s *LDAPServer) { s.StartTLS, s.TLS.CA, s.TLS.MinVersion = true, ca.file, "1.3" }},
		{"a socket", func(s *LDAPServer) { s.Address = d.ldapi }},
		{"a socket, escaped", func(s *LDAPServer) { s.Address = "ldapi://" + strings.ReplaceAll(d.dir, "/", "%2F") + "%2Fsock" }},
		{"a host name", func(s *LDAPServer) { s.Address, s.TLS.CA = "ldaps://localhost:"+port, ca.file }},
		{"any certificate", func(s *LDAPServer) { s.Address, s.TLS.SkipVerify = d.ldaps, true }},
		{"our own certificate", func(s *LDAPServer) {
			s.Address, s.TLS.CA, s.TLS.Certificate, s.TLS.Key = d.ldaps, ca.file, cert, key
		}},
	} {
		t.Run(tt.why, func(t *testing.T) {
			c := d.config()
			tt.change(&c.LDAPServer)
			l, log := directoryAt(t, c)
			if u, err := l.Authenticate(t.Context(), "alice", "wonderland"); err != nil || u.Name != "Alice" {
				t.Errorf("user %q, error %v\n%s", u.Name, err, log)
			}
			if err := l.Check(t.Context()); err != nil {
				t.Errorf("Check: %v", err)
			}
		})
	}
}

// TestLDAPFailures: whatever is wrong with a server, nobody is refused as if his password
// were wrong, and the error says what it is.
func TestLDAPFailures(t *testing.T) {
	ca, stranger := newCA(t), newCA(t)
	good := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}, tls: ca})
	old := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}, tls: ca, expired: true})
	named := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}, tls: ca, names: []string{"ldap.example.com"}})
	plain := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}})
	picky := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}, tls: ca,
		global: "TLSVerifyClient demand\nTLSCACertificateFile " + ca.file + "\n"})
	web, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	go serveNonsense(web)
	busy, err := net.Dial("tcp", web.Addr().String()) // where it comes from nobody can listen
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for _, tt := range []struct {
		why    string
		change func(*LDAPConfig)
		want   string // in the error
		bind   bool   // the account is refused
	}{
		{"nobody listens", func(c *LDAPConfig) { c.Address = "ldap://" + busy.LocalAddr().String() }, "refused", false},
		{"a host that does not exist", func(c *LDAPConfig) { c.Address = "ldaps://ldap.invalid" }, "ldap.invalid", false},
		{"no such socket", func(c *LDAPConfig) { c.Address = "ldapi:///nowhere/sock" }, "no such file", false},
		{"an authority that is not trusted", func(c *LDAPConfig) { c.Address, c.TLS.CA = good.ldaps, stranger.file }, "authority that is not trusted", false},
		{"the system's authorities", func(c *LDAPConfig) { c.Address = good.ldaps }, "authority that is not trusted", false},
		{"the same with StartTLS", func(c *LDAPConfig) { c.StartTLS = true }, "authority that is not trusted", false},
		{"another name", func(c *LDAPConfig) { c.Address, c.TLS.CA = named.ldaps, ca.file }, "another name", false},
		{"another name with StartTLS", func(c *LDAPConfig) { c.Address, c.StartTLS, c.TLS.CA = named.ldap, true, ca.file }, "another name", false},
		{"a certificate that has expired", func(c *LDAPConfig) { c.Address, c.TLS.CA = old.ldaps, ca.file }, "expired", false},
		{"TLS to a plain server", func(c *LDAPConfig) { c.Address, c.TLS.CA = "ldaps"+strings.TrimPrefix(plain.ldap, "ldap"), ca.file }, "does not speak TLS here", false},
		{"StartTLS at a server without", func(c *LDAPConfig) { c.Address, c.StartTLS, c.TLS.CA = plain.ldap, true, ca.file }, "refuses StartTLS", false},
		{"plain to a port with TLS", func(c *LDAPConfig) { c.Address = "ldap" + strings.TrimPrefix(good.ldaps, "ldaps") }, "", false},
		{"a server that wants our certificate", func(c *LDAPConfig) { c.Address, c.TLS.CA = picky.ldaps, ca.file }, "", false},
		{"a file that is no certificate", func(c *LDAPConfig) { c.Address, c.TLS.CA = good.ldaps, "ldap.go" }, "tls.ca: ldap.go holds no certificate", false},
		{"a file that is not there", func(c *LDAPConfig) { c.Address, c.TLS.CA = good.ldaps, "/nowhere/ca.pem" }, "tls.ca", false},
		{"something that is not LDAP", func(c *LDAPConfig) { c.Address = "ldap://" + web.Addr().String() }, "", false},
		{"a wrong password of our own", func(c *LDAPConfig) { c.Password = "wrong" }, "own account: Invalid Credentials", true},
		{"an account that is not there", func(c *LDAPConfig) { c.User = "cn=nobody,dc=example,dc=com" }, "own account", true},
		{"an account that is no DN", func(c *LDAPConfig) { c.User = "postern" }, "own account", true},
		{"a base that is not there", func(c *LDAPConfig) { c.BaseDN = "dc=example,dc=net" }, "", false},
		{"a folder that is not there", func(c *LDAPConfig) { c.UsersDN = "ou=persons" }, "users_dn", false},
	} {
		t.Run(tt.why, func(t *testing.T) {
			c := good.config()
			tt.change(&c)
			l, log := directoryAt(t, c)
			u, err := l.Authenticate(t.Context(), "alice", "wonderland")
			if !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrBadCredentials) || u.Name != "" {
				t.Fatalf("user %q, error %v; want ErrUnavailable\n%s", u.Name, err, log)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q does not say %q", err, tt.want)
			}
			if errors.Is(err, ErrServiceAccount) != tt.bind {
				t.Errorf("error %v; ErrServiceAccount wanted: %v", err, tt.bind)
			}
			if err := l.Check(t.Context()); !errors.Is(err, ErrUnavailable) {
				t.Errorf("Check: %v", err)
			}
			if strings.Contains(err.Error()+log.String(), "wonderland") {
				t.Error("a password stands in the error or the log")
			}
		})
	}
}

// serveNonsense answers every connection with what is no LDAP.
func serveNonsense(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
			io.Copy(io.Discard, c)
		}()
	}
}

// TestLDAPHangingServer: a server that accepts and says nothing costs the configured time,
// and who gives up earlier does not wait for it.
func TestLDAPHangingServer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	d := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}})
	c := d.config()
	c.Address, c.Timeout = "ldap://"+ln.Addr().String(), 100*time.Millisecond
	l, log := directoryAt(t, c)
	if _, err := l.Find(t.Context(), "alice"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Find: %v", err)
	}
	if !strings.Contains(log.String(), "no answer in time") && !strings.Contains(log.String(), "timed out") {
		t.Errorf("the log does not say why:\n%s", log)
	}
	c.Timeout = time.Minute
	l, log = directoryAt(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := l.Authenticate(ctx, "alice", "wonderland"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Authenticate with little time: %v", err)
	}
	if strings.Contains(log.String(), "server fails") {
		t.Errorf("a server is blamed for somebody who did not wait:\n%s", log)
	}
}

// TestLDAPSeveralServers: the first that answers does; when it goes away, the next one,
// and when it comes back, it again.
func TestLDAPSeveralServers(t *testing.T) {
	first := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}})
	second := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}})
	c := first.config()
	c.Address, c.Addresses = "", []string{first.ldap, second.ldap}
	l, log := directoryAt(t, c)
	used := func() string {
		l.pool().mu.Lock()
		defer l.pool().mu.Unlock()
		return l.pool().idle[len(l.pool().idle)-1].server.url
	}
	signIn := func(what string) {
		t.Helper()
		if _, err := l.Authenticate(t.Context(), "bob", "builder"); err != nil {
			t.Fatalf("%s: %v\n%s", what, err, log)
		}
	}
	signIn("both")
	if used() != first.ldap {
		t.Errorf("%s is used, want the first", used())
	}
	first.stop()
	signIn("the first has gone")
	if used() != second.ldap {
		t.Errorf("%s is used, want the second", used())
	}
	first.start()
	eventually(t, "the first is used again", func() bool {
		l.pool().mu.Lock()
		l.pool().sweep(func(*ldapConn) bool { return true }) // as their age does
		l.pool().mu.Unlock()
		signIn("the first is back")
		return used() == first.ldap
	})
	second.stop()
	signIn("the second has gone")
	first.stop()
	if _, err := l.Authenticate(t.Context(), "bob", "builder"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("both have gone: %v", err)
	}
	first.start()
	eventually(t, "it is asked again after a while", func() bool {
		_, err := l.Authenticate(t.Context(), "bob", "builder")
		return err == nil
	})
}

// TestLDAPRestart: connections that the server has closed cost nobody a sign-in.
func TestLDAPRestart(t *testing.T) {
	d := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}})
	l, log := directoryAt(t, d.config())
	for i := range 3 {
		if _, err := l.Authenticate(t.Context(), "bob", "builder"); err != nil {
			t.Fatalf("after %d restarts: %v\n%s", i, err, log)
		}
		d.stop()
		d.start()
	}
}

// TestLDAPHealth: a connection that was idle for a while is tried before it is used, closed
// after the configured time, and never kept for long.
func TestLDAPHealth(t *testing.T) {
	d := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}})
	l, _ := directoryAt(t, d.config())
	age := func(f func(*ldapConn)) *ldapConn {
		if err := l.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.pool().mu.Lock()
		defer l.pool().mu.Unlock()
		if n := len(l.pool().idle); n != 1 || l.pool().open != 1 {
			t.Fatalf("%d idle connections of %d, want one", n, l.pool().open)
		}
		f(l.pool().idle[0])
		return l.pool().idle[0]
	}
	for _, tt := range []struct {
		why      string
		age      func(*ldapConn)
		kept     bool
		searches int // of two that Check makes
	}{
		{"just used", func(*ldapConn) {}, true, 2},
		{"idle for a minute", func(c *ldapConn) { c.used = c.used.Add(-time.Minute) }, true, 3},
		{"idle for longer than configured", func(c *ldapConn) { c.used = c.used.Add(-6 * time.Minute) }, false, 2},
		{"used for long", func(c *ldapConn) { c.born = c.born.Add(-11 * time.Minute) }, false, 2},
	} {
		before := age(tt.age)
		var after *ldapConn
		_, searches := operations(d, func() { after = age(func(*ldapConn) {}) })
		if (before == after) != tt.kept || searches != tt.searches {
			t.Errorf("%s: kept %v, %d searches; want %v, %d", tt.why, before == after, searches, tt.kept, tt.searches)
		}
	}
	// One that died in silence is noticed by the trial, also where nothing may be done twice.
	d.stop()
	d.start()
	if err := l.SetPassword(t.Context(), "Alice", "looking glass"); err != nil {
		t.Errorf("a password is set over a dead connection: %v", err)
	}
}

// TestLDAPIdentities: a connection on which a user's password was tried is not used for
// searching without a bind, and the other way round.
func TestLDAPIdentities(t *testing.T) {
	d := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}})
	c := d.config()
	c.Pool.Size = 1
	l, _ := directoryAt(t, c)
	for _, password := range []string{"wonderland", "wrong", "wonderland"} {
		u, err := l.Authenticate(t.Context(), "alice", password)
		if (err == nil) != (password == "wonderland") || err == nil && len(u.Groups) != 2 {
			t.Errorf("over the only connection: %+v, %v", u, err) // users may not read groups here
		}
	}
	if l.pool().open != 1 {
		t.Errorf("%d connections, want one", l.pool().open)
	}
}

// TestLDAPBoundedMessages: what is no message, or an overlong one, ends the connection
// before its content is read.
func TestLDAPBoundedMessages(t *testing.T) {
	small := []byte("\x30\x03abc")
	long := append([]byte{0x30, 0x82, 0x01, 0x00}, bytes.Repeat([]byte("x"), 256)...)
	for _, tt := range []struct {
		why  string
		in   []byte
		fail bool
	}{
		{"messages", bytes.Join([][]byte{small, long, small}, nil), false},
		{"an empty message", []byte("\x30\x00\x30\x00"), false},
		{"not a sequence", []byte("HTTP/1.1 200 OK"), true},
		{"not a sequence, behind a message", append(bytes.Clone(small), 'x'), true},
		{"an indefinite length", []byte("\x30\x80\x00\x00"), true},
		{"a length of five bytes", []byte("\x30\x85\x00\x00\x00\x00\x01x"), true},
		{"4 GiB", []byte("\x30\x84\xff\xff\xff\xff"), true},
		{"one byte too many", []byte("\x30\x83\x20\x00\x01"), true},
		{"just not too long", []byte("\x30\x83\x20\x00\x00xxx"), false},
	} {
		for _, cut := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader} {
			out, err := io.ReadAll(&bounded{Conn: readConn{r: cut(bytes.NewReader(tt.in))}})
			if errors.Is(err, errOverlong) != tt.fail {
				t.Errorf("%s: error %v", tt.why, err)
			}
			if err == nil && !bytes.Equal(out, tt.in) {
				t.Errorf("%s: %d bytes came through of %d", tt.why, len(out), len(tt.in))
			}
		}
	}
}

// readConn is a connection that can be read.
type readConn struct {
	net.Conn
	r io.Reader
}

func (c readConn) Read(p []byte) (int, error) { return c.r.Read(p) }

// FuzzLDAPBounded: cutting the stream elsewhere changes nothing, and whatever comes
// through unrefused consists of messages within the bound.
func FuzzLDAPBounded(f *testing.F) {
	f.Add([]byte("\x30\x03abc\x30\x00"))
	f.Add([]byte("\x30\x81\x80"))
	f.Add([]byte("\x30\x84\x00\x20\x00\x01"))
	f.Fuzz(func(t *testing.T, in []byte) {
		_, whole := io.ReadAll(&bounded{Conn: readConn{r: bytes.NewReader(in)}})
		out, single := io.ReadAll(&bounded{Conn: readConn{r: iotest.OneByteReader(bytes.NewReader(in))}})
		if (whole == nil) != (single == nil) {
			t.Fatalf("at once %v, byte by byte %v", whole, single)
		}
		for rest := out; single == nil && len(rest) > 0; {
			length, ok := 0, false
			n := 0
			for n < len(rest) && !ok && length >= 0 {
				n++
				length, ok = messageLength(rest[:n])
			}
			if length < 0 || length > maxLDAPMessage {
				t.Fatalf("a message of %d bytes came through", length)
			}
			rest = rest[min(len(rest), n+length):]
		}
	})
}
