package storetest

import (
	"errors"
	"maps"
	"reflect"
	"sync"
	"testing"
	"time"

	"postern/portal/factor"
)

// Factors is every Keeper of package factor.
type Factors interface {
	factor.Keeper
	factor.CodeKeeper
	factor.MailKeeper
	factor.SpentKeeper
}

func factors(t *testing.T, open func(t *testing.T) Store) {
	for _, tt := range []struct {
		name string
		test func(*testing.T, Factors)
	}{
		{"a device comes back whole", deviceComesBack},
		{"an id or a lookup that is taken is refused", deviceTaken},
		{"the number of devices is held where they are added", deviceBound},
		{"lists are selected and in order", deviceList},
		{"a count goes forward alone", deviceAdvance},
		{"amending changes what is named", deviceAmend},
		{"deletion is of one user's", deviceDelete},
		{"a recovery code is spent once", recovery},
		{"a mailed code is open once for its slot", mails},
		{"mailed codes are bounded for a user", mailBound},
		{"tries are counted before anybody compares", mailTries},
		{"what is spent stays spent", spent},
		{"of many at once one wins", oneWins},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, open(t)) })
	}
}

// device returns a TOTP device; a lookup makes it a passkey.
func device(user, id, lookup string) factor.Record {
	r := factor.Record{
		Device: factor.Device{ID: id, Kind: factor.KindTOTP, User: user, Name: "Zoë's \"phone\"; --", Created: start},
		Count:  7,
		Sealed: []byte{0, 1, 2, 0xff},
	}
	if lookup != "" {
		r.Kind, r.Site, r.Lookup, r.Count = factor.KindWebAuthn, "auth.example.com", []byte(lookup), 0
	}
	return r
}

func add(t *testing.T, s Factors, records ...factor.Record) {
	t.Helper()
	for _, r := range records {
		wantError(t, "adding "+r.ID, s.AddFactor(t.Context(), r, 100), nil)
	}
}

func wantError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// wantDevices checks what the store holds, by ids in the order of the list.
func wantDevices(t *testing.T, s Factors, f factor.Filter, want ...string) {
	t.Helper()
	list, err := s.ListFactors(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range list {
		got = append(got, r.ID)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v lists %v, want %v", f, got, want)
	}
}

func deviceComesBack(t *testing.T, s Factors) {
	full := device("alice", "1", "credential")
	full.Used, full.Warned, full.Count = start.Add(time.Hour), start.Add(2*time.Hour), 1<<40
	bare := device("bob", "2", "")
	add(t, s, full, bare)
	for _, want := range []factor.Record{full, bare} {
		got, err := s.ListFactors(t.Context(), factor.Filter{User: want.User})
		if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], want) {
			t.Errorf("listed\n%+v, %v\nwant\n%+v", got, err, want)
		}
	}
	gone, err := s.DeleteFactors(t.Context(), "alice", "1")
	if err != nil || len(gone) != 1 || !reflect.DeepEqual(gone[0], full) {
		t.Errorf("deleted\n%+v, %v\nwant\n%+v", gone, err, full)
	}
}

func deviceTaken(t *testing.T, s Factors) {
	add(t, s, device("alice", "1", "c1"), device("alice", "2", ""), device("alice", "3", "")) // no lookup is never taken
	for _, r := range []factor.Record{device("bob", "1", ""), device("bob", "9", "c1"), device("alice", "9", "c1")} {
		wantError(t, "adding "+r.User+"'s "+r.ID, s.AddFactor(t.Context(), r, 100), factor.ErrExists)
	}
	wantDevices(t, s, factor.Filter{}, "1", "2", "3")
}

func deviceBound(t *testing.T, s Factors) {
	add(t, s, device("bob", "b", ""))
	wantError(t, "the first", s.AddFactor(t.Context(), device("alice", "1", ""), 0), nil)
	wantError(t, "a second first one", s.AddFactor(t.Context(), device("alice", "2", "c"), 0), factor.ErrTooMany)
	wantError(t, "the second", s.AddFactor(t.Context(), device("alice", "2", "c"), 1), nil)
	wantError(t, "one too many", s.AddFactor(t.Context(), device("alice", "3", ""), 1), factor.ErrTooMany)
	wantDevices(t, s, factor.Filter{User: "alice"}, "1", "2")
}

