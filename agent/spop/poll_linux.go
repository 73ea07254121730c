package spop

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// errAgain says that there is nothing to read after all.
var errAgain error = syscall.EAGAIN

// poll waits for sockets: epoll(7), by level. Only wake may be called from elsewhere.
type poll struct {
	fd      int
	alarm   [2]int // a pipe
	events  []syscall.EpollEvent
	ready   []int
	ringing []byte
}

// pollMost is how many sockets one wait tells of.
const pollMost = 128

func openPoll() (p poll, err error) {
	if p.fd, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return p, os.NewSyscallError("epoll_create1", err)
	}
	if err := syscall.Pipe2(p.alarm[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
		syscall.Close(p.fd)
		return p, os.NewSyscallError("pipe2", err)
	}
	p.events, p.ringing = make([]syscall.EpollEvent, pollMost), make([]byte, 64)
	if err := p.add(p.alarm[0]); err != nil {
		p.close()
		return p, err
	}
	return p, nil
}

// wait waits for at most d, or for ever when that is negative. What it returns is valid
// until the next wait.
func (p *poll) wait(d time.Duration) (ready []int, err error) {
	ms := -1
	if d >= 0 {
		ms = int(d.Milliseconds()) + 1
	}
	n, err := syscall.EpollWait(p.fd, p.events, ms)
	if err != nil && !errors.Is(err, syscall.EINTR) {
		return nil, os.NewSyscallError("epoll_wait", err)
	}
	p.ready = p.ready[:0]
	for _, ev := range p.events[:max(n, 0)] {
		if int(ev.Fd) == p.alarm[0] {
			for n := len(p.ringing); n == len(p.ringing); {
				n, _ = syscall.Read(p.alarm[0], p.ringing)
			}
			continue
		}
		p.ready = append(p.ready, int(ev.Fd))
	}
	return p.ready, nil
}

// wake ends a wait, the next one if there is none now. A full pipe does so, too.
func (p *poll) wake() { syscall.Write(p.alarm[1], []byte{0}) }

func (p *poll) add(fd int) error {
	ev := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}
	return os.NewSyscallError("epoll_ctl", syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_ADD, fd, &ev))
}

// change has wait tell when fd can be written, or read again.
func (p *poll) change(fd int, write bool) error {
	ev := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}
	if write {
		ev.Events = syscall.EPOLLOUT
	}
	return os.NewSyscallError("epoll_ctl", syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_MOD, fd, &ev))
}

func (p *poll) remove(fd int) { syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_DEL, fd, nil) }

func (p *poll) close() {
	for _, fd := range []int{p.fd, p.alarm[0], p.alarm[1]} {
		syscall.Close(fd)
	}
}

// takeSocket returns another descriptor of the socket of nc, which may be closed then.
func takeSocket(nc net.Conn) (fd int, err error) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return 0, errors.ErrUnsupported
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	err = raw.Control(func(own uintptr) {
		n, _, errno := syscall.Syscall(syscall.SYS_FCNTL, own, syscall.F_DUPFD_CLOEXEC, 3)
		if fd = int(n); errno != 0 {
			failed = os.NewSyscallError("fcntl", errno)
		}
	})
	return fd, errors.Join(err, failed)
}

// giveSocket makes a connection of a descriptor that takeSocket returned.
func giveSocket(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "spop")
	defer f.Close()
	return net.FileConn(f)
}

// writeSome writes as much as the peer takes now.
func writeSome(fd int, b []byte) (n int, err error) {
	for n < len(b) {
		k, err := syscall.Write(fd, b[n:])
		switch {
		case err == nil:
			n += k
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			return n, nil
		default:
			return n, os.NewSyscallError("write", err)
		}
	}
	return n, nil
}

// read reads once without waiting. There must be room, that is: no complete frame is
// unread.
func (in *reader) read(fd int) error {
	in.shift()
	in.borrow()
	for {
		n, err := syscall.Read(fd, in.buf[in.w:])
		switch {
		case err == nil && n > 0:
			in.w += n
			return nil
		case err == nil:
			return io.EOF
		case errors.Is(err, syscall.EINTR):
		default:
			in.release()
			return err
		}
	}
}
