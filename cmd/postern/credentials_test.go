package main

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"postern/agent/credential"
	"postern/agent/regulation"
	"postern/portal/users"
)

const anyHash = "'$argon2id$v=19$m=65536,t=3,p=4$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'"

// checkerOf is a checker over users files, in order, with the limits of guessing.
func checkerOf(t *testing.T, files ...string) checker {
	t.Helper()
	b := &users.Backends{}
	for i, text := range files {
		path := filepath.Join(t.TempDir(), "users.yml")
		if err := os.WriteFile(path, []byte("users:\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		f := &users.File{Path: path}
		if err := f.Load(); err != nil {
			t.Fatal(err)
		}
		b.List = append(b.List, users.Named{Name: string(rune('a' + i)), Backend: f})
	}
	limits := regulation.DefaultConfig()
	limits.Failures, limits.Addresses = 2, 3
	return checker{newDirectory(b, 0), &regulation.Limiter{Config: limits, Keeper: &regulation.Memory{}, Key: make([]byte, 32)}}
}

// TestUsersOfCertificates: a name is the canonical one, an address exactly one user's, and
// nobody is found who is disabled or hidden.
func TestUsersOfCertificates(t *testing.T) {
	user := func(name, more string) string { return "  " + name + ": {password: " + anyHash + ", " + more + "}\n" }
	c := checkerOf(t,
		user("alice", "email: alice@example.com")+user("carl", "email: carl@example.com, disabled: true")+user("dora", "email: shared@example.com"),
		user("Alice", "email: other@example.com")+user("bob", "email: [bob@example.com, shared@example.com]"))
	for _, tt := range []struct {
		name string
		find func(context.Context, string) (string, bool, error)
		of   string
		want string
	}{
		{"a name", c.FindName, "alice", "alice"},
		{"a name of the second backend", c.FindName, "bob", "bob"},
		{"a name that nobody has", c.FindName, "mallory", ""},
		{"an address as a name", c.FindName, "alice@example.com", ""},
		{"a name of somebody disabled", c.FindName, "carl", ""},
		{"nothing as a name", c.FindName, "", ""},
		{"an address", c.FindMail, "alice@example.com", "alice"},
		{"an address in capitals", c.FindMail, "Bob@Example.Com", "bob"},
		{"an address of two", c.FindMail, "shared@example.com", ""},
		{"an address of somebody disabled", c.FindMail, "carl@example.com", ""},
		{"an address of somebody hidden by another one of that name", c.FindMail, "other@example.com", ""},
		{"an address that nobody has", c.FindMail, "mallory@example.com", ""},
		{"a name as an address", c.FindMail, "alice", ""},
		{"nothing as an address", c.FindMail, "", ""},
	} {
		user, ok, err := tt.find(t.Context(), tt.of)
		if !ok {
			user = ""
		}
		if err != nil || user != tt.want {
			t.Errorf("%s: %q, %v, %v, want %q", tt.name, user, ok, err, tt.want)
		}
	}
}

// TestGuessesByBasicAreCounted: by user and by address, apart from those at the portal;
// a right one forgives nothing, and whoever is banned may not try.
func TestGuessesByBasicAreCounted(t *testing.T) {
	c := checkerOf(t, "  alice: {password: "+anyHash+"}\n")
	now, addr := time.Now(), netip.MustParseAddr("192.0.2.7")
	try := func(user string, from netip.Addr, o credential.Outcome) error {
		settle, err := c.Begin(t.Context(), user, from, now)
		if err == nil {
			settle(o)
		}
		return err
	}
	for i, o := range []credential.Outcome{credential.Wrong, credential.Right, credential.Untold, credential.Right, credential.Wrong} {
		if err := try("alice", addr, o); err != nil {
			t.Errorf("attempt %d: %v", i, err)
		}
	}
	var wait *credential.WaitError
	if err := try("alice", netip.MustParseAddr("198.51.100.1"), credential.Right); !errors.As(err, &wait) || wait.Address != 0 {
		t.Errorf("after two failures: %v, want a WaitError for her alone", err)
	}
	if err := try("bob", addr, credential.Wrong); err != nil {
		t.Errorf("somebody else from the same address: %v", err)
	}
	if err := try("carl", addr, credential.Right); !errors.As(err, &wait) || wait.Address <= 0 {
		t.Errorf("after three failures from one address: %v, want a WaitError for all of it", err)
	}
	portal, err := c.guesses.Begin(t.Context(), now, regulation.User(regulation.Password, "alice"), regulation.Address(regulation.Password, addr))
	if err != nil {
		t.Fatalf("at the portal: %v", err)
	}
	portal.Release()
}

func TestAuthenticateForBasic(t *testing.T) {
	c := checkerOf(t, "  alice: {password: "+anyHash+"}\n")
	for _, name := range []string{"alice", "mallory"} {
		if user, err := c.Authenticate(t.Context(), name, "wrong"); !errors.Is(err, credential.ErrWrong) || user != "" {
			t.Errorf("%s: %q, %v, want ErrWrong", name, user, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Authenticate(ctx, "alice", "wrong"); err == nil || errors.Is(err, credential.ErrWrong) {
		t.Errorf("a hash that could not be made: %v", err)
	}
}
