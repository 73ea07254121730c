package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"postern/agent/credential"
	"postern/agent/policy"
)

func credentials(t *testing.T, open func(t *testing.T) Store) {
	for _, tt := range []struct {
		name string
		test func(*testing.T, credential.Keeper)
	}{
		{"a credential comes back whole", credentialComesBack},
		{"lists are of one owner or of all, in order", credentialList},
		{"an id and a hash are taken once", credentialTaken},
		{"no owner has more than he may", credentialTooMany},
		{"one or all of an owner's are deleted, and nobody else's", credentialDelete},
		{"last uses move forward", credentialTouch},
		{"a context that has ended changes nothing", credentialEnded},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, open(t)) })
	}
}

// Credential returns the nth of any number of distinct credentials: of owner o<n%3>, made
// n minutes after start.
func Credential(n int) credential.Stored {
	s := credential.Stored{Record: credential.Record{
		ID: fmt.Sprintf("id%04d", n), Kind: credential.Token, Name: fmt.Sprintf("name %d", n), Owner: fmt.Sprintf("o%d", n%3),
		Level: policy.LevelOne, Created: start.Add(time.Duration(n) * time.Minute),
	}}
	s.Hash[0], s.Hash[1], s.Hash[31] = byte(n), byte(n>>8), 1
	return s
}

func addCredentials(t *testing.T, k credential.Keeper, numbers ...int) {
	t.Helper()
	for _, n := range numbers {
		if err := k.AddCredential(t.Context(), Credential(n), 99); err != nil {
			t.Fatalf("adding credential %d: %v", n, err)
		}
	}
}

// wantCredentials checks whose there are, by numbers in order.
func wantCredentials(t *testing.T, k credential.Keeper, what, owner string, numbers ...int) {
	t.Helper()
	got, err := k.ListCredentials(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	var want []credential.Stored
	for _, n := range numbers {
		want = append(want, Credential(n))
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: listed\n%+v\nwant\n%+v", what, got, want)
	}
}

func credentialComesBack(t *testing.T, k credential.Keeper) {
	full := Credential(1)
	full.Kind, full.Name, full.Owner, full.Level = credential.App, "Zoë's \"phone\"; DROP TABLE credentials; --", "zoë o'brien", policy.LevelTwo
	full.Scope = credential.Scope{Hosts: []string{"a.example.com", "*.example.net"}, Methods: []string{"GET", "POST"}, Path: "/ä/b", Networks: []string{"10.0.0.0/8", "2001:db8::/32"}}
	full.Expires, full.Used = start.Add(time.Hour), start.Add(time.Nanosecond)
	for i := range full.Hash {
		full.Hash[i] = byte(255 - i)
	}
	if err := k.AddCredential(t.Context(), full, 0); err != nil {
		t.Fatal(err)
	}
	got, err := k.ListCredentials(t.Context(), full.Owner)
	if want := []credential.Stored{full}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("listed\n%+v, %v\nwant\n%+v", got, err, want)
	}
}

func credentialList(t *testing.T, k credential.Keeper) {
	wantCredentials(t, k, "none yet", "")
	addCredentials(t, k, 5, 3, 0, 4, 1, 2)
	wantCredentials(t, k, "all, by owner and age", "", 0, 3, 1, 4, 2, 5)
	wantCredentials(t, k, "of one owner", "o1", 1, 4)
	wantCredentials(t, k, "of an owner in capitals", "O1")
	wantCredentials(t, k, "of an owner that is SQL", "' OR 1=1 --")
}

func credentialTaken(t *testing.T, k credential.Keeper) {
	addCredentials(t, k, 1)
	sameID, sameHash := Credential(2), Credential(3)
	sameID.ID, sameHash.Hash = Credential(1).ID, Credential(1).Hash
	for what, c := range map[string]credential.Stored{"id": sameID, "hash": sameHash} {
		if err := k.AddCredential(t.Context(), c, 99); err == nil {
			t.Errorf("an %s was taken twice", what)
		}
	}
	wantCredentials(t, k, "afterwards", "", 1)
}

// credentialTooMany holds the bound against additions at the same moment.
func credentialTooMany(t *testing.T, k credential.Keeper) {
	const others = 4
	errs := make(chan error, 12)
	var wg sync.WaitGroup
	for n := range cap(errs) {
		wg.Go(func() { errs <- k.AddCredential(t.Context(), Credential(3*n), others) })
	}
	wg.Wait()
	close(errs)
	added := 0
	for err := range errs {
		switch {
		case err == nil:
			added++
		case !errors.Is(err, credential.ErrTooMany):
			t.Errorf("one too many: %v, want ErrTooMany", err)
		}
	}
	if added != others+1 {
		t.Errorf("%d were added beside at most %d others", added, others)
	}
	addCredentials(t, k, 1) // another owner's are not counted
}

func credentialDelete(t *testing.T, k credential.Keeper) {
	addCredentials(t, k, 0, 1, 2, 3, 4, 6)
	gone, err := k.DeleteCredentials(t.Context(), "o0", Credential(3).ID)
	if want := []credential.Stored{Credential(3)}; err != nil || !reflect.DeepEqual(gone, want) {
		t.Errorf("deleted %+v, %v, want %+v", gone, err, want)
	}
	for _, other := range []struct{ owner, id string }{
		{"o0", Credential(1).ID}, {"o0", Credential(3).ID}, {"o0", "%"}, {"nobody", ""},
	} {
		if gone, err := k.DeleteCredentials(t.Context(), other.owner, other.id); err != nil || len(gone) != 0 {
			t.Errorf("%s, %s: deleted %+v, %v, want none", other.owner, other.id, gone, err)
		}
	}
	if _, err := k.DeleteCredentials(t.Context(), "", ""); err == nil {
		t.Error("everybody's were deleted")
	}
	if gone, err := k.DeleteCredentials(t.Context(), "o0", ""); err != nil || len(gone) != 2 {
		t.Errorf("all of an owner's: %+v, %v, want two", gone, err)
	}
	wantCredentials(t, k, "what is left", "", 1, 4, 2)
}

func credentialTouch(t *testing.T, k credential.Keeper) {
	addCredentials(t, k, 1, 4)
	later := start.Add(time.Hour)
	for _, touches := range [][]credential.Touch{
		{{ID: Credential(1).ID, Used: later}, {ID: "unknown", Used: later}},
		{{ID: Credential(1).ID, Used: start}},
		nil,
	} {
		if err := k.TouchCredentials(t.Context(), touches); err != nil {
			t.Fatal(err)
		}
	}
	got, err := k.ListCredentials(t.Context(), "o1")
	if err != nil || len(got) != 2 || !got[0].Used.Equal(later) || !got[1].Used.IsZero() {
		t.Errorf("last uses: %+v, %v, want %v and never", got, err, later)
	}
}

func credentialEnded(t *testing.T, k credential.Keeper) {
	addCredentials(t, k, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, listErr := k.ListCredentials(ctx, "")
	_, deleteErr := k.DeleteCredentials(ctx, "o1", "")
	for what, err := range map[string]error{
		"add": k.AddCredential(ctx, Credential(2), 9), "list": listErr, "delete": deleteErr,
		"touch": k.TouchCredentials(ctx, []credential.Touch{{ID: Credential(1).ID, Used: start}}),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", what, err)
		}
	}
	wantCredentials(t, k, "afterwards", "", 1)
}
