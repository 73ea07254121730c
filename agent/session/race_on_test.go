//go:build race

package session

// raceEnabled: the race detector drops pooled objects at random, and they are made again.
const raceEnabled = true
