package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// deliver hands one letter to the server over a connection of its own. It is there when
// this returns nil.
func (s SMTP) deliver(ctx context.Context, l letter) error {
	msg, err := l.compose()
	if err != nil {
		return err
	}
	return s.dialogue(ctx, func(c *gomail.Client) error {
		err := c.Send(msg)
		if msg.IsDelivered() {
			return nil // whatever it said afterwards: a second one would come twice
		}
		var refused *gomail.SendError
		if errors.As(err, &refused) && !refused.IsTemp() && refused.ErrorCode() >= 500 {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
		return err
	})
}

// check goes as far as one can without a letter.
func (s SMTP) check(ctx context.Context) error {
	return s.dialogue(ctx, func(c *gomail.Client) error { return c.Reset() })
}

// dialogue connects, secures the connection, signs in and lets do talk. It ends at the
// timeout or with ctx, whatever the server does.
func (s SMTP) dialogue(ctx context.Context, do func(*gomail.Client) error) error {
	timeout := s.Timeout
	if timeout == 0 {
		timeout = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	line := &line{}
	defer line.close()
	client, err := s.client(timeout, line)
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	defer context.AfterFunc(ctx, line.close)()

	if err = client.DialWithContext(ctx); err == nil {
		if err = do(client); err == nil {
			_ = client.Close() // QUIT; the letter is taken already
			return nil
		}
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("%w (%w)", ctx.Err(), err)
	}
	return fmt.Errorf("mail: %s: %w", s.Address, err)
}

// client is one for one dialogue.
func (s SMTP) client(timeout time.Duration, l *line) (*gomail.Client, error) {
	at, err := s.endpoint()
	if err != nil {
		return nil, err
	}
	secure, err := s.tls(at.host)
	if err != nil {
		return nil, err
	}
	if at.implicit {
		l.tls = secure
	}
	policy := gomail.TLSMandatory
	switch s.TLS.Mode {
	case "opportunistic":
		policy = gomail.TLSOpportunistic
	case "off":
		policy = gomail.NoTLS
	}
	options := []gomail.Option{
		gomail.WithPort(at.port), gomail.WithTimeout(timeout), gomail.WithTLSConfig(secure),
		gomail.WithTLSPolicy(policy), gomail.WithDialContextFunc(l.dial),
	}
	if s.Identifier != "" {
		options = append(options, gomail.WithHELO(s.Identifier))
	}
	if s.Username != "" {
		// None of the kinds that allow an unencrypted connection.
		options = append(options, gomail.WithUsername(s.Username), gomail.WithPassword(s.Password),
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthSCRAMSHA1,
				gomail.SMTPAuthPlain, gomail.SMTPAuthLogin))
	}
	c, err := gomail.NewClient(at.host, options...)
	if err == nil && at.implicit {
		c.SetSSL(true) // STARTTLS is not asked for; line does the handshake
	}
	return c, err
}

// line is the connection of one dialogue. The library leaves it open when STARTTLS or
// AUTH go wrong, and does not watch a context once it is there; this does.
type line struct {
	tls  *tls.Config // handshake at once; nil: plain at first
	mu   sync.Mutex
	conn net.Conn
	gone bool
}

func (l *line) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.conn = conn
	gone := l.gone
	l.mu.Unlock()
	if gone {
		conn.Close()
		return nil, context.Canceled
	}
	if l.tls == nil {
		return conn, nil
	}
	secure := tls.Client(conn, l.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return secure, nil
}

func (l *line) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone = true
	if l.conn != nil {
		l.conn.Close()
	}
}
