package main

import "syscall"

// dieWithParent makes a child that is killed when its parent is gone, however that ended,
// and that the terminal's Ctrl-C does not reach directly.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
