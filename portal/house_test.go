package portal

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"postern/agent/credential"
	"postern/agent/policy"
	"postern/agent/regulation"
	"postern/agent/session"
	"postern/portal/factor"
	"postern/portal/journal"
	"postern/portal/mail"
	"postern/portal/strength"
	"postern/portal/users"
	"postern/store"
)

// house is a portal that runs for a test: real users, sessions and store behind it, and
// in front a proxy that ends TLS as HAProxy would. Every host of example.com that is not
// the portal is an application, which answers with what it was asked.
type house struct {
	t      *testing.T
	server *Server
	users  *users.File
	table  *session.Table
	db     *store.Store
	outbox *mail.Outbox // writes into the file that letters reads
	direct string       // address of the portal itself
	front  string       // address of the proxy in front
	inside *http.Transport
	appsMu sync.Mutex
	apps   http.HandlerFunc // see answer
	log    *lockedBuffer
}

// people is the users file of the house.
const people = `users:
  alice:
    displayname: Alice Liddell
    email: alice@example.com
    groups: [staff, admins]
    password: %q
  bob:
    displayname: Bob
    groups: [staff]
    password: %q
  carol:
    disabled: true
    displayname: Carol
    password: %q
`

// houseRules asks for something different on every host.
func houseRules() policy.Config {
	return policy.Config{DefaultPolicy: policy.Deny, Rules: []policy.Rule{
		{Domain: policy.List{"public.example.com"}, Policy: policy.Bypass},
		{Domain: policy.List{"wiki.example.com"}, Policy: policy.OneFactor, Credentials: policy.List{"basic", "token"}},
		{Domain: policy.List{"calendar.example.com"}, Policy: policy.OneFactor, Credentials: policy.List{"token"}},
		{Domain: policy.List{"bank.example.com"}, Policy: policy.TwoFactor, Credentials: policy.List{"token"}},
		{Domain: policy.List{"admin.example.com"}, Policy: policy.OneFactor, Subject: policy.Subjects{{"group:admins"}}, Credentials: policy.List{"basic", "token"}},
	}}
}

// houseDomains are two cookie domains; the second has a home.
func houseDomains() []policy.Domain {
	return []policy.Domain{
		{Name: "example.com", Portal: "https://auth.example.com"},
		{Name: "example.org", Portal: "https://login.example.org", Home: "https://www.example.org/start"},
	}
}

// openHouse starts a house; change may alter the portal before it does.
func openHouse(t *testing.T, change ...func(*Server)) *house {
	t.Helper()
	h := &house{t: t, log: &lockedBuffer{}, inside: &http.Transport{}}
	log := slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	dir := t.TempDir()
	h.users = &users.File{Path: filepath.Join(dir, "users.yml"), Log: log}
	content := fmt.Sprintf(people, quick("wonderland"), quick("builder"), quick("carol's own"))
	must(t, os.WriteFile(h.users.Path, []byte(content), 0o600))
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(dir, "postern.db"))
	must(t, err)
	key := []byte("a key of the test, 32 bytes long")
	h.table = &session.Table{Config: session.DefaultConfig(), Keeper: db, Directory: directory{h.users}, Key: key, Log: log}
	rules, err := policy.Compile(houseDomains(), houseRules())
	must(t, err)
	h.server = &Server{
		Config: DefaultConfig(), Cookie: session.DefaultConfig(), Rules: func() *policy.Rules { return rules },
		Guesses: &regulation.Limiter{Config: regulation.DefaultConfig(), Keeper: &regulation.Memory{}, Key: key, Log: log},
		Domains: houseDomains(), Users: h.users, Sessions: h.table, Key: key, Log: log,
		Factors: houseFactors(t, db), Journal: &journal.Stream{Ledger: db}, Password: h.users, Strength: strength.DefaultConfig(),
	}
	h.db = db
	h.server.Factors.Programs = &credential.Book{Keeper: db, Log: log}
	must(t, h.book().Load(t.Context()))
	h.outbox = &mail.Outbox{Log: log, Mailer: &mail.Mailer{
		Config: mail.Config{File: filepath.Join(dir, "mail.txt")}, Brand: mail.Brand{Name: "Postern"},
	}}
	must(t, h.outbox.Mailer.Load())
	h.server.Letters = h.outbox
	for _, c := range change {
		c(h.server)
	}
	must(t, h.users.Load())
	h.apps = application
	h.serve(db)
	return h
}

