package mail

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"mime"
	"mime/multipart"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// post is a real SMTP server that a test can look into.
type post struct {
	addr   string
	config SMTP // that fits
	refuse func(rcpt string) error
	hang   chan struct{} // non-nil: RCPT waits for it

	mu     sync.Mutex
	mails  []taken
	auths  []string
	secure []bool // of each sign-in
}

type taken struct {
	from string
	to   []string
	data []byte
	tls  bool
}

// serve starts a server: kind is "starttls", "tls" or "plain".
func serve(t *testing.T, kind string) *post {
	t.Helper()
	cert, ca := certificate(t)
	p := &post{}
	server := smtp.NewServer(p)
	server.Domain = "localhost"
	server.AllowInsecureAuth = true // it would take a password in the clear; we must not give it
	server.ErrorLog = quiet{}
	server.EnableSMTPUTF8 = true
	if kind != "plain" {
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.addr = ln.Addr().String()
	scheme := "submission://"
	if kind == "tls" {
		scheme = "submissions://"
		ln = tls.NewListener(ln, server.TLSConfig)
	}
	p.config = SMTP{Address: scheme + p.addr, Sender: "Example <sso@example.com>", Username: "postern", Password: "s3cret",
		TLS: TLS{CA: ca, ServerName: "mail.example.com"}, Timeout: 20 * time.Second}
	done := make(chan struct{})
	go func() { _ = server.Serve(ln); close(done) }()
	t.Cleanup(func() {
		server.Close()
		ln.Close() // when Serve had not got as far as to know it
		<-done
	})
	return p
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// certificate makes one for mail.example.com, and the file of its authority: itself.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"mail.example.com"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, ca
}

func (p *post) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &talk{post: p, conn: c}, nil
}

func (p *post) got() []taken {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.mails)
}

// talk is one connection.
type talk struct {
	post *post
	conn *smtp.Conn
	taken
}

func (s *talk) secure() bool { _, ok := s.conn.TLSConnectionState(); return ok }

func (s *talk) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *talk) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		s.post.mu.Lock()
		defer s.post.mu.Unlock()
		s.post.auths = append(s.post.auths, username+":"+password)
		s.post.secure = append(s.post.secure, s.secure())
		if username != "postern" || password != "s3cret" {
			return smtp.ErrAuthFailed
		}
		return nil
	}), nil
}

func (s *talk) Mail(from string, _ *smtp.MailOptions) error { s.from = from; return nil }

func (s *talk) Rcpt(to string, _ *smtp.RcptOptions) error {
	if s.post.hang != nil {
		<-s.post.hang
	}
	if s.post.refuse != nil {
		if err := s.post.refuse(to); err != nil {
			return err
		}
	}
	s.to = append(s.to, to)
	return nil
}

func (s *talk) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.data, s.tls = data, s.secure()
	s.post.mu.Lock()
	s.post.mails = append(s.post.mails, s.taken)
	s.post.mu.Unlock()
	return nil
}

func (s *talk) Reset()        { s.taken = taken{} }
func (s *talk) Logout() error { return nil }

func mailer(t *testing.T, c SMTP) *Mailer {
	t.Helper()
	m := &Mailer{Config: Config{SMTP: c}, Brand: Brand{Name: "Example", Logo: pixel(t)}}
	if err := m.Load(); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSend(t *testing.T) {
	for _, kind := range []string{"starttls", "tls"} {
		t.Run(kind, func(t *testing.T) {
			p := serve(t, kind)
			m := mailer(t, p.config)
			if err := m.Check(deadline(t)); err != nil {
				t.Fatalf("Check: %v", err)
			}
			if n := len(p.got()); n != 0 {
				t.Errorf("Check sent %d mails", n)
			}
			if err := m.Send(deadline(t), signIn()); err != nil {
				t.Fatalf("Send: %v", err)
			}
			got := p.got()
			if len(got) != 1 || got[0].from != "sso@example.com" || !slices.Equal(got[0].to, []string{"björn@example.com"}) || !got[0].tls {
				t.Fatalf("got %+v", got)
			}
			if !slices.Equal(p.auths, []string{"postern:s3cret", "postern:s3cret"}) || slices.Contains(p.secure, false) {
				t.Errorf("signed in as %q, over TLS %v", p.auths, p.secure)
			}
			readBack(t, got[0].data)
		})
	}
}

// readBack takes the mail apart as a reader does.
func readBack(t *testing.T, data []byte) {
	t.Helper()
	msg, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	decode := new(mime.WordDecoder).DecodeHeader
	if s, err := decode(msg.Header.Get("Subject")); err != nil || s != signIn().Subject {
		t.Errorf("subject %q, %v", s, err)
	}
	if to, err := msg.Header.AddressList("To"); err != nil || len(to) != 1 || to[0].Name != signIn().Name {
		t.Errorf("to %v, %v", to, err)
	}
	if msg.Header.Get("User-Agent") != "" || msg.Header.Get("X-Mailer") != "" || !strings.HasSuffix(msg.Header.Get("Message-Id"), "@example.com>") {
		t.Errorf("headers tell more than they must: %v", msg.Header)
	}
	var kinds []string
	var walk func(kind string, r io.Reader)
	walk = func(header string, r io.Reader) {
		kind, params, err := mime.ParseMediaType(header)
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, kind)
		if !strings.HasPrefix(kind, "multipart/") {
			body, _ := io.ReadAll(r)
			if strings.HasPrefix(kind, "text/") && !bytes.Contains(body, []byte("4821-9930")) {
				t.Errorf("%s has no code:\n%s", kind, body)
			}
			return
		}
		parts := multipart.NewReader(r, params["boundary"])
		for {
			part, err := parts.NextPart()
			if err == io.EOF {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			walk(part.Header.Get("Content-Type"), part)
		}
	}
	walk(msg.Header.Get("Content-Type"), msg.Body)
	for _, want := range []string{"text/plain", "text/html", "image/png"} {
		if !slices.Contains(kinds, want) {
			t.Errorf("parts %q, want %s", kinds, want)
		}
	}
}

func TestSendRefuses(t *testing.T) {
	tests := []struct {
		why, kind string
		change    func(*SMTP)
		want      string
	}{
		{"a server without STARTTLS", "plain", func(*SMTP) {}, "STARTTLS"},
		{"a certificate that nobody signed", "starttls", func(s *SMTP) { s.TLS.CA = "" }, "certificate"},
		{"a certificate of another name", "starttls", func(s *SMTP) { s.TLS.ServerName = "other.example.com" }, "certificate"},
		{"a certificate that nobody signed, TLS at once", "tls", func(s *SMTP) { s.TLS.CA = "" }, "certificate"},
		{"a wrong password", "starttls", func(s *SMTP) { s.Password = "wrong" }, "AUTH"},
		{"TLS at once where the server speaks first", "starttls", func(s *SMTP) {
			s.Address = strings.Replace(s.Address, "submission:", "submissions:", 1)
		}, "tls"},
		{"a port where nobody is", "starttls", func(s *SMTP) { s.Address = "smtp://127.0.0.1:1" }, "refused"},
		{"a CA file that is gone", "starttls", func(s *SMTP) { s.TLS.CA = "/nowhere" }, "mail.smtp.tls.ca"},
		{"a CA file without a certificate", "starttls", func(s *SMTP) { s.TLS.CA = "smtp_test.go" }, "no certificate"},
	}
	for _, tt := range tests {
		t.Run(tt.why, func(t *testing.T) {
			p := serve(t, tt.kind)
			c := p.config
			tt.change(&c)
			m := mailer(t, c)
			for name, err := range map[string]error{"Check": m.Check(deadline(t)), "Send": m.Send(deadline(t), signIn())} {
				if err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, ErrRefused) {
					t.Errorf("%s: %v, want an error with %q", name, err, tt.want)
				}
				if err != nil && strings.Contains(err.Error(), c.Password) {
					t.Errorf("%s shows the password: %v", name, err)
				}
			}
			if len(p.got()) != 0 || slices.Contains(p.secure, false) {
				t.Errorf("mails %d, sign-ins over TLS %v", len(p.got()), p.secure)
			}
		})
	}
}

