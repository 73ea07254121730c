package users

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// remote is a directory server as Backends see one: it takes its time, forgets, and can be
// away.
type remote struct {
	mu      sync.Mutex
	people  map[string]User   // by canonical name
	secrets map[string]string // passwords
	memory  map[string]bool   // who is Known
	away    bool
	takes   time.Duration
	asked   int
	judged  int    // passwords
	gone    string // who is Known as disabled, and not found
	epoch   uint64
	run     func(context.Context) error
}

func newRemote(people ...User) *remote {
	s := &remote{people: map[string]User{}, secrets: map[string]string{}, memory: map[string]bool{}}
	for _, u := range people {
		s.people[u.Name], s.secrets[u.Name] = u, "of the directory"
	}
	return s
}

func (s *remote) Find(_ context.Context, name string) (User, error) {
	time.Sleep(s.takes)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.away {
		return User{}, fmt.Errorf("ldap: %w", ErrUnavailable)
	}
	for _, u := range s.people {
		if u.Name == s.gone {
			continue
		}
		if strings.EqualFold(u.Name, name) || slices.Contains(u.Emails, name) {
			s.memory[u.Name] = true
			return u, nil
		}
	}
	return User{}, ErrNotFound
}

func (s *remote) Authenticate(ctx context.Context, name, password string) (User, error) {
	u, err := s.Find(ctx, name)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.judged++
	if errors.Is(err, ErrNotFound) || err == nil && (u.Disabled || s.secrets[u.Name] != password) {
		return User{}, ErrBadCredentials
	}
	return u, err
}

func (s *remote) Known(name string) (User, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.people[name]
	return u, ok && s.memory[name]
}

func (s *remote) Epoch() uint64 { return s.epoch }

func (s *remote) Run(ctx context.Context) error {
	if s.run != nil {
		return s.run(ctx)
	}
	<-ctx.Done()
	return nil
}

