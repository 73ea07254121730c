package regulation_test

import (
	"testing"

	"postern/agent/regulation"
	"postern/store/storetest"
)

// TestMemoryIsAKeeper holds the Keeper of this package to the suite of the store.
func TestMemoryIsAKeeper(t *testing.T) {
	storetest.Counts(t, func(*testing.T) regulation.Keeper { return &regulation.Memory{} })
}
