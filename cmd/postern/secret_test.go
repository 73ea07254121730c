package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"postern/cmd/postern/config"
)

// TestThreat47SecretIsMadeOnce: of many that start at once, one makes the secret and all
// use it; nobody ever reads half of it.
func TestThreat47SecretIsMadeOnce(t *testing.T) {
	for range 20 {
		path := filepath.Join(t.TempDir(), "postern", "secret")
		secrets := make([][]byte, 16)
		var all sync.WaitGroup
		for i := range secrets {
			all.Go(func() {
				secret, err := openSecret(config.Secret{File: path})
				if err != nil {
					t.Error(err)
				}
				secrets[i] = secret
			})
		}
		all.Wait()
		for _, s := range secrets {
			if len(s) != 64 || !bytes.Equal(s, secrets[0]) {
				t.Fatalf("secrets of %d and %d bytes, want 64 equal ones", len(s), len(secrets[0]))
			}
		}
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil || len(entries) != 1 {
			t.Fatalf("%d files are left beside the secret (%v)", len(entries)-1, err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("mode %v (%v), want 0600", info.Mode(), err)
		}
	}
}

func TestSecretIsRefused(t *testing.T) {
	long := strings.Repeat("x", 40)
	for _, tt := range []struct {
		name string
		data string
		mode os.FileMode
		want string
	}{
		{"readable by the group", long, 0o640, "its mode is 0640, so others may use it; run: chmod 600"},
		{"readable by everybody", long, 0o604, "its mode is 0604"},
		{"too short", "hunter2", 0o600, "holds 7 bytes, at least 32 are needed"},
		{"blanks do not count", strings.Repeat(" ", 60) + "hunter2\n", 0o600, "holds 7 bytes"},
		{"empty", "", 0o600, "holds 0 bytes"},
		{"too long", strings.Repeat("x", 5000), 0o600, "longer than 4096 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "secret")
			if err := errors.Join(os.WriteFile(path, []byte(tt.data), 0o600), os.Chmod(path, tt.mode)); err != nil { // whatever the umask
				t.Fatal(err)
			}
			_, err := openSecret(config.Secret{File: path})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows the secret: %v", err)
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != tt.data {
				t.Errorf("the file changed (%v)", err)
			}
		})
	}
	if _, err := openSecret(config.Secret{File: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "is not a file") {
		t.Errorf("a folder: %v", err)
	}
	if _, err := openSecret(config.Secret{File: filepath.Join(t.TempDir(), "a", "b", "secret")}); err == nil {
		t.Error("a secret deep in folders that do not exist was made")
	}
}

// TestRootMakesNoSecretThatIsRoots: the daemon can read what a command of root made.
func TestRootMakesNoSecretThatIsRoots(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may give files away")
	}
	dir := t.TempDir()
	if err := os.Chown(dir, 1234, 1234); err != nil {
		t.Fatal(err)
	}
	if _, err := openSecret(config.Secret{File: dir + "/secret"}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(dir + "/secret")
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*syscall.Stat_t); st.Uid != 1234 || st.Gid != 1234 || info.Mode() != 0o600 {
		t.Errorf("owner %d:%d, mode %v, want 1234:1234, 0600", st.Uid, st.Gid, info.Mode())
	}
}

// TestKeysDiffer: keys of different purposes, and of different secrets, have nothing in common.
func TestKeysDiffer(t *testing.T) {
	seen := map[string]bool{}
	for _, secret := range []string{strings.Repeat("a", 32), strings.Repeat("b", 32)} {
		k, err := deriveKeys([]byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range [][]byte{k.token, k.csrf, k.seal, k.journal, k.guess} {
			if len(key) != 32 || seen[string(key)] {
				t.Errorf("a key of %d bytes, seen before: %v", len(key), seen[string(key)])
			}
			seen[string(key)] = true
		}
	}
	again, err := deriveKeys([]byte(strings.Repeat("a", 32)))
	if err != nil || !seen[string(again.token)] {
		t.Errorf("the same secret gave another key (%v): everybody would be signed out by a restart", err)
	}
}
