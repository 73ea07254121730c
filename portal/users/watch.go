package users

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Times of Run. Events come in bursts while an editor saves; the file is read when they
// have been silent for settle, and looked at every poll in case none came (network file
// systems, a folder that was replaced).
const (
	settle = 50 * time.Millisecond
	poll   = 15 * time.Second
)

// Run reloads the file when it changes, until ctx ends; it returns nil then. A file that
// cannot be used keeps the old users and is logged, once for each content; one that cannot
// be read is tried again at every look.
func (f *File) Run(ctx context.Context) error {
	var events chan fsnotify.Event
	var errs chan error
	w, err := fsnotify.NewWatcher()
	if err != nil {
		f.log().Warn("users file is not watched, only looked at now and then", "file", f.Path, "every", poll.String(), "error", err.Error())
	} else {
		defer w.Close()
		events, errs = w.Events, w.Errors
	}
	s := &sight{file: f, watcher: w}
	s.aim()
	s.look() // what changed between Load and now

	quiet := time.NewTimer(settle)
	defer quiet.Stop()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-events:
			if s.names[e.Name] {
				quiet.Reset(settle)
			}
		case err := <-errs: // an overflow: events are missing
			f.log().Warn("watching the users file", "file", f.Path, "error", err.Error())
			quiet.Reset(settle)
		case <-quiet.C:
			s.aim()
			s.look()
		case <-tick.C:
			s.aim()
			s.look()
		}
	}
}

// sight is what Run has seen of the file.
type sight struct {
	file    *File
	watcher *fsnotify.Watcher
	names   map[string]bool // whose events matter
	stat    os.FileInfo     // of what was read last; nil when the last look could read nothing
	unread  string          // why it could not
}

// aim watches the folder of the file, since editors replace files, and the folder that a
// symbolic link leads to. Watching twice is nothing.
func (s *sight) aim() {
	path := filepath.Clean(s.file.Path)
	dir := filepath.Dir(path)
	s.names = map[string]bool{path: true, filepath.Join(dir, "..data"): true} // ..data: how Kubernetes swaps folders
	dirs := []string{dir}
	if real, err := filepath.EvalSymlinks(path); err == nil && real != path {
		s.names[real] = true
		dirs = append(dirs, filepath.Dir(real))
	}
	if s.watcher == nil {
		return
	}
	for _, d := range dirs {
		if err := s.watcher.Add(d); err != nil && s.stat == nil && s.unread == "" {
			s.file.log().Warn("watching the users file", "folder", d, "error", err.Error())
		}
	}
}

// look reloads the file when it is not the one of the last look. One that could not be read
// is read again at the next look, though it may be the same by then.
func (s *sight) look() {
	now, err := os.Stat(s.file.Path)
	if err == nil && s.stat != nil && os.SameFile(now, s.stat) && now.Size() == s.stat.Size() && now.ModTime().Equal(s.stat.ModTime()) {
		return
	}
	err = s.file.reload(s.unread) // it says in the log what came of it
	if faults := (*Faults)(nil); err == nil || errors.As(err, &faults) {
		s.stat, s.unread = now, ""
		return
	}
	s.stat, s.unread = nil, err.Error()
}
