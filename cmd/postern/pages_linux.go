package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// mapping is a stretch of the address space.
type mapping struct{ start, end uintptr }

// readOnly finds the mappings of a file that nothing can write, in the text of
// /proc/PID/maps (proc_pid_maps(5)).
func readOnly(maps io.Reader, file string) ([]mapping, error) {
	var found []mapping
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 6 || strings.Join(f[5:], " ") != file || f[1] != "r-xp" && f[1] != "r--p" {
			continue
		}
		var m mapping
		if _, err := fmt.Sscanf(f[0], "%x-%x", &m.start, &m.end); err != nil {
			return nil, fmt.Errorf("maps: %q: %w", f[0], err)
		}
		found = append(found, m)
	}
	return found, lines.Err()
}

// forgetStart gives back the pages of the program that starting has read. They are the
// file's, and come back, from the page cache, as far as they are used again: half of the
// memory of an idle Postern was code that had run once.
func forgetStart() error {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return err
	}
	defer maps.Close()
	parts, err := readOnly(maps, program)
	if err != nil {
		return err
	}
	for _, m := range parts {
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, m.start, m.end-m.start, unix.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("madvise: %w", errno)
		}
	}
	return nil
}

// resident is the memory that this process has, in bytes; 0 when the system does not tell.
func resident() uint64 {
	b, err := os.ReadFile("/proc/self/statm") // in pages: all, resident, shared, …
	if err != nil {
		return 0
	}
	var all, pages uint64
	if _, err := fmt.Sscan(string(b), &all, &pages); err != nil {
		return 0
	}
	return pages * uint64(os.Getpagesize())
}
