//go:build !linux

package main

import "syscall"

// dieWithParent keeps the terminal's Ctrl-C from the child; only Linux can tie it closer.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
