package factor_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"postern/store"
)

// newKeepers opens an empty store, which closes with the test.
func newKeepers(t testing.TB) keepers {
	t.Helper()
	s, err := store.Open(context.Background(), "sqlite:"+filepath.Join(memoryDir(t), "postern.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	return s
}

// memoryDir is a directory in memory where there is one: hundreds of changes wait for no
// disk then. That they survive one is the store's own test.
func memoryDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "postern-factor-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
