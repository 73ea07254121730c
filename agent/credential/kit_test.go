package credential

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// start is the clock of every test.
var start = time.Unix(1_800_000_000, 0).UTC()

// keeper keeps credentials in a map. It stands for the store, which is tested elsewhere.
type keeper struct {
	mu      sync.Mutex
	all     map[string]Stored
	touches [][]Touch
	err     error // of every call
}

func (k *keeper) AddCredential(_ context.Context, s Stored, others int) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return k.err
	}
	have := 0
	for _, c := range k.all {
		if c.Owner == s.Owner {
			have++
		}
	}
	if have > others {
		return ErrTooMany
	}
	if k.all == nil {
		k.all = map[string]Stored{}
	}
	k.all[s.ID] = s
	return nil
}

func (k *keeper) ListCredentials(_ context.Context, owner string) ([]Stored, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []Stored
	for _, s := range k.all {
		if owner == "" || s.Owner == owner {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b Stored) int {
		return cmp.Or(strings.Compare(a.Owner, b.Owner), a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID))
	})
	return list, k.err
}

func (k *keeper) DeleteCredentials(_ context.Context, owner, id string) (gone []Stored, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return nil, k.err
	}
	for _, s := range k.all {
		if s.Owner == owner && (id == "" || s.ID == id) {
			gone = append(gone, s)
			delete(k.all, s.ID)
		}
	}
	return gone, nil
}

func (k *keeper) TouchCredentials(_ context.Context, touches []Touch) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return k.err
	}
	k.touches = append(k.touches, touches)
	for _, t := range touches {
		if s, ok := k.all[t.ID]; ok && t.Used.After(s.Used) {
			s.Used = t.Used
			k.all[t.ID] = s
		}
	}
	return nil
}

// clock is a clock that stands still.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// open is a book over an empty keeper, loaded.
func open(t testing.TB) (*Book, *keeper, *clock) {
	t.Helper()
	k, c := &keeper{}, &clock{at: start}
	b := &Book{Keeper: k, Now: c.now}
	if err := b.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b, k, c
}

func create(t testing.TB, b *Book, d Draft) (secret string, r Record) {
	t.Helper()
	if d.Kind == "" {
		d.Kind = Token
	}
	if d.Owner == "" {
		d.Owner = "alice"
	}
	if d.Name == "" {
		d.Name = "a script"
	}
	secret, r, err := b.Create(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return secret, r
}

var errDisk = errors.New("disk full")
