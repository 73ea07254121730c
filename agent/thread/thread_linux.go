package thread

import (
	"time"

	"golang.org/x/sys/unix"
)

const (
	shortSlice = 100 * time.Microsecond // the least that Linux gives
	longSlice  = 100 * time.Millisecond // the most
	patience   = 5                      // added to the nice value: a third of the others' share
	niceMost   = 19
)

func prompt() { set(0, shortSlice) }

func patient() {
	if set(patience, longSlice) {
		return
	}
	if nice, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil {
		// The system call, unlike the library's, returns 20 minus the value.
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, min(20-nice+patience, niceMost))
	}
}

// set changes the calling thread, when it is scheduled fairly; it leaves a real-time or
// idle one alone, which somebody has asked for.
func set(nice int, slice time.Duration) bool {
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return false
	}
	if attr.Policy != unix.SCHED_NORMAL && attr.Policy != unix.SCHED_BATCH {
		return true
	}
	attr.Nice = min(attr.Nice+int32(nice), niceMost)
	attr.Runtime = uint64(slice)
	attr.Flags = 0
	return unix.SchedSetAttr(0, attr, 0) == nil
}
