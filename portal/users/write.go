package users

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"postern/portal/owner"
)

// lock takes the lock that every editing Postern takes, next to the file and hidden. It
// stays there: removing it would let two in.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	name := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".lock")
	l, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("users: lock: %w", err)
	}
	if err := owner.OfFolder(l); err != nil {
		l.Close()
		return nil, fmt.Errorf("users: lock: %w", err)
	}
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		err := syscall.Flock(int(l.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return func() { l.Close() }, nil
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			l.Close()
			return nil, fmt.Errorf("users: lock %s: %w", name, err)
		}
		select {
		case <-ctx.Done():
			l.Close()
			return nil, fmt.Errorf("users: another process is editing %s: %w", path, ctx.Err())
		case <-again.C:
		}
	}
}

// replace writes a file so that whoever opens it sees the old or the new content, also
// after a crash. It keeps the mode and the owner; a new file gets mode 0600, and the
// owner of its folder when root makes it.
func replace(path string, data []byte) (err error) {
	t, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp") // mode 0600
	if err != nil {
		return fmt.Errorf("users: %w", err)
	}
	defer func() {
		if err != nil {
			t.Close()
			os.Remove(t.Name())
			err = fmt.Errorf("users: %s is unchanged: %w", path, err)
		}
	}()
	if _, err := t.Write(data); err != nil {
		return err
	}
	if old, err := os.Stat(path); err == nil {
		if err := inherit(t, old); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	} else if err := owner.OfFolder(t); err != nil {
		return err
	}
	if err := t.Sync(); err != nil {
		return err
	}
	if err := t.Close(); err != nil {
		return err
	}
	if err := os.Rename(t.Name(), path); err != nil {
		return err
	}
	if d, err := os.Open(filepath.Dir(path)); err == nil {
		_ = d.Sync() // some file systems cannot; the rename stands anyway
		d.Close()
	}
	return nil
}

// inherit gives t the owner and the mode of old. Who may not give files away keeps the
// group at least; when even that fails, others would lose the file, so it is an error.
func inherit(t *os.File, old fs.FileInfo) error {
	if st, ok := old.Sys().(*syscall.Stat_t); ok {
		mine, err := t.Stat()
		if err != nil {
			return err
		}
		now, ok := mine.Sys().(*syscall.Stat_t)
		if !ok || now.Uid != st.Uid || now.Gid != st.Gid {
			if t.Chown(int(st.Uid), int(st.Gid)) != nil {
				if err := t.Chown(-1, int(st.Gid)); err != nil {
					return err
				}
			}
		}
	}
	return t.Chmod(old.Mode().Perm())
}