func (s *remote) set(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

// two are the people() file and a directory, in that order or the other.
func two(t *testing.T, fileFirst bool) (b *Backends, f *File, s *remote) {
	t.Helper()
	f = open(t, people())
	f.Search = Search{Email: true}
	f.current.Store(nil)
	if err := f.Load(); err != nil {
		t.Fatal(err)
	}
	s = newRemote(
		User{Name: "dora", DisplayName: "Dora", Emails: []string{"dora@example.com"}, Groups: []string{"staff"}},
		User{Name: "alice", DisplayName: "Another Alice", Emails: []string{"other.alice@example.com"}, Groups: []string{"wheel"}},
		User{Name: "BOB", DisplayName: "Loud Bob"},
		User{Name: "erik", Disabled: true},
	)
	b = &Backends{List: []Named{{"file", f}, {"ldap", s}}}
	if !fileFirst {
		slices.Reverse(b.List)
	}
	return b, f, s
}

func TestTheFirstThatKnowsDecides(t *testing.T) {
	for _, tt := range []struct {
		about, name, password string
		fileFirst             bool
		want                  string // display name; "": bad credentials
	}{
		{"in the file", "alice", "wonderland", true, "Alice Liddell"},
		{"in the directory", "dora", "of the directory", true, "Dora"},
		{"by mail, in the directory", "dora@example.com", "of the directory", true, "Dora"},
		{"by mail, in the file", "bob@example.com", "builder", true, "Bob"},
		{"hidden by the file, with the hidden one's password", "alice", "of the directory", true, ""},
		{"hidden by the file, by a mail that only the hidden one has", "other.alice@example.com", "of the directory", true, ""},
		{"hidden by the file, in another spelling", "BOB", "of the directory", true, ""},
		{"disabled in the file and unknown to the directory", "carol", "carol's own", true, ""},
		{"disabled in the directory", "erik", "of the directory", true, ""},
		{"nobody", "nobody", "wonderland", true, ""},
		{"the directory is first", "alice", "of the directory", false, "Another Alice"},
		{"the directory is first, with the file's password", "alice", "wonderland", false, ""},
		{"the directory is first and hides the file's by spelling", "bob@example.com", "builder", false, ""},
		{"the directory is first and has nobody of that name", "carol", "carol's own", false, ""},
		{"no password", "dora", "", true, ""},
	} {
		t.Run(tt.about, func(t *testing.T) {
			b, _, _ := two(t, tt.fileFirst)
			synctest.Test(t, func(t *testing.T) { // for the time that a refusal takes
				u, err := b.Authenticate(t.Context(), tt.name, tt.password)
				if tt.want == "" && !errors.Is(err, ErrBadCredentials) || tt.want != "" && err != nil || u.DisplayName != tt.want {
					t.Errorf("%+v, %v; want %q", u, err, tt.want)
				}
			})
		})
	}
}

// TestNoSecondTry: a password that the first backend refused is shown to no other.
func TestNoSecondTry(t *testing.T) {
	b, f, s := two(t, true)
	hashes := 0
	f.counted = func(string) { hashes++ }
	synctest.Test(t, func(t *testing.T) {
		if _, err := b.Authenticate(t.Context(), "alice", "of the directory"); !errors.Is(err, ErrBadCredentials) {
			t.Error(err)
		}
	})
	if hashes != 1 || s.judged != 0 {
		t.Errorf("%d hashes, and the directory judged %d times", hashes, s.judged)
	}
}

func TestADirectoryThatIsAway(t *testing.T) {
	for _, tt := range []struct {
		about, name, password string
		fileFirst             bool
		want                  error
	}{
		{"the file is first and knows him", "alice", "wonderland", true, nil},
		{"the file is first and does not", "dora", "of the directory", true, ErrUnavailable},
		{"nobody can tell whether there is such a user", "nobody", "x", true, ErrUnavailable},
		{"the directory is first and may know him", "alice", "wonderland", false, ErrUnavailable},
	} {
		t.Run(tt.about, func(t *testing.T) {
			b, _, s := two(t, tt.fileFirst)
			s.set(true)
			if _, err := b.Authenticate(t.Context(), tt.name, tt.password); !errors.Is(err, tt.want) {
				t.Errorf("Authenticate: %v, want %v", err, tt.want)
			}
			if _, err := b.Find(t.Context(), tt.name); !errors.Is(err, tt.want) {
				t.Errorf("Find: %v, want %v", err, tt.want)
			}
			if _, err := b.Canonical(t.Context(), tt.name); !errors.Is(err, tt.want) {
				t.Errorf("Canonical: %v, want %v", err, tt.want)
			}
		})
	}
}

// TestThreat34NamesCostTheSame: whether a name is in the file, in the directory, hidden,
// disabled or nowhere, a refusal is the same and takes the same time; so does the question
// which name a spelling counts for.
func TestThreat34NamesCostTheSame(t *testing.T) {
	for _, fileFirst := range []bool{true, false} {
		b, _, s := two(t, fileFirst)
		for _, name := range []string{"alice", "dora", "dora@example.com", "other.alice@example.com", "BOB", "carol", "erik", "nobody", "nobody@example.com"} {
			t.Run(fmt.Sprint(name, fileFirst), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s.takes = 7 * time.Millisecond
					began := time.Now()
					_, err := b.Authenticate(t.Context(), name, "wrong")
					if took := time.Since(began); !errors.Is(err, ErrBadCredentials) || err.Error() != ErrBadCredentials.Error() || took != evenFailure {
						t.Errorf("%v after %v", err, took)
					}
					began = time.Now()
					if _, err := b.Canonical(t.Context(), name); err != nil {
						t.Error(err)
					}
					if took := time.Since(began); took != evenName {
						t.Errorf("Canonical took %v", took)
					}
				})
			})
		}
	}
}

