package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"postern/haproxy"
)

// needHAProxy returns the installed HAProxy. Without one the test cannot be.
func needHAProxy(t *testing.T) string {
	t.Helper()
	path, err := findHAProxy("")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return path
}

// freeAddress is a loopback address that nobody listens on. Its port is free again, so that
// the demo can have it; nobody takes it in between, for the host is one of 2^24 where the
// system has so many (Linux), and not that of everybody else who asks for a port.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", rand.IntN(256), rand.IntN(256), 1+rand.IntN(254)))
	if err != nil {
		ln, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// running is a demo that answers, in this process.
type running struct {
	*demo
	stdout *tail
	stop   context.CancelFunc
	done   chan error
}

func startDemo(t *testing.T, form haproxy.Form, dir string) *running {
	t.Helper()
	r := &running{stdout: &tail{limit: 1 << 20}, done: make(chan error, 1)}
	stderr := &tail{limit: 1 << 20}
	ready := make(chan struct{})
	r.demo = &demo{
		term: terminal{Stdout: r.stdout, Stderr: stderr}, listen: freeAddress(t), program: needHAProxy(t), form: form,
		ready: func() { close(ready) },
	}
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	ended := make(chan struct{})
	go func() {
		r.done <- r.run(ctx, dir)
		close(ended)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		if t.Failed() {
			t.Logf("stderr:\n%s", stderr)
		}
	})
	select {
	case <-ready:
	case <-ended:
		t.Fatalf("the demo ended: %v", <-r.done)
	}
	return r
}

// browser follows no redirects, keeps cookies and finds every host at the demo's address.
func (r *running) browser(t *testing.T) *http.Client {
	t.Helper()
	authority, err := os.ReadFile(r.path("postern-ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, r.listen)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func fetch(t *testing.T, c *http.Client, method, target string, form url.Values) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, target, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", "https://"+req.URL.Host)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)"`)

// signIn fills in the sign-in form that a page shows.
func signIn(t *testing.T, c *http.Client, portal, name string) *http.Response {
	t.Helper()
	_, page := fetch(t, c, http.MethodGet, portal, nil)
	form := url.Values{"username": {name}, "password": {name}}
	for _, m := range hidden.FindAllStringSubmatch(page, -1) {
		if !form.Has(m[1]) {
			form.Set(m[1], strings.ReplaceAll(m[2], "&amp;", "&"))
		}
	}
	res, _ := fetch(t, c, http.MethodPost, strings.SplitN(portal, "?", 2)[0], form)
	return res
}

// TestDemo walks through the demo as a stranger would, in both forms of the rules.
func TestDemo(t *testing.T) {
	for _, form := range []haproxy.Form{haproxy.Defaults, haproxy.Block} {
		t.Run(string(form), func(t *testing.T) {
			r := startDemo(t, form, "")
			c := r.browser(t)
			res, page := fetch(t, c, http.MethodGet, r.url("public"), nil)
			if res.StatusCode != http.StatusOK || !strings.Contains(page, "Hello, whoever you are") {
				t.Fatalf("public: %s\n%s", res.Status, page)
			}
			target := r.url("app") + "report?year=2026&q=a%20b"
			res, _ = fetch(t, c, http.MethodGet, target, nil)
			if res.StatusCode != http.StatusFound || !strings.HasPrefix(res.Header.Get("Location"), r.url("auth")) {
				t.Fatalf("app: %s to %q", res.Status, res.Header.Get("Location"))
			}
			res = signIn(t, c, res.Header.Get("Location"), "demo")
			if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != target {
				t.Fatalf("signed in: %s to %q, want %q", res.Status, res.Header.Get("Location"), target)
			}
			res, page = fetch(t, c, http.MethodGet, target, nil)
			if res.StatusCode != http.StatusOK || !strings.Contains(page, "Hello, Demo User") || strings.Contains(page, "__Secure-postern") {
				t.Errorf("app: %s\n%s", res.Status, page)
			}
			for host, want := range map[string]int{"secure": http.StatusFound, "admin": http.StatusForbidden, "public": http.StatusOK, "other": http.StatusForbidden} {
				if res, _ = fetch(t, c, http.MethodGet, r.url(host), nil); res.StatusCode != want {
					t.Errorf("%s as demo: %s, want %d", host, res.Status, want)
				}
			}
			admin := r.browser(t)
			signIn(t, admin, r.url("auth")+"?rd="+url.QueryEscape(r.url("admin")), "admin")
			if res, page = fetch(t, admin, http.MethodGet, r.url("admin"), nil); res.StatusCode != http.StatusOK || !strings.Contains(page, "Ada Admin") {
				t.Errorf("admin as admin: %s", res.Status)
			}

			dir := r.dir
			r.stop()
			if err := <-r.done; err != nil {
				t.Errorf("stopped with %v", err)
			}
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				t.Errorf("%s is left behind", dir)
			}
			if pids := processes(t, dir); len(pids) != 0 {
				t.Errorf("HAProxy still runs: %v", pids)
			}
			for _, word := range []string{r.url("secure"), "demo / demo", "admin / admin", "postern-ca.pem"} {
				if !strings.Contains(r.stdout.String(), word) {
					t.Errorf("the welcome does not say %s", word)
				}
			}
		})
	}
}

