// Package haproxytest runs real HAProxies for tests: the series that testdata/haproxy.sh
// unpacked, each in a folder of its own, on sockets that nobody else has.
//
// It is for tests alone. It fetches nothing and judges nothing but that HAProxy starts.
package haproxytest

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/haproxy"
)

// Series are the versions that Postern is tested with.
func Series() []string { return []string{"2.6", "3.0", "3.2"} }

// Install is one HAProxy that can be run.
type Install struct {
	Version haproxy.Version
	Path    string // of the program
}

// String is the series, "3.0"; tests use it as the name of a subtest.
func (in Install) String() string { return in.Version.String() }

// Installed returns the three series. One that is missing fails the test when CI=true;
// elsewhere it is left out, and the test is skipped when none is left.
func Installed(t testing.TB) []Install {
	t.Helper()
	cache, err := Cache()
	if err != nil {
		t.Fatal(err)
	}
	var all []Install
	var missing []string
	for _, series := range Series() {
		path := filepath.Join(cache, "haproxy-"+series, "haproxy")
		if _, err := os.Stat(path); err != nil {
			missing = append(missing, series)
			continue
		}
		v, err := haproxy.Installed(context.Background(), path)
		if err != nil {
			t.Fatal(err)
		}
		if v.String() != series {
			t.Fatalf("%s says that it is %v", path, v)
		}
		all = append(all, Install{v, path})
	}
	if len(missing) == 0 {
		return all
	}
	const how = "HAProxy %s is not in %s: run testdata/haproxy.sh"
	if os.Getenv("CI") == "true" {
		t.Fatalf(how, strings.Join(missing, ", "), cache)
	}
	if len(all) == 0 {
		t.Skipf(how, strings.Join(missing, ", "), cache)
	}
	t.Logf(how, strings.Join(missing, ", "), cache)
	return all
}

// Cache is the folder where testdata/haproxy.sh puts what it fetched.
func Cache() (string, error) {
	if dir := os.Getenv("POSTERN_CACHE"); dir != "" {
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "postern"), nil
}
