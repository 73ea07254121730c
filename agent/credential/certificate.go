package credential

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"postern/agent/policy"
)

// MaxCertificate is the largest client certificate that is looked at, in bytes of DER.
const MaxCertificate = 8 << 10

// The ways from a certificate to a user.
const (
	byFingerprint = "fingerprint" // SHA-256 of the certificate, listed in the configuration
	byMail        = "mail"        // an address of the certificate is one of the user's
	byName        = "cn"          // the common name is the user's canonical name
)

// CertificateConfig is `certificates` of the configuration. Without an entry in By they
// are off.
type CertificateConfig struct {
	By    policy.List       `yaml:"by"`    // fingerprint, mail, cn: tried in this order
	Users []CertificateUser `yaml:"users"` // for fingerprint
}

// CertificateUser says whose a certificate is.
type CertificateUser struct {
	Fingerprint string `yaml:"fingerprint"` // SHA-256, 64 hexadecimal digits, with colons or not
	User        string `yaml:"user"`        // canonical name
}

// On says whether certificates are looked at.
func (c CertificateConfig) On() bool { return len(c.By) > 0 }

// Validate returns every fault of c, each under its key.
func (c CertificateConfig) Validate() error {
	var faults []error
	add := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	seen := map[string]int{}
	for i, by := range c.By {
		switch first, twice := seen[by]; {
		case by != byFingerprint && by != byMail && by != byName:
			add("certificates.by[%d]: %q is no way from a certificate to a user; write fingerprint, mail or cn", i, by)
		case twice:
			add("certificates.by[%d]: %s stands in by[%d] already", i, by, first)
		}
		seen[by] = i
	}
	if _, ok := seen[byFingerprint]; !ok && len(c.Users) > 0 {
		add("certificates.users: is not looked at; write by: [fingerprint]")
	} else if ok && len(c.Users) == 0 {
		add("certificates.users: is empty; list fingerprints with their users, or take fingerprint out of by")
	}
	prints := map[[32]byte]int{}
	for i, u := range c.Users {
		print, ok := parseFingerprint(u.Fingerprint)
		first, twice := prints[print]
		switch {
		case !ok:
			add("certificates.users[%d].fingerprint: is not a SHA-256; `openssl x509 -noout -fingerprint -sha256 -in FILE` shows it", i)
		case twice:
			add("certificates.users[%d].fingerprint: is that of users[%d] already", i, first)
		}
		if ok {
			prints[print] = i
		}
		if u.User == "" {
			add("certificates.users[%d].user: is missing", i)
		}
	}
	return errors.Join(faults...)
}

func parseFingerprint(s string) (print [32]byte, ok bool) {
	raw, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
	if err != nil || len(raw) != len(print) {
		return print, false
	}
	return [32]byte(raw), true
}

// Finder finds the user of a certificate.
type Finder interface {
	// FindName returns the canonical name of the user with exactly this one, ok false when
	// there is none or he is disabled. It may ask a server.
	FindName(ctx context.Context, name string) (user string, ok bool, err error)
	// FindMail is FindName by an address that exactly one user has.
	FindMail(ctx context.Context, address string) (user string, ok bool, err error)
}

// Certificates maps client certificates that HAProxy has verified to users. Fill the
// exported fields; the methods may be called by any number of goroutines.
type Certificates struct {
	Config CertificateConfig
	Finder Finder

	mu    sync.Mutex
	known map[[32]byte]holder
}

// holder is what a certificate came to.
type holder struct {
	user     string // "": nobody's
	from, to time.Time
	looked   time.Time
}

// maxHolders bounds the certificates that are remembered, and holding for how long.
const (
	maxHolders = 4096
	holding    = time.Minute
)

// Recall returns whose a certificate is, from memory; user "" means nobody's. ok is false
// when Resolve has to be asked.
func (c *Certificates) Recall(der []byte, now time.Time) (user string, ok bool) {
	if len(der) == 0 || len(der) > MaxCertificate {
		return "", true
	}
	print := sha256.Sum256(der)
	c.mu.Lock()
	defer c.mu.Unlock()
	h, ok := c.known[print]
	if age := now.Sub(h.looked); !ok || age >= holding || age <= -holding {
		return "", false
	}
	return h.at(now), true
}

// at is the holder at a time: a connection can outlive the certificate that it began with.
func (h holder) at(now time.Time) string {
	if now.Before(h.from) || now.After(h.to) {
		return ""
	}
	return h.user
}

// Resolve finds whose a certificate is, and remembers it for a while. It may ask a server.
func (c *Certificates) Resolve(ctx context.Context, der []byte, now time.Time) (user string, err error) {
	if len(der) == 0 || len(der) > MaxCertificate {
		return "", nil
	}
	h := holder{looked: now}
	print := sha256.Sum256(der)
	if cert, err := x509.ParseCertificate(der); err == nil {
		h.from, h.to = cert.NotBefore, cert.NotAfter
		if h.user, err = c.find(ctx, cert, print); err != nil {
			return "", err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= maxHolders {
		c.known = map[[32]byte]holder{}
	}
	c.known[print] = h
	return h.at(now), nil
}

// find tries the ways in their order; the first that leads to somebody decides.
func (c *Certificates) find(ctx context.Context, cert *x509.Certificate, print [32]byte) (user string, err error) {
	for _, by := range c.Config.By {
		var ok bool
		switch by {
		case byFingerprint:
			for _, u := range c.Config.Users {
				if p, valid := parseFingerprint(u.Fingerprint); valid && p == print {
					user, ok, err = c.Finder.FindName(ctx, u.User)
				}
			}
		case byMail:
			if len(cert.EmailAddresses) == 1 && tame(cert.EmailAddresses[0]) { // with several it would be any of them
				user, ok, err = c.Finder.FindMail(ctx, cert.EmailAddresses[0])
			}
		case byName:
			if tame(cert.Subject.CommonName) {
				user, ok, err = c.Finder.FindName(ctx, cert.Subject.CommonName)
			}
		}
		if err != nil || ok {
			return user, err
		}
	}
	return "", nil
}

// tame says whether a text of a certificate can be a name or an address.
func tame(s string) bool {
	return s != "" && len(s) <= MaxUser && utf8.ValidString(s) && strings.TrimSpace(s) == s && !strings.ContainsFunc(s, unicode.IsControl)
}
