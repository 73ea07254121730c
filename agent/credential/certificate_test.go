package credential

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"
)

// makeCertificate signs a certificate by itself: who signed it is HAProxy's to check.
func makeCertificate(t testing.TB, cn string, mails ...string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: cn}, EmailAddresses: mails,
		NotBefore: start.Add(-time.Hour), NotAfter: start.Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// registry finds alice and zoë by name, and alice by her address.
type registry struct {
	asked int
	err   error
}

func (r *registry) FindName(_ context.Context, name string) (string, bool, error) {
	r.asked++
	return name, name == "alice" || name == "zoë", r.err
}

func (r *registry) FindMail(_ context.Context, address string) (string, bool, error) {
	r.asked++
	return "alice", strings.EqualFold(address, "alice@example.com"), r.err
}

func TestCertificates(t *testing.T) {
	listed := makeCertificate(t, "a machine")
	print := sha256.Sum256(listed)
	colons := strings.ToUpper(strings.Join(strings.Split(fmt.Sprintf("% x", print), " "), ":"))
	byPrint := CertificateConfig{By: []string{"fingerprint"}, Users: []CertificateUser{{colons, "zoë"}}}
	for _, tt := range []struct {
		name   string
		config CertificateConfig
		der    []byte
		after  time.Duration
		want   string
	}{
		{"by fingerprint", byPrint, listed, 0, "zoë"},
		{"another fingerprint of the same name", byPrint, makeCertificate(t, "a machine"), 0, ""},
		{"by mail", CertificateConfig{By: []string{"mail"}}, makeCertificate(t, "x", "Alice@Example.com"), 0, "alice"},
		{"another's mail", CertificateConfig{By: []string{"mail"}}, makeCertificate(t, "alice", "eve@example.com"), 0, ""},
		{"two addresses", CertificateConfig{By: []string{"mail"}}, makeCertificate(t, "alice", "alice@example.com", "eve@example.com"), 0, ""},
		{"by name", CertificateConfig{By: []string{"cn"}}, makeCertificate(t, "zoë"), 0, "zoë"},
		{"a name that nobody has", CertificateConfig{By: []string{"cn"}}, makeCertificate(t, "nobody"), 0, ""},
		{"a name with a line break", CertificateConfig{By: []string{"cn"}}, makeCertificate(t, "alice\n"), 0, ""},
		{"no name", CertificateConfig{By: []string{"cn"}}, makeCertificate(t, ""), 0, ""},
		{"a name that is not asked for", CertificateConfig{By: []string{"mail"}}, makeCertificate(t, "alice"), 0, ""},
		{"the second way", CertificateConfig{By: []string{"mail", "cn"}}, makeCertificate(t, "zoë", "eve@example.com"), 0, "zoë"},
		{"no way at all", CertificateConfig{}, makeCertificate(t, "alice", "alice@example.com"), 0, ""},
		{"not valid any more", CertificateConfig{By: []string{"cn"}}, makeCertificate(t, "alice"), time.Hour + time.Second, ""},
		{"not valid yet", CertificateConfig{By: []string{"cn"}}, makeCertificate(t, "alice"), -time.Hour - time.Second, ""},
		{"no certificate", CertificateConfig{By: []string{"cn"}}, nil, 0, ""},
		{"no DER", CertificateConfig{By: []string{"cn"}}, []byte("junk"), 0, ""},
		{"DER with something behind it", CertificateConfig{By: []string{"cn"}}, append(makeCertificate(t, "alice"), 0), 0, ""},
		{"a huge one", CertificateConfig{By: []string{"cn"}}, make([]byte, MaxCertificate+1), 0, ""},
	} {
		c := &Certificates{Config: tt.config, Finder: &registry{}}
		now := start.Add(tt.after)
		got, err := c.Resolve(t.Context(), tt.der, now)
		if got != tt.want || err != nil {
			t.Errorf("%s: %q, %v, want %q", tt.name, got, err, tt.want)
		}
		if got, ok := c.Recall(tt.der, now); got != tt.want || !ok {
			t.Errorf("%s: remembered %q, %v", tt.name, got, ok)
		}
	}
}

