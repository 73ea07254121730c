package thread

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	shortSlice = 100 * time.Microsecond // the least that Linux gives
	longSlice  = 100 * time.Millisecond // the most
	patience   = 10                     // added to the nice value: a tenth of the others' share
	niceMost   = 19
)

// pressureFile tells how much of the time somebody has waited for a processor:
// "some avg10=8.69 …" is percent of the last ten seconds (the kernel's accounting/psi.rst).
const pressureFile = "/proc/pressure/cpu"

// pressure reads it; false where the kernel does not tell.
func pressure() (percent float64, ok bool) {
	b, err := os.ReadFile(pressureFile)
	if err != nil {
		return 0, false
	}
	_, err = fmt.Sscanf(string(b), "some avg10=%f", &percent)
	return percent, err == nil
}

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
