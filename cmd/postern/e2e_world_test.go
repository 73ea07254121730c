package main

import (
	"fmt"
	"html"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"postern/haproxy"
	"postern/haproxy/haproxytest"
)

// The end-to-end suite: a real HAProxy of each series with each form of the rules, the
// real postern as a process of its own (this test program, so that the race detector is
// on when it is on here), and an application that remembers what it receives.

// world is one of them.
type world struct {
	*haproxytest.Process
	version haproxy.Version
	form    haproxy.Form
	app     *haproxytest.App
	client  haproxytest.Client // TLS
	plain   haproxytest.Client
	dir     string
	postern *daemonProcess
}

// worldOptions change a world.
type worldOptions struct {
	base    string              // lines for the defaults that the frontend has
	global  string              // lines for the global section
	timeout string              // HAProxy waits so long for a verdict; "" is 5s
	config  func(string) string // of postern.yml
	handed  bool                // the agent's socket outlives postern, as with systemd
	absent  bool                // postern is not started
	one     bool                // in the newest HAProxy alone, with one form of the rules
	bind    string              // more arguments of the bind line that speaks TLS
	files   []haproxytest.File  // more files beside HAProxy's
}

const worldConfig = `domains:
  - {domain: example.com, portal: https://auth.example.com, home: https://home.example.com}
users: {file: users.yml}
agent: {listen: "unix:agent.sock", group: ""}
portal: {listen: "unix:portal.sock"}
store: sqlite:postern.db
secret: {file: secret}
access_control:
  default_policy: deny
  networks:
    - {name: office, networks: [192.0.2.0/24]}
  rules:
    - {name: public, domain: public.example.com, policy: bypass}
    - {name: mixed, domain: mixed.example.com, resources: ["^/open(/.*)?$"], policy: bypass}
    - {name: closed, domain: mixed.example.com, policy: one_factor}
    - {name: get, domain: api.example.com, methods: [GET], policy: bypass}
    - {name: query, domain: api.example.com, methods: [POST], query: [[{key: open, value: "yes", operator: equal}]], policy: bypass}
    - {name: api, domain: api.example.com, policy: one_factor}
    - {name: office, domain: office.example.com, networks: [office], policy: bypass}
    - {name: away, domain: office.example.com, policy: one_factor}
    - {name: app, domain: app.example.com, policy: one_factor}
    - {name: bank, domain: bank.example.com, policy: two_factor}
    - {name: admin, domain: admin.example.com, subject: "group:admins", policy: one_factor}
    - {name: shut, domain: shut.example.com, policy: deny}
`

// password is everybody's.
const password = "correct horse battery staple"

