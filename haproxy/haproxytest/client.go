package haproxytest

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Client asks one address, whatever host a request names. It follows no redirect and
// keeps no cookie.
type Client struct {
	Addr  string
	Trust *x509.CertPool // nil: plain HTTP

	Certificate *tls.Certificate // that the client shows; nil: none
}

// shown is what the client shows.
func (c Client) shown() []tls.Certificate {
	if c.Certificate == nil {
		return nil
	}
	return []tls.Certificate{*c.Certificate}
}

// Reply is an answer with its whole body.
type Reply struct {
	Status int
	Header http.Header
	Body   string
	Proto  string
}

// HTTP returns an http.Client that speaks HTTP/2, or HTTP/1.1 alone.
func (c Client) HTTP(t testing.TB, two bool) *http.Client {
	t.Helper()
	protocols := &http.Protocols{}
	protocols.SetHTTP1(!two)
	protocols.SetHTTP2(two)
	tr := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, c.Addr)
		},
		TLSClientConfig:    &tls.Config{RootCAs: c.Trust, Certificates: c.shown()},
		Protocols:          protocols,
		DisableCompression: true,
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{
		Transport:     tr,
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Dial opens a connection for requests that are written by hand.
func (c Client) Dial(t testing.TB, host string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", c.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(30 * time.Second))
	if c.Trust == nil {
		return nc
	}
	return tls.Client(nc, &tls.Config{RootCAs: c.Trust, ServerName: host, Certificates: c.shown(), NextProtos: []string{"http/1.1"}})
}

// Raw sends a request as it stands ("\n" becomes "\r\n") over a connection of its own to
// a host whose certificate is checked, and returns the answer.
func (c Client) Raw(t testing.TB, host, request string) Reply {
	t.Helper()
	nc := c.Dial(t, host)
	defer nc.Close()
	r, err := Exchange(nc, bufio.NewReader(nc), request)
	if err != nil {
		t.Fatalf("%v\nto %.300q", err, request)
	}
	return r
}

// Exchange sends one request over an open connection and reads one answer.
func Exchange(w io.Writer, r *bufio.Reader, request string) (Reply, error) {
	if _, err := io.WriteString(w, strings.ReplaceAll(request, "\n", "\r\n")); err != nil {
		return Reply{}, err
	}
	method, _, _ := strings.Cut(request, " ")
	res, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		return Reply{}, err
	}
	return read(res)
}

// Do sends a request and reads the whole answer.
func Do(t testing.TB, client *http.Client, method, url string, header http.Header, body string) Reply {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if host := header.Get("Host"); host != "" {
		req.Host = host
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	r, err := read(res)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func read(res *http.Response) (Reply, error) {
	defer res.Body.Close()
	if res.StatusCode == http.StatusSwitchingProtocols {
		return Reply{Status: res.StatusCode, Header: res.Header, Proto: res.Proto}, nil
	}
	b, err := io.ReadAll(res.Body)
	return Reply{Status: res.StatusCode, Header: res.Header, Body: string(b), Proto: res.Proto}, err
}
