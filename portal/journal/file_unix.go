//go:build unix

package journal

import "syscall"

const nonblock = syscall.O_NONBLOCK