// worldUsers writes alice (staff), ada (admins) and a hundred others.
func worldUsers(t testing.TB, dir string) {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("users:\n")
	user := func(name, display, groups string) {
		fmt.Fprintf(&b, "  %s: {password: %q, displayname: %q, email: %s@example.com, groups: [%s]}\n", name, hash, display, name, groups)
	}
	user("alice", "Alice Ä.", "staff, users")
	user("ada", "Ada", "admins")
	for i := range 100 {
		user(fmt.Sprintf("u%03d", i), fmt.Sprintf("User %d", i), "users")
	}
	if err := os.WriteFile(filepath.Join(dir, "users.yml"), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// eachWorld runs a test in every world.
func eachWorld(t *testing.T, o worldOptions, test func(t *testing.T, w *world)) {
	t.Helper()
	cert, trust := haproxytest.Certificate(t, "*.example.com", "*.example.org")
	if o.timeout == "" {
		o.timeout = "5s"
	}
	all, forms := haproxytest.Installed(t), []haproxy.Form{haproxy.Defaults, haproxy.Block}
	if o.one {
		all, forms = all[len(all)-1:], forms[:1]
	}
	for _, in := range all {
		for _, form := range forms {
			t.Run(in.String()+"-"+string(form), func(t *testing.T) {
				t.Parallel()
				w := &world{version: in.Version, form: form, app: haproxytest.NewApp(t), dir: haproxytest.Dir(t)}
				worldUsers(t, w.dir)
				config := worldConfig
				if o.config != nil {
					config = o.config(config)
				}
				write(t, w.dir, "postern.yml", config)
				if !o.absent {
					w.postern = startDaemon(t, w.dir, o.handed)
				}
				w.Process = haproxytest.Start(t, in, w.setup(t, o, cert))
				w.client = haproxytest.Client{Addr: w.Addrs[0], Trust: trust}
				w.plain = haproxytest.Client{Addr: w.Addrs[1]}
				if !o.absent {
					w.ServerUp(t, "postern_portal", "postern", true)
				}
				test(t, w)
			})
		}
	}
}

// setup is HAProxy's configuration as the operator would have it.
func (w *world) setup(t *testing.T, o worldOptions, cert string) haproxytest.Setup {
	t.Helper()
	cfg, err := readConfig(filepath.Join(w.dir, "postern.yml"))
	if err != nil {
		t.Fatal(err)
	}
	hc := haproxyConfig(cfg, filepath.Join(w.dir, "spoe.conf"))
	hc.Timeout = o.timeout
	files, err := haproxy.Generate(hc, w.version, w.form)
	if err != nil {
		t.Fatal(err)
	}
	s := site{
		bind: "{{bind0}} ssl crt {{dir}}/site.pem alpn h2,http/1.1" + o.bind + "\n    bind {{bind1}}",
		spoe: filepath.Join(w.dir, "spoe.conf"), portal: "auth.example.com", application: w.app.Addr,
	}
	postern, own := s.files(files, w.form)
	base := "defaults postern-base\n"
	if w.form == haproxy.Block {
		base = "defaults\n"
	}
	return haproxytest.Setup{
		Dir: w.dir, Listeners: 2, Global: o.global,
		Files: append([]haproxytest.File{
			{Name: "site.pem", Text: cert}, {Name: "spoe.conf", Text: string(files.SPOE)},
			{Name: "10-postern.cfg", Text: strings.Replace(string(postern), base, base+o.base, 1)},
			{Name: "20-site.cfg", Text: string(own)},
		}, o.files...),
	}
}

// daemonProcess is a running `postern serve`.
type daemonProcess struct {
	cmd   *exec.Cmd
	said  *tail
	ended chan struct{}
	dir   string
	agent *os.File // handed over; nil when postern opens its sockets
}

// startDaemon runs postern until the test ends, and returns when it is ready. It fails
// the test when the race detector found something in it.
func startDaemon(t testing.TB, dir string, handed bool) *daemonProcess {
	t.Helper()
	d := &daemonProcess{dir: dir}
	if handed {
		ln, err := net.Listen("unix", filepath.Join(dir, "agent.sock"))
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		ln.(*net.UnixListener).SetUnlinkOnClose(false)
		if d.agent, err = ln.(*net.UnixListener).File(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.agent.Close() })
	}
	t.Cleanup(func() {
		d.kill()
		if t.Failed() {
			t.Logf("postern said:\n%s", d.said)
		}
	})
	d.start(t)
	return d
}

// start runs the process once more, after it ended.
func (d *daemonProcess) start(t testing.TB) {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	d.cmd = exec.Command(executable, "serve", "--config", filepath.Join(d.dir, "postern.yml"))
	d.cmd.Env = append(os.Environ(), asPostern)
	if d.agent != nil {
		// The shell puts its own process id, which exec keeps, into LISTEN_PID.
		d.cmd = exec.Command("sh", append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`}, d.cmd.Args...)...)
		d.cmd.Env = append(os.Environ(), asPostern, "LISTEN_FDS=1", "LISTEN_FDNAMES=agent")
		d.cmd.ExtraFiles = []*os.File{d.agent}
	}
	said, ended := &tail{limit: 256 << 10}, make(chan struct{})
	d.said, d.ended = said, ended
	d.cmd.Stdout, d.cmd.Stderr = said, said
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	cmd := d.cmd
	go func() { _ = cmd.Wait(); close(ended) }()
	for !strings.Contains(said.String(), "msg=ready") {
		select {
		case <-ended:
			t.Fatalf("postern ended:\n%s", said)
		default:
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// stop ends it as systemd does, and waits; a data race makes the test fail.
func (d *daemonProcess) stop(t testing.TB) {
	t.Helper()
	d.signal(t, syscall.SIGTERM)
	<-d.ended
	if said := d.said.String(); strings.Contains(said, "DATA RACE") || strings.Contains(said, "panic") {
		t.Errorf("postern:\n%s", said)
	}
}

func (d *daemonProcess) signal(t testing.TB, s os.Signal) {
	t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// freeze stops it where it stands, and returns when it does: a signal takes its time.
func (d *daemonProcess) freeze(t testing.TB) {
	t.Helper()
	d.signal(t, syscall.SIGSTOP)
	until(t, "every thread is stopped", func() bool {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", d.cmd.Process.Pid))
		if err != nil || len(threads) == 0 {
			t.Fatalf("no threads: %v", err)
		}
		for _, path := range threads {
			stat, err := os.ReadFile(path)
			if _, state, _ := strings.Cut(string(stat), ") "); err == nil && !strings.HasPrefix(state, "T") {
				return false
			}
		}
		return true
	})
}

// kill ends it at once; one that is stopped as well.
func (d *daemonProcess) kill() {
	if d.cmd != nil && d.cmd.Process != nil {
		_ = d.cmd.Process.Kill()
		<-d.ended
	}
}

// run runs a command of postern, in a process of its own, against the world's configuration.
func (w *world) run(t testing.TB, args ...string) string {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(executable, append(args, "--config", filepath.Join(w.dir, "postern.yml"))...)
	cmd.Env = append(os.Environ(), asPostern)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("postern %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// get sends a GET with a token ("" is nobody) over HTTP/1.1 as a browser would.
func (w *world) get(t testing.TB, token, target string) haproxytest.Reply {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	cookie := ""
	if token != "" {
		cookie = "\nCookie: theme=dark; __Secure-postern=" + token
	}
	return w.client.Raw(t, "app.example.com", "GET "+u.RequestURI()+" HTTP/1.1\nHost: "+u.Host+"\nAccept: text/html,*/*;q=0.8"+cookie+"\n\n")
}

// browser follows no redirects and keeps cookies.
func (w *world) browser(t testing.TB) *http.Client {
	t.Helper()
	c := w.client.HTTP(t, true)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Jar = jar
	return c
}

// signIn signs a user in at the portal, as a person does, and returns where the portal
// sends the browser, and the token in its cookie.
func (w *world) signIn(t testing.TB, user, portal string) (location, token string) {
	t.Helper()
	c := w.browser(t)
	page := haproxytest.Do(t, c, "GET", portal, http.Header{"Accept": {"text/html"}}, "")
	form := url.Values{"username": {user}, "password": {password}}
	for _, m := range hidden.FindAllStringSubmatch(page.Body, -1) {
		if !form.Has(m[1]) {
			form.Set(m[1], html.UnescapeString(m[2]))
		}
	}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Origin": {"https://auth.example.com"}}
	done := haproxytest.Do(t, c, "POST", "https://auth.example.com/", header, form.Encode())
	for _, cookie := range c.Jar.Cookies(&url.URL{Scheme: "https", Host: "app.example.com"}) {
		if cookie.Name == "__Secure-postern" {
			token = cookie.Value
		}
	}
	if done.Status != http.StatusSeeOther || token == "" {
		t.Fatalf("%s is not signed in: status %d, form %v\n%s", user, done.Status, form, done.Body)
	}
	return done.Header.Get("Location"), token
}

// session signs a user in and returns the token.
func (w *world) session(t testing.TB, user string) string {
	t.Helper()
	_, token := w.signIn(t, user, "https://auth.example.com/")
	return token
}

// untouched fails the test when the application received anything.
func (w *world) untouched(t testing.TB) {
	t.Helper()
	for _, q := range w.app.Seen() {
		t.Errorf("the application received\n%.2000s", q.Head)
	}
	w.app.Forget()
}

// expect fails the test when an answer has another status than the one that is wanted.
func expect(t testing.TB, what string, got haproxytest.Reply, want ...int) {
	t.Helper()
	for _, s := range want {
		if got.Status == s {
			return
		}
	}
	t.Errorf("%s: status %d, want %v\n%.600s", what, got.Status, want, got.Body)
}