// houseFactors are all factors, on both portals.
func houseFactors(t *testing.T, db *store.Store) Factors {
	t.Helper()
	keys, err := factor.NewKeys([]byte("a secret of the test 32 byte lon"))
	must(t, err)
	cfg := factor.DefaultConfig()
	f := Factors{
		Devices:  &factor.Devices{Keeper: db, Recovery: db},
		TOTP:     &factor.TOTP{Config: cfg.TOTP, Keys: keys, Keeper: db, Spent: db},
		WebAuthn: map[string]*factor.WebAuthn{},
		Recovery: &factor.Recovery{Keys: keys, Keeper: db},
		Mailed:   &factor.Mailed{Keys: keys, Keeper: db},
		Tokens:   &factor.Tokens{Keys: keys, Spent: db},
	}
	for _, d := range houseDomains() {
		at, err := cfg.WebAuthn.Site(d.Portal)
		must(t, err)
		f.WebAuthn[d.Portal] = &factor.WebAuthn{Config: cfg.WebAuthn, Site: at, Keys: keys, Keeper: db, Spent: db}
	}
	return f
}

// letters waits until the outbox is empty and returns every mail so far, in the order in
// which they were written, each from its "From:" line on.
func (h *house) letters() []string {
	h.t.Helper()
	for h.outbox.Waiting() > 0 {
		select {
		case <-h.t.Context().Done():
			h.t.Fatal("the outbox does not get empty")
		case <-time.After(5 * time.Millisecond):
		}
	}
	content, err := os.ReadFile(h.outbox.Mailer.Config.File)
	if err != nil {
		return nil
	}
	all := strings.Split("\n"+string(content), "\nFrom postern@localhost ")[1:]
	for i := range all {
		_, all[i], _ = strings.Cut(all[i], "\n")
	}
	return all
}

// serve runs portal, table and front until the test ends, in the order in which they
// depend on each other.
func (h *house) serve(db io.Closer) {
	ctx, stop := context.WithCancel(context.Background())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(h.t, err)
	h.direct = ln.Addr().String()
	var running sync.WaitGroup
	running.Go(func() {
		if err := h.server.Serve(ctx, ln); err != nil {
			h.t.Errorf("portal: %v", err)
		}
	})
	running.Go(func() {
		if err := h.table.Run(ctx); err != nil {
			h.t.Errorf("sessions: %v", err)
		}
	})
	running.Go(func() {
		if err := h.outbox.Run(ctx); err != nil {
			h.t.Errorf("mail: %v", err)
		}
	})
	outside, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate(h.t)}})
	must(h.t, err)
	h.front = outside.Addr().String()
	front := &http.Server{Handler: http.HandlerFunc(h.proxy), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	running.Go(func() { _ = front.Serve(outside) })
	h.t.Cleanup(func() {
		_ = front.Close()
		h.inside.CloseIdleConnections()
		stop()
		running.Wait()
		_ = db.Close()
	})
}

// testClient is the header by which a test says where a browser is.
const testClient = "X-Test-Client"

// proxy stands where HAProxy does.
func (h *house) proxy(w http.ResponseWriter, r *http.Request) {
	name, _, _ := strings.Cut(r.Host, ":")
	if name != "auth.example.com" && name != "login.example.org" {
		h.appsMu.Lock()
		answer := h.apps
		h.appsMu.Unlock()
		answer(w, r)
		return
	}
	p := &httputil.ReverseProxy{Transport: h.inside, Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(&url.URL{Scheme: "http", Host: h.direct})
		p.Out.Host = p.In.Host
		client, _, _ := net.SplitHostPort(p.In.RemoteAddr)
		if where := p.In.Header.Get(testClient); where != "" {
			client = where
		}
		// As "option forwardfor" does: another line after what the client sent.
		p.Out.Header["X-Forwarded-For"] = append(p.In.Header["X-Forwarded-For"], client)
		p.Out.Header["X-Request-Id"] = []string{"rid-of-the-proxy"}
	}}
	// The whole form first: net/http closes a request's body when the answer begins, and
	// the proxy may then still be looking for the body's end.
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	p.ServeHTTP(w, r)
}

// application answers with the address it was asked for.
func application(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "<!doctype html><title>application</title><p id=asked>%s</p>",
		html.EscapeString("https://"+r.Host+r.URL.RequestURI()))
}

// directory is the users file as the session table asks it.
type directory struct{ f *users.File }

func (d directory) Epoch() uint64 { return d.f.Epoch() }

func (d directory) Identify(_ context.Context, name string) (session.Identity, session.Standing, error) {
	id, standing := d.Recall(name)
	return id, standing, nil
}