func deviceList(t *testing.T, s Factors) {
	late := device("alice", "0", "")
	late.Created = start.Add(time.Second)
	add(t, s, device("bob", "b", "c2"), late, device("alice", "2", "c1"), device("alice", "1", ""))
	wantDevices(t, s, factor.Filter{}, "1", "2", "0", "b")
	wantDevices(t, s, factor.Filter{User: "alice"}, "1", "2", "0")
	wantDevices(t, s, factor.Filter{User: "Alice"})
	wantDevices(t, s, factor.Filter{User: "a%"})
	wantDevices(t, s, factor.Filter{Kind: factor.KindWebAuthn}, "2", "b")
	wantDevices(t, s, factor.Filter{User: "alice", Kind: factor.KindWebAuthn}, "2")
	wantDevices(t, s, factor.Filter{Lookup: []byte("c2")}, "b")
	wantDevices(t, s, factor.Filter{User: "alice", Lookup: []byte("c2")})
	wantDevices(t, s, factor.Filter{Lookup: []byte{}})
}

func deviceAdvance(t *testing.T, s Factors) {
	add(t, s, device("alice", "1", ""), device("bob", "2", "c"))
	used := start.Add(time.Hour)
	tests := []struct {
		name     string
		user, id string
		count    int64
		want     error
	}{
		{"one step on", "alice", "1", 8, nil},
		{"the same", "alice", "1", 8, factor.ErrSpent},
		{"back", "alice", "1", 7, factor.ErrSpent},
		{"to zero", "alice", "1", 0, factor.ErrSpent},
		{"far on", "alice", "1", 1 << 40, nil},
		{"zero, where none is counted", "bob", "2", 0, nil},
		{"zero again", "bob", "2", 0, nil},
		{"another user's", "bob", "1", 1 << 50, factor.ErrNotFound},
		{"one that is not there", "alice", "9", 1, factor.ErrNotFound},
	}
	for _, tt := range tests {
		a := factor.Advance{User: tt.user, ID: tt.id, Count: tt.count, Used: used}
		wantError(t, tt.name, s.AdvanceFactor(t.Context(), a), tt.want)
	}
	want := device("alice", "1", "")
	want.Count, want.Used = 1<<40, used
	got, err := s.ListFactors(t.Context(), factor.Filter{User: "alice"})
	if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	wantError(t, "with a new seal", s.AdvanceFactor(t.Context(), factor.Advance{User: "alice", ID: "1", Count: 1<<40 + 1, Sealed: []byte("new")}), nil)
	if got, _ := s.ListFactors(t.Context(), factor.Filter{User: "alice"}); string(got[0].Sealed) != "new" {
		t.Errorf("sealed is %q", got[0].Sealed)
	}
}

func deviceAmend(t *testing.T, s Factors) {
	add(t, s, device("alice", "1", ""), device("bob", "2", ""))
	warned := start.Add(time.Hour)
	wantError(t, "a name", s.AmendFactor(t.Context(), factor.Amend{User: "alice", ID: "1", Name: "New"}), nil)
	wantError(t, "a warning", s.AmendFactor(t.Context(), factor.Amend{User: "alice", ID: "1", Warned: warned}), nil)
	wantError(t, "another user's", s.AmendFactor(t.Context(), factor.Amend{User: "alice", ID: "2", Name: "New"}), factor.ErrNotFound)
	want := device("alice", "1", "")
	want.Name, want.Warned = "New", warned
	got, err := s.ListFactors(t.Context(), factor.Filter{})
	if err != nil || len(got) != 2 || !reflect.DeepEqual(got[0], want) || !reflect.DeepEqual(got[1], device("bob", "2", "")) {
		t.Errorf("%+v, %v", got, err)
	}
}

func deviceDelete(t *testing.T, s Factors) {
	add(t, s, device("alice", "1", ""), device("alice", "2", ""), device("alice", "3", "c"), device("bob", "4", ""))
	for _, tt := range []struct {
		user, id string
		want     int
	}{{"alice", "4", 0}, {"alice", "1", 1}, {"alice", "1", 0}, {"alice", "", 2}, {"alice", "", 0}} {
		gone, err := s.DeleteFactors(t.Context(), tt.user, tt.id)
		if err != nil || len(gone) != tt.want {
			t.Errorf("deleting %q of %s: %d, %v, want %d", tt.id, tt.user, len(gone), err, tt.want)
		}
	}
	for _, id := range []string{"", "4"} {
		if _, err := s.DeleteFactors(t.Context(), "", id); err == nil {
			t.Errorf("deleting %q of nobody: no error", id)
		}
	}
	wantDevices(t, s, factor.Filter{}, "4")
	add(t, s, device("bob", "5", "c")) // what is gone is not taken
}

