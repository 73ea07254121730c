package journal

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func write(t *testing.T, f *File, text string) {
	t.Helper()
	if n, err := f.Write([]byte(text)); err != nil || n != len(text) {
		t.Fatalf("wrote %d of %q: %v", n, text, err)
	}
}

func TestFileIsAppendedTo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	f := &File{Path: path, Mode: 0o640}
	if err := f.Open(); err != nil {
		t.Fatal(err)
	}
	write(t, f, "one\n")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, f, "two\n") // opens it again
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v, want 0640", info.Mode(), err)
	}
	if got := content(t, path); got != "one\ntwo\n" {
		t.Errorf("%q", got)
	}
	if err := f.Sync(); err != nil {
		t.Error(err)
	}
	if err := (&File{Path: path}).Sync(); err != nil {
		t.Errorf("a file that is not open: %v", err)
	}
}

// TestFileIsRotated: whoever renames, removes or replaces the file gets the lines that
// were written until then, and the file is made anew.
func TestFileIsRotated(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.jsonl")
	f := &File{Path: path, Mode: 0o600}
	defer f.Close()
	write(t, f, "one\n")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(t, f, "two\n")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(t, f, "three\n")
	if err := os.WriteFile(path+".new", []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	write(t, f, "four\n")
	if one, now := content(t, path+".1"), content(t, path); one != "one\n" || now != "half\nfour\n" {
		t.Errorf("%q, then %q", one, now)
	}
}

func TestFileThatCannotBeOne(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Skip(err)
	}
	for _, tt := range []struct{ name, path, want string }{
		{"a folder", dir, "is a directory"},
		{"a FIFO, which would be waited for", fifo, "is not a file"},
		{"a device", os.DevNull, "is not a file"},
		{"a folder that is not there", filepath.Join(dir, "no", "audit.jsonl"), "no such file"},
	} {
		f := &File{Path: tt.path, Mode: fs.ModePerm & 0o600}
		if err := f.Open(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if n, err := f.Write([]byte("x\n")); err == nil || n != 0 {
			t.Errorf("%s: wrote %d", tt.name, n)
		}
		if f.last() != 0 {
			t.Errorf("%s has a last event", tt.name)
		}
	}
}

// TestFileOnAFullDisk bounds the file's size, which the kernel reports like a full disk
// after a part of the line.
func TestFileOnAFullDisk(t *testing.T) {
	if os.Getenv("JOURNAL_FULL") == "" {
		child(t, "TestFileOnAFullDisk", "JOURNAL_FULL=1")
		return
	}
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	f := &File{Path: path, Mode: 0o600}
	write(t, f, "one\n")
	limitFiles(t, 10)
	if n, err := f.Write([]byte("two\nthree\n")); err == nil || n != 0 {
		t.Errorf("wrote %d, %v", n, err)
	}
	write(t, f, "four\n")
	if got := content(t, path); got != "one\nfour\n" {
		t.Errorf("%q", got)
	}
}

func TestFileKnowsItsLastEvent(t *testing.T) {
	_, l := newStream(t, 3)
	var lines []string
	for _, r := range l.all() {
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(data)+"\n")
	}
	for _, tt := range []struct {
		name, text string
		want       uint64
	}{
		{"an empty file", "", 0},
		{"whole lines", strings.Join(lines, ""), 3},
		{"half a line at the end", lines[0] + lines[1] + lines[2][:30], 2},
		{"the end is missing", lines[0] + strings.TrimSuffix(lines[1], "\n"), 2},
		{"no events", "hello\nworld\n", 0},
		{"events far from the end", lines[0] + strings.Repeat("x", 2*maxLine) + "\n", 0},
		{"behind more than a line may have", strings.Repeat("x", 2*maxLine) + "\n" + lines[1], 2},
	} {
		path := filepath.Join(t.TempDir(), "audit.jsonl")
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		f := &File{Path: path}
		if err := f.Open(); err != nil {
			t.Fatal(err)
		}
		if got := f.last(); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
		f.Close()
	}
}

func TestFileInParallel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	f := &File{Path: path, Mode: 0o600}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 50 {
				if _, err := fmt.Fprintf(f, "%d %d %s\n", w, i, strings.Repeat("x", 500)); err != nil {
					t.Error(err)
				}
				if i%10 == 0 {
					_ = os.Rename(path, fmt.Sprintf("%s.%d.%d", path, w, i))
				}
			}
		})
	}
	wg.Wait()
	all, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, one := range all {
		for line := range strings.Lines(content(t, one)) {
			lines++
			if !strings.HasSuffix(line, strings.Repeat("x", 500)+"\n") {
				t.Errorf("a line is %q", line)
			}
		}
	}
	if lines > 400 || lines < 350 { // a rename onto another's name may take lines away
		t.Errorf("%d lines", lines)
	}
}
