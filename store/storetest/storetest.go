// Package storetest is the suite that every engine of the store passes: the promises of
// each Keeper, as tests.
//
// It does not test what is an engine's own: locks, files, damage, migrations.
package storetest

import (
	"testing"

	"postern/agent/credential"
	"postern/agent/regulation"
	"postern/agent/session"
	"postern/portal/journal"
)

// Store is every Keeper that the suite knows.
type Store interface {
	session.Keeper
	Factors
	journal.Ledger
	credential.Keeper
	regulation.Keeper
}

// Run holds the stores that open makes to every promise. Each call of open gives an
// empty store of its own, which is closed by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) Store) {
	t.Run("sessions", func(t *testing.T) { sessions(t, open) })
	t.Run("factors", func(t *testing.T) { factors(t, open) })
	t.Run("events", func(t *testing.T) { events(t, open) })
	t.Run("counts", func(t *testing.T) { Counts(t, func(t *testing.T) regulation.Keeper { return open(t) }) })
	t.Run("credentials", func(t *testing.T) { credentials(t, open) })
}
