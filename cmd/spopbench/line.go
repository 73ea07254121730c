package main

import (
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// line is a connection to a unix socket for one goroutine on a thread of its own, and a
// clock: it wakes up when it is due, within the kernel's 50 µs. Go's timers wait for whole
// milliseconds when there is nothing else to do, and would be measured as latency.
type line struct {
	fd    int
	until time.Time // for Read; zero: however long it takes
}

func dialLine(path string) (*line, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("connect", err)
	}
	return &line{fd: fd}, nil
}

// Read returns os.ErrDeadlineExceeded when nothing has come by the deadline.
func (l *line) Read(b []byte) (int, error) {
	ready, err := poll([]unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLIN}}, l.until)
	if err != nil {
		return 0, err
	}
	if !ready {
		return 0, os.ErrDeadlineExceeded
	}
	for {
		switch n, err := unix.Read(l.fd, b); {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, os.NewSyscallError("read", err)
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// Write writes all of b.
func (l *line) Write(b []byte) (int, error) {
	for done := 0; ; {
		n, err := unix.Write(l.fd, b[done:])
		if err != nil && !errors.Is(err, unix.EINTR) {
			return done, os.NewSyscallError("write", err)
		}
		if done += max(n, 0); done == len(b) {
			return done, nil
		}
	}
}

func (l *line) SetReadDeadline(t time.Time) error { l.until = t; return nil }

func (l *line) Close() error { return unix.Close(l.fd) }

// rest waits until a time.
func (l *line) rest(until time.Time) error {
	_, err := poll(nil, until)
	return err
}

// poll waits for one of these, or until a time; zero: however long it takes.
func poll(fds []unix.PollFd, until time.Time) (ready bool, err error) {
	for {
		var timeout *unix.Timespec
		if !until.IsZero() {
			ts := unix.NsecToTimespec(max(0, time.Until(until).Nanoseconds()))
			timeout = &ts
		}
		n, err := unix.Ppoll(fds, timeout, nil)
		if !errors.Is(err, unix.EINTR) {
			return n > 0, os.NewSyscallError("ppoll", err)
		}
	}
}
