package haproxytest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// File is one configuration file.
type File struct {
	Name string // without a folder
	Text string
}

// Setup says what to start.
type Setup struct {
	// Files are written into the folder. Those that end in .cfg are loaded, in order,
	// after a global section of this package's. {{dir}} in a text is the folder, {{bind0}},
	// {{bind1}} … are addresses for `bind` of listeners that are open already.
	Files     []File
	Listeners int
	Threads   int    // 0 means 2
	Global    string // more lines for the global section
	Dir       string // the folder; "" makes one
}

// Process is a running HAProxy.
type Process struct {
	Dir   string
	Addrs []string // of the listeners, host:port
	PID   int      // of HAProxy

	cmd  *exec.Cmd
	done chan struct{} // closed when HAProxy has ended
	log  *buffer
}

// Dir makes a folder with a short name, for sockets have short paths. It goes with the test.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hap")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// Write writes the files of a set-up and returns the ones to load, in order. The global
// section is the first of them.
func (s Setup) Write() ([]string, error) {
	threads := s.Threads
	if threads == 0 {
		threads = 2
	}
	global := fmt.Sprintf("global\n    log stdout format raw local0\n    stats socket {{dir}}/admin.sock level admin\n    nbthread %d\n    maxconn 4000\n%s", threads, s.Global)
	replace := []string{"{{dir}}", s.Dir}
	for i := range s.Listeners {
		replace = append(replace, fmt.Sprintf("{{bind%d}}", i), fmt.Sprintf("fd@%d", 3+i))
	}
	var load []string
	for _, f := range append([]File{{"00-global.cfg", global}}, s.Files...) {
		path := filepath.Join(s.Dir, f.Name)
		if err := os.WriteFile(path, []byte(strings.NewReplacer(replace...).Replace(f.Text)), 0o600); err != nil {
			return nil, err
		}
		if strings.HasSuffix(f.Name, ".cfg") {
			load = append(load, path)
		}
	}
	return load, nil
}

// Start runs HAProxy and returns when it works. It ends with the test, and when the test
// has failed its log is shown.
func Start(t testing.TB, in Install, s Setup) *Process {
	t.Helper()
	if s.Dir == "" {
		s.Dir = Dir(t)
	}
	load, err := s.Write()
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{Dir: s.Dir, log: &buffer{}, done: make(chan struct{})}
	args := []string{"-db"}
	for _, path := range load {
		args = append(args, "-f", path)
	}
	p.cmd = exec.Command(in.Path, args...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	for range s.Listeners {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		f, err := ln.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		p.Addrs = append(p.Addrs, ln.Addr().String())
		p.cmd.ExtraFiles = append(p.cmd.ExtraFiles, f)
		defer ln.Close()
		defer f.Close()
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.PID = p.cmd.Process.Pid
	go func() { _ = p.cmd.Wait(); close(p.done) }()
	t.Cleanup(func() {
		p.Stop()
		if t.Failed() {
			lines := strings.SplitAfter(p.Log(), "\n")
			t.Logf("HAProxy %v said:\n%s", in, strings.Join(lines[max(0, len(lines)-40):], ""))
		}
	})
	if err := p.await(); err != nil {
		t.Fatalf("HAProxy %v: %v\n%s", in, err, p.Log())
	}
	return p
}

// await returns when the stats socket answers.
func (p *Process) await() error {
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		if _, err := p.Command("show info"); err == nil {
			return nil
		}
		select {
		case <-p.done:
			return errors.New("it ended at once")
		case <-time.After(10 * time.Millisecond):
		}
	}
	return errors.New("it does not answer")
}

// Command asks HAProxy's runtime interface.
func (p *Process) Command(line string) (string, error) {
	c, err := net.Dial("unix", filepath.Join(p.Dir, "admin.sock"))
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := fmt.Fprintln(c, line); err != nil {
		return "", err
	}
	out, err := io.ReadAll(c)
	return string(out), err
}

// ServerUp returns when the server is UP (or not, when up is false) in HAProxy's eyes.
func (p *Process) ServerUp(t testing.TB, backend, server string, up bool) {
	t.Helper()
	p.Await(t, fmt.Sprintf("%s/%s up=%v", backend, server, up), func() bool {
		out, err := p.Command("show stat")
		if err != nil {
			return false
		}
		for line := range strings.Lines(out) {
			field := strings.Split(line, ",")
			if len(field) > 17 && field[0] == backend && field[1] == server {
				return strings.HasPrefix(field[17], "UP") == up
			}
		}
		return false
	})
}

// Await waits until a condition holds, 20 seconds at most.
func (p *Process) Await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("it did not come to pass: %s\n%s", what, p.Log())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// CPU is the processor time that HAProxy has used, all of its threads together.
func (p *Process) CPU(t testing.TB) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := bytes.Cut(b, []byte(") "))
	var user, system int64
	field := strings.Fields(string(after))
	if _, err := fmt.Sscan(field[11]+" "+field[12], &user, &system); err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100
}

// Stop ends HAProxy and waits for it.
func (p *Process) Stop() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Log is what HAProxy has said and logged so far.
func (p *Process) Log() string { return p.log.String() }

// LogLine waits for a line of the log that holds all the words.
func (p *Process) LogLine(t testing.TB, words ...string) string {
	t.Helper()
	var found string
	p.Await(t, "a log line with "+strings.Join(words, ", "), func() bool {
		lines := bufio.NewScanner(strings.NewReader(p.Log()))
		lines.Buffer(nil, 1<<20)
	next:
		for lines.Scan() {
			for _, w := range words {
				if !strings.Contains(lines.Text(), w) {
					continue next
				}
			}
			found = lines.Text()
			return true
		}
		return false
	})
	return found
}

// buffer keeps the last megabyte that is written to it.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.b.Len() > 2<<20 {
		b.b.Next(b.b.Len() - 1<<20)
	}
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
