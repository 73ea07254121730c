package users

import (
	"context"
	"encoding/base64"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// quick is a hash of a password at the least cost that is accepted, so that tests are
// about anything but hashing.
func quick(password string) string {
	salt := []byte("salt of a test: " + password)
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=32,t=1,p=1$%s$%s", b64(salt), b64(argon2.IDKey([]byte(password), salt, 1, 32, 1, 32)))
}

func cheap(password string) (string, error) { return quick(password), checkPassword(password) }

// people is a file with two users in force and one shut out.
func people() string {
	return `# The people of the house.
users:
  alice:
    password: "` + quick("wonderland") + `"
    displayname: Alice Liddell
    email: alice@example.com
    groups: [admins, staff]

  bob:  # since 2021
    displayname: Bob
    password: '` + quick("builder") + `'
    email:
      - bob@example.com
      - robert@example.org
    groups:
      - staff
  # gone, but not forgotten
  carol:
    disabled: true
    displayname: Carol
    password: ` + quick("carol's own") + `
`
}

// open writes content to a new file and loads it.
func open(t *testing.T, content string) *File {
	t.Helper()
	f := &File{Path: filepath.Join(t.TempDir(), "users.yml"), cheap: cheap}
	write(t, f.Path, content)
	if err := f.Load(); err != nil {
		t.Fatal(err)
	}
	return f
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// golden compares with a file of testdata, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", filepath.FromSlash(name))
	if *update {
		write(t, path, got)
		return
	}
	if want := read(t, path); got != want {
		t.Errorf("%s differs; run go test ./portal/users -update and read the diff\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

// notes is a log that a test can wait for.
type notes struct {
	mu    sync.Mutex
	lines []string
	wake  chan struct{}
}

func newNotes() *notes { return &notes{wake: make(chan struct{}, 100)} }

func (n *notes) Write(b []byte) (int, error) {
	n.mu.Lock()
	n.lines = append(n.lines, string(b))
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
	return len(b), nil
}

func (n *notes) log() *slog.Logger { return slog.New(slog.NewTextHandler(n, nil)) }

func (n *notes) text() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.lines, "")
}

// wait returns when the log holds the text so many times.
func (n *notes) wait(t *testing.T, text string, times int) {
	t.Helper()
	late := time.After(20 * time.Second)
	for strings.Count(n.text(), text) < times {
		select {
		case <-n.wake:
		case <-late:
			t.Fatalf("the log never said %q %d times:\n%s", text, times, n.text())
		}
	}
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}
