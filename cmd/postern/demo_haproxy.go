package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// findHAProxy returns the program to run. Folders that only root has in PATH are looked
// into as well.
func findHAProxy(program string) (string, error) {
	candidates := []string{"haproxy", "/usr/sbin/haproxy", "/usr/local/sbin/haproxy", "/opt/homebrew/bin/haproxy"}
	if program != "" {
		candidates = []string{program}
	}
	for _, c := range candidates {
		if path, err := exec.LookPath(c); err == nil {
			return path, nil
		}
	}
	if program != "" {
		return "", usage("%s is not a program that can be run", program)
	}
	return "", errors.New(`HAProxy is not installed (version 2.6 or later is needed). Install it:
  Debian, Ubuntu:  sudo apt install haproxy
  Fedora, RHEL:    sudo dnf install haproxy
  Alpine:          sudo apk add haproxy
  macOS:           brew install haproxy
or name the program with --haproxy PATH`)
}

// runHAProxy runs HAProxy until ctx ends; that it ends before is an error that holds what
// it said last. It never outlives this process.
func runHAProxy(ctx context.Context, program string, files []string) error {
	args := []string{"-db"}
	for _, f := range files {
		args = append(args, "-f", f)
	}
	said := &tail{limit: 16 << 10}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = said, said
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 3 * time.Second
	cmd.SysProcAttr = dieWithParent()
	// The kernel ends the child when the thread that started it ends: keep the thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cmd.Run()
	if ctx.Err() != nil {
		return nil
	}
	if err == nil {
		err = errors.New("exit status 0")
	}
	return fmt.Errorf("HAProxy ended (%w); it said:\n%s", err, said)
}

// tail keeps the end of what is written to it.
type tail struct {
	mu    sync.Mutex
	limit int
	data  []byte
}

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if extra := len(t.data) - t.limit; extra > 0 {
		t.data = bytes.Clone(t.data[extra:])
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.data) == 0 {
		return "(nothing)"
	}
	return strings.TrimRight(string(t.data), "\n")
}
