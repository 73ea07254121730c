package owner_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"postern/portal/owner"
)

// TestRootThatMayNot: in a container that has taken the right from root, all stays as it is.
func TestRootThatMayNot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may give files away")
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Chown(filepath.Dir(f.Name()), 1234, 1234); err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread() // and not unlocked: the thread ends with the test
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&header, &caps[0]); err != nil {
		t.Fatal(err)
	}
	caps[0].Effective &^= 1 << unix.CAP_CHOWN
	if err := unix.Capset(&header, &caps[0]); err != nil {
		t.Fatal(err)
	}
	if err := f.Chown(1234, 1234); err == nil {
		t.Fatal("the right is not gone: this tests nothing")
	}
	if err := owner.OfFolder(f); err != nil {
		t.Error(err)
	}
}