// TestSendInTheClear: without a username the operator may do without TLS.
func TestSendInTheClear(t *testing.T) {
	for _, tt := range []struct {
		kind, mode string
		tls        bool
	}{{"plain", "off", false}, {"plain", "opportunistic", false}, {"starttls", "opportunistic", true}, {"starttls", "off", false}} {
		p := serve(t, tt.kind)
		c := p.config
		c.Username, c.Password, c.TLS.Mode = "", "", tt.mode
		if err := mailer(t, c).Send(deadline(t), reset()); err != nil {
			t.Fatalf("%s, %s: %v", tt.kind, tt.mode, err)
		}
		if got := p.got(); len(got) != 1 || got[0].tls != tt.tls {
			t.Errorf("%s, %s: %d mails, over TLS %v", tt.kind, tt.mode, len(got), got[0].tls)
		}
	}
}

func TestSendSaysWhatIsForGood(t *testing.T) {
	p := serve(t, "starttls")
	m := mailer(t, p.config)
	p.refuse = func(string) error { return &smtp.SMTPError{Code: 550, Message: "no such mailbox"} }
	if err := m.Send(deadline(t), reset()); !errors.Is(err, ErrRefused) {
		t.Errorf("550: %v, want ErrRefused", err)
	}
	p.refuse = func(string) error { return &smtp.SMTPError{Code: 451, Message: "later"} }
	if err := m.Send(deadline(t), reset()); err == nil || errors.Is(err, ErrRefused) {
		t.Errorf("451: %v, want one that may pass", err)
	}
}

// TestSendKnowsWhatWasTaken: a server that takes a letter and hangs up has it, and gets it
// once.
func TestSendKnowsWhatWasTaken(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			abrupt(conn)
		}
	}()
	m := mailer(t, SMTP{Address: "smtp://" + ln.Addr().String(), Sender: "sso@example.com", TLS: TLS{Mode: "off"}})
	if err := m.Send(deadline(t), reset()); err != nil {
		t.Error(err)
	}
}

// abrupt speaks SMTP until a letter is taken, and hangs up.
func abrupt(conn net.Conn) {
	defer conn.Close()
	say := func(line string) { _, _ = io.WriteString(conn, line+"\r\n") }
	say("220 mail.example.com")
	in := bufio.NewScanner(conn)
	for body := false; in.Scan(); {
		switch line := in.Text(); {
		case body && line == ".":
			say("250 taken")
			return
		case body:
		case line == "DATA":
			body = true
			say("354 go on")
		default:
			say("250 yes")
		}
	}
}

// TestSendEndsWithItsContext: a server that says nothing holds nobody up.
func TestSendEndsWithItsContext(t *testing.T) {
	p := serve(t, "starttls")
	p.hang = make(chan struct{})
	defer close(p.hang)
	ctx, cancel := context.WithCancel(deadline(t))
	done := make(chan error, 1)
	go func() { done <- mailer(t, p.config).Send(ctx, reset()) }()
	for { // until it hangs
		p.mu.Lock()
		n := len(p.auths)
		p.mu.Unlock()
		if n > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	c := p.config
	c.Address, c.Timeout = "submission://"+silent.Addr().String(), 50*time.Millisecond
	if err := mailer(t, c).Send(deadline(t), reset()); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

// lines is a log that a test can read.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lines) log() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
