package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/agent/policy"
	"postern/agent/session"
)

// start is a time with nanoseconds, so that rounding shows.
var start = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

// Session returns the nth of any number of distinct sessions: user u<n%7> in domain
// d<n%2>.example, signed in n minutes after start.
func Session(n int) session.Record {
	created := start.Add(time.Duration(n) * time.Minute)
	r := session.Record{Session: session.Session{
		ID:       fmt.Sprintf("id%014d", n),
		Domain:   fmt.Sprintf("d%d.example", n%2),
		User:     fmt.Sprintf("u%d", n%7),
		Name:     "Zoë \"Z\" O'Brien; DROP TABLE sessions; --",
		Email:    "zoe@example.com",
		Groups:   []string{"staff", "a,b", "ünïcode", `back\slash`},
		Level:    policy.LevelTwo,
		Remember: n%3 == 0,
		Created:  created,
		Expires:  created.Add(12 * time.Hour),
		Seen:     created.Add(time.Second),
		Addr:     "2001:db8::1",
		Browser:  strings.Repeat("x", session.BrowserMax),
	}}
	r.Proofs[policy.Password] = created.Unix()
	r.Proofs[policy.Certificate] = 1
	r.Hash[0], r.Hash[1], r.Hash[2], r.Hash[31] = byte(n), byte(n>>8), byte(n>>16), 0xff
	return r
}

func sessions(t *testing.T, open func(t *testing.T) Store) {
	for _, tt := range []struct {
		name string
		test func(*testing.T, Store)
	}{
		{"what is saved comes back whole", comesBack},
		{"an empty store has nothing", emptyStore},
		{"rotation removes the old session", rotation},
		{"rotation from a session that is gone still saves", rotationFromNothing},
		{"a hash that is taken is refused and changes nothing", takenHash},
		{"an id that is taken is refused and changes nothing", takenID},
		{"a filter selects in list and deletion alike", filters},
		{"a limit bounds list and deletion", limits},
		{"lists are in order", order},
		{"last uses move forward alone", touches},
		{"a context that has ended changes nothing", endedContext},
		{"parallel changes are all kept", parallel},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, open(t)) })
	}
}

func save(t *testing.T, s Store, numbers ...int) []session.Record {
	t.Helper()
	var records []session.Record
	for _, n := range numbers {
		r := Session(n)
		if err := s.SaveSession(t.Context(), r, nil); err != nil {
			t.Fatalf("saving session %d: %v", n, err)
		}
		records = append(records, r)
	}
	return records
}

// want checks what the store holds, by ids in order of the list.
func want(t *testing.T, s Store, numbers ...int) {
	t.Helper()
	all, err := s.ListSessions(t.Context(), session.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := ids(all), idsOf(numbers); !slices.Equal(got, want) {
		t.Errorf("the store holds %v, want %v", got, want)
	}
}

func ids(records []session.Record) []string {
	ids := make([]string, 0, len(records))
	for _, r := range records {
		ids = append(ids, r.ID)
	}
	return slices.Sorted(slices.Values(ids))
}

func idsOf(numbers []int) []string {
	ids := make([]string, 0, len(numbers))
	for _, n := range numbers {
		ids = append(ids, Session(n).ID)
	}
	return slices.Sorted(slices.Values(ids))
}

func comesBack(t *testing.T, s Store) {
	full := Session(1)
	bare := Session(2)
	bare.Session = session.Session{ID: "bare", Domain: "d", User: "u", Level: policy.LevelOne, Created: start, Expires: start}
	for _, r := range []session.Record{full, bare} {
		if err := s.SaveSession(t.Context(), r, nil); err != nil {
			t.Fatal(err)
		}
		got, err := s.LoadSession(t.Context(), r.Hash)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, r) {
			t.Errorf("loaded\n%+v\nwant\n%+v", got, r)
		}
		list, err := s.ListSessions(t.Context(), session.Filter{ID: r.ID})
		if err != nil || len(list) != 1 || !reflect.DeepEqual(list[0], r) {
			t.Errorf("listed\n%+v, %v\nwant\n%+v", list, err, r)
		}
	}
	deleted, err := s.DeleteSessions(t.Context(), session.Filter{ID: full.ID})
	if err != nil || len(deleted) != 1 || !reflect.DeepEqual(deleted[0], full) {
		t.Errorf("deleted\n%+v, %v\nwant\n%+v", deleted, err, full)
	}
}