func mac(n byte) (m [32]byte) { m[0], m[31] = n, 0xff; return m }

func recovery(t *testing.T, s Factors) {
	ctx := t.Context()
	count := func(user string, want int) {
		t.Helper()
		if n, err := s.CountRecovery(ctx, user); err != nil || n != want {
			t.Errorf("%s has %d codes, %v, want %d", user, n, err, want)
		}
	}
	count("alice", 0)
	wantError(t, "replacing nothing", s.ReplaceRecovery(ctx, "alice", [][32]byte{mac(1), mac(2), mac(3)}, start), nil)
	wantError(t, "another user's", s.ReplaceRecovery(ctx, "bob", [][32]byte{mac(1)}, start), nil)
	left, err := s.SpendRecovery(ctx, "alice", mac(1), start)
	if err != nil || left != 2 {
		t.Errorf("spending one: %d left, %v", left, err)
	}
	_, err = s.SpendRecovery(ctx, "alice", mac(1), start)
	wantError(t, "spending it again", err, factor.ErrSpent)
	_, err = s.SpendRecovery(ctx, "alice", mac(9), start)
	wantError(t, "an unknown one", err, factor.ErrNotFound)
	_, err = s.SpendRecovery(ctx, "carol", mac(2), start)
	wantError(t, "one of a user without", err, factor.ErrNotFound)
	count("alice", 2)
	count("bob", 1)
	all := func(want map[string]int) {
		t.Helper()
		if got, err := s.ListRecovery(ctx); err != nil || !maps.Equal(got, want) {
			t.Errorf("codes of all: %v, %v, want %v", got, err, want)
		}
	}
	all(map[string]int{"alice": 2, "bob": 1})

	wantError(t, "replacing", s.ReplaceRecovery(ctx, "alice", [][32]byte{mac(1), mac(4)}, start), nil)
	count("alice", 2)
	_, err = s.SpendRecovery(ctx, "alice", mac(2), start)
	wantError(t, "one that was replaced", err, factor.ErrNotFound)
	wantError(t, "removing", s.ReplaceRecovery(ctx, "alice", nil, start), nil)
	count("alice", 0)
	count("bob", 1)
	_, err = s.SpendRecovery(ctx, "bob", mac(1), start)
	wantError(t, "spending the last", err, nil)
	all(map[string]int{})
}

func mailOf(user, id string, slot byte) factor.Mail {
	return factor.Mail{ID: id, User: user, Slot: mac(slot), MAC: mac(slot + 100), Expires: start.Add(10 * time.Minute)}
}

func mails(t *testing.T, s Factors) {
	ctx := t.Context()
	_, err := s.TryMail(ctx, mac(1), 5, start)
	wantError(t, "trying nothing", err, factor.ErrNotFound)
	first, second, other := mailOf("alice", "1", 1), mailOf("alice", "2", 1), mailOf("alice", "3", 2)
	second.MAC = mac(77)
	for _, m := range []factor.Mail{first, second, other} {
		wantError(t, "saving "+m.ID, s.SaveMail(ctx, m, 5, start), nil)
	}
	if got, err := s.TryMail(ctx, mac(1), 5, start); err != nil || got != second {
		t.Errorf("the open code of the slot is %+v, %v, want %+v", got, err, second)
	}
	wantError(t, "closing the one before", s.CloseMail(ctx, "1"), factor.ErrSpent)
	wantError(t, "closing", s.CloseMail(ctx, "2"), nil)
	wantError(t, "closing again", s.CloseMail(ctx, "2"), factor.ErrSpent)
	wantError(t, "closing what is not there", s.CloseMail(ctx, "9"), factor.ErrSpent)
	_, err = s.TryMail(ctx, mac(1), 5, start)
	wantError(t, "trying a closed one", err, factor.ErrNotFound)
	_, err = s.TryMail(ctx, mac(2), 5, other.Expires)
	wantError(t, "trying an expired one", err, factor.ErrNotFound)
	_, err = s.TryMail(ctx, mac(2), 5, other.Expires.Add(-1))
	wantError(t, "trying at the last moment", err, nil)
}

