package users

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// follow runs Run until the test ends.
func follow(t *testing.T, f *File) *notes {
	t.Helper()
	log := newNotes()
	f.Log = log.log()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return log
}

func TestRunFollowsChanges(t *testing.T) {
	changed := strings.Replace(people(), "disabled: true", "disabled: false", 1)
	tests := []struct {
		how    string
		change func(t *testing.T, path string)
	}{
		{"written in place", func(t *testing.T, path string) { write(t, path, changed) }},
		{"renamed over, as editors do", func(t *testing.T, path string) {
			write(t, path+"~new", changed)
			if err := os.Rename(path+"~new", path); err != nil {
				t.Fatal(err)
			}
		}},
		{"moved away and written anew, as vim does", func(t *testing.T, path string) {
			if err := os.Rename(path, path+"~"); err != nil {
				t.Fatal(err)
			}
			write(t, path, changed)
		}},
		{"written in pieces", func(t *testing.T, path string) {
			w, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			for l := range strings.Lines(changed) {
				w.WriteString(l)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.how, func(t *testing.T) {
			f := open(t, people())
			log := follow(t, f)
			tt.change(t, f.Path)
			log.wait(t, "users reloaded", 1)
			if u, ok := f.Known("carol"); !ok || u.Disabled {
				t.Errorf("carol is %+v, %v", u, ok)
			}
		})
	}
}

func TestRunSeesWhatChangedSinceLoad(t *testing.T) {
	f := open(t, people())
	write(t, f.Path, "users: {}\n")
	follow(t, f).wait(t, "users reloaded", 1)
}

func TestRunKeepsUsersOfBrokenFile(t *testing.T) {
	f := open(t, people())
	log := follow(t, f)
	write(t, f.Path, "users: [\n")
	log.wait(t, "users file refused; the old users stay", 1)
	if len(f.List()) != 3 {
		t.Error("the old users are gone")
	}
	if err := os.Remove(f.Path); err != nil {
		t.Fatal(err)
	}
	log.wait(t, "users file not read; the old users stay", 1)
	if len(f.List()) != 3 {
		t.Error("the old users are gone")
	}
	write(t, f.Path, "users: {}\n")
	log.wait(t, "users reloaded", 1)
}

// TestMissingFileIsSaidOnce: a file that stays away is not logged at each look.
func TestMissingFileIsSaidOnce(t *testing.T) {
	f := open(t, people())
	log := newNotes()
	f.Log = log.log()
	s := &sight{file: f}
	s.look()
	if err := os.Remove(f.Path); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		s.look()
	}
	if n := strings.Count(log.text(), "users file not read"); n != 1 {
		t.Errorf("said %d times:\n%s", n, log.text())
	}
	write(t, f.Path, "users: {}\n")
	s.look()
	if len(f.List()) != 0 {
		t.Error("the file is back and is not read")
	}
	if err := os.Remove(f.Path); err != nil {
		t.Fatal(err)
	}
	s.look()
	if n := strings.Count(log.text(), "users file not read"); n != 2 {
		t.Errorf("gone again: said %d times", n)
	}
}

// TestUnreadChangeIsReadAtTheNextLook: a process without a free descriptor can see that
// the file changed, and not read it. The change is not lost, and the fault is said once.
func TestUnreadChangeIsReadAtTheNextLook(t *testing.T) {
	f := open(t, people())
	log := newNotes()
	f.Log = log.log()
	s := &sight{file: f}
	s.look()
	write(t, f.Path, strings.Replace(people(), "displayname: Bob", "disabled: true", 1))
	withoutDescriptors(t, func() {
		for range 3 {
			s.look()
		}
	})
	if n := strings.Count(log.text(), "users file not read"); n != 1 {
		t.Errorf("said %d times, want once:\n%s", n, log.text())
	}
	s.look()
	if u, ok := f.Known("bob"); !ok || !u.Disabled {
		t.Errorf("bob is %+v, %v; want him disabled", u, ok)
	}
	write(t, f.Path, "users: {}\n")
	withoutDescriptors(t, s.look)
	if n := strings.Count(log.text(), "users file not read"); n != 2 {
		t.Errorf("again: said %d times, want twice:\n%s", n, log.text())
	}
}

// withoutDescriptors runs do while the process can open nothing: EMFILE.
func withoutDescriptors(t *testing.T, do func()) {
	t.Helper()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	none := old
	none.Cur = 0
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
			t.Fatal(err)
		}
	}()
	do()
}

// TestRunFollowsLinks: a configuration volume of Kubernetes swaps a link to a folder.
func TestRunFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"one": people(), "two": "users: {}\n"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name, "users.yml"), content)
	}
	link := func(to, name string) {
		tmp := filepath.Join(dir, "tmp")
		if err := os.Symlink(to, tmp); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(tmp, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("one", "..data")
	link("..data/users.yml", "users.yml")
	f := &File{Path: filepath.Join(dir, "users.yml")}
	if err := f.Load(); err != nil {
		t.Fatal(err)
	}
	log := follow(t, f)
	link("two", "..data")
	log.wait(t, "users reloaded", 1)
	if len(f.List()) != 0 {
		t.Error("the old users are still there")
	}
}