func TestCertificatesAreRemembered(t *testing.T) {
	r := &registry{}
	c := &Certificates{Config: CertificateConfig{By: []string{"cn"}}, Finder: r}
	der := makeCertificate(t, "alice")
	if user, ok := c.Recall(der, start); ok {
		t.Fatalf("%q before it was resolved", user)
	}
	r.err = errDisk
	if _, err := c.Resolve(t.Context(), der, start); err == nil {
		t.Fatal("no error of a directory that cannot tell")
	}
	if _, ok := c.Recall(der, start); ok {
		t.Fatal("what could not be told is remembered")
	}
	r.err = nil
	if _, err := c.Resolve(t.Context(), der, start); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		after time.Duration
		user  string
		ok    bool
	}{
		{"at once", 0, "alice", true},
		{"as long as it holds", holding - 1, "alice", true},
		{"longer", holding, "", false},
		{"while it was looked up", -time.Second, "alice", true},
		{"long before", -holding, "", false},
	} {
		if user, ok := c.Recall(der, start.Add(tt.after)); user != tt.user || ok != tt.ok {
			t.Errorf("%s: %q, %v", tt.name, user, ok)
		}
	}
	for i := range maxHolders + 1 {
		if c.known == nil {
			break
		}
		c.known[[32]byte{byte(i), byte(i >> 8), 1}] = holder{}
	}
	if _, err := c.Resolve(t.Context(), makeCertificate(t, "zoë"), start); err != nil || len(c.known) > maxHolders {
		t.Errorf("%d certificates are remembered, %v", len(c.known), err)
	}
}

func TestCertificateConfig(t *testing.T) {
	print := hex.EncodeToString(make([]byte, 32))
	for _, tt := range []struct {
		name   string
		config CertificateConfig
		want   string
	}{
		{"off", CertificateConfig{}, ""},
		{"all ways", CertificateConfig{By: []string{"fingerprint", "mail", "cn"}, Users: []CertificateUser{{print, "alice"}}}, ""},
		{"an unknown way", CertificateConfig{By: []string{"mail", "dn"}}, `certificates.by[1]: "dn" is no way`},
		{"a way twice", CertificateConfig{By: []string{"cn", "mail", "cn"}}, "certificates.by[2]: cn stands in by[0] already"},
		{"fingerprints without a list", CertificateConfig{By: []string{"fingerprint"}}, "certificates.users: is empty"},
		{"a list that nobody asks for", CertificateConfig{By: []string{"cn"}, Users: []CertificateUser{{print, "alice"}}}, "certificates.users: is not looked at"},
		{"SHA-1", CertificateConfig{By: []string{"fingerprint"}, Users: []CertificateUser{{print[:40], "alice"}}}, "certificates.users[0].fingerprint: is not a SHA-256"},
		{"not hexadecimal", CertificateConfig{By: []string{"fingerprint"}, Users: []CertificateUser{{strings.Repeat("x", 64), "alice"}}}, "certificates.users[0].fingerprint: is not a SHA-256"},
		{"one certificate for two", CertificateConfig{By: []string{"fingerprint"}, Users: []CertificateUser{{print, "alice"}, {print, "bob"}}}, "certificates.users[1].fingerprint: is that of users[0] already"},
		{"nobody", CertificateConfig{By: []string{"fingerprint"}, Users: []CertificateUser{{print, ""}}}, "certificates.users[0].user: is missing"},
	} {
		got := ""
		if err := tt.config.Validate(); err != nil {
			got = err.Error()
		}
		if tt.want == "" && got != "" || !strings.HasPrefix(got, tt.want) || strings.Contains(got, "\n") {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if (CertificateConfig{}).On() || !(CertificateConfig{By: []string{"cn"}}).On() {
		t.Error("they are on when a way is named")
	}
}
