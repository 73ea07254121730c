package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"github.com/rogpeppe/go-internal/testscript"

	"postern/haproxy/haproxytest"
)

// slapd is a directory server of OpenLDAP's with people in it, in a folder of its own.
type slapd struct {
	dir         string
	ldap, ldaps string // addresses; the certificate is for localhost, and signed by itself
	said        *tail
	process     *exec.Cmd
	ended       chan struct{}
}

// slapdPeople have everybody's password.
const slapdPeople = `dn: dc=example,dc=com
objectClass: domain
dc: example

dn: ou=people,dc=example,dc=com
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=example,dc=com
objectClass: organizationalUnit
ou: groups

dn: cn=postern,dc=example,dc=com
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: postern
userPassword: service secret

dn: uid=lewis,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: lewis
cn: Lewis
sn: Carroll
displayName: Lewis Carroll
mail: lewis@example.com
userPassword: ` + password + `

dn: uid=dora,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: dora
cn: Dora
sn: Explorer
mail: dora@example.com
userPassword: ` + password + `

dn: uid=alice,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: alice
cn: Another Alice
sn: Another
mail: another.alice@example.com
userPassword: looking glass

dn: cn=admins,ou=groups,dc=example,dc=com
objectClass: groupOfNames
cn: admins
member: uid=lewis,ou=people,dc=example,dc=com
member: uid=dora,ou=people,dc=example,dc=com

dn: cn=staff,ou=groups,dc=example,dc=com
objectClass: groupOfNames
cn: staff
member: uid=lewis,ou=people,dc=example,dc=com
`

// The distinguished names that tests change.
const (
	slapdLewis  = "uid=lewis,ou=people,dc=example,dc=com"
	slapdDora   = "uid=dora,ou=people,dc=example,dc=com"
	slapdAdmins = "cn=admins,ou=groups,dc=example,dc=com"
)

// slapdPrograms are where slapd is, and what belongs to it; "" when it is not installed.
func slapdPrograms() (program, schemas, modules string) {
	cache := os.Getenv("POSTERN_CACHE")
	if cache == "" {
		dir, _ := os.UserCacheDir()
		cache = filepath.Join(dir, "postern")
	}
	own := filepath.Join(cache, "slapd")
	for _, at := range []struct{ program, root string }{
		{filepath.Join(own, "slapd"), filepath.Join(own, "root")}, {"/usr/sbin/slapd", ""}, {"/usr/lib/openldap/slapd", ""},
	} {
		if _, err := os.Stat(at.program); err == nil {
			return at.program, at.root + "/etc/ldap/schema", at.root + "/usr/lib/ldap"
		}
	}
	return "", "", ""
}

// startSlapd starts one for a test, and ends it with the test.
func startSlapd(t testing.TB) *slapd {
	t.Helper()
	if program, _, _ := slapdPrograms(); program == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("slapd is missing")
		}
		t.Skip("slapd is missing")
	}
	bundle, _ := haproxytest.Certificate(t, "localhost")
	s, err := newSlapd(t.TempDir(), bundle)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

// newSlapd fills a folder, and starts the server over it.
func newSlapd(dir, bundle string) (*slapd, error) {
	program, schemas, modules := slapdPrograms()
	s := &slapd{dir: dir}
	conf := fmt.Sprintf(`include %[1]s/core.schema
include %[1]s/cosine.schema
include %[1]s/inetorgperson.schema
modulepath %[2]s
moduleload back_mdb
pidfile %[3]s/slapd.pid
TLSCertificateFile %[3]s/ca.pem
TLSCertificateKeyFile %[3]s/ca.pem
database mdb
suffix dc=example,dc=com
rootdn cn=admin,dc=example,dc=com
rootpw admin
directory %[3]s/db
dbnosync
access to attrs=userPassword by dn.exact=cn=postern,dc=example,dc=com write by anonymous auth by * none
access to * by dn.exact=cn=postern,dc=example,dc=com read by users none by anonymous auth
`, schemas, modules, dir)
	err := errors.Join(
		os.Mkdir(filepath.Join(dir, "db"), 0o700),
		os.WriteFile(filepath.Join(dir, "slapd.conf"), []byte(conf), 0o600),
		os.WriteFile(filepath.Join(dir, "ca.pem"), []byte(bundle), 0o600),
		os.WriteFile(filepath.Join(dir, "people.ldif"), []byte(slapdPeople), 0o600),
	)
	if err != nil {
		return nil, err
	}
	// slapd adds entries when it is called slapadd.
	add := exec.Command(program, "-T", "add", "-q", "-f", filepath.Join(dir, "slapd.conf"), "-l", filepath.Join(dir, "people.ldif"))
	if out, err := add.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("slapadd: %w\n%s", err, out)
	}
	for range 5 { // somebody else may take a port in between
		ports, err := freePorts(2)
		if err != nil {
			return nil, err
		}
		s.ldap, s.ldaps = fmt.Sprintf("ldap://127.0.0.1:%d", ports[0]), fmt.Sprintf("ldaps://localhost:%d", ports[1])
		if err = s.start(); err == nil {
			return s, nil
		}
	}
	return nil, fmt.Errorf("slapd does not start:\n%s", s.said)
}