// TestOneFileIsNotSlowed: with nothing to be even with, nobody waits.
func TestOneFileIsNotSlowed(t *testing.T) {
	f := open(t, people())
	b := &Backends{List: []Named{{"file", f}}}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := b.Authenticate(t.Context(), "alice", "wrong")
		if took := time.Since(began); !errors.Is(err, ErrBadCredentials) || took != 0 {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// TestThreat35OneCanonicalName: every spelling of a user counts for one name.
func TestThreat35OneCanonicalName(t *testing.T) {
	b, _, _ := two(t, true)
	for _, tt := range []struct{ name, want string }{
		{"alice", "alice"},
		{"ALICE", "alice"},             // the file does not let him in by it, but it counts
		{"alice@example.com", "alice"}, // his mail
		{"dora", "dora"},               // the directory's
		{"DORA", "dora"},               // spelled as the directory allows
		{"dora@example.com", "dora"},   // her mail
		{"BOB", "bob"},                 // hidden: it is the file's name
		{" bob ", "bob"},               // spaces around
		{"Nobody", "nobody"},           // unknown
		{"ｎｏｂｏｄｙ", "nobody"},           // in wide letters
		{"a\xff\x00b", "a\uFFFD\x00b"}, // binary
		{strings.Repeat("x", 1<<20), strings.Repeat("x", 128)}, // huge
	} {
		synctest.Test(t, func(t *testing.T) {
			if got, err := b.Canonical(t.Context(), tt.name); err != nil || got != tt.want {
				t.Errorf("%.20q counts for %.20q (%v), want %.20q", tt.name, got, err, tt.want)
			}
		})
	}
}

// TestHugePasswordsAreNotLookedAt: a megabyte is refused before anybody is asked.
func TestHugePasswordsAreNotLookedAt(t *testing.T) {
	b, f, s := two(t, true)
	hashes := 0
	f.counted = func(string) { hashes++ }
	for _, password := range []string{strings.Repeat("x", 1<<20), strings.Repeat("x", MaxPassword+1), "a\x00b", "\xff"} {
		for _, name := range []string{"alice", "dora", "nobody"} {
			if _, err := b.Authenticate(t.Context(), name, password); !errors.Is(err, ErrBadCredentials) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if hashes != 0 || s.asked != 0 {
		t.Errorf("%d hashes, %d questions", hashes, s.asked)
	}
}

func TestKnownFromMemory(t *testing.T) {
	b, f, s := two(t, false) // the directory is first: what it does not remember it may have
	known := func(name string) string {
		u, ok := b.Known(name)
		if !ok {
			return ""
		}
		return u.DisplayName
	}
	if got := known("carol"); got != "" {
		t.Errorf("carol is %q although the directory was not asked", got)
	}
	for _, name := range []string{"carol", "dora"} {
		if _, err := b.Find(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	asked := s.asked
	if known("carol") != "Carol" || known("dora") != "Dora" || known("alice") != "" {
		t.Errorf("carol %q, dora %q, alice %q", known("carol"), known("dora"), known("alice"))
	}
	if s.asked != asked {
		t.Error("Known asked the directory")
	}
	if b.Whole() || !(&Backends{List: []Named{{"file", f}}}).Whole() {
		t.Error("only files are whole")
	}
}

// TestHiddenIsNotKnown: a user of the directory whose name the file has taken since then
// is not found by his session's name.
func TestHiddenIsNotKnown(t *testing.T) {
	b, f, _ := two(t, true)
	if _, err := b.Find(t.Context(), "dora"); err != nil {
		t.Fatal(err)
	}
	if err := f.Add(t.Context(), User{Name: "Dora", DisplayName: "Usurper"}, "a new password"); err != nil {
		t.Fatal(err)
	}
	if u, ok := b.Known("dora"); ok {
		t.Errorf("dora is still known, as %q", u.DisplayName)
	}
	if _, err := b.Find(t.Context(), "dora"); !errors.Is(err, ErrNotFound) {
		t.Errorf("dora is found: %v", err)
	}
}

// TestGoneFromTheFirst: whom a directory has no more, and knows as disabled, the next one
// may have.
func TestGoneFromTheFirst(t *testing.T) {
	b, _, s := two(t, false)
	if _, err := b.Find(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.people["alice"] = User{Name: "alice", Disabled: true}
	s.gone = "alice"
	s.mu.Unlock()
	if u, ok := b.Known("alice"); !ok || !u.Disabled {
		t.Errorf("before anybody asked: %+v, %v", u, ok)
	}
	if u, err := b.Find(t.Context(), "alice"); err != nil || u.DisplayName != "Alice Liddell" {
		t.Fatalf("%+v, %v", u, err)
	}
	if u, ok := b.Known("alice"); !ok || u.DisplayName != "Alice Liddell" {
		t.Errorf("afterwards: %+v, %v", u, ok)
	}
}

func TestEpochGrowsWithEach(t *testing.T) {
	b, f, s := two(t, true)
	before := b.Epoch()
	s.epoch++
	if b.Epoch() <= before {
		t.Error("a change of the directory does not show")
	}
	before = b.Epoch()
	if err := f.SetDisabled(t.Context(), "alice", true); err != nil {
		t.Fatal(err)
	}
	if b.Epoch() <= before {
		t.Error("a change of the file does not show")
	}
}

func TestPasswordsAreSetWhereTheUserIs(t *testing.T) {
	b, f, _ := two(t, true)
	version, ok := b.Version("bob")
	if !ok {
		t.Fatal("bob has no version")
	}
	if err := b.ReplacePassword(t.Context(), "bob", "another password", version); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Authenticate(t.Context(), "bob", "another password"); err != nil {
		t.Error(err)
	}
	if now, _ := b.Version("bob"); now == version {
		t.Error("the version stayed")
	}
	if _, err := b.Find(t.Context(), "dora"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		about, name, version string
		want                 error
	}{
		{"another version", "bob", version, ErrChanged},
		{"a directory that is only read", "dora", "x", ErrReadOnly},
		{"nobody", "nobody", "x", ErrNotFound},
		{"an address in place of the name", "bob@example.com", version, ErrNotFound},
	} {
		if err := b.ReplacePassword(t.Context(), tt.name, "yet another one", tt.version); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.about, err, tt.want)
		}
	}
	for _, name := range []string{"dora", "nobody", "carol"} {
		if v, ok := b.Version(name); ok {
			t.Errorf("%s has version %q", name, v)
		}
	}
}

func TestOwner(t *testing.T) {
	b, _, s := two(t, true)
	for _, tt := range []struct {
		name, want string
		err        error
	}{{"alice", "file", nil}, {"dora", "ldap", nil}, {"nobody", "", ErrNotFound}} {
		if at, err := b.Owner(t.Context(), tt.name); at.Name != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s is at %q: %v", tt.name, at.Name, err)
		}
	}
	s.set(true)
	if _, err := b.Owner(t.Context(), "dora"); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
}

func TestRunRunsAll(t *testing.T) {
	b, _, s := two(t, true)
	ctx, cancel := context.WithCancel(t.Context())
	running := make(chan struct{})
	s.run = func(ctx context.Context) error {
		close(running)
		<-ctx.Done()
		return nil
	}
	done := make(chan error)
	go func() { done <- b.Run(ctx) }()
	<-running
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	broken := errors.New("broken")
	s.run = func(context.Context) error { return broken }
	if err := b.Run(t.Context()); !errors.Is(err, broken) {
		t.Errorf("the end of one is not the end of all: %v", err)
	}
}

func TestConfigNames(t *testing.T) {
	ldap := &LDAPConfig{}
	got := Config{{File: "a"}, {LDAP: ldap}, {File: "b"}, {LDAP: ldap}}.Names()
	if want := []string{"file", "ldap", "file2", "ldap2"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestWritable(t *testing.T) {
	account := LDAPServer{User: "cn=postern", Password: "x"}
	for _, tt := range []struct {
		about string
		c     Config
		want  bool
	}{
		{"a file", Config{{File: "a"}}, true},
		{"a directory", Config{{LDAP: &LDAPConfig{LDAPServer: account}}}, true},
		{"a directory that is only read", Config{{LDAP: &LDAPConfig{LDAPServer: account, PasswordChange: "off"}}}, false},
		{"a directory that is read by nobody in particular", Config{{LDAP: &LDAPConfig{}}}, false},
		{"one that is only read, and a file", Config{{LDAP: &LDAPConfig{PasswordChange: "off"}}, {File: "a"}}, true},
	} {
		if got := tt.c.Writable(); got != tt.want {
			t.Errorf("%s: %v", tt.about, got)
		}
	}
}

func TestGraceOfSeveral(t *testing.T) {
	for _, tt := range []struct {
		c    Config
		want time.Duration
	}{
		{Config{{File: "a"}}, 0},
		{Config{{LDAP: &LDAPConfig{}}}, time.Hour},
		{Config{{LDAP: &LDAPConfig{Grace: time.Minute}}, {File: "a"}, {LDAP: &LDAPConfig{Grace: 3 * time.Minute}}}, 3 * time.Minute},
	} {
		if got := tt.c.Grace(); got != tt.want {
			t.Errorf("%v, want %v", got, tt.want)
		}
	}
}

func TestConfigFaults(t *testing.T) {
	for _, tt := range []struct {
		about string
		c     Config
		want  string
	}{
		{"nothing", Config{}, "users: is empty"},
		{"neither", Config{DefaultSource()}, "users[0].file: missing"},
		{"both", Config{{File: "a", LDAP: &LDAPConfig{}}}, "users[0].ldap: stands beside file"},
		{"one file twice", Config{{File: "a"}, {File: "a"}}, "users[1].file: is users[0] already"},
		{"a search of a directory", Config{{LDAP: &LDAPConfig{}, Search: Search{Email: true}}}, "users[0].search: is for a file"},
		{"the hashing of a directory", Config{{LDAP: &LDAPConfig{}, Hashing: Hashing{Queue: 3}}}, "users[0].hashing: is for a file"},
		{"a bound out of bounds", Config{{File: "a", Hashing: Hashing{Queue: -1, Wait: time.Hour}}}, "users[0].hashing.queue: -1 is not between"},
	} {
		if err := tt.c.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.about, err, tt.want)
		}
	}
	if err := (Config{{File: "a", Hashing: DefaultHashing()}, {File: "b"}}).Validate(); err != nil {
		t.Error(err)
	}
}
