package main

import (
	"bufio"
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestReadOnly(t *testing.T) {
	const maps = `00400000-00f8b000 r-xp 00000000 fe:00 9978002                            /opt/my tools/postern
00f8b000-01c01000 r--p 00b8b000 fe:00 9978002                            /opt/my tools/postern
01c01000-01d6e000 rw-p 01801000 fe:00 9978002                            /opt/my tools/postern
01d6e000-03dc1000 rw-p 00000000 00:00 0 
3d24eb000000-3d24eb800000 rw-p 00000000 00:00 0 
7f78b8ef0000-7f78b8ef2000 r-xp 00000000 00:00 0                          [vdso]
7f78b8ef2000-7f78b8ef3000 r--p 00000000 fe:00 12                         /opt/my
`
	for file, want := range map[string][]mapping{
		"/opt/my tools/postern":           {{0x400000, 0xf8b000}, {0xf8b000, 0x1c01000}},
		"/opt/my":                         {{0x7f78b8ef2000, 0x7f78b8ef3000}},
		"/opt/my tools/postern (deleted)": nil,
		"":                                nil,
	} {
		got, err := readOnly(strings.NewReader(maps), file)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %x, %v, want %x", file, got, err, want)
		}
	}
	if _, err := readOnly(strings.NewReader("400000+f8b000 r-xp 0 fe:00 1 /p"), "/p"); err == nil {
		t.Error("a line that is none was taken")
	}
	long := strings.Repeat("x", bufio.MaxScanTokenSize)
	if _, err := readOnly(strings.NewReader(long), "/p"); err == nil {
		t.Error("half of a line was taken for all")
	}
}

// TestForgetStart: less of the program is in memory afterwards, and it still runs.
func TestForgetStart(t *testing.T) {
	before := fileMemory(t)
	if err := forgetStart(); err != nil {
		t.Fatal(err)
	}
	if after := fileMemory(t); after >= before {
		t.Errorf("%d kB of the program in memory, %d kB before", after, before)
	}
	if _, err := readOnly(strings.NewReader(""), ""); err != nil {
		t.Error(err)
	}
}

// fileMemory is how much of files this process has in memory, kB.
func fileMemory(t *testing.T) (kb int) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "RssFile:"); ok {
			for _, c := range strings.Fields(v)[0] {
				kb = 10*kb + int(c-'0')
			}
			return kb
		}
	}
	t.Fatal("no RssFile in", string(b))
	return 0
}
