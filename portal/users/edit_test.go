package users

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// edit is one edit of one file of testdata/edit.
type edit struct {
	file, name string
	do         func(context.Context, *File) error
}

func edits() []edit {
	set := func(name string) func(context.Context, *File) error {
		return func(ctx context.Context, f *File) error { return f.SetPassword(ctx, name, "new secret") }
	}
	return []edit{
		{"rich", "password-alice", set("alice")},
		{"rich", "password-bob", set("bob")},
		{"rich", "password-carol", set("carol")},
		{"rich", "password-dave", set("dave")},
		{"rich", "disable-alice", func(ctx context.Context, f *File) error { return f.SetDisabled(ctx, "alice", true) }},
		{"rich", "enable-carol", func(ctx context.Context, f *File) error { return f.SetDisabled(ctx, "carol", false) }},
		{"rich", "groups-alice", func(ctx context.Context, f *File) error {
			return f.SetGroups(ctx, "alice", []string{"admins", "cooks", "admins"})
		}},
		{"rich", "groups-bob-none", func(ctx context.Context, f *File) error { return f.SetGroups(ctx, "bob", nil) }},
		{"rich", "groups-carol", func(ctx context.Context, f *File) error { return f.SetGroups(ctx, "carol", []string{"guests"}) }},
		{"rich", "email-alice", func(ctx context.Context, f *File) error { return f.SetEmails(ctx, "alice", []string{"a@example.net"}) }},
		{"rich", "email-bob", func(ctx context.Context, f *File) error {
			return f.SetEmails(ctx, "bob", []string{"robert@example.org", "b@example.net"})
		}},
		{"rich", "name-alice", func(ctx context.Context, f *File) error {
			return f.SetDisplayName(ctx, "alice", "# Alice: \"Pleasance\" Liddell")
		}},
		{"rich", "add", func(ctx context.Context, f *File) error {
			return f.Add(ctx, User{Name: "erin", DisplayName: "Erin: #1", Emails: []string{"erin@example.com"}, Groups: []string{"staff", "app:admin"}}, "new secret")
		}},
		{"rich", "remove-alice", func(ctx context.Context, f *File) error { return f.Remove(ctx, "alice") }},
		{"rich", "remove-bob", func(ctx context.Context, f *File) error { return f.Remove(ctx, "bob") }},
		{"rich", "remove-carol", func(ctx context.Context, f *File) error { return f.Remove(ctx, "carol") }},
		{"rich", "remove-dave", func(ctx context.Context, f *File) error { return f.Remove(ctx, "dave") }},
		{"compact", "password-alice", set("alice")},
		{"compact", "password-bob", set("bob")},
		{"compact", "groups-alice", func(ctx context.Context, f *File) error { return f.SetGroups(ctx, "alice", []string{"staff", "x"}) }},
		{"compact", "add", func(ctx context.Context, f *File) error {
			return f.Add(ctx, User{Name: "007", Emails: []string{"a@example.net", "b@example.net"}, Groups: []string{"g"}, Disabled: true}, "new secret")
		}},
		{"flow", "password-alice", set("alice")},
		{"flow", "add", func(ctx context.Context, f *File) error { return f.Add(ctx, User{Name: "erin"}, "new secret") }},
		{"flow", "remove-alice", func(ctx context.Context, f *File) error { return f.Remove(ctx, "alice") }},
		{"dos", "password-bob", set("bob")},
		{"dos", "add", func(ctx context.Context, f *File) error { return f.Add(ctx, User{Name: "erin"}, "new secret") }},
	}
}