func mailBound(t *testing.T, s Factors) {
	ctx := t.Context()
	wantError(t, "the first", s.SaveMail(ctx, mailOf("alice", "1", 1), 2, start), nil)
	wantError(t, "closing it", s.CloseMail(ctx, "1"), nil) // closed ones count too
	wantError(t, "the second", s.SaveMail(ctx, mailOf("alice", "2", 2), 2, start), nil)
	wantError(t, "a third", s.SaveMail(ctx, mailOf("alice", "3", 2), 2, start), factor.ErrTooMany)
	if got, err := s.TryMail(ctx, mac(2), 5, start); err != nil || got.ID != "2" {
		t.Errorf("what was refused closed another: %+v, %v", got, err)
	}
	wantError(t, "another user's", s.SaveMail(ctx, mailOf("bob", "4", 3), 2, start), nil)
	later := start.Add(10 * time.Minute)
	again := mailOf("alice", "5", 2)
	again.Expires = later.Add(10 * time.Minute)
	wantError(t, "after they expired", s.SaveMail(ctx, again, 2, later), nil)
	if got, err := s.TryMail(ctx, mac(2), 5, later); err != nil || got.ID != "5" {
		t.Errorf("%+v, %v", got, err)
	}
}

func mailTries(t *testing.T, s Factors) {
	ctx := t.Context()
	wantError(t, "saving", s.SaveMail(ctx, mailOf("alice", "1", 1), 5, start), nil)
	for range 3 {
		_, err := s.TryMail(ctx, mac(1), 3, start)
		wantError(t, "trying", err, nil)
	}
	_, err := s.TryMail(ctx, mac(1), 3, start)
	wantError(t, "one try too many", err, factor.ErrNotFound)
	wantError(t, "a new code", s.SaveMail(ctx, mailOf("alice", "2", 1), 5, start), nil)
	_, err = s.TryMail(ctx, mac(1), 3, start)
	wantError(t, "trying the new one", err, nil)
}

func spent(t *testing.T, s Factors) {
	ctx := t.Context()
	until := start.Add(time.Hour)
	wantError(t, "once", s.Spend(ctx, mac(1), until, start), nil)
	wantError(t, "twice", s.Spend(ctx, mac(1), until, start), factor.ErrSpent)
	wantError(t, "another", s.Spend(ctx, mac(2), until, start), nil)
	wantError(t, "at the last moment", s.Spend(ctx, mac(1), until, until.Add(-1)), factor.ErrSpent)
	wantError(t, "giving it back", s.Unspend(ctx, mac(1)), nil)
	wantError(t, "giving back what is not there", s.Unspend(ctx, mac(9)), nil)
	wantError(t, "once more", s.Spend(ctx, mac(1), until, start), nil)
	wantError(t, "twice more", s.Spend(ctx, mac(1), until, start), factor.ErrSpent)
	wantError(t, "the other", s.Spend(ctx, mac(2), until, start), factor.ErrSpent)
}

// oneWins calls each of the methods that promise one winner, eight times at once.
func oneWins(t *testing.T, s Factors) {
	ctx := t.Context()
	add(t, s, device("alice", "1", ""))
	wantError(t, "codes", s.ReplaceRecovery(ctx, "alice", [][32]byte{mac(1)}, start), nil)
	wantError(t, "mail", s.SaveMail(ctx, mailOf("alice", "1", 1), 5, start), nil)
	for name, call := range map[string]func(i int) error{
		"adding a first device": func(i int) error { return s.AddFactor(ctx, device("bob", string(rune('a'+i)), ""), 0) },
		"advancing": func(int) error {
			return s.AdvanceFactor(ctx, factor.Advance{User: "alice", ID: "1", Count: 8, Used: start})
		},
		"a recovery code": func(int) error { _, err := s.SpendRecovery(ctx, "alice", mac(1), start); return err },
		"closing a mail":  func(int) error { return s.CloseMail(ctx, "1") },
		"spending":        func(int) error { return s.Spend(ctx, mac(1), start.Add(time.Hour), start) },
		"the last try":    func(int) error { _, err := s.TryMail(ctx, mac(2), 1, start); return err },
	} {
		if name == "the last try" {
			wantError(t, "mail", s.SaveMail(ctx, mailOf("alice", "2", 2), 5, start), nil)
		}
		const n = 8
		errs := make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() { errs[i] = call(i) })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			switch {
			case err == nil:
				won++
			case !errors.Is(err, factor.ErrSpent) && !errors.Is(err, factor.ErrTooMany) && !errors.Is(err, factor.ErrNotFound):
				t.Errorf("%s: %v", name, err)
			}
		}
		if won != 1 {
			t.Errorf("%s: %d of %d won", name, won, n)
		}
	}
}
