package users

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
)

// config makes the settings of one connection; files are read each time, so that they may
// be renewed.
func (t LDAPTLS) config(host string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName, InsecureSkipVerify: t.SkipVerify}
	if t.MinVersion == "1.3" {
		c.MinVersion = tls.VersionTLS13
	}
	if c.ServerName == "" {
		c.ServerName = host
	}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("tls.ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca: %s holds no certificate", t.CA)
		}
	}
	if t.Certificate != "" {
		own, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
		if err != nil {
			return nil, fmt.Errorf("tls.certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{own}
	}
	return c, nil
}

// connect opens the line to a server, with TLS where it is asked for.
func (s *ldapServer) connect(ctx context.Context, c LDAPServer) (net.Conn, error) {
	network := "tcp"
	if s.scheme == "ldapi" {
		network = "unix"
	}
	raw, err := new(net.Dialer).DialContext(ctx, network, s.dial)
	if err != nil {
		return nil, err
	}
	if s.scheme != "ldaps" && !c.StartTLS {
		return raw, nil
	}
	secure, err := s.secure(ctx, raw, c)
	if err != nil {
		raw.Close()
		return nil, err
	}
	return secure, nil
}

// secure puts TLS on a line.
func (s *ldapServer) secure(ctx context.Context, raw net.Conn, c LDAPServer) (net.Conn, error) {
	settings, err := c.TLS.config(s.host)
	if err != nil {
		return nil, err
	}
	if s.scheme == "ldap" {
		if at, ok := ctx.Deadline(); ok {
			raw.SetDeadline(at)
		}
		if err := startTLS(raw); err != nil {
			return nil, err
		}
	}
	t := tls.Client(raw, settings)
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, tlsFault(err)
	}
	return t, t.SetDeadline(noDeadline)
}

// tlsFault says what is wrong with a handshake, and what to do about it.
func tlsFault(err error) error {
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		roots     x509.SystemRootsError
		record    tls.RecordHeaderError
		alert     tls.AlertError
		hint      string
	)
	switch {
	case errors.As(err, &authority), errors.As(err, &roots):
		hint = "its certificate is signed by an authority that is not trusted; name the authority's in tls.ca"
	case errors.As(err, &name):
		hint = "its certificate is for another name; write that name in the address or in tls.server_name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		hint = "its certificate has expired or is not valid yet"
	case errors.As(err, &invalid):
		hint = "its certificate is not valid"
	case errors.As(err, &record), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		hint = "it does not speak TLS here; is this the port of ldap://, which wants start_tls?"
	case errors.As(err, &alert), strings.Contains(err.Error(), "remote error"):
		hint = "it ends the handshake; it may want our certificate, or another tls.min_version"
	default:
		return fmt.Errorf("TLS: %w", err)
	}
	return fmt.Errorf("TLS: %s (%w)", hint, err)
}
