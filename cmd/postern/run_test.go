package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/agent/policy"
	"postern/agent/session"
	"postern/portal/users"
)

// asPostern in the environment makes the test program behave as postern.
const asPostern = "POSTERN_TEST_AS_POSTERN=1"

func itoa(n int) string { return strconv.Itoa(n) }

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// until waits for a condition.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("%s: not within 30 s", what)
}

func dials(path string) bool {
	c, err := net.Dial("unix", path)
	if err == nil {
		c.Close()
	}
	return err == nil
}

const siteConfig = `domains:
  - {domain: example.com, portal: https://auth.example.com, home: https://www.example.com}
users: {file: users.yml}
agent: {listen: "unix:agent.sock", group: ""}
portal: {listen: "unix:portal.sock"}
store: sqlite:postern.db
secret: {file: secret}
access_control:
  default_policy: deny
  rules:
    - {domain: wiki.example.com, policy: %s}
`

// writeSite writes a configuration and two users into dir.
func writeSite(t testing.TB, dir string) {
	t.Helper()
	writeConfig(t, dir, "one_factor")
	hash, err := users.Hash("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("users:\n  alice: {password: %q}\n  bob: {password: %q}\n", hash, hash)
	if err := os.WriteFile(filepath.Join(dir, "users.yml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func writeConfig(t testing.TB, dir, policyOfWiki string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "postern.yml"), fmt.Appendf(nil, siteConfig, policyOfWiki), 0o600); err != nil {
		t.Fatal(err)
	}
}

// house is a running postern in this process.
type house struct {
	*Main
	dir  string
	said *tail
	stop context.CancelFunc
	done chan error
}

// startHouse serves the site of dir until the test ends.
func startHouse(t *testing.T, dir string) *house {
	t.Helper()
	cfg, err := readConfig(filepath.Join(dir, "postern.yml"))
	if err != nil {
		t.Fatal(err)
	}
	h := &house{dir: dir, said: &tail{limit: 1 << 20}, done: make(chan error, 1)}
	log, level := newLogger(io.MultiWriter(h.said), cfg.Log)
	h.Main = &Main{Config: cfg, Log: log, Level: level}
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	ended := make(chan struct{})
	go func() {
		h.done <- serve(ctx, h.Main, notifier{})
		close(ended)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		if t.Failed() {
			t.Logf("postern said:\n%s", h.said)
		}
	})
	until(t, "ready", func() bool { return strings.Contains(h.said.String(), "msg=ready") || len(h.done) > 0 })
	return h
}

// signIn makes a session as the portal would.
func (h *house) signIn(t *testing.T, user string) string {
	t.Helper()
	token, _, err := h.table.Create(context.Background(), session.Session{User: user, Domain: "example.com", Level: policy.LevelOne}, "")
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (h *house) signedIn(t *testing.T, token string) bool {
	t.Helper()
	_, result := h.table.Find([]byte(token), "example.com", time.Now())
	if result == session.Miss {
		var err error
		if _, result, err = h.table.Load(context.Background(), []byte(token), "example.com"); err != nil {
			t.Fatal(err)
		}
	}
	return result == session.Hit
}

// postern runs a command in this process, and returns its exit code and what it said.
func (h *house) postern(args ...string) (code int, stdout, stderr string) {
	return typed("", append([]string{"postern"}, append(args, "--config", filepath.Join(h.dir, "postern.yml"))...)...)
}

func typed(stdin string, args ...string) (code int, stdout, stderr string) {
	var out, errs strings.Builder
	t := terminal{Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs}
	code = t.run(context.Background(), args)
	return code, out.String(), errs.String()
}

// TestThreat31DisabledUserIsOut: `user disable` and `user delete` end what is running: at
// the next request, for good, and whoever is enabled again has to sign in.
func TestThreat31DisabledUserIsOut(t *testing.T) {
	dir := shortDir(t)
	writeSite(t, dir)
	h := startHouse(t, dir)
	alice, bob := h.signIn(t, "alice"), h.signIn(t, "bob")

	if code, _, stderr := h.postern("user", "disable", "alice"); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if h.signedIn(t, alice) || !h.signedIn(t, bob) {
		t.Error("after disable: alice is still in, or bob is out")
	}
	if code, _, stderr := h.postern("user", "enable", "alice"); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if h.signedIn(t, alice) {
		t.Error("enabling alice brought an old session back")
	}
	again := h.signIn(t, "alice")
	if code, _, stderr := h.postern("user", "passwd", "alice", "--generate"); code != 0 || h.signedIn(t, again) {
		t.Errorf("exit %d, signed in %v: %s", code, h.signedIn(t, again), stderr)
	}
	if code, _, stderr := h.postern("user", "delete", "bob"); code != 0 || h.signedIn(t, bob) {
		t.Errorf("exit %d, signed in %v: %s", code, h.signedIn(t, bob), stderr)
	}
}

// TestThreat26RevokeIsEffective, through the daemon and without it, and after a restart.
func TestThreat26RevokeIsEffective(t *testing.T) {
	dir := shortDir(t)
	writeSite(t, dir)
	h := startHouse(t, dir)
	alice, bob := h.signIn(t, "alice"), h.signIn(t, "bob")
	code, stdout, stderr := h.postern("session", "list", "-o", "json", "--user", "alice")
	if code != 0 || !strings.Contains(stdout, `"user":"alice"`) || strings.Contains(stdout, "bob") || strings.Contains(stdout, alice) {
		t.Fatalf("exit %d: %s%s", code, stdout, stderr)
	}
	if code, stdout, stderr = h.postern("session", "revoke", "--user", "alice"); code != 0 || stdout != "1 ended\n" {
		t.Fatalf("exit %d: %s%s", code, stdout, stderr)
	}
	if h.signedIn(t, alice) || !h.signedIn(t, bob) {
		t.Error("alice is still in, or bob is out")
	}
	h.stop()
	if err := <-h.done; err != nil {
		t.Fatal(err)
	}

	h = startHouse(t, dir)
	if h.signedIn(t, alice) || !h.signedIn(t, bob) {
		t.Error("after a restart: alice is in again, or bob is out")
	}
	h.stop()
	if err := <-h.done; err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr = h.postern("session", "revoke", "--all"); code != 0 || stdout != "1 ended\n" {
		t.Fatalf("without a daemon: exit %d: %s%s", code, stdout, stderr)
	}
	if h = startHouse(t, dir); h.signedIn(t, bob) {
		t.Error("bob was signed out while nobody ran, and is in again")
	}
}

func TestReload(t *testing.T) {
	dir := shortDir(t)
	writeSite(t, dir)
	h := startHouse(t, dir)
	decide := func() policy.Policy {
		return h.rules.Load().Decide(&policy.Request{Method: "GET", Host: "wiki.example.com", Path: "/", TLS: true}, &policy.Subject{}, time.Now()).Policy
	}
	hup := func(word string) {
		t.Helper()
		before := strings.Count(h.said.String(), word)
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		until(t, word, func() bool { return strings.Count(h.said.String(), word) > before })
	}
	if got := decide(); got != policy.OneFactor {
		t.Fatalf("policy %v", got)
	}
	writeConfig(t, dir, "two_factor")
	hup("configuration reloaded")
	if got := decide(); got != policy.TwoFactor {
		t.Errorf("after SIGHUP: policy %v, want two_factor", got)
	}

	writeConfig(t, dir, "three_factor")
	hup(`msg="configuration refused; the old one stays"`)
	if got := decide(); got != policy.TwoFactor {
		t.Errorf("after a broken file: policy %v, want two_factor", got)
	}
	for _, word := range []string{"line=11", "key=access_control.rules[0].policy", "three_factor"} {
		if !strings.Contains(h.said.String(), word) {
			t.Errorf("the log does not say %s", word)
		}
	}
	if err := os.Remove(filepath.Join(dir, "postern.yml")); err != nil {
		t.Fatal(err)
	}
	hup("configuration not read; the old one stays")

	text := strings.Replace(fmt.Sprintf(siteConfig, "bypass"), "portal: {listen", "log: {level: debug}\nportal: {timeout: 7s, listen", 1)
	if err := os.WriteFile(filepath.Join(dir, "postern.yml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	hup("configuration reloaded")
	if got := decide(); got != policy.Bypass {
		t.Errorf("policy %v, want bypass", got)
	}
	if !strings.Contains(h.said.String(), `msg="a change waits for a restart" key=portal`) {
		t.Error("nobody says that portal.timeout waits for a restart")
	}
	if h.Level.Level() != slog.LevelDebug {
		t.Errorf("log level %v, want debug", h.Level.Level())
	}
}

// TestOnePartDies: when a listener is lost the process ends with that part's error.
func TestOnePartDies(t *testing.T) {
	for _, part := range []string{"agent", "portal", "control"} {
		t.Run(part, func(t *testing.T) {
			dir := shortDir(t)
			writeSite(t, dir)
			h := startHouse(t, dir)
			if err := h.Listeners[part].Close(); err != nil {
				t.Fatal(err)
			}
			err := <-h.done
			if err == nil || !strings.Contains(err.Error(), part+":") {
				t.Errorf("error %v, want one of %s", err, part)
			}
			if left := entries(t, dir); strings.Contains(strings.Join(left, " "), ".sock") {
				t.Errorf("%v are left", left)
			}
		})
	}
}

// TestOpenFails: what cannot start says why, and leaves no socket and no lock behind.
func TestOpenFails(t *testing.T) {
	for _, tt := range []struct {
		name string
		harm func(t *testing.T, dir string)
		want string
	}{
		{"no users file", func(t *testing.T, dir string) { remove(t, dir, "users.yml") }, "users.yml"},
		{"a broken users file", func(t *testing.T, dir string) { write(t, dir, "users.yml", "users: 7") }, "users.yml:1:8"},
		{"a short secret", func(t *testing.T, dir string) { write(t, dir, "secret", "abc") }, "secret"},
		{"a store that is none", func(t *testing.T, dir string) { write(t, dir, "postern.db", strings.Repeat("not a database ", 500)) }, "postern.db"},
		{"a socket's place is taken", func(t *testing.T, dir string) { write(t, dir, "portal.sock", "") }, "portal.listen: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := shortDir(t)
			writeSite(t, dir)
			tt.harm(t, dir)
			code, _, stderr := typed("", "postern", "serve", "--config", filepath.Join(dir, "postern.yml"))
			if code == 0 || !strings.Contains(stderr, tt.want) {
				t.Fatalf("exit %d, %q; want %q", code, stderr, tt.want)
			}
			if dials(filepath.Join(dir, "agent.sock")) || dials(filepath.Join(dir, "control.sock")) {
				t.Error("a socket is still open")
			}
		})
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

// TestDaemonThatDoesNotAnswer: a command that the daemon cannot follow fails, and says
// that the file is changed all the same.
func TestDaemonThatDoesNotAnswer(t *testing.T) {
	dir := shortDir(t)
	writeSite(t, dir)
	h := startHouse(t, dir)
	write(t, dir, "users.yml", "users: {}\n") // every user is gone: edits fail before the daemon is asked
	if code, _, stderr := h.postern("user", "disable", "alice"); code != 1 || !strings.Contains(stderr, "alice: no such user") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	err := daemon{filepath.Join(dir, "control.sock")}.call(context.Background(), "/nothing", nil, nil)
	if err == nil || errors.Is(err, errNoDaemon) || !strings.Contains(err.Error(), "404") {
		t.Errorf("an unknown question: %v", err)
	}
	err = daemon{filepath.Join(dir, "control.sock")}.call(context.Background(), "/sessions/revoke", map[string]string{"Userr": "alice"}, nil)
	if err == nil || !strings.Contains(err.Error(), "Userr") {
		t.Errorf("a misspelt filter would revoke everything: %v", err)
	}
	if err := (daemon{filepath.Join(dir, "none.sock")}).call(context.Background(), "/reload", nil, nil); !errors.Is(err, errNoDaemon) {
		t.Errorf("nobody there: %v", err)
	}
}
