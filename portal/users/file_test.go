package users

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
)

func TestAuthenticate(t *testing.T) {
	f := open(t, people())
	tests := []struct {
		why, name, password string
		search              Search
		want                string // canonical name, "" for refused
	}{
		{"right", "alice", "wonderland", Search{}, "alice"},
		{"with a space that a phone added", "alice ", "wonderland", Search{}, "alice"},
		{"wrong password", "alice", "Wonderland", Search{}, ""},
		{"another's password", "alice", "builder", Search{}, ""},
		{"a space in the password counts", "alice", "wonderland ", Search{}, ""},
		{"unknown", "mallory", "wonderland", Search{}, ""},
		{"disabled", "carol", "carol's own", Search{}, ""},
		{"no name", "", "wonderland", Search{}, ""},
		{"no password", "alice", "", Search{}, ""},
		{"capitals, when they count", "Alice", "wonderland", Search{}, ""},
		{"capitals, when they do not", "ALICE", "wonderland", Search{CaseInsensitive: true}, "alice"},
		{"an address, when none leads in", "bob@example.com", "builder", Search{}, ""},
		{"an address", "bob@example.com", "builder", Search{Email: true}, "bob"},
		{"a second address in capitals", "Robert@Example.ORG", "builder", Search{Email: true}, "bob"},
		{"a NUL behind the password", "alice", "wonderland\x00", Search{}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.why, func(t *testing.T) {
			f := &File{Path: f.Path, Search: tt.search}
			if err := f.Load(); err != nil {
				t.Fatal(err)
			}
			u, err := f.Authenticate(t.Context(), tt.name, tt.password)
			if u.Name != tt.want || (err == nil) != (tt.want != "") {
				t.Fatalf("user %q, error %v; want %q", u.Name, err, tt.want)
			}
			if err != nil && err != ErrBadCredentials { // not one word more
				t.Errorf("error %#v, want ErrBadCredentials itself", err)
			}
		})
	}
}

func TestBeforeLoad(t *testing.T) {
	f := &File{Path: "/nowhere/users.yml"}
	if err := f.Load(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Load: %v", err)
	}
	if _, err := f.Authenticate(t.Context(), "alice", "x"); err == nil || errors.Is(err, ErrBadCredentials) {
		t.Errorf("Authenticate before a Load: %v, want an error that is nobody's fault", err)
	}
	if _, ok := f.Known("alice"); ok || f.Epoch() != 0 || len(f.List()) != 0 {
		t.Error("there are users before a Load")
	}
	if name, _ := f.Canonical(t.Context(), "Alice"); name != "alice" {
		t.Error("names are not counted before a Load")
	}
}

func TestEmptyFile(t *testing.T) {
	f := open(t, "users:\n")
	if _, err := f.Authenticate(t.Context(), "alice", "secret"); err != ErrBadCredentials {
		t.Errorf("error %v", err)
	}
}

func TestUsersAreCopies(t *testing.T) {
	f := open(t, people())
	u, _ := f.Known("alice")
	u.Groups[0], u.Emails[0] = "root", "mallory@example.com"
	f.List()[1].Groups[0] = "root"
	if u, _ := f.Known("alice"); u.Groups[0] != "admins" || u.Emails[0] != "alice@example.com" {
		t.Errorf("a caller changed the directory: %+v", u)
	}
	if u, _ := f.Known("bob"); u.Groups[0] != "staff" {
		t.Errorf("a caller changed the directory: %+v", u)
	}
}

func TestLookup(t *testing.T) {
	f := open(t, people())
	if _, err := f.Find(t.Context(), "ALICE"); err == nil {
		t.Error("capitals do not count although they should")
	}
	f.Search = Search{Email: true, CaseInsensitive: true}
	write(t, f.Path, people()+"\n")
	if err := f.Load(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"CAROL", "carol"} {
		if u, err := f.Find(t.Context(), name); err != nil || u.Name != "carol" || !u.Disabled {
			t.Errorf("Find(%q) = %+v, %v", name, u, err)
		}
	}
}

func TestReload(t *testing.T) {
	log := newNotes()
	f := open(t, people())
	f.Log = log.log()
	first := f.Epoch()

	if err := f.Reload(); err != nil || f.Epoch() != first {
		t.Errorf("a file that did not change: %v, epoch %d, was %d", err, f.Epoch(), first)
	}
	write(t, f.Path, "users:\n  alice:\n    password: hunter2\n")
	var faults *Faults
	if err := f.Reload(); !errors.As(err, &faults) {
		t.Fatalf("a broken file: %v", err)
	}
	if _, err := f.Authenticate(t.Context(), "alice", "wonderland"); err != nil || f.Epoch() != first {
		t.Errorf("the old users are gone: %v", err)
	}
	if text := log.text(); !strings.Contains(text, "level=ERROR") || !strings.Contains(text, "line=3") || strings.Contains(text, "hunter2") {
		t.Errorf("log: %s", text)
	}
	write(t, f.Path, strings.Replace(people(), "  alice:", "  alicia:", 1))
	if err := f.Reload(); err != nil || f.Epoch() == first {
		t.Errorf("a new file: %v, epoch %d", err, f.Epoch())
	}
	if _, err := f.Authenticate(t.Context(), "alice", "wonderland"); !errors.Is(err, ErrBadCredentials) {
		t.Errorf("a deleted user: %v", err)
	}
}

func TestMixedHashesAreSaid(t *testing.T) {
	log := newNotes()
	f := open(t, people())
	f.Log = log.log()
	write(t, f.Path, people()+"  old:\n    password: \""+vectors[2].hash+"\"\n")
	if err := f.Load(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.text(), "users=1") || !strings.Contains(log.text(), "different cost") {
		t.Errorf("log: %s", log.text())
	}
}

// TestReloadWhileInUse holds with the race detector: whoever sees the epoch of a file
// sees its users, all of them, and nobody is refused or let in by the change itself.
func TestReloadWhileInUse(t *testing.T) {
	f := open(t, people())
	ctx, cancel := context.WithCancel(deadline(t))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, err := f.Authenticate(ctx, "alice", "wonderland"); err != nil && ctx.Err() == nil {
					t.Errorf("alice: %v", err)
				}
				if _, err := f.Authenticate(ctx, "alice", "wrong"); !errors.Is(err, ErrBadCredentials) && ctx.Err() == nil {
					t.Errorf("alice with a wrong password: %v", err)
				}
				before := f.Epoch()
				u, ok := f.Known("alice")
				if after := f.Epoch(); before == after && (!ok || u.DisplayName != fmt.Sprint("Alice ", before)) && before > 1 {
					t.Errorf("epoch %d: %+v", before, u)
				}
			}
		})
	}
	for i := 2; i < 50; i++ {
		write(t, f.Path, strings.Replace(people(), "Alice Liddell", fmt.Sprint("Alice ", i), 1))
		if err := f.Reload(); err != nil {
			t.Error(err)
		}
	}
	cancel()
	wg.Wait()
}