// TestEdit does one edit to a file of testdata/edit and compares the file, byte by byte.
func TestEdit(t *testing.T) {
	for _, tt := range edits() {
		t.Run(tt.file+"-"+tt.name, func(t *testing.T) {
			content := read(t, filepath.Join("testdata", "edit", tt.file+".yml"))
			for i := range 5 {
				content = strings.ReplaceAll(content, fmt.Sprint("HASH", i), quick(fmt.Sprint("secret", i)))
			}
			f := open(t, content)
			epoch := f.Epoch()
			if err := tt.do(deadline(t), f); err != nil {
				t.Fatal(err)
			}
			got := read(t, f.Path)
			if f.Epoch() == epoch {
				t.Error("the change is not in force")
			}
			got = strings.ReplaceAll(got, quick("new secret"), "NEW")
			for i := range 5 {
				got = strings.ReplaceAll(got, quick(fmt.Sprint("secret", i)), fmt.Sprint("HASH", i))
			}
			golden(t, "edit/"+tt.file+"-"+tt.name+".golden", got)
		})
	}
}

// TestSetPasswordIsInForce: when SetPassword returns, the new password fits and the old
// one does not, in this process and after a Load in another.
func TestSetPasswordIsInForce(t *testing.T) {
	f := open(t, people())
	f.cheap = nil // once with the real thing
	if err := f.SetPassword(deadline(t), "alice", "looking-glass"); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(read(t, f.Path), "$argon2id$v=19$m=65536,t=3,p=4$") {
		t.Errorf("the file:\n%s", read(t, f.Path))
	}
	other := &File{Path: f.Path}
	if err := other.Load(); err != nil {
		t.Fatal(err)
	}
	for _, f := range []*File{f, other} {
		if _, err := f.Authenticate(t.Context(), "alice", "looking-glass"); err != nil {
			t.Errorf("the new one: %v", err)
		}
		if _, err := f.Authenticate(t.Context(), "alice", "wonderland"); err != ErrBadCredentials {
			t.Errorf("the old one: %v", err)
		}
	}
}

func TestEditRefuses(t *testing.T) {
	f := open(t, people())
	f.Search.Email = true
	ctx := deadline(t)
	before, epoch := read(t, f.Path), f.Epoch()
	for _, tt := range []struct {
		why  string
		err  error
		want error // nil: any
	}{
		{"a password for nobody", f.SetPassword(ctx, "mallory", "secret"), ErrNotFound},
		{"a name that is not canonical", f.SetPassword(ctx, "ALICE", "secret"), ErrNotFound},
		{"an empty password", f.SetPassword(ctx, "alice", ""), ErrPassword},
		{"a password with a NUL", f.SetPassword(ctx, "alice", "a\x00b"), ErrPassword},
		{"a password of a megabyte", f.SetPassword(ctx, "alice", strings.Repeat("x", 1<<20)), ErrPassword},
		{"disabling nobody", f.SetDisabled(ctx, "mallory", true), ErrNotFound},
		{"removing nobody", f.Remove(ctx, "mallory"), ErrNotFound},
		{"adding one who exists", f.Add(ctx, User{Name: "alice"}, "secret"), ErrExists},
		{"adding one who exists in capitals", f.Add(ctx, User{Name: "ALICE"}, "secret"), ErrExists},
		{"adding one whose name is the address of another", f.Add(ctx, User{Name: "bob@example.com"}, "secret"), ErrExists},
		{"adding one with an address of another", f.Add(ctx, User{Name: "erin", Emails: []string{"Bob@example.com"}}, "secret"), nil},
		{"adding one with a bad name", f.Add(ctx, User{Name: "a\nadmin"}, "secret"), nil},
		{"adding one with a bad group", f.Add(ctx, User{Name: "erin", Groups: []string{"a,admins"}}, "secret"), nil},
		{"adding one without a password", f.Add(ctx, User{Name: "erin"}, ""), ErrPassword},
		{"a group with a comma", f.SetGroups(ctx, "alice", []string{"staff,admins"}), nil},
		{"a group without a name", f.SetGroups(ctx, "alice", []string{""}), nil},
		{"an address with a line feed", f.SetEmails(ctx, "alice", []string{"a@example.com\nBcc: b@example.com"}), nil},
		{"an address with a name", f.SetEmails(ctx, "alice", []string{"A <a@example.com>"}), nil},
		{"the address of another", f.SetEmails(ctx, "alice", []string{"bob@example.com"}), nil},
		{"a display name with a control character", f.SetDisplayName(ctx, "alice", "A\x1b[31m"), nil},
	} {
		if tt.err == nil || tt.want != nil && !errors.Is(tt.err, tt.want) {
			t.Errorf("%s: error %v, want %v", tt.why, tt.err, tt.want)
		}
	}
	if read(t, f.Path) != before || f.Epoch() != epoch {
		t.Error("a refused edit changed the file")
	}
}

