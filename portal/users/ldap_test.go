package users

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestLDAPAuthenticate(t *testing.T) {
	l, log := directoryAt(t, startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}}).config())
	tests := []struct {
		why, name, password string
		want                string // canonical name, "" for refused
	}{
		{"right", "Alice", "wonderland", "Alice"},
		{"in small letters", "alice", "wonderland", "Alice"},
		{"with spaces around", "  ALICE ", "wonderland", "Alice"},
		{"by her address", "alice@example.com", "wonderland", "Alice"},
		{"by her other address, in capitals", "A.Liddell@Example.ORG", "wonderland", "Alice"},
		{"wrong password", "alice", "Wonderland", ""},
		{"another's password", "alice", "builder", ""},
		{"no password", "alice", "", ""},
		{"a space in the password counts", "alice", "wonderland ", ""},
		{"a NUL behind the password", "alice", "wonderland\x00", ""},
		{"unknown", "nobody", "wonderland", ""},
		{"no name", "", "wonderland", ""},
		{"a name beyond ASCII", "zoë", "snow", "zoë"},
		{"the same, composed otherwise", "zoe\u0308", "snow", "zoë"},
		{"the same without its dots", "zoe", "snow", ""},
		{"a DN that needs escaping", "eve", "apple", "eve"},
		{"his own name, which another has as his address", "bob", "builder", "bob"},
		{"the other one by that name", "bob", "malice", ""},
		{"an address that two have", "bob@example.com", "builder", ""},
		{"an address that two have, by the other", "bob@example.com", "malice", ""},
		{"a name that two have", "twin", "double", ""},
		{"the name of the entry, of two", "dora", "explorer", "dora"},
		{"the other name", "theodora", "explorer", "dora"},
		{"a name that no header can carry", "one,two", "pause", ""},
		{"somebody outside users_dn", "postern", "service secret", ""},
		{"a DN instead of a name", "uid=Alice,ou=people,dc=example,dc=com", "wonderland", ""},
	}
	for _, tt := range tests {
		t.Run(tt.why, func(t *testing.T) {
			u, err := l.Authenticate(t.Context(), tt.name, tt.password)
			if u.Name != tt.want || (err == nil) != (tt.want != "") {
				t.Fatalf("user %q, error %v; want %q", u.Name, err, tt.want)
			}
			if err != nil && err != ErrBadCredentials { // not one word more
				t.Errorf("error %#v, want ErrBadCredentials itself", err)
			}
		})
	}
	for _, secret := range []string{"wonderland", "builder", "service secret", "malice"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log holds the password %q:\n%s", secret, log)
		}
	}
}

func TestLDAPUser(t *testing.T) {
	d := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}})
	l, _ := directoryAt(t, d.config())
	tests := []struct {
		name, password string
		want           User
	}{
		{"alice", "wonderland", User{Name: "Alice", DisplayName: "Alice in Wonderland",
			Emails: []string{"alice@example.com", "a.liddell@example.org"}, Groups: []string{"Wonder Land", "staff"}}},
		{"eve", "apple", User{Name: "eve", DisplayName: "eve", Groups: []string{"eves"}}},
		{"frank", "honest", User{Name: "frank", DisplayName: "Frank  Set-Cookie: x=2", Emails: []string{"frank@example.com"}, Groups: []string{"staff"}}},
	}
	for _, tt := range tests {
		u, err := l.Authenticate(t.Context(), tt.name, tt.password)
		if err != nil || !sameUser(u, tt.want) || u.Name != tt.want.Name {
			t.Errorf("%s: %+v, error %v; want %+v", tt.name, u, err, tt.want)
		}
		if again, ok := l.Known(tt.want.Name); !ok || !sameUser(again, tt.want) {
			t.Errorf("%s is known as %+v, %v", tt.name, again, ok)
		}
		found, err := l.Find(t.Context(), tt.want.Name)
		if err != nil || !slices.Equal(found.Groups, tt.want.Groups) {
			t.Errorf("%s is found as %+v, error %v", tt.name, found, err)
		}
	}
	if _, err := l.Find(t.Context(), "nobody"); err != ErrNotFound {
		t.Errorf("Find of nobody: %v", err)
	}
	if _, ok := l.Known("bob"); ok {
		t.Error("somebody is known whom nobody asked for")
	}
	if err := l.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
	var _ Backend = l
	var _ Writer = l
	_ = errors.Is
}
