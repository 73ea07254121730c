package main

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"postern/agent/session"
	"postern/portal/users"
)

// farAway is a directory server that can be away and remembers nobody.
type farAway struct {
	users.Backend
	away  atomic.Bool
	asked atomic.Int32
}

func (f *farAway) Find(_ context.Context, name string) (users.User, error) {
	f.asked.Add(1)
	switch {
	case f.away.Load():
		return users.User{}, users.ErrUnavailable
	case name == "lewis":
		return users.User{Name: "lewis", DisplayName: "Lewis", Emails: []string{"lewis@example.com", "second@example.com"}, Groups: []string{"staff"}}, nil
	case name == "shut":
		return users.User{Name: "shut", Disabled: true}, nil
	case name == "second@example.com":
		return users.User{Name: "lewis"}, nil
	case name == "odd":
		return users.User{}, errOdd
	}
	return users.User{}, users.ErrNotFound
}

var errOdd = errors.New("something else")

func (f *farAway) Known(string) (users.User, bool) { return users.User{}, false }
func (f *farAway) Epoch() uint64                   { return 7 }
func (f *farAway) Run(ctx context.Context) error   { <-ctx.Done(); return nil }

func TestDirectoryIdentifies(t *testing.T) {
	f := &farAway{}
	d := newDirectory(&users.Backends{List: []users.Named{{Name: "ldap", Backend: f}}}, time.Hour)
	for _, tt := range []struct {
		about, name string
		standing    session.Standing
		err         error
	}{
		{"somebody", "lewis", session.Present, nil},
		{"nobody", "nobody", session.Gone, nil},
		{"disabled", "shut", session.Gone, nil},
		{"an address of somebody is not his name", "second@example.com", session.Gone, nil},
		{"a fault that is no outage", "odd", session.Unsure, errOdd},
	} {
		id, standing, err := d.Identify(t.Context(), tt.name)
		if standing != tt.standing || !errors.Is(err, tt.err) {
			t.Errorf("%s: %d, %v", tt.about, standing, err)
		}
		if standing == session.Present && (id.Name != "Lewis" || id.Email != "lewis@example.com" || len(id.Groups) != 1) {
			t.Errorf("%s: %+v", tt.about, id)
		}
		if _, standing := d.Recall(tt.name); standing != session.Unsure {
			t.Errorf("%s: from memory %d", tt.about, standing)
		}
	}
	whole := newDirectory(&users.Backends{}, 0)
	if _, standing := whole.Recall("lewis"); standing != session.Gone {
		t.Errorf("where all are in memory: %d", standing)
	}
}

// TestGrace: who somebody was is believed until the grace has passed since the directory
// answered last, or since the start; and what was believed is asked again, once an interval
// whatever the number of requests.
func TestGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &farAway{}
		d := newDirectory(&users.Backends{List: []users.Named{{Name: "ldap", Backend: f}}}, time.Hour)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- d.Run(ctx) }()
		believed := func() bool {
			t.Helper()
			_, standing, err := d.Identify(ctx, "lewis")
			if standing != session.Unsure || err != nil && !errors.Is(err, users.ErrUnavailable) {
				t.Fatalf("%d, %v", standing, err)
			}
			return err == nil
		}
		f.away.Store(true)
		time.Sleep(59 * time.Minute)
		if !believed() {
			t.Error("not within the grace since the start")
		}
		epoch := d.Epoch()
		time.Sleep(againEvery)
		synctest.Wait()
		if d.Epoch() != epoch+1 {
			t.Errorf("the epoch went from %d to %d", epoch, d.Epoch())
		}
		time.Sleep(10 * againEvery)
		synctest.Wait()
		if d.Epoch() != epoch+1 {
			t.Error("the epoch goes on though nobody was believed since")
		}
		if believed() {
			t.Error("believed after the grace")
		}
		f.away.Store(false)
		if _, standing, err := d.Identify(ctx, "lewis"); standing != session.Present || err != nil {
			t.Errorf("back again: %d, %v", standing, err)
		}
		f.away.Store(true)
		time.Sleep(59 * time.Minute)
		if !believed() {
			t.Error("not within the grace since the last answer")
		}
		time.Sleep(2 * time.Minute)
		if believed() {
			t.Error("believed after the grace since the last answer")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
