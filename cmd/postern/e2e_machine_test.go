package main

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/haproxy/haproxytest"
)

// machineRules are worldConfig with rules that take credentials in front, and with time
// for a hash that gives way to whatever else the machine does.
func machineRules(c string) string {
	c = strings.Replace(c, `group: ""}`, `group: "", timeout: 4s}`, 1)
	return strings.Replace(c, "  rules:\n", `  rules:
    - {name: hook, domain: hook.example.com, policy: one_factor, credentials: [token]}
    - {name: dav, domain: dav.example.com, policy: one_factor, credentials: [basic, token]}
    - {name: strong, domain: strong.example.com, policy: two_factor, credentials: [basic, token]}
    - {name: crt, domain: crt.example.com, policy: one_factor, credentials: [certificate]}
`, 1)
}

// longWaits are machineRules under which a wait outlasts a test on whatever machine.
func longWaits(c string) string { return machineRules(c) + "regulation: {wait: 10m}\n" }

// script sends a GET of a program, with an Authorization header when there is one, and
// more header lines.
func (w *world) script(t testing.TB, host, authorization string, more ...string) haproxytest.Reply {
	t.Helper()
	lines := append([]string{"GET /x?q=1 HTTP/1.1", "Host: " + host, "Accept: */*"}, more...)
	if authorization != "" {
		lines = append(lines, "Authorization: "+authorization)
	}
	return w.client.Raw(t, "app.example.com", strings.Join(lines, "\n")+"\n\n")
}

func basicHeader(name, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+secret))
}

// token makes a credential by the command and returns its secret.
func (w *world) token(t testing.TB, args ...string) string {
	t.Helper()
	out := w.run(t, append([]string{"token", "create", "--name", "test"}, args...)...)
	for line := range strings.Lines(out) {
		if s := strings.TrimSpace(line); strings.HasPrefix(s, "pst_") || strings.HasPrefix(s, "psa_") {
			return s
		}
	}
	t.Fatalf("no secret in\n%s", out)
	return ""
}

// TestE2EMachines: tokens, application passwords and Basic, as programs send them.
func TestE2EMachines(t *testing.T) {
	eachWorld(t, worldOptions{config: machineRules}, func(t *testing.T, w *world) {
		token := "Bearer " + w.token(t, "--user", "alice")
		scoped := "Bearer " + w.token(t, "--user", "alice", "--host", "hook.example.com", "--path", "/hooks")
		strong := "Bearer " + w.token(t, "--user", "ada", "--level", "2")
		app := w.token(t, "--user", "alice", "--app")
		unknown := token[:len(token)-1] + map[bool]string{true: "y", false: "x"}[strings.HasSuffix(token, "x")]
		right, wrong := basicHeader("alice", password), basicHeader("alice", "wrong")
		const (
			bearer  = `Bearer realm="example.com"`
			invalid = bearer + `, error="invalid_token"`
			basic   = `Basic realm="example.com", charset="UTF-8", `
		)
		for _, tt := range []struct {
			name, host, authorization string
			status                    int
			challenge, user           string
		}{
			{"a token", "hook.example.com", token, 200, "", "alice"},
			{"a token that is not known", "hook.example.com", unknown, 401, invalid, ""},
			{"a token for another path", "hook.example.com", scoped, 401, bearer + `, error="insufficient_scope"`, ""},
			{"none", "hook.example.com", "", 401, bearer, ""},
			{"a password where tokens are taken", "hook.example.com", right, 401, bearer, ""},
			{"a token as a password", "hook.example.com", basicHeader("token", token[len("Bearer "):]), 200, "", "alice"},
			{"a password", "dav.example.com", right, 200, "", "alice"},
			{"an application password", "dav.example.com", basicHeader("alice", app), 200, "", "alice"},
			{"an application password of somebody else", "dav.example.com", basicHeader("ada", app), 401, basic + bearer, ""},
			{"a wrong password", "dav.example.com", wrong, 401, basic + bearer, ""},
			{"an unknown name", "dav.example.com", basicHeader("mallory", password), 401, basic + bearer, ""},
			{"broken Basic", "dav.example.com", "Basic !!!", 401, basic + bearer, ""},
			{"one factor where two are asked", "strong.example.com", right, 401, basic + bearer, ""},
			{"a token of two factors", "strong.example.com", strong, 200, "", "ada"},
		} {
			w.app.Forget()
			got := w.script(t, tt.host, tt.authorization)
			expect(t, tt.name, got, tt.status)
			if v := strings.Join(got.Header.Values("WWW-Authenticate"), "|"); v != tt.challenge {
				t.Errorf("%s: challenge %q, want %q", tt.name, v, tt.challenge)
			}
			if tt.status != 200 {
				w.untouched(t)
				continue
			}
			seen := w.app.Last(t)
			if seen.Value("Remote-User") != tt.user || strings.Contains(strings.ToLower(seen.Head), "\nauthorization") {
				t.Errorf("%s: the application received\n%s", tt.name, seen.Head)
			}
		}
		// A browser without a header goes to the portal.
		expect(t, "a browser", w.get(t, "", "https://dav.example.com/"), 302)
	})
}

