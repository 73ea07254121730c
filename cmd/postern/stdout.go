package main

import (
	"os"
	"syscall"
)

// unbroken writes to a file that may be a pipe whose reader has gone: that is an error
// like any other, and not the end of the program, as os has it for standard output.
type unbroken struct{ *os.File }

// Write implements io.Writer.
func (u unbroken) Write(b []byte) (n int, err error) {
	for n < len(b) {
		m, err := syscall.Write(int(u.Fd()), b[n:])
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return n, os.NewSyscallError("write", err)
		}
		n += m
	}
	return n, nil
}
