package users

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	list, _, err := parse("users.yml", []byte(people()))
	if err != nil {
		t.Fatal(err)
	}
	want := []User{
		{Name: "alice", DisplayName: "Alice Liddell", Emails: []string{"alice@example.com"}, Groups: []string{"admins", "staff"}},
		{Name: "bob", DisplayName: "Bob", Emails: []string{"bob@example.com", "robert@example.org"}, Groups: []string{"staff"}},
		{Name: "carol", DisplayName: "Carol", Disabled: true},
	}
	if len(list) != len(want) {
		t.Fatalf("%d users, want %d", len(list), len(want))
	}
	for i, a := range list {
		b := &account{User: want[i], hash: a.hash}
		if !same(a, b) {
			t.Errorf("user %d: %+v, want %+v", i, a.User, want[i])
		}
	}
}

func TestParseAccepts(t *testing.T) {
	h := quick("secret")
	tests := []struct{ name, file string }{
		{"no users yet", "users:\n"},
		{"no users yet, said clearly", "users: {}\n"},
		{"everything on one line", `{"users": {"a": {"password": "` + h + `", "groups": ["g"], "email": "a@example.com"}}}`},
		{"a byte order mark and DOS lines", "\ufeffusers:\r\n  a:\r\n    password: \"" + h + "\"\r\n"},
		{"keys of the format that are not used here", "users:\n  a:\n    password: \"" + h + "\"\n    given_name: A\n    locale: de-DE\n    address:\n      country: DE\n    extra: {likes: [tea]}\n"},
		{"groups and addresses that are null", "users:\n  a:\n    password: \"" + h + "\"\n    groups:\n    email: ~\n    displayname:\n"},
		{"one group without a list", "users:\n  a:\n    password: \"" + h + "\"\n    groups: staff\n"},
		{"an alias for groups", "users:\n  a:\n    password: \"" + h + "\"\n    groups: &g [x, y]\n  b:\n    password: \"" + h + "\"\n    groups: *g\n"},
		{"names that YAML takes for numbers", "users:\n  007:\n    password: \"" + h + "\"\n  true:\n    password: \"" + h + "\"\n"},
		{"a group with a colon", "users:\n  a:\n    password: \"" + h + "\"\n    groups: ['app:admin']\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := newDirectory("users.yml", []byte(tt.file), Search{Email: true}); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestFaults reads every file of testdata/faults; what is wrong with it stands beside.
func TestFaults(t *testing.T) {
	files, err := filepath.Glob("testdata/faults/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files:", err)
	}
	for _, path := range files {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			data := strings.ReplaceAll(read(t, path), "HASH", quick("secret"))
			_, err := newDirectory(name, []byte(data), Search{Email: true})
			var faults *Faults
			if !errors.As(err, &faults) {
				t.Fatalf("error %v, want faults", err)
			}
			if strings.Contains(err.Error(), "$argon2") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the faults show a secret:\n%v", err)
			}
			golden(t, "faults/"+strings.TrimSuffix(name, ".yml")+".txt", err.Error()+"\n")
		})
	}
}

func TestFileTooLarge(t *testing.T) {
	_, err := newDirectory("users.yml", make([]byte, maxFile+1), Search{})
	if err == nil || !strings.Contains(err.Error(), "64 MiB") {
		t.Errorf("error %v", err)
	}
}

// FuzzParse: no file panics, and one that is accepted survives being written as a whole.
func FuzzParse(f *testing.F) {
	f.Add([]byte(people()))
	files, _ := filepath.Glob("testdata/*/*.yml")
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("users: &a\n  b: *a\n"))
	f.Add([]byte("users:\n  ? [a]\n  : b\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := newDirectory("users.yml", data, Search{})
		if err != nil {
			return
		}
		out, ok := (&draft{directory: d, data: data}).whole()
		if !ok {
			t.Fatal("cannot be written")
		}
		again, err := newDirectory("users.yml", out, Search{})
		if err != nil || !slices.EqualFunc(d.list, again.list, same) {
			t.Skip("yaml itself does not survive; settle would refuse the edit")
		}
	})
}