func (d directory) Recall(name string) (session.Identity, session.Standing) {
	u, ok := d.f.Known(name)
	if !ok || u.Disabled {
		return session.Identity{}, session.Gone
	}
	id := session.Identity{Name: u.DisplayName, Groups: u.Groups}
	if len(u.Emails) > 0 {
		id.Email = u.Emails[0]
	}
	return id, session.Present
}

// browser is a person's browser without JavaScript: a cookie jar and one page at a time.
type browser struct {
	t      *testing.T
	client *http.Client
	jar    *cookiejar.Jar
	header http.Header // sent with every request
}

// browser opens a fresh one. It follows no redirect by itself.
func (h *house) browser() *browser {
	h.t.Helper()
	jar, err := cookiejar.New(nil)
	must(h.t, err)
	return &browser{t: h.t, jar: jar, header: http.Header{}, client: &http.Client{
		Jar: jar,
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, network, h.front)
			},
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       20 * time.Second,
	}}
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	Body string
}

// do sends a request as a browser would.
func (b *browser) do(method, address string, body io.Reader) answer {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, address, body)
	must(b.t, err)
	if body != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "null") // Referrer-Policy: no-referrer
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for k, v := range b.header {
		r.Header[k] = v
	}
	resp, err := b.client.Do(r)
	must(b.t, err)
	defer resp.Body.Close()
	return b.read(resp)
}

func (b *browser) read(resp *http.Response) answer {
	b.t.Helper()
	content, err := io.ReadAll(resp.Body)
	must(b.t, err)
	return answer{resp, string(content)}
}

func (b *browser) get(address string) answer { b.t.Helper(); return b.do("GET", address, nil) }

// hidden finds the hidden fields of a page.
var hidden = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)">`)

// send fills the form of a page and sends it to path of the page's host.
func (b *browser) send(page answer, path string, fields ...string) answer {
	b.t.Helper()
	values := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(page.Body, -1) {
		if m[1] != "again" && m[1] != "here" {
			values.Set(m[1], html.UnescapeString(m[2]))
		}
	}
	for i := 0; i+1 < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	return b.do("POST", "https://"+page.Request.URL.Host+path, strings.NewReader(values.Encode()))
}

// signIn goes through the sign-in page of the portal with a target.
func (b *browser) signIn(query, name, password string) answer {
	b.t.Helper()
	page := b.get("https://auth.example.com/" + query)
	return b.send(page, "/", "username", name, "password", password)
}

// follow goes where a form of the portal led.
func (b *browser) follow(a answer) answer {
	b.t.Helper()
	a.want(b.t, http.StatusSeeOther)
	to, err := a.Request.URL.Parse(a.Header.Get("Location"))
	must(b.t, err)
	return b.get(to.String())
}

// session is the session cookie that the browser would send to a host.
func (b *browser) session(host string) string {
	for _, c := range b.jar.Cookies(&url.URL{Scheme: "https", Host: host, Path: "/"}) {
		if c.Name == "__Secure-postern" {
			return c.Value
		}
	}
	return ""
}

// want fails the test unless an answer has a status and, where given, says all of texts.
func (a answer) want(t *testing.T, code int, texts ...string) {
	t.Helper()
	if a.StatusCode != code {
		t.Fatalf("%s %s: status %d, want %d\n%s", a.Request.Method, a.Request.URL, a.StatusCode, code, a.main())
	}
	for _, text := range texts {
		if !strings.Contains(html.UnescapeString(a.Body), text) {
			t.Fatalf("%s %s: the page does not say %q:\n%s", a.Request.Method, a.Request.URL, text, a.main())
		}
	}
}

// main is what the page says, without its frame.
func (a answer) main() string {
	_, after, _ := strings.Cut(a.Body, "<main")
	before, _, _ := strings.Cut(after, "</main>")
	return before
}

// wantRedirect fails the test unless an answer is a 303 to exactly that address.
func (a answer) wantRedirect(t *testing.T, to string) {
	t.Helper()
	a.want(t, http.StatusSeeOther)
	if got := a.Header.Get("Location"); got != to {
		t.Fatalf("%s %s: goes to %q, want %q", a.Request.Method, a.Request.URL, got, to)
	}
}

// quick is a hash at the least cost that is accepted: these tests are about anything but hashing.
func quick(password string) string {
	salt := []byte("salt of the test")
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=32,t=1,p=1$%s$%s", b64(salt), b64(argon2.IDKey([]byte(password), salt, 1, 32, 1, 32)))
}

// certificate is a fresh one for every host of the test.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"*.example.com", "*.example.org"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lockedBuffer collects what is logged.
type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
