package main

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCertificate: it is valid for its names and no others, chains to its authority, and
// is what a TLS server loads.
func TestCertificate(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	made, err := newCertificate([]string{"example.com", "*.example.com", "127.0.0.1", "::1"}, now, 30)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(made.bundle, made.bundle)
	if err != nil {
		t.Fatal(err)
	}
	leaf := pair.Leaf
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(made.authority) {
		t.Fatal("the authority is no certificate")
	}
	for _, tt := range []struct {
		name string
		when time.Time
		good bool
	}{
		{"example.com", now, true},
		{"wiki.example.com", now, true},
		{"127.0.0.1", now, true},
		{"::1", now, true},
		{"a.wiki.example.com", now, false},
		{"example.org", now, false},
		{"127.0.0.2", now, false},
		{"example.com", now.AddDate(0, 0, 31), false},
		{"example.com", now.AddDate(0, 0, -1), false},
	} {
		_, err := leaf.Verify(x509.VerifyOptions{DNSName: tt.name, Roots: roots, CurrentTime: tt.when})
		if (err == nil) != tt.good {
			t.Errorf("%s at %v: %v, want good %v", tt.name, tt.when, err, tt.good)
		}
	}
	if _, ok := pair.PrivateKey.(*ecdsa.PrivateKey); !ok || strings.Contains(string(made.authority), "KEY") {
		t.Errorf("key of type %T; the authority file must hold none", pair.PrivateKey)
	}
}

// TestAuthorityIsLimited: who trusts a trial's authority trusts it for the trial's names only.
func TestAuthorityIsLimited(t *testing.T) {
	for _, names := range [][]string{{"example.com"}, {"127.0.0.1"}} {
		made, err := newCertificate(names, time.Now(), 1)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(made.authority)
		ca, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if len(ca.PermittedDNSDomains)+len(ca.ExcludedDNSDomains) == 0 || len(ca.PermittedIPRanges)+len(ca.ExcludedIPRanges) == 0 {
			t.Errorf("%v: names %v, addresses %v: one of them is not limited", names, ca.PermittedDNSDomains, ca.PermittedIPRanges)
		}
		if !ca.IsCA || !ca.MaxPathLenZero || !ca.PermittedDNSDomainsCritical {
			t.Errorf("%v: the limits are not binding", names)
		}
	}
}

// TestWriteAtomic: a file is replaced whole, with its new mode, or not at all.
func TestWriteAtomic(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := writeAtomic(path, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	info, statErr := os.Stat(path)
	if err != nil || statErr != nil || string(data) != "new" || info.Mode().Perm() != 0o600 {
		t.Errorf("%q, mode %v (%v, %v)", data, info.Mode(), err, statErr)
	}
	blocked := filepath.Join(dir, "folder")
	if err := os.MkdirAll(filepath.Join(blocked, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeAtomic(blocked, []byte("new"), 0o600); err == nil {
		t.Error("a folder was replaced by a file")
	}
	if got := entries(t, dir); len(got) != 2 {
		t.Errorf("files %v: something is left behind", got)
	}
}
