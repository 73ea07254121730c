package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// firstFD is the first file descriptor that systemd hands over, sd_listen_fds(3).
const firstFD = 3

// activated returns the listeners that systemd opened for this process, by their
// FileDescriptorName: agent, portal and control are known.
func activated(getenv func(string) string) (map[string]net.Listener, error) {
	if getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	n, err := strconv.Atoi(getenv("LISTEN_FDS"))
	if err != nil || n < 0 || n > 16 {
		return nil, fmt.Errorf("LISTEN_FDS is %q", getenv("LISTEN_FDS"))
	}
	names := strings.Split(getenv("LISTEN_FDNAMES"), ":")
	listeners := map[string]net.Listener{}
	for i := range n {
		fd := firstFD + i
		syscall.CloseOnExec(fd)
		name := ""
		if i < len(names) {
			name = names[i]
		}
		if name != "agent" && name != "portal" && name != "control" {
			return nil, fmt.Errorf("systemd hands over a socket %q; FileDescriptorName= is agent, portal or control", name)
		}
		f := os.NewFile(uintptr(fd), name)
		ln, err := net.FileListener(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("systemd's socket %q: %w", name, err)
		}
		if listeners[name] != nil {
			return nil, fmt.Errorf("systemd hands over two sockets %q", name)
		}
		listeners[name] = ln
	}
	return listeners, nil
}

// notifier tells systemd how the service is, sd_notify(3). The zero value tells nobody.
type notifier struct{ socket string }

func (n notifier) send(state string) error {
	if n.socket == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetWriteDeadline(time.Now().Add(time.Second))
	_, err = c.Write([]byte(state))
	return err
}

func (n notifier) ready() error    { return n.send("READY=1") }
func (n notifier) stopping() error { return n.send("STOPPING=1") }

// reloading says so with the time, as Type=notify-reload asks.
func (n notifier) reloading() error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return err
	}
	return n.send(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000))
}