func emptyStore(t *testing.T, s Store) {
	if _, err := s.LoadSession(t.Context(), Session(1).Hash); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("load: %v, want ErrNotFound", err)
	}
	if got, err := s.DeleteSessions(t.Context(), session.Filter{ID: "id"}); err != nil || len(got) != 0 {
		t.Errorf("delete: %v, %v, want nothing", got, err)
	}
	if err := s.TouchSessions(t.Context(), []session.Touch{{Hash: Session(1).Hash, Seen: start}}); err != nil {
		t.Errorf("touch of an unknown session: %v, want nil", err)
	}
	if err := s.TouchSessions(t.Context(), nil); err != nil {
		t.Errorf("touch of nothing: %v, want nil", err)
	}
	want(t, s)
}

func rotation(t *testing.T, s Store) {
	old := save(t, s, 1, 2)[0]
	if err := s.SaveSession(t.Context(), Session(3), &old.Hash); err != nil {
		t.Fatal(err)
	}
	if _, err := s.LoadSession(t.Context(), old.Hash); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("the old session: %v, want ErrNotFound", err)
	}
	want(t, s, 2, 3)
}

func rotationFromNothing(t *testing.T, s Store) {
	gone := Session(9).Hash
	if err := s.SaveSession(t.Context(), Session(3), &gone); err != nil {
		t.Fatal(err)
	}
	want(t, s, 3)
}

func takenHash(t *testing.T, s Store) {
	save(t, s, 1, 2)
	r, old := Session(3), Session(2).Hash
	r.Hash = Session(1).Hash
	if err := s.SaveSession(t.Context(), r, &old); err == nil {
		t.Error("a second session was saved under one hash")
	}
	want(t, s, 1, 2)
}

func takenID(t *testing.T, s Store) {
	save(t, s, 1, 2)
	r, old := Session(3), Session(2).Hash
	r.ID = Session(1).ID
	if err := s.SaveSession(t.Context(), r, &old); err == nil {
		t.Error("a second session was saved under one id")
	}
	want(t, s, 1, 2)
}

// filterCases select from the sessions 0 to 13.
var filterCases = []struct {
	name   string
	filter session.Filter
	want   []int
}{
	{"by id", session.Filter{ID: Session(3).ID}, []int{3}},
	{"by an id that is not there", session.Filter{ID: "nobody"}, nil},
	{"by ids", session.Filter{IDs: []string{Session(3).ID, "nobody", Session(5).ID}}, []int{3, 5}},
	{"by no ids", session.Filter{IDs: []string{}}, nil},
	{"by user", session.Filter{User: "u3"}, []int{3, 10}},
	{"by a user whose name is another's in upper case", session.Filter{User: "U3"}, nil},
	{"by a user that is a pattern", session.Filter{User: "u%"}, nil},
	{"by a user that is SQL", session.Filter{User: "' OR 1=1 --"}, nil},
	{"by user and domain", session.Filter{User: "u3", Domain: "d0.example"}, []int{10}},
	{"a user's others", session.Filter{User: "u3", Except: Session(3).ID}, []int{10}},
	{"an id that is not the user's", session.Filter{ID: Session(3).ID, User: "u4"}, nil},
	{"what expires before", session.Filter{Before: Session(2).Expires}, []int{0, 1}},
	{"what expires before, of a domain", session.Filter{Before: Session(2).Expires, Domain: "d1.example"}, []int{1}},
	{"all", session.Filter{}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}},
}

func filters(t *testing.T, s Store) {
	all := session.Filter{}
	for _, tt := range filterCases {
		if _, err := s.DeleteSessions(t.Context(), all); err != nil {
			t.Fatal(err)
		}
		records := save(t, s, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)
		listed, err := s.ListSessions(t.Context(), tt.filter)
		if err != nil || !slices.Equal(ids(listed), idsOf(tt.want)) {
			t.Errorf("%s: listed %v, %v, want %v", tt.name, ids(listed), err, idsOf(tt.want))
		}
		deleted, err := s.DeleteSessions(t.Context(), tt.filter)
		if err != nil || !slices.Equal(ids(deleted), idsOf(tt.want)) {
			t.Errorf("%s: deleted %v, %v, want %v", tt.name, ids(deleted), err, idsOf(tt.want))
		}
		var left []int
		for n := range records {
			selected := slices.Contains(tt.want, n)
			if !selected {
				left = append(left, n)
			}
			if match := tt.filter.Match(&records[n].Session); match != selected {
				t.Errorf("%s: Filter.Match(session %d) is %v", tt.name, n, match)
			}
		}
		want(t, s, left...)
	}
}

