// Package owner gives what root makes to whom it is made for. A command of root works on
// the files of a Postern that runs as somebody else: what it leaves there as root's, that
// one could not open at its next start.
package owner

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// OfFolder gives a file that is root's to whom its folder belongs, when root makes a
// change, and may. A file with a second name is left alone: it may be anybody's. Whoever
// opened it must not have followed a link, which might lead out of the folder.
func OfFolder(f *os.File) error {
	if os.Geteuid() != 0 {
		return nil
	}
	folder, err := os.Stat(filepath.Dir(f.Name()))
	if err != nil {
		return err
	}
	own, err := f.Stat()
	if err != nil {
		return err
	}
	to, ok := folder.Sys().(*syscall.Stat_t)
	now, is := own.Sys().(*syscall.Stat_t)
	if !ok || !is || now.Uid != 0 || to.Uid == 0 || now.Nlink != 1 || !own.Mode().IsRegular() {
		return nil
	}
	// In a container root may not be allowed to; then it runs the daemon itself, most likely.
	if err := f.Chown(int(to.Uid), int(to.Gid)); !errors.Is(err, syscall.EPERM) {
		return err
	}
	return nil
}
