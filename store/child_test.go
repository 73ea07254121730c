package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/store/storetest"
)

// The test binary is also the child processes of the tests: what they do is named by
// this variable of the environment, on the store named by the next.
const (
	childJob  = "POSTERN_STORE_TEST_JOB"
	childPath = "POSTERN_STORE_TEST_PATH"
)

func TestMain(m *testing.M) {
	job := os.Getenv(childJob)
	if job == "" {
		os.Exit(m.Run())
	}
	if err := child(job, os.Getenv(childPath)); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

// child does its job and says on stdout what it did: "open", then for each session that
// was acknowledged its number, then an error.
func child(job, path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // whatever happens to the parent
	defer cancel()
	var room syscall.Rlimit
	if limit, ok := strings.CutPrefix(job, "write up to "); ok {
		n, err := strconv.ParseUint(limit, 10, 64)
		if err != nil {
			return err
		}
		if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &room); err != nil {
			return err
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: room.Max}); err != nil {
			return err
		}
	}
	s, err := Open(ctx, "sqlite:"+path)
	if err != nil {
		return err
	}
	fmt.Println("open")
	if job == "hold" {
		<-ctx.Done()
		return s.Close()
	}
	n, full := writeAll(ctx, s)
	if job == "write" || !errors.Is(full, ErrUnavailable) {
		return fmt.Errorf("not a full disk: %w", full)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &room); err != nil {
		return err
	}
	if err := s.SaveSession(ctx, storetest.Session(n), nil); err != nil {
		return fmt.Errorf("with room again: %w", err)
	}
	fmt.Println(n)
	return full
}

// writeAll saves sessions until it cannot, and returns how many it saved and why no more.
func writeAll(ctx context.Context, s *Store) (int, error) {
	for n := 0; ; n++ {
		if err := s.SaveSession(ctx, storetest.Session(n), nil); err != nil {
			return n, err
		}
		fmt.Println(n)
	}
}

// process is a child under way.
type process struct {
	*exec.Cmd
	lines *bufio.Scanner
}

// start runs a job and waits until its store is open.
func start(t *testing.T, job, path string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0], "serve", "--secret=1")
	cmd.Env = append(os.Environ(), childJob+"="+job, childPath+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		io.Copy(io.Discard, out)
		cmd.Wait()
	})
	p := &process{cmd, bufio.NewScanner(out)}
	if line := p.line(); line != "open" {
		t.Fatalf("the child said %q", line)
	}
	return p
}

// line is the next line, or "" at the end.
func (p *process) line() string {
	if p.lines.Scan() {
		return p.lines.Text()
	}
	return ""
}

// rest reads to the end: the numbers that were acknowledged, and what came after.
func (p *process) rest() (acknowledged []int, last string) {
	for p.lines.Scan() {
		last = p.lines.Text()
		n, err := strconv.Atoi(last)
		if err != nil {
			return acknowledged, last
		}
		acknowledged = append(acknowledged, n)
	}
	return acknowledged, last
}

// hasAll checks that every acknowledged session is there, whole.
func hasAll(t *testing.T, path string, acknowledged []int) {
	t.Helper()
	s := openAt(t, path)
	for _, n := range acknowledged {
		want := storetest.Session(n)
		got, err := s.LoadSession(t.Context(), want.Hash)
		if err != nil || got.ID != want.ID || len(got.Groups) != len(want.Groups) {
			t.Errorf("session %d, which was acknowledged: %+v, %v", n, got, err)
		}
	}
	var verdict string
	if err := s.read.QueryRowContext(t.Context(), `PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity_check: %q, %v", verdict, err)
	}
}

// TestKilledProcessLosesNothing: a process that is killed while it writes leaves every
// session that it acknowledged, and a store that opens.
func TestKilledProcessLosesNothing(t *testing.T) {
	for _, after := range []int{1, 20, 100} {
		t.Run(fmt.Sprintf("after %d sessions", after), func(t *testing.T) {
			path := t.TempDir() + "/postern.db"
			p := start(t, "write", path)
			var acknowledged []int
			for n := range after {
				if line := p.line(); line != strconv.Itoa(n) {
					t.Fatalf("the child said %q, want %d", line, n)
				}
				acknowledged = append(acknowledged, n)
			}
			if err := p.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			more, _ := p.rest()
			hasAll(t, path, append(acknowledged, more...))
		})
	}
}

// TestFullDisk: when the file cannot grow the error says so; what was acknowledged before
// is there, and so is what comes when there is room again.
func TestFullDisk(t *testing.T) {
	path := t.TempDir() + "/postern.db"
	s, err := Open(t.Context(), "sqlite:"+path) // with its tables
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	p := start(t, "write up to 600000", path)
	acknowledged, last := p.rest()
	if len(acknowledged) == 0 || !strings.HasPrefix(last, "error: store: save session: store unavailable") {
		t.Errorf("%d sessions were acknowledged, then %q", len(acknowledged), last)
	}
	p.Wait()
	hasAll(t, path, acknowledged)
}

func TestStoreInUse(t *testing.T) {
	dir := t.TempDir()
	path := dir + "/postern.db"
	p := start(t, "hold", path)
	link := dir + "/link.db"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, link} {
		_, err := Open(t.Context(), "sqlite:"+name)
		var inUse *InUseError
		if !errors.Is(err, ErrInUse) || !errors.As(err, &inUse) {
			t.Fatalf("Open of a store in use: %v", err)
		}
		want := fmt.Sprintf("store: %s is in use by process %d (store.test serve)", path, p.Process.Pid)
		if got := err.Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.Wait()
	s := openAt(t, path)
	if _, err := Open(t.Context(), "sqlite:"+path); !errors.Is(err, ErrInUse) {
		t.Errorf("a second Open in one process: %v, want ErrInUse", err)
	}
	if err := s.SaveSession(t.Context(), storetest.Session(1), nil); err != nil {
		t.Errorf("the first store after the second Open: %v", err)
	}
}

func TestInUseByWhoDoesNotTell(t *testing.T) {
	path := t.TempDir() + "/postern.db"
	for _, text := range []string{"", "\x00\xff", "not a number", strings.Repeat("9", 400)} {
		f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		_, err = Open(t.Context(), "sqlite:"+path)
		if !errors.Is(err, ErrInUse) || !strings.HasSuffix(err.Error(), "is in use by another process") {
			t.Errorf("lock file %q: %v", text, err)
		}
		f.Close()
	}
}