func TestEditWhatChangesNothing(t *testing.T) {
	f := open(t, people())
	before, err := os.Stat(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	content := read(t, f.Path)
	if err := f.SetDisabled(deadline(t), "carol", true); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.Stat(f.Path); !os.SameFile(before, after) || read(t, f.Path) != content {
		t.Error("the file was written")
	}
}

// TestEditKeepsAnchors: where an edit would reach another user through an alias, the
// file is left alone.
func TestEditKeepsAnchors(t *testing.T) {
	h := quick("secret")
	f := open(t, "users:\n  alice:\n    password: &p \""+h+"\"\n    groups: &g [staff]\n  bob:\n    password: *p\n    groups: *g\n")
	ctx := deadline(t)
	before := read(t, f.Path)
	if err := f.SetPassword(ctx, "alice", "new secret"); !errors.Is(err, errLayout) {
		t.Errorf("alice: %v", err)
	}
	if err := f.Remove(ctx, "alice"); err == nil {
		t.Error("bob has lost his anchor")
	}
	if read(t, f.Path) != before {
		t.Errorf("the file was written:\n%s", read(t, f.Path))
	}
	if err := f.SetGroups(ctx, "bob", []string{"cooks"}); err != nil {
		t.Errorf("bob's own: %v", err)
	}
	if u, _ := f.Known("alice"); !slices.Equal(u.Groups, []string{"staff"}) {
		t.Errorf("alice is in %q", u.Groups)
	}
}

func TestEditBrokenFile(t *testing.T) {
	f := open(t, people())
	write(t, f.Path, "users: [\n")
	var faults *Faults
	if err := f.SetDisabled(deadline(t), "alice", true); !errors.As(err, &faults) {
		t.Errorf("error %v, want the faults of the file", err)
	}
	if read(t, f.Path) != "users: [\n" {
		t.Error("a broken file was overwritten")
	}
}

// TestEditSeesTheFile: an edit is made to the file as it is, not as it was loaded.
func TestEditSeesTheFile(t *testing.T) {
	f := open(t, people())
	write(t, f.Path, strings.Replace(people(), "displayname: Bob", "displayname: Robert", 1))
	if err := f.SetDisabled(deadline(t), "alice", true); err != nil {
		t.Fatal(err)
	}
	if u, _ := f.Known("bob"); u.DisplayName != "Robert" {
		t.Errorf("the change of somebody else is gone: %+v", u)
	}
}

// TestEditsFromManySides: several processes and goroutines add users to one file; none
// is lost.
func TestEditsFromManySides(t *testing.T) {
	one := open(t, people())
	ctx := deadline(t)
	var wg sync.WaitGroup
	for side := range 3 {
		f := &File{Path: one.Path, cheap: cheap} // as another process would have it
		if err := f.Load(); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for i := range 3 {
				if err := f.Add(ctx, User{Name: fmt.Sprintf("user%d%d", side, i)}, "secret"); err != nil {
					t.Error(err)
				}
				if err := f.SetGroups(ctx, fmt.Sprintf("user%d%d", side, i), []string{"g"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := one.Load(); err != nil {
		t.Fatal(err)
	}
	if n := len(one.List()); n != 3+9 {
		t.Errorf("%d users, want 12", n)
	}
}

func TestAddCreatesFile(t *testing.T) {
	f := &File{Path: filepath.Join(t.TempDir(), "users.yml"), cheap: cheap}
	if err := f.Add(deadline(t), User{Name: "alice", Groups: []string{"admins"}}, "secret"); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(f.Path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	if _, err := f.Authenticate(t.Context(), "alice", "secret"); err != nil {
		t.Error(err)
	}
	golden(t, "edit/created.golden", strings.ReplaceAll(read(t, f.Path), quick("secret"), "NEW"))
}
