package users

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// slapd is a directory server of OpenLDAP's with a private folder and ports of its own.
type slapd struct {
	t       *testing.T
	dir     string
	ldap    string // ldap://127.0.0.1:port
	ldaps   string
	ldapi   string
	process *exec.Cmd
	ended   chan struct{}
	output  *lockedBuffer
}

// slapdSetup is what startSlapd may be told.
type slapdSetup struct {
	ldif    []string // files of testdata/ldap, or the text itself when it has several lines
	conf    string   // more lines for slapd.conf, in the database
	global  string   // more lines before the database
	tls     *testCA  // nil: no TLS
	names   []string // in the certificate; localhost and 127.0.0.1 when there are none
	expired bool     // the certificate
}

// programs are where slapd and what belongs to it can be.
func programs(t *testing.T) (slapd, schemas, modules string) {
	t.Helper()
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
	if os.Getenv("CI") == "true" {
		t.Fatal("slapd is missing; testdata/slapd.sh fetches it")
	}
	t.Skip("slapd is missing; testdata/slapd.sh fetches it")
	return "", "", ""
}

// startSlapd starts a server with dc=example,dc=com and ends it with the test.
func startSlapd(t *testing.T, s slapdSetup) *slapd {
	t.Helper()
	program, schemas, modules := programs(t)
	d := &slapd{t: t, dir: t.TempDir(), output: &lockedBuffer{}}
	if err := os.Mkdir(filepath.Join(d.dir, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	testdata, _ := filepath.Abs("testdata/ldap")
	secure := ""
	if s.tls != nil {
		cert, key := s.tls.issue(t, d.dir, s.names, s.expired)
		secure = fmt.Sprintf("TLSCertificateFile %s\nTLSCertificateKeyFile %s\n", cert, key)
	}
	conf := fmt.Sprintf(`include %[1]s/core.schema
include %[1]s/cosine.schema
include %[1]s/inetorgperson.schema
include %[2]s/directories.schema
modulepath %[3]s
moduleload back_mdb
moduleload ppolicy
pidfile %[4]s/slapd.pid
sizelimit 5000
%[5]s%[6]s
database mdb
suffix dc=example,dc=com
rootdn cn=admin,dc=example,dc=com
rootpw admin
directory %[4]s/db
maxsize 67108864
dbnosync
index objectClass,uid,mail,member eq
%[7]s
access to attrs=userPassword by dn.exact=cn=postern,ou=services,dc=example,dc=com write by anonymous auth by * none
access to * by dn.exact=cn=postern,ou=services,dc=example,dc=com read by users none by anonymous auth
database monitor
access to * by * read
`, schemas, testdata, modules, d.dir, secure, s.global, s.conf)
	if err := os.WriteFile(filepath.Join(d.dir, "slapd.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, text := range s.ldif {
		path := filepath.Join(testdata, text)
		if strings.Contains(text, "\n") {
			path = filepath.Join(d.dir, fmt.Sprintf("%d.ldif", i))
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		// slapd adds entries when it is called slapadd.
		add := exec.Command(program, "-T", "add", "-q", "-f", filepath.Join(d.dir, "slapd.conf"), "-l", path)
		if out, err := add.CombinedOutput(); err != nil {
			t.Fatalf("slapadd %s: %v\n%s", text, err, out)
		}
	}
	d.ldapi = "ldapi://" + d.dir + "/sock"
	for try := 0; ; try++ {
		d.ldap, d.ldaps = "ldap://"+freeAddress(t), "ldaps://"+freeAddress(t)
		if d.start() {
			break
		}
		if try == 4 {
			t.Fatalf("slapd does not start:\n%s", d.output)
		}
	}
	t.Cleanup(d.stop)
	return d
}

// start starts the process, again after stop, and returns when it answers; false when it
// has ended instead.
func (d *slapd) start() bool {
	d.t.Helper()
	program, _, _ := programs(d.t)
	listen := d.ldap + " " + d.ldaps + " ldapi://" + url.PathEscape(d.dir+"/sock")
	conf, _ := os.ReadFile(filepath.Join(d.dir, "slapd.conf"))
	if !bytes.Contains(conf, []byte("TLSCertificateFile")) {
		listen = strings.Replace(listen, d.ldaps+" ", "", 1)
	}
	d.process = exec.Command(program, "-f", filepath.Join(d.dir, "slapd.conf"), "-h", listen, "-d", "0")
	d.process.Stdout, d.process.Stderr = d.output, d.output
	d.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := d.process.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.ended = make(chan struct{})
	go func(p *exec.Cmd, ended chan struct{}) { p.Wait(); close(ended) }(d.process, d.ended)
	for {
		// The last that it listens on, and nobody else's.
		if c, err := net.Dial("unix", d.dir+"/sock"); err == nil {
			c.Close()
			return true
		}
		select {
		case <-d.ended:
			return false
		case <-d.t.Context().Done():
			return false
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (d *slapd) stop() {
	d.process.Process.Kill()
	<-d.ended
}

// change modifies an entry as the administrator; values nil removes the attribute.
func (d *slapd) change(dn, attr string, values ...string) {
	d.t.Helper()
	r := ldap.NewModifyRequest(dn, nil)
	r.Replace(attr, values)
	d.admin(func(c *ldap.Conn) error { return c.Modify(r) })
}

func (d *slapd) admin(f func(*ldap.Conn) error) {
	d.t.Helper()
	c, err := ldap.DialURL(d.ldap)
	if err != nil {
		d.t.Fatal(err)
	}
	defer c.Close()
	if err := c.Bind("cn=admin,dc=example,dc=com", "admin"); err != nil {
		d.t.Fatal(err)
	}
	if err := f(c); err != nil {
		d.t.Fatal(err)
	}
}

// monitored counts the operations that the server has begun, by kind, this one included.
func (d *slapd) monitored(kind string) int {
	d.t.Helper()
	n := 0
	c, err := ldap.DialURL(d.ldap)
	if err != nil {
		d.t.Fatal(err)
	}
	defer c.Close()
	found, err := c.Search(&ldap.SearchRequest{BaseDN: "cn=" + kind + ",cn=Operations,cn=Monitor", Scope: ldap.ScopeBaseObject,
		Filter: "(objectClass=*)", Attributes: []string{"monitorOpInitiated"}})
	if err != nil || len(found.Entries) != 1 {
		d.t.Fatalf("monitor: %v", err)
	}
	fmt.Sscan(found.Entries[0].GetAttributeValue("monitorOpInitiated"), &n)
	return n
}

// config is one that fits the server and example.ldif.
func (d *slapd) config() LDAPConfig {
	return LDAPConfig{
		Preset: presetOpenLDAP,
		LDAPServer: LDAPServer{Address: d.ldap, User: "cn=postern,ou=services,dc=example,dc=com", Password: "service secret",
			Timeout: 20 * time.Second},
		LDAPSearch: LDAPSearch{BaseDN: "dc=example,dc=com", UsersDN: "ou=people", GroupsDN: "ou=groups"},
	}
}

// directoryAt is a backend for a configuration, with what it logs.
func directoryAt(t *testing.T, c LDAPConfig) (*LDAP, *lockedBuffer) {
	t.Helper()
	if err := c.Validate("users[0].ldap"); err != nil {
		t.Fatal(err)
	}
	log := &lockedBuffer{}
	l := &LDAP{Config: c, Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	t.Cleanup(func() { l.pool().close() })
	return l, log
}

// eventually waits for a condition that other goroutines bring about.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// lockedBuffer is a buffer for many goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// testCA is an authority that signs the certificates of a test.
type testCA struct {
	file string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newCA(t *testing.T) *testCA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := x509.ParseCertificate(der)
	ca := &testCA{file: filepath.Join(t.TempDir(), "ca.pem"), cert: cert, key: key}
	writePEM(t, ca.file, "CERTIFICATE", der)
	return ca
}

// issue makes a certificate for a server.
func (ca *testCA) issue(t *testing.T, dir string, names []string, expired bool) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "directory"}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	if names == nil {
		template.DNSNames, template.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	if expired {
		template.NotAfter = time.Now().Add(-time.Minute)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, &k.PublicKey, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePEM(t, cert, "CERTIFICATE", der)
	writePEM(t, key, "PRIVATE KEY", pkcs8)
	return cert, key
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