// TestE2EThreat05And06AuthorizationStaysHome: what was meant for Postern reaches no
// application, however it is written; what was not, does.
func TestE2EThreat05And06AuthorizationStaysHome(t *testing.T) {
	eachWorld(t, worldOptions{config: machineRules}, func(t *testing.T, w *world) {
		token := w.token(t, "--user", "alice")
		cookie := "Cookie: __Secure-postern=" + w.session(t, "alice")
		const own = "Basic YXBwOm93bg=="
		for _, tt := range []struct {
			name, host string
			lines      []string
			want       string // of Authorization at the application
		}{
			{"an application's own where nothing is taken", "app.example.com", []string{cookie, "Authorization: " + own}, own},
			{"an application's own on an open host", "public.example.com", []string{"Authorization: " + own}, own},
			{"an application's own where tokens are taken", "hook.example.com", []string{cookie, "Authorization: " + own}, own},
			{"another's bearer where tokens are taken", "hook.example.com", []string{cookie, "Authorization: Bearer eyJ.x.y"}, "Bearer eyJ.x.y"},
			{"a password beside a session where passwords are taken", "dav.example.com", []string{cookie, "Authorization: " + basicHeader("alice", password)}, ""},
			{"a token beside a session", "hook.example.com", []string{cookie, "Authorization: Bearer " + token}, ""},
			{"a token on an open host", "public.example.com", []string{"Authorization: Bearer " + token}, ""},
			{"a token on an open host, in another spelling", "public.example.com", []string{"AUTHORIZATION:   bEARER   " + token}, ""},
			{"a token beside a session where nothing is taken", "app.example.com", []string{cookie, "Authorization: Bearer " + token}, ""},
			{"two headers, the last ours", "hook.example.com", []string{"Authorization: " + own, "Authorization: Bearer " + token}, ""},
			{"two headers, the first ours", "app.example.com", []string{cookie, "Authorization: Bearer " + token, "Authorization: " + own}, ""},
			{"a token that a hop should take away", "hook.example.com", []string{"Connection: authorization", "Authorization: Bearer " + token}, ""},
		} {
			w.app.Forget()
			expect(t, tt.name, w.script(t, tt.host, "", tt.lines...), 200)
			if seen := w.app.Last(t); seen.Value("Authorization") != tt.want || strings.Contains(seen.Head, token) {
				t.Errorf("%s: the application received\n%s", tt.name, seen.Head)
			}
		}
	})
}

// TestE2EThreat33TokensOpenNoPortal: a token is no session of the portal.
func TestE2EThreat33TokensOpenNoPortal(t *testing.T) {
	eachWorld(t, worldOptions{config: machineRules}, func(t *testing.T, w *world) {
		token := w.token(t, "--user", "alice", "--level", "2")
		for _, path := range []string{"/settings", "/settings/tokens", "/settings/password"} {
			for _, authorization := range []string{"Bearer " + token, basicHeader("alice", token), basicHeader("alice", password)} {
				got := w.client.Raw(t, "app.example.com", "GET "+path+" HTTP/1.1\nHost: auth.example.com\nAccept: text/html\nAuthorization: "+authorization+"\n\n")
				if got.Status == 200 && strings.Contains(got.Body, "alice") {
					t.Errorf("%s: status %d\n%.400s", path, got.Status, got.Body)
				}
			}
		}
	})
}

// TestE2ERevokedToken: revoked, or its owner disabled: refused at the next request.
func TestE2ERevokedToken(t *testing.T) {
	eachWorld(t, worldOptions{config: machineRules}, func(t *testing.T, w *world) {
		token, second := w.token(t, "--user", "alice"), w.token(t, "--user", "ada")
		expect(t, "a token", w.script(t, "hook.example.com", "Bearer "+token), 200)
		w.run(t, "token", "revoke", "--user", "alice", "--all")
		expect(t, "a token that was revoked", w.script(t, "hook.example.com", "Bearer "+token), 401)

		expect(t, "ada's token", w.script(t, "hook.example.com", "Bearer "+second), 200)
		expect(t, "ada's password", w.script(t, "dav.example.com", basicHeader("ada", password)), 200)
		w.postern.stop(t)
		w.postern.start(t)
		w.Await(t, "the token after a restart", func() bool { return w.script(t, "hook.example.com", "Bearer "+second).Status == 200 })
		w.run(t, "user", "disable", "ada")
		expect(t, "ada is disabled: her token", w.script(t, "hook.example.com", "Bearer "+second), 401)
		expect(t, "ada is disabled: her password", w.script(t, "dav.example.com", basicHeader("ada", password)), 401)
	})
}

