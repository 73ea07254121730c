package haproxytest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"testing"
)

// App is an application behind HAProxy: it remembers the bytes that it receives, save
// of checks of its health, and answers 200 with the head of the request, or 101 to a WebSocket handshake, after
// which it echoes.
type App struct {
	Addr string

	ln   net.Listener
	mu   sync.Mutex
	seen []Request
}

// Request is one request as it came.
type Request struct {
	Method, Target string
	Head           string // every byte up to and with the empty line
	Body           string
}

// Values are the values of all headers of that name, in any case, as they came.
func (r Request) Values(name string) []string {
	var all []string
	for i, line := range strings.Split(r.Head, "\r\n") {
		if key, value, ok := strings.Cut(line, ":"); ok && i > 0 && strings.EqualFold(key, name) {
			all = append(all, strings.TrimPrefix(value, " "))
		}
	}
	return all
}

// Value is the one value of a header: "" when there is none, all of them when several.
func (r Request) Value(name string) string { return strings.Join(r.Values(name), " | ") }

// NewApp starts an application. It ends with the test.
func NewApp(t testing.TB) *App {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &App{Addr: ln.Addr().String(), ln: ln}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go a.serve(c)
		}
	}()
	return a
}

// Seen are the requests so far.
func (a *App) Seen() []Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]Request(nil), a.seen...)
}

// Last is the latest request; it fails the test when there is none.
func (a *App) Last(t testing.TB) Request {
	t.Helper()
	all := a.Seen()
	if len(all) == 0 {
		t.Fatal("the application received nothing")
	}
	return all[len(all)-1]
}

// Forget empties the list.
func (a *App) Forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen = nil
}

func (a *App) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		q, err := readRequest(r)
		if err != nil {
			return
		}
		if q.Target != "/healthz" { // HAProxy's own check
			a.mu.Lock()
			a.seen = append(a.seen, q)
			a.mu.Unlock()
		}
		if strings.EqualFold(q.Value("Upgrade"), "websocket") {
			fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
			_, _ = io.Copy(c, r)
			return
		}
		body := q.Head
		if q.Method == "HEAD" {
			body = ""
		}
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nX-App: 1\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(q.Head), body)
	}
}

// readRequest reads one request with whatever body it has.
func readRequest(r *bufio.Reader) (Request, error) {
	var head strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return Request{}, err
		}
		head.WriteString(line)
		if line == "\r\n" {
			break
		}
	}
	q := Request{Head: head.String()}
	line, _, _ := strings.Cut(q.Head, "\r\n")
	q.Method, line, _ = strings.Cut(line, " ")
	q.Target, _, _ = strings.Cut(line, " ")
	var err error
	q.Body, err = readBody(r, q)
	return q, err
}

func readBody(r *bufio.Reader, q Request) (string, error) {
	var length int
	if _, err := fmt.Sscan(q.Value("Content-Length"), &length); err == nil {
		b := make([]byte, length)
		_, err := io.ReadFull(r, b)
		return string(b), err
	}
	if !strings.EqualFold(q.Value("Transfer-Encoding"), "chunked") {
		return "", nil
	}
	var body strings.Builder
	for {
		line, err := textproto.NewReader(r).ReadLine()
		if err != nil {
			return "", err
		}
		var size int64
		if _, err := fmt.Sscanf(line, "%x", &size); err != nil {
			return "", err
		}
		if size == 0 {
			_, err := textproto.NewReader(r).ReadMIMEHeader() // trailers
			return body.String(), err
		}
		if _, err := io.CopyN(&body, r, size); err != nil {
			return "", err
		}
		if _, err := r.Discard(2); err != nil {
			return "", err
		}
	}
}
