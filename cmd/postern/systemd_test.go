package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestNotifier(t *testing.T) {
	path := filepath.Join(shortDir(t), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	n := notifier{path}
	for _, tt := range []struct {
		send func() error
		want string
	}{
		{n.ready, "READY=1"},
		{n.reloading, "RELOADING=1\nMONOTONIC_USEC="},
		{n.stopping, "STOPPING=1"},
	} {
		if err := tt.send(); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 256)
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		k, err := c.Read(buf)
		if err != nil || !strings.HasPrefix(string(buf[:k]), tt.want) {
			t.Errorf("%q (%v), want %q", buf[:k], err, tt.want)
		}
	}
	if err := (notifier{}).ready(); err != nil {
		t.Errorf("without systemd: %v", err)
	}
	if err := (notifier{path + "-gone"}).ready(); err == nil {
		t.Error("nobody listens, and nobody was told")
	}
}

func TestActivation(t *testing.T) {
	env := func(pairs ...string) func(string) string {
		return func(name string) string {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == name {
					return strings.ReplaceAll(pairs[i+1], "PID", itoa(os.Getpid()))
				}
			}
			return ""
		}
	}
	if got, err := activated(env("LISTEN_PID", "1", "LISTEN_FDS", "1")); got != nil || err != nil {
		t.Errorf("sockets of another process: %v, %v", got, err)
	}
	if got, err := activated(env()); got != nil || err != nil {
		t.Errorf("no systemd: %v, %v", got, err)
	}
	if _, err := activated(env("LISTEN_PID", "PID", "LISTEN_FDS", "many")); err == nil {
		t.Error("LISTEN_FDS=many was taken")
	}
}

// TestActivationServes starts the daemon the way systemd does: the sockets are open, and
// their names are in the environment.
func TestActivationServes(t *testing.T) {
	dir := shortDir(t)
	writeSite(t, dir)
	agentLn, err := net.Listen("unix", filepath.Join(dir, "handed.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer agentLn.Close()
	f, err := agentLn.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// The shell puts its own process id, which exec keeps, into LISTEN_PID.
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, self(t), "serve", "--config", filepath.Join(dir, "postern.yml"))
	cmd.Env = append(os.Environ(), "LISTEN_FDS=1", "LISTEN_FDNAMES=agent", asPostern)
	cmd.ExtraFiles = []*os.File{f}
	said := &tail{limit: 1 << 16}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	until(t, "ready", func() bool { return strings.Contains(said.String(), "msg=ready") })
	if _, err := os.Stat(filepath.Join(dir, "agent.sock")); err == nil {
		t.Error("the daemon opened the agent's socket though it was handed one")
	}
	if !dials(filepath.Join(dir, "handed.sock")) || !dials(filepath.Join(dir, "portal.sock")) {
		t.Error("nobody answers")
	}
}
