package mail

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"os"
	"strconv"
	"strings"
	"time"
)

// Config is `mail` of the configuration. With neither smtp nor file mail is off.
type Config struct {
	SMTP      SMTP   `yaml:"smtp"`
	File      string `yaml:"file"`      // for trials: every message is appended to this file
	Templates string `yaml:"templates"` // folder whose mail.html.tmpl and mail.txt.tmpl replace ours
}

// SMTP is the server that takes our mail.
type SMTP struct {
	Address    string        `yaml:"address"` // smtp://, submission:// (both STARTTLS) or submissions:// (TLS at once), host, port
	Username   string        `yaml:"username"`
	Password   string        `yaml:"password" secret:"true"`
	TLS        TLS           `yaml:"tls"`
	Timeout    time.Duration `yaml:"timeout"`    // for one message; 0: 10s
	Sender     string        `yaml:"sender"`     // address, also with a name: Example <sso@example.com>
	Identifier string        `yaml:"identifier"` // our name in EHLO; "": the machine's
}

// TLS says how far the connection to the server is protected.
type TLS struct {
	Mode       string `yaml:"mode"`        // required (default), opportunistic or off; the last two only without a username
	CA         string `yaml:"ca"`          // file of certificates to trust instead of the system's
	ServerName string `yaml:"server_name"` // name in the server's certificate; "": the host of address
}

// DefaultConfig is what an absent `mail` means: mail is off.
func DefaultConfig() Config {
	return Config{SMTP: SMTP{Timeout: 10 * time.Second, TLS: TLS{Mode: "required"}}}
}

// Enabled says whether there is a way to send mail.
func (c Config) Enabled() bool { return c.File != "" || c.SMTP.Address != "" }

// Validate returns every fault at once, each under its key.
func (c Config) Validate() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.File != "" && c.SMTP.Address != "" {
		fault("mail.file: mail goes to mail.smtp already; leave one of them out")
	}
	if c.SMTP.Address == "" {
		if c.SMTP.Username != "" || c.SMTP.Password != "" || c.SMTP.Sender != "" && c.File == "" {
			fault("mail.smtp.address: missing; write submissions://mail.example.com for one")
		}
		return errors.Join(errs...)
	}
	s := c.SMTP
	at, err := s.endpoint()
	if err != nil {
		fault("mail.smtp.address: %w", err)
	}
	if a, err := mail.ParseAddress(s.Sender); err != nil || hasControl(s.Sender) || !strings.Contains(a.Address, "@") {
		fault("mail.smtp.sender: %q is not a mail address; write Example <sso@example.com> for one", s.Sender)
	}
	switch s.TLS.Mode {
	case "", "required":
	case "opportunistic", "off":
		if s.Username != "" {
			fault("mail.smtp.tls.mode: %s would send the password in the clear; it must be required with a username", s.TLS.Mode)
		}
		if at.implicit {
			fault("mail.smtp.tls.mode: %s does not go with submissions://, which is TLS from the first byte", s.TLS.Mode)
		}
	default:
		fault("mail.smtp.tls.mode: %q is none of required, opportunistic, off", s.TLS.Mode)
	}
	if (s.Username == "") != (s.Password == "") {
		fault("mail.smtp.password: username and password go together")
	}
	if s.Timeout < 0 || s.Timeout > 5*time.Minute {
		fault("mail.smtp.timeout: %v is not between 0s and 5m", s.Timeout)
	}
	if hasControl(s.Identifier) || strings.ContainsAny(s.Identifier, " \t") {
		fault("mail.smtp.identifier: %q is not a host name", s.Identifier)
	}
	return errors.Join(errs...)
}

// endpoint is where a server listens.
type endpoint struct {
	host     string
	port     int
	implicit bool // TLS from the first byte
}

// endpoint reads the address. Ports default to 25, 587 and 465, after the scheme.
func (s SMTP) endpoint() (endpoint, error) {
	scheme, rest, ok := strings.Cut(s.Address, "://")
	if !ok {
		scheme, rest = "submission", s.Address
	}
	e := endpoint{}
	switch scheme {
	case "smtp":
		e.port = 25
	case "submission":
		e.port = 587
	case "submissions":
		e.port, e.implicit = 465, true
	default:
		return e, fmt.Errorf("%q is none of smtp, submission, submissions", scheme)
	}
	rest = strings.TrimSuffix(rest, "/")
	e.host = rest
	if host, port, err := net.SplitHostPort(rest); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return e, fmt.Errorf("%q is not a port", port)
		}
		e.host, e.port = host, int(n)
	}
	e.host = strings.Trim(e.host, "[]")
	if e.host == "" || hasControl(e.host) || strings.ContainsAny(e.host, "/@?# ") {
		return e, fmt.Errorf("%q is not scheme://host:port", s.Address)
	}
	return e, nil
}

// tls makes the settings of a connection; the CA file is read each time, so that it may
// be renewed.
func (s SMTP) tls(host string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.TLS.ServerName}
	if c.ServerName == "" {
		c.ServerName = host
	}
	if s.TLS.CA != "" {
		pem, err := os.ReadFile(s.TLS.CA)
		if err != nil {
			return nil, fmt.Errorf("mail.smtp.tls.ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("mail.smtp.tls.ca: %s holds no certificate", s.TLS.CA)
		}
	}
	return c, nil
}
