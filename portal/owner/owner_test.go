package owner_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"postern/portal/owner"
)

// TestOfFolder: only what is root's, and surely of this folder, is given away.
func TestOfFolder(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may give files away")
	}
	for _, tt := range []struct {
		name               string
		folder, file, want int
		twice              bool
	}{
		{"root's, in somebody's folder", 1234, 0, 1234, false},
		{"root's, in root's folder", 0, 0, 0, false},
		{"somebody else's", 1234, 2345, 2345, false},
		{"root's, with a second name elsewhere", 1234, 0, 0, true},
	} {
		path := filepath.Join(t.TempDir(), "file")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := os.Chown(path, tt.file, tt.file); err != nil {
			t.Fatal(err)
		}
		if tt.twice {
			if err := os.Link(path, filepath.Join(t.TempDir(), "other")); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chown(filepath.Dir(path), tt.folder, tt.folder); err != nil {
			t.Fatal(err)
		}
		if err := owner.OfFolder(f); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if st := info.Sys().(*syscall.Stat_t); int(st.Uid) != tt.want || int(st.Gid) != tt.want {
			t.Errorf("%s: owner %d:%d, want %d", tt.name, st.Uid, st.Gid, tt.want)
		}
	}
}
