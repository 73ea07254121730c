package haproxy

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// ErrVersion says that a text names no version of HAProxy, or one that Postern cannot
// work with.
var ErrVersion = errors.New("not a version of HAProxy that Postern knows")

// Version is a version of HAProxy, as far as the files depend on it.
type Version struct{ Major, Minor int }

// Oldest is the first version with rules in named defaults sections and host_only.
func Oldest() Version { return Version{2, 6} }

// String is "3.0".
func (v Version) String() string { return strconv.Itoa(v.Major) + "." + strconv.Itoa(v.Minor) }

// AtLeast reports whether v is w or later.
func (v Version) AtLeast(w Version) bool {
	return v.Major > w.Major || v.Major == w.Major && v.Minor >= w.Minor
}

// versionText finds the version in "2.6", "3.0.11" and the first line of haproxy -v.
var versionText = regexp.MustCompile(`^(?:HA-?Proxy version )?([0-9]{1,3})\.([0-9]{1,3})(?:[.\-][0-9A-Za-z.+~\-]*)?(?:\s|$)`)

// ParseVersion reads "2.6", "3.0.11" or the output of haproxy -v.
func ParseVersion(s string) (Version, error) {
	m := versionText.FindStringSubmatch(s)
	if m == nil {
		line, _, _ := strings.Cut(s, "\n")
		return Version{}, fmt.Errorf("%w: %q; it looks like 3.2", ErrVersion, line)
	}
	major, _ := strconv.Atoi(m[1]) // three digits fit
	minor, _ := strconv.Atoi(m[2])
	v := Version{major, minor}
	if !v.AtLeast(Oldest()) {
		return Version{}, fmt.Errorf("%w: %v is older than %v", ErrVersion, v, Oldest())
	}
	return v, nil
}

// Installed asks the HAProxy at path ("haproxy" is looked up in PATH) for its version.
func Installed(ctx context.Context, path string) (Version, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "-v").Output()
	if err != nil {
		return Version{}, fmt.Errorf("%s -v: %w", path, err)
	}
	return ParseVersion(string(out))
}

// CheckError is what haproxy -c had to say about files that it refuses.
type CheckError struct {
	Output string // of haproxy, as it came
	Err    error
}

// Error is HAProxy's own words.
func (e *CheckError) Error() string {
	return "haproxy refuses the configuration: " + e.Err.Error() + "\n" + strings.TrimSpace(e.Output)
}

// Unwrap is the failure of the command.
func (e *CheckError) Unwrap() error { return e.Err }

// Check runs `haproxy -c` on the files, in their order. What it printed (warnings
// among it) comes back in either case; the error is a *CheckError when HAProxy refuses.
func Check(ctx context.Context, path string, files ...string) (output string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	args := []string{"-c"}
	for _, f := range files {
		args = append(args, "-f", f)
	}
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return string(out), &CheckError{Output: string(out), Err: err}
	}
	if err != nil {
		return string(out), fmt.Errorf("%s -c: %w", path, err)
	}
	return string(out), nil
}
