package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"postern/portal/owner"
)

// fileMode keeps the database to the user that runs postern. SQLite gives its log files
// the mode of the database.
const fileMode fs.FileMode = 0o600

// sqliteMagic begins every SQLite file, https://www.sqlite.org/fileformat.html 1.3.
const sqliteMagic = "SQLite format 3\x00"

// prepare makes sure that path is a database, or an empty file for one, that we can
// write and nobody else can read. Its links have been followed. SQLite gives its log files
// the owner of the database. Nothing of SQLite may be open yet: closing a file drops the
// locks that this process holds on it.
func prepare(path string) error {
	if err := checkKind(path); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, fileMode)
	switch {
	case errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS):
		return fmt.Errorf("store: %s cannot be written: %w", path, err)
	case err != nil:
		return fmt.Errorf("store: %w", err)
	}
	defer f.Close()
	if err := checkMagic(f); err != nil {
		return err
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		if err := own(name); err != nil {
			return err
		}
	}
	return nil
}

func checkKind(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("store: %w", err)
	case info.IsDir():
		return fmt.Errorf("store: %s is a directory; name a file in it, like sqlite:%s", path, filepath.Join(path, "postern.db"))
	case !info.Mode().IsRegular():
		return fmt.Errorf("store: %s is not a regular file", path)
	}
	return nil
}

func checkMagic(f *os.File) error {
	magic := make([]byte, len(sqliteMagic))
	n, err := io.ReadFull(f, magic)
	switch {
	case n == 0 && errors.Is(err, io.EOF):
		return nil // new
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("store: %w", err)
	case string(magic[:n]) != sqliteMagic:
		return fmt.Errorf("store: %s is not a SQLite database: %w", f.Name(), ErrSchema)
	}
	return nil
}

// own takes away what a copy or a restored backup let others do with the file, and gives
// it to whom its folder belongs, when root made it.
func own(path string) error {
	// O_NONBLOCK, or a FIFO would be waited for.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && info.Mode().Perm()&^fileMode != 0 {
		err = f.Chmod(fileMode)
	}
	if err != nil {
		return fmt.Errorf("store: others can read %s: %w", path, err)
	}
	if err := owner.OfFolder(f); err != nil {
		return fmt.Errorf("store: %s is root's: %w", path, err)
	}
	return nil
}

// InUseError is an ErrInUse that names the process.
type InUseError struct {
	Path    string // of the database
	PID     int    // 0 when the lock file does not tell
	Command string
}

// Error names the process, as far as it is known.
func (e *InUseError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("store: %s is in use by another process", e.Path)
	}
	return fmt.Sprintf("store: %s is in use by process %d (%s)", e.Path, e.PID, e.Command)
}

// Unwrap returns ErrInUse.
func (e *InUseError) Unwrap() error { return ErrInUse }

// acquire locks the file at path for this process, until the file is closed or the
// process ends in whatever way, and writes into it who has it. The file stays: to
// remove it would let two processes hold locks of the same name. It is a file of its
// own because SQLite's locks are between changes, not between processes.
func acquire(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, fileMode)
	if err != nil {
		return nil, fmt.Errorf("store: lock: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err != nil {
		defer f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, holder(f)
		}
		return nil, fmt.Errorf("store: lock %s: %w", path, err)
	}
	if err := owner.OfFolder(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("store: lock %s is root's: %w", path, err)
	}
	// The lock holds without its text, too, as it must on a full disk.
	if f.Truncate(0) == nil {
		_, _ = fmt.Fprintf(f, "%d %s\n", os.Getpid(), command())
	}
	return f, nil
}

// holder reads who holds the lock.
func holder(f *os.File) error {
	e := &InUseError{Path: strings.TrimSuffix(f.Name(), ".lock")}
	text, err := io.ReadAll(io.LimitReader(f, 256))
	if err != nil {
		return e
	}
	pid, command, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	if _, err := fmt.Sscanf(pid, "%d", &e.PID); err == nil {
		e.Command = strings.ToValidUTF8(command, "?")
	}
	return e
}

// command is the program and its subcommand. Further arguments are nobody's business.
func command() string {
	name := filepath.Base(os.Args[0])
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		name += " " + os.Args[1]
	}
	return name
}
