//go:build race

package agent_test

// raced says that the race detector is on: it makes pools forget what they hold, so that
// allocations cannot be counted.
const raced = true
