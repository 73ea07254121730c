package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// File is a file of lines that others rotate: it is only appended to, and made again when
// it was renamed or removed. It is safe for use by any number of goroutines.
type File struct {
	Path string
	Mode os.FileMode // of a file that it makes

	mu   sync.Mutex
	f    *os.File
	torn bool // the last line has no end
}

// Open opens the file, and makes it when there is none. The folder must exist.
func (f *File) Open() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open()
}

// errLeft says that lines of a file which was renamed or removed may never be on the disk.
var errLeft = errors.New("the end of the file before was not brought to the disk")

func (f *File) open() error {
	if err := f.leave(); err != nil {
		return err
	}
	// O_NONBLOCK, or a FIFO would be waited for; O_RDWR, to see how the last line ends.
	file, err := os.OpenFile(f.Path, os.O_APPEND|os.O_CREATE|os.O_RDWR|nonblock, f.Mode)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", f.Path)
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	f.f, f.torn = file, false
	if size := info.Size(); size > 0 {
		last := make([]byte, 1)
		_, err := file.ReadAt(last, size-1)
		f.torn = err != nil || last[0] != '\n'
	}
	return nil
}

// Write appends whole lines, all or none. Where half a line could not be taken back, the
// next Write begins a new one. The lines of a file that was rotated are on the disk before
// the first goes into a new one; else the error is errLeft, and the next Write goes on.
func (f *File) Write(lines []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.current() {
		if err := f.open(); err != nil {
			return 0, err
		}
	}
	if f.torn {
		if _, err := f.f.Write([]byte{'\n'}); err != nil {
			return 0, err
		}
		f.torn = false
	}
	n, err := f.f.Write(lines)
	if err != nil && n > 0 && f.takeBack(n) {
		n = 0
	}
	f.torn = n > 0 && lines[n-1] != '\n'
	return n, err
}

// takeBack removes what was written last, so that no half line stays when the disk is
// full. A file that may only grow keeps it.
func (f *File) takeBack(n int) bool {
	info, err := f.f.Stat()
	return err == nil && info.Size() >= int64(n) && f.f.Truncate(info.Size()-int64(n)) == nil
}

// current says whether the open file is the one that bears the name.
func (f *File) current() bool {
	if f.f == nil {
		return false
	}
	named, err := os.Stat(f.Path)
	if err != nil {
		return false
	}
	open, err := f.f.Stat()
	return err == nil && os.SameFile(named, open)
}

// Sync waits until what was written is on the disk.
func (f *File) Sync() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.f == nil {
		return nil
	}
	return f.f.Sync()
}

// Close closes the file; the next Write opens it again.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.close()
}

// leave closes the file that was open until now, after Sync: nobody can ask for that later,
// and a Sync of the new file says nothing about the old one.
func (f *File) leave() error {
	if f.f == nil {
		return nil
	}
	synced := f.f.Sync()
	if err := errors.Join(synced, f.close()); err != nil {
		return fmt.Errorf("%s: %w: %w", f.Path, errLeft, err)
	}
	return nil
}

func (f *File) close() error {
	if f.f == nil {
		return nil
	}
	err := f.f.Close()
	f.f = nil
	return err
}

// maxLine bounds one line, in bytes: ten texts, each character of which may be escaped.
const maxLine = 32 << 10

// last is the number of the last event in the file, 0 when that cannot be told.
func (f *File) last() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.f == nil {
		return 0
	}
	info, err := f.f.Stat()
	if err != nil {
		return 0
	}
	from := max(0, info.Size()-maxLine)
	end, err := io.ReadAll(io.NewSectionReader(f.f, from, maxLine))
	if err != nil {
		return 0
	}
	lines := bytes.Split(end, []byte{'\n'})
	for i := len(lines) - 1; i >= 0; i-- {
		var r Record
		if json.Unmarshal(lines[i], &r) == nil {
			return r.Seq
		}
	}
	return 0
}