// start starts the process, again after stop, and returns when it answers.
func (s *slapd) start() error {
	program, _, _ := slapdPrograms()
	s.said, s.ended = &tail{limit: 64 << 10}, make(chan struct{})
	own := filepath.Join(s.dir, "sock") // the last that it listens on, and nobody else's
	s.process = exec.Command(program, "-f", filepath.Join(s.dir, "slapd.conf"), "-h", s.ldap+" "+s.ldaps+" ldapi://"+url.PathEscape(own), "-d", "0")
	s.process.Stdout, s.process.Stderr = s.said, s.said
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.process.Start(); err != nil {
		return err
	}
	go func(p *exec.Cmd, ended chan struct{}) { _ = p.Wait(); close(ended) }(s.process, s.ended)
	for {
		if c, err := net.Dial("unix", own); err == nil {
			return c.Close()
		}
		select {
		case <-s.ended:
			return errors.New("slapd ended")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// stop ends the process, and returns when it has ended.
func (s *slapd) stop() {
	_ = s.process.Process.Kill()
	<-s.ended
}

// admin does something as the server's administrator.
func (s *slapd) admin(do func(*ldap.Conn) error) error {
	c, err := ldap.DialURL(s.ldap)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Bind("cn=admin,dc=example,dc=com", "admin"); err != nil {
		return err
	}
	return do(c)
}

// leave takes a member out of a group.
func (s *slapd) leave(t testing.TB, group, member string) {
	t.Helper()
	r := ldap.NewModifyRequest(group, nil)
	r.Delete("member", []string{member})
	if err := s.admin(func(c *ldap.Conn) error { return c.Modify(r) }); err != nil {
		t.Fatal(err)
	}
}

// remove deletes a person.
func (s *slapd) remove(t testing.TB, dn string) {
	t.Helper()
	if err := s.admin(func(c *ldap.Conn) error { return c.Del(ldap.NewDelRequest(dn, nil)) }); err != nil {
		t.Fatal(err)
	}
}

// freePorts finds ports that nobody listens on.
func freePorts(n int) (ports []int, err error) {
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer ln.Close()
		ports = append(ports, ln.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// scriptSlapd is the scripts' command "slapd start" and "slapd stop". It sets LDAP and
// LDAPS to the addresses, and writes ca.pem.
func scriptSlapd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 || args[0] != "start" && args[0] != "stop" {
		ts.Fatalf("usage: slapd start|stop")
	}
	running, _ := ts.Value(slapdKey{}).(*slapdSlot)
	if args[0] == "stop" {
		running.server.stop()
		return
	}
	s, err := newSlapd(ts.Getenv("SOCK"), running.bundle)
	ts.Check(err)
	running.server = s
	ts.Defer(s.stop)
	ts.Setenv("LDAP", s.ldap)
	ts.Setenv("PLAIN", strings.TrimPrefix(s.ldap, "ldap")) // for one who speaks TLS to it
	ts.Setenv("LDAPS", s.ldaps)
	ts.Check(os.WriteFile(ts.MkAbs("ca.pem"), []byte(running.bundle), 0o600))
}

// slapdKey is under which a script finds its server; slapdSlot is what it finds.
type slapdKey struct{}

type slapdSlot struct {
	bundle string // certificate and key
	server *slapd
}