func limits(t *testing.T, s Store) {
	save(t, s, 0, 1, 2, 3, 4)
	f := session.Filter{Before: Session(4).Expires, Limit: 3}
	if got, err := s.ListSessions(t.Context(), f); err != nil || len(got) != 3 {
		t.Errorf("listed %d, %v, want 3", len(got), err)
	}
	for _, left := range []int{2, 1, 1} { // session 4 does not expire before itself
		if _, err := s.DeleteSessions(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		all, err := s.ListSessions(t.Context(), session.Filter{})
		if err != nil || len(all) != left {
			t.Errorf("%d sessions are left, %v, want %d", len(all), err, left)
		}
	}
}

func order(t *testing.T, s Store) {
	save(t, s, 15, 8, 1, 0, 7)
	twin := Session(99)
	twin.ID, twin.User, twin.Created = "id", "u0", Session(7).Created
	if err := s.SaveSession(t.Context(), twin, nil); err != nil {
		t.Fatal(err)
	}
	all, err := s.ListSessions(t.Context(), session.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range all {
		got = append(got, r.ID)
	}
	want := []string{Session(0).ID, "id", Session(7).ID, Session(1).ID, Session(8).ID, Session(15).ID}
	if !slices.Equal(got, want) {
		t.Errorf("order %v, want %v: by user, then sign-in, then id", got, want)
	}
}

func touches(t *testing.T, s Store) {
	save(t, s, 1, 2, 3)
	later := start.Add(5 * time.Hour)
	err := s.TouchSessions(t.Context(), []session.Touch{
		{Hash: Session(1).Hash, Seen: later},
		{Hash: Session(9).Hash, Seen: later},
		{Hash: Session(2).Hash, Seen: start.Add(-time.Hour)},
	})
	if err != nil {
		t.Fatal(err)
	}
	for n, seen := range map[int]time.Time{1: later, 2: Session(2).Seen, 3: Session(3).Seen} {
		r, err := s.LoadSession(t.Context(), Session(n).Hash)
		if err != nil || !r.Seen.Equal(seen) {
			t.Errorf("session %d was seen %v, %v, want %v", n, r.Seen, err, seen)
		}
	}
	want(t, s, 1, 2, 3)

	// Who the user is changes too, whether the use is a new one or not.
	who := &session.Identity{Name: "Another Name", Email: "another@example.com", Groups: []string{"one", "two"}}
	if err := s.TouchSessions(t.Context(), []session.Touch{
		{Hash: Session(2).Hash, Seen: start.Add(-time.Hour), Who: who},
		{Hash: Session(9).Hash, Seen: later, Who: who},
		{Hash: Session(3).Hash, Seen: later, Who: &session.Identity{}},
	}); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]session.Identity{2: *who, 3: {}} {
		r, err := s.LoadSession(t.Context(), Session(n).Hash)
		if got := (session.Identity{Name: r.Name, Email: r.Email, Groups: r.Groups}); err != nil || got.Name != want.Name || got.Email != want.Email || !slices.Equal(got.Groups, want.Groups) {
			t.Errorf("session %d is of %+v, %v, want %+v", n, got, err, want)
		}
		if r.User != Session(n).User || r.Level != Session(n).Level {
			t.Errorf("session %d is another one now: %+v", n, r)
		}
	}
	if r, err := s.LoadSession(t.Context(), Session(1).Hash); err != nil || r.Name != Session(1).Name {
		t.Errorf("session 1 was renamed: %+v, %v", r, err)
	}
}

func endedContext(t *testing.T, s Store) {
	save(t, s, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	old := Session(1).Hash
	_, loadErr := s.LoadSession(ctx, old)
	_, listErr := s.ListSessions(ctx, session.Filter{})
	_, deleteErr := s.DeleteSessions(ctx, session.Filter{})
	for what, err := range map[string]error{
		"load": loadErr, "list": listErr, "delete": deleteErr,
		"save":  s.SaveSession(ctx, Session(2), &old),
		"touch": s.TouchSessions(ctx, []session.Touch{{Hash: old, Seen: start.Add(time.Hour)}}),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", what, err)
		}
	}
	want(t, s, 1)
}

func parallel(t *testing.T, s Store) {
	const writers, each = 8, 10
	errs := make(chan error, writers*each)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				r := Session(w*each + i)
				err := s.SaveSession(t.Context(), r, nil)
				if err == nil {
					err = s.TouchSessions(t.Context(), []session.Touch{{Hash: r.Hash, Seen: r.Seen.Add(time.Minute)}})
				}
				if err == nil {
					_, err = s.LoadSession(t.Context(), r.Hash)
				}
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	all, err := s.ListSessions(t.Context(), session.Filter{})
	if err != nil || len(all) != writers*each {
		t.Errorf("%d sessions, %v, want %d", len(all), err, writers*each)
	}
}
