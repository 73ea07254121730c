package users

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// maxLDAPMessage is the longest message that is read from a directory, in bytes. One
// entry with a thousand groups takes some 100 KB.
const maxLDAPMessage = 2 << 20

// errOverlong ends a connection whose server sends what is no message or a longer one.
var errOverlong = errors.New("the directory sent something that is not LDAP, or a message over 2 MiB")

// identity is whom a connection is bound as.
type identity uint8

const (
	asNobody  identity = iota // nobody, or the last user whose password was tried
	asService                 // Postern's own account
)

// ldapConn is one connection to a directory; one goroutine uses it at a time.
type ldapConn struct {
	*ldap.Conn
	raw    net.Conn
	server *ldapServer
	as     identity
	born   time.Time
	used   time.Time
}

// newLDAPConn starts to speak LDAP on a connection whose TLS stands already.
func newLDAPConn(raw net.Conn, s *ldapServer, timeout time.Duration, now time.Time) *ldapConn {
	c := &ldapConn{Conn: ldap.NewConn(&bounded{Conn: raw}, false), raw: raw, server: s, born: now, used: now}
	c.SetTimeout(timeout)
	c.Start()
	return c
}

// run calls f; when ctx ends before f does, the connection is torn, f ends, and the error
// is ctx's.
func (c *ldapConn) run(ctx context.Context, f func(*ldapConn) error) error {
	torn := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		c.raw.SetDeadline(time.Unix(1, 0)) // wakes reader and writer
		close(torn)
	})
	err := f(c)
	if stop() {
		return err
	}
	<-torn
	return context.Cause(ctx)
}

// close ends the connection; it does not wait for a server that hangs.
func (c *ldapConn) close() {
	c.raw.SetDeadline(time.Now().Add(100 * time.Millisecond))
	c.Conn.Close()
}

// bindService makes the connection the service account's, or nobody's when there is none.
func (c *ldapConn) bindService(user, password string) error {
	c.as = asNobody
	if user == "" {
		if err := c.UnauthenticatedBind(""); err != nil { // no name either: RFC 4513 section 5.1.1
			return err
		}
	} else if err := c.Bind(user, password); err != nil {
		return err
	}
	c.as = asService
	return nil
}

// alive asks for next to nothing.
func (c *ldapConn) alive() error {
	_, err := c.Search(&ldap.SearchRequest{Scope: ldap.ScopeBaseObject, SizeLimit: 1, Filter: "(objectClass=*)", Attributes: []string{"1.1"}})
	return err
}

// bounded is a connection that refuses to read an overlong message, by its length, before
// anybody makes room for it.
type bounded struct {
	net.Conn
	head []byte // of the message that begins
	left int    // bytes of the current message still to come
}

// Read reads and counts; see net.Conn.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	for rest := p[:n]; len(rest) > 0; {
		if b.left > 0 {
			skip := min(b.left, len(rest))
			b.left -= skip
			rest = rest[skip:]
			continue
		}
		b.head = append(b.head, rest[0])
		rest = rest[1:]
		length, whole := messageLength(b.head)
		switch {
		case length < 0 || length > maxLDAPMessage:
			return 0, errOverlong
		case whole:
			b.head, b.left = b.head[:0], length
		}
	}
	return n, err
}

// messageLength reads the length from the beginning of a message: a SEQUENCE of definite
// length, RFC 4511 section 5.1. It is -1 when this is none; whole is false when more
// bytes are needed.
func messageLength(head []byte) (length int, whole bool) {
	if head[0] != 0x30 {
		return -1, false
	}
	if len(head) < 2 {
		return 0, false
	}
	if head[1] < 0x80 {
		return int(head[1]), true
	}
	size := int(head[1] & 0x7f)
	if size == 0 || size > 4 {
		return -1, false
	}
	if len(head) < 2+size {
		return 0, false
	}
	var n [8]byte
	copy(n[8-size:], head[2:])
	return int(binary.BigEndian.Uint64(n[:])), true
}

// startTLSRequest asks for TLS: message 1, an extended request with the OID of RFC 4511
// section 4.14.1.
const startTLSRequest = "\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"

// startTLS asks for TLS on a connection where nothing was said yet. Only the answer is
// read, byte for byte: what a stranger adds to it goes into the handshake and breaks it.
func startTLS(raw net.Conn) error {
	if _, err := raw.Write([]byte(startTLSRequest)); err != nil {
		return err
	}
	answer, err := ber.ReadPacket(&bounded{Conn: raw})
	if err != nil {
		return fmt.Errorf("no answer to StartTLS: %w", err)
	}
	if len(answer.Children) < 2 || answer.Children[1].Tag != ldap.ApplicationExtendedResponse {
		return errors.New("the answer to StartTLS is none")
	}
	if err := ldap.GetLDAPError(answer); err != nil {
		return fmt.Errorf("the directory refuses StartTLS: %s", reason(err))
	}
	return nil
}

// answer is an error that we make of what a directory said, on a connection that is well.
type answer struct{ error }

func (a *answer) Unwrap() error { return a.error }

// isTransport says whether an error is about the connection or the server as a whole, so
// that another connection or server may do better.
func isTransport(err error) bool {
	if err == nil {
		return false
	}
	var verdict *answer
	if errors.As(err, &verdict) {
		return false
	}
	var e *ldap.Error
	if !errors.As(err, &e) {
		return true
	}
	switch e.ResultCode {
	case ldap.ErrorEmptyPassword, ldap.ErrorFilterCompile:
		return false
	case ldap.LDAPResultBusy, ldap.LDAPResultUnavailable, ldap.LDAPResultServerDown, ldap.LDAPResultTimeout, ldap.LDAPResultConnectError:
		return true
	case ldap.LDAPResultOperationsError: // Active Directory, when it has forgotten our bind
		return true
	}
	return e.ResultCode >= ldap.ErrorNetwork
}

// nonce is random text that no entry is named.
func nonce() string { return rand.Text() }
