package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// endpoint is where one part listens.
type endpoint struct {
	key   string // of the configuration, for errors: agent.listen
	addr  string // unix:/path or host:port
	mode  string // of a unix socket, octal
	group string // of a unix socket; "" leaves it
}

// listen opens an endpoint.
func listen(e endpoint) (net.Listener, error) {
	path, isUnix := strings.CutPrefix(e.addr, "unix:")
	if !isUnix {
		ln, err := net.Listen("tcp", e.addr)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.key, err)
		}
		return ln, nil
	}
	ln, err := listenUnix(path, e.mode, e.group)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.key, err)
	}
	return ln, nil
}

// listenUnix makes the socket under another name, gives it mode and group, and moves it
// into place: nobody ever connects to it with a mode that is too wide, and a socket that
// was left behind is replaced without a moment in between. One that somebody listens on
// is left alone.
func listenUnix(path, mode, group string) (net.Listener, error) {
	bits, err := strconv.ParseUint(mode, 8, 9)
	if err != nil {
		return nil, fmt.Errorf("%q is not a mode; write octal digits such as \"0660\"", mode)
	}
	if err := makeFolder(path, 0o755); err != nil {
		return nil, err
	}
	if err := vacant(path); err != nil {
		return nil, err
	}
	temporary := path + "." + rand.Text()[:4]
	if len(temporary) > 107 {
		return nil, fmt.Errorf("the path of a socket has at most 102 bytes, %s has %d", path, len(path))
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: temporary, Net: "unix"})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false)
	if err := place(temporary, path, fs.FileMode(bits), group); err != nil {
		return nil, errors.Join(err, ln.Close(), os.Remove(temporary))
	}
	info, err := os.Lstat(path)
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return &socket{Listener: ln, path: path, info: info}, nil
}

func place(temporary, path string, mode fs.FileMode, group string) error {
	if group != "" {
		gid, err := groupID(group)
		if err != nil {
			return err
		}
		if err := os.Lchown(temporary, -1, gid); err != nil {
			return fmt.Errorf("cannot give the socket to group %s: %w; run as root or as a member of it, or set another group", group, errors.Unwrap(err))
		}
	}
	if err := os.Chmod(temporary, mode); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

func groupID(group string) (int, error) {
	if gid, err := strconv.Atoi(group); err == nil {
		return gid, nil
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return 0, fmt.Errorf("there is no group %q on this machine", group)
	}
	return strconv.Atoi(g.Gid)
}

// vacant returns an error unless path is free or a socket that nobody listens on.
func vacant(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s exists and is not a socket", path)
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		c.Close()
		return fmt.Errorf("somebody listens on %s already; is postern running?", path)
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	return err
}

// socket removes its file when it is closed, unless another has taken the place.
type socket struct {
	net.Listener
	path string
	info fs.FileInfo
	once sync.Once
}

// Close closes the listener and removes the file.
func (s *socket) Close() error {
	s.once.Do(func() {
		if now, err := os.Lstat(s.path); err == nil && os.SameFile(now, s.info) {
			_ = os.Remove(s.path)
		}
	})
	return s.Listener.Close()
}
