package factor_test

import "testing"

// newKeepers opens an empty store.
func newKeepers(testing.TB) keepers { return newMemory() }
