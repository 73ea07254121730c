package users

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestReplaceKeepsModeAndLink(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "real"), 0o700); err != nil {
		t.Fatal(err)
	}
	real, link := filepath.Join(dir, "real", "people.yml"), filepath.Join(dir, "users.yml")
	write(t, real, people())
	if err := os.Chmod(real, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real/people.yml", link); err != nil {
		t.Fatal(err)
	}
	f := &File{Path: link}
	if err := f.Load(); err != nil {
		t.Fatal(err)
	}
	if err := f.SetDisabled(deadline(t), "alice", true); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Lstat(link); err != nil || fi.Mode()&os.ModeSymlink == 0 {
		t.Error("the link became a file")
	}
	if fi, err := os.Stat(real); err != nil || fi.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, want 0640", fi.Mode())
	}
	left, _ := os.ReadDir(filepath.Join(dir, "real"))
	for _, e := range left {
		if n := e.Name(); n != "people.yml" && n != ".people.yml.lock" {
			t.Errorf("%s was left behind", n)
		}
	}
}

func TestReplaceKeepsOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may give files away")
	}
	path := filepath.Join(t.TempDir(), "users.yml")
	write(t, path, "old")
	if err := os.Chown(path, 1234, 2345); err != nil {
		t.Fatal(err)
	}
	if err := replace(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if st := fi.Sys().(*syscall.Stat_t); st.Uid != 1234 || st.Gid != 2345 {
		t.Errorf("owner %d:%d, want 1234:2345", st.Uid, st.Gid)
	}
}

// TestRootMakesNothingThatIsRoots: what a command of root makes in a folder of the user
// that Postern runs as is that user's, the lock included; what was root's in a folder of
// root stays so.
func TestRootMakesNothingThatIsRoots(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may give files away")
	}
	dir := t.TempDir()
	for _, owner := range []int{1234, 0} {
		if err := os.Chown(dir, owner, owner); err != nil {
			t.Fatal(err)
		}
		f := &File{Path: filepath.Join(dir, "users.yml")}
		if err := f.Add(deadline(t), User{Name: "alice"}, "correct horse"); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"users.yml", ".users.yml.lock"} {
			fi, err := os.Stat(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if st := fi.Sys().(*syscall.Stat_t); int(st.Uid) != owner || int(st.Gid) != owner || fi.Mode().Perm() != 0o600 {
				t.Errorf("%s: owner %d:%d, mode %v, want %d:%d, 0600", name, st.Uid, st.Gid, fi.Mode(), owner, owner)
			}
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestReplaceFails: when the file cannot be put in place, the old one stays and nothing
// is left beside it.
func TestReplaceFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "users.yml")
	if err := os.Mkdir(path, 0o700); err != nil { // a rename cannot replace a folder
		t.Fatal(err)
	}
	if err := replace(path, []byte("new")); err == nil {
		t.Fatal("a folder was replaced")
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	if err := replace(filepath.Join(dir, "missing", "users.yml"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that does not exist: %v", err)
	}
}

func TestLockWaits(t *testing.T) {
	f := open(t, people())
	unlock, err := lock(deadline(t), f.Path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := f.SetDisabled(ctx, "alice", true); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while another edits: %v", err)
	}
	done := make(chan error)
	go func() { done <- f.SetDisabled(deadline(t), "alice", true) }()
	unlock()
	if err := <-done; err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestLockFollowsNoLink: the lock is a file of ours, not one that a link points at.
func TestLockFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/etc/hostname", filepath.Join(dir, ".users.yml.lock")); err != nil {
		t.Fatal(err)
	}
	if _, err := lock(deadline(t), filepath.Join(dir, "users.yml")); err == nil {
		t.Error("a link was opened")
	}
}
