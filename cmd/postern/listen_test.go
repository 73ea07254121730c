package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// shortDir is a folder whose name leaves room for sockets.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "p")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// TestThreat22SocketMode: the agent's socket has its mode from the moment that it exists.
func TestThreat22SocketMode(t *testing.T) {
	dir := shortDir(t)
	path := filepath.Join(dir, "run", "agent.sock")
	ln, err := listenUnix(path, "0660", "")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode %v (%v), want 0660", info.Mode(), err)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if got := entries(t, filepath.Dir(path)); len(got) != 1 {
		t.Errorf("files %v, want the socket alone", got)
	}
}

func TestSocketsOfOthers(t *testing.T) {
	dir := shortDir(t)
	path := filepath.Join(dir, "a.sock")

	live, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := listenUnix(path, "0600", ""); err == nil || !strings.Contains(err.Error(), "somebody listens on "+path+" already") {
		t.Errorf("a live socket: %v", err)
	}
	live.(*net.UnixListener).SetUnlinkOnClose(false)
	live.Close() // as after SIGKILL: the file is there, and nobody listens
	stale, err := listenUnix(path, "0600", "")
	if err != nil {
		t.Fatalf("a stale socket: %v", err)
	}

	// Whoever took the place keeps it when we go.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	next, err := listenUnix(path, "0600", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := stale.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("closing the old listener removed the new one's socket: %v", err)
	}
	if err := next.Close(); err != nil {
		t.Error(err)
	}
	if got := entries(t, dir); len(got) != 0 {
		t.Errorf("files %v are left", got)
	}
}

func TestListenErrors(t *testing.T) {
	dir := shortDir(t)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		e    endpoint
		want string
	}{
		{"a file is not replaced", endpoint{"agent.listen", "unix:" + file, "0600", ""}, "agent.listen: " + file + " exists and is not a socket"},
		{"a mode that is none", endpoint{"agent.listen", "unix:" + dir + "/s", "rw", ""}, `"rw" is not a mode`},
		{"a group that is none", endpoint{"agent.listen", "unix:" + dir + "/s", "0660", "no-such-group"}, `there is no group "no-such-group" on this machine`},
		{"a path that is too long", endpoint{"control", "unix:" + dir + "/" + strings.Repeat("x", 100), "0600", ""}, "has at most 102 bytes"},
		{"a folder that is not there", endpoint{"control", "unix:" + dir + "/a/b/s", "0600", ""}, "no such file or directory"},
		{"an address that is none", endpoint{"portal.listen", "999.0.0.1:80", "", ""}, "portal.listen: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ln, err := listen(tt.e)
			if err == nil {
				ln.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	if got := entries(t, dir); len(got) != 1 {
		t.Errorf("files %v are left, want the one that was there", got)
	}
}