// TestE2EThreat36GuessesByBasic: guesses at once are bounded as at the portal; then 429,
// while whoever is signed in, or has a token, goes on.
func TestE2EThreat36GuessesByBasic(t *testing.T) {
	eachWorld(t, worldOptions{config: longWaits}, func(t *testing.T, w *world) {
		token, session := w.token(t, "--user", "alice"), w.session(t, "alice")
		var mu sync.Mutex
		statuses := map[int]int{}
		var wg sync.WaitGroup
		for c := range 8 {
			nc := w.client.Dial(t, "app.example.com")
			wg.Go(func() {
				br := bufio.NewReader(nc)
				for i := range 5 {
					got, err := haproxytest.Exchange(nc, br, "GET / HTTP/1.1\nHost: dav.example.com\nAccept: */*\nAuthorization: "+basicHeader("alice", fmt.Sprint("guess", c, i))+"\n\n")
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					statuses[got.Status]++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if statuses[401] > 5 || statuses[429] == 0 || statuses[200] > 0 {
			t.Errorf("statuses of forty guesses: %v", statuses)
		}
		expect(t, "the right password now", w.script(t, "dav.example.com", basicHeader("alice", password)), 429)
		expect(t, "the token", w.script(t, "dav.example.com", "Bearer "+token), 200)
		expect(t, "the session", w.get(t, session, "https://dav.example.com/"), 200)
		w.session(t, "alice") // by the portal, which counts for itself
	})
}

// TestE2EThreat43HugeCredentials: headers as large as HAProxy lets through cost nobody
// anything.
func TestE2EThreat43HugeCredentials(t *testing.T) {
	eachWorld(t, worldOptions{config: machineRules}, func(t *testing.T, w *world) {
		session := w.session(t, "alice")
		for _, n := range []int{1025, 4000, 9000, 1 << 20} {
			nc := w.client.Dial(t, "app.example.com")
			got, err := haproxytest.Exchange(nc, bufio.NewReader(nc), "GET / HTTP/1.1\nHost: dav.example.com\nAccept: */*\nAuthorization: "+basicHeader("alice", strings.Repeat("x", n))+"\n\n")
			if err == nil && got.Status < 400 {
				t.Errorf("a password of %d bytes: status %d", n, got.Status)
			}
			nc.Close()
		}
		w.untouched(t)
		expect(t, "and the next", w.get(t, session, "https://dav.example.com/"), 200)
	})
}

// authority signs client certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der}) // a buffer takes everything
	return &authority{cert, key, b.String()}
}

// issue signs a client certificate for a name.
func (a *authority) issue(t testing.TB, name string) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestE2ECertificates: HAProxy verifies, Postern maps: alone where a rule takes it, and as
// a second factor beside a session of the same user.
func TestE2ECertificates(t *testing.T) {
	trusted, stranger := newAuthority(t, "Clients"), newAuthority(t, "Clients")
	o := worldOptions{
		config: func(c string) string { return machineRules(c) + "certificates: {by: [cn]}\n" },
		bind:   " ca-file {{dir}}/clients.pem verify optional crt-ignore-err all",
		files:  []haproxytest.File{{Name: "clients.pem", Text: trusted.pem}},
	}
	eachWorld(t, o, func(t *testing.T, w *world) {
		alice, ada := w.session(t, "alice"), w.session(t, "ada")
		as := func(c *tls.Certificate, token, host string) haproxytest.Reply {
			shown := w.client
			shown.Certificate = c
			cookie := ""
			if token != "" {
				cookie = "\nCookie: __Secure-postern=" + token
			}
			return shown.Raw(t, "app.example.com", "GET / HTTP/1.1\nHost: "+host+"\nAccept: text/html"+cookie+"\n\n")
		}
		mine, nobodys, forged := trusted.issue(t, "alice"), trusted.issue(t, "mallory"), stranger.issue(t, "alice")
		for _, tt := range []struct {
			name  string
			shown *tls.Certificate
			token string
			host  string
			want  int
		}{
			{"alone where it is taken", mine, "", "crt.example.com", 200},
			{"alone where it is not", mine, "", "app.example.com", 302},
			{"alone where two factors are asked", mine, "", "bank.example.com", 302},
			{"of nobody", nobodys, "", "crt.example.com", 302},
			{"of another authority", forged, "", "crt.example.com", 302},
			{"none", nil, "", "crt.example.com", 302},
			{"a session alone where two factors are asked", nil, alice, "bank.example.com", 302},
			{"a session and its certificate where two factors are asked", mine, alice, "bank.example.com", 200},
			{"a session and another's certificate", mine, ada, "bank.example.com", 302},
			{"a session and a certificate of another authority", forged, alice, "bank.example.com", 302},
		} {
			w.app.Forget()
			expect(t, tt.name, as(tt.shown, tt.token, tt.host), tt.want)
			if tt.want != 200 {
				w.untouched(t)
			} else if seen := w.app.Last(t); seen.Value("Remote-User") != "alice" {
				t.Errorf("%s: the application received\n%s", tt.name, seen.Head)
			}
		}
	})
}