// TestDemoKeepsItsFolder: with --dir the files stay, and the next demo goes on from them.
func TestDemoKeepsItsFolder(t *testing.T) {
	dir := filepath.Join(shortDir(t), "demo")
	r := startDemo(t, haproxy.Defaults, dir)
	c := r.browser(t)
	signIn(t, c, r.url("auth"), "demo")
	r.stop()
	if err := <-r.done; err != nil {
		t.Fatal(err)
	}
	users, err := os.ReadFile(filepath.Join(dir, "users.yml"))
	if err != nil {
		t.Fatal(err)
	}
	startDemo(t, haproxy.Defaults, dir)
	again, err := os.ReadFile(filepath.Join(dir, "users.yml"))
	if err != nil || !bytes.Equal(users, again) {
		t.Errorf("the users were written anew (%v)", err)
	}
}

// TestDemoEndsWithHAProxy: when HAProxy dies the demo ends and shows what it said.
func TestDemoEndsWithHAProxy(t *testing.T) {
	r := startDemo(t, haproxy.Defaults, "")
	pids := processes(t, r.dir)
	if len(pids) != 1 {
		t.Fatalf("processes %v, want one", pids)
	}
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	err := <-r.done
	if err == nil || !strings.Contains(err.Error(), "HAProxy ended (signal: killed); it said:") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(r.dir); !os.IsNotExist(err) {
		t.Errorf("%s is left behind", r.dir)
	}
}

// TestDemoIsKilled: after SIGKILL of the demo no HAProxy is left.
func TestDemoIsKilled(t *testing.T) {
	dir := filepath.Join(shortDir(t), "demo")
	needHAProxy(t)
	cmd := exec.Command(self(t), "demo", "--dir", dir, "--listen", freeAddress(t))
	cmd.Env = append(os.Environ(), asPostern)
	said := &tail{limit: 1 << 16}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	until(t, "the welcome", func() bool { return strings.Contains(said.String(), "Stop with Ctrl-C") })
	child := func(pids []int) []int {
		var rest []int
		for _, pid := range pids {
			if pid != cmd.Process.Pid {
				rest = append(rest, pid)
			}
		}
		return rest
	}
	if pids := child(processes(t, dir)); len(pids) != 1 {
		t.Fatalf("processes %v, want one HAProxy", pids)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	until(t, "HAProxy is gone", func() bool { return len(child(processes(t, dir))) == 0 })
}

func TestDemoWrongUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"an address without a port", []string{"--listen", "127.0.0.1"}, 2, `--listen "127.0.0.1" is not an address with a port, such as 127.0.0.1:8443`},
		{"a name instead of an address", []string{"--listen", "localhost:8443"}, 2, "is not an address with a port"},
		{"a form that is none", []string{"--form", "lua"}, 2, `--form "lua" is neither defaults nor block`},
		{"a program that is none", []string{"--haproxy", "/nowhere/haproxy"}, 2, "/nowhere/haproxy is not a program that can be run"},
		{"a program that is not HAProxy", []string{"--haproxy", "/bin/echo", "--listen", freeAddress(t)}, 1, ""},
		{"an address that is taken", []string{"--listen", taken.Addr().String(), "--haproxy", "/bin/echo"}, 1, "address already in use; choose another address with --listen"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			temp := t.TempDir()
			t.Setenv("TMPDIR", temp)
			code, stdout, stderr := typed("", append([]string{"postern", "demo"}, tt.args...)...)
			if code != tt.code || !strings.Contains(stderr, tt.want) || stdout != "" {
				t.Errorf("exit %d, %q; want %d and %q", code, stderr, tt.code, tt.want)
			}
			if left := entries(t, temp); len(left) != 0 {
				t.Errorf("%v is left behind", left)
			}
		})
	}
}

// TestDemoWithoutHAProxy says how to get one.
func TestDemoWithoutHAProxy(t *testing.T) {
	if _, err := os.Stat("/usr/sbin/haproxy"); err == nil {
		t.Skip("HAProxy is where the demo looks for it, whatever PATH says")
	}
	t.Setenv("PATH", t.TempDir())
	if code, _, stderr := typed("", "postern", "demo"); code != 1 || !strings.Contains(stderr, "sudo apt install haproxy") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// processes are those that have a word in their command line, this one left out.
func processes(t *testing.T, word string) []int {
	t.Helper()
	list, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(list) == 0 {
		t.Skip(fmt.Sprint("no /proc to look into: ", err))
	}
	var pids []int
	for _, path := range list {
		line, err := os.ReadFile(path)
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && pid != os.Getpid() && bytes.Contains(line, []byte(word)) {
			pids = append(pids, pid)
		}
	}
	return pids
}
