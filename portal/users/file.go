package users

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
)

// File is the users_database.yml format. Fill it, call Load once, then Run to follow
// changes. Its methods may be called from many goroutines.
type File struct {
	Path    string
	Search  Search
	Hashing Hashing
	Log     *slog.Logger // nil: nothing is logged

	mu      sync.Mutex // one Load or edit at a time
	current atomic.Pointer[directory]
	gates   sync.Once
	gate    *gate
	counted func(kind string)                     // for tests: called for each hash that is checked
	cheap   func(password string) (string, error) // for tests: instead of Hash
}

// users are those of the last Load that went well; none before it.
func (f *File) users() *directory {
	if d := f.current.Load(); d != nil {
		return d
	}
	return &directory{}
}

func (f *File) log() *slog.Logger {
	if f.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return f.Log
}

// Load reads the file; an error leaves the users as they were. The error of a file that
// can be read is a *Faults.
func (f *File) Load() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.load()
}

// Reload is Load for a running process: it says in the log what came of it.
func (f *File) Reload() error { return f.reload("") }

// reload is Reload. An error whose text is that of said is not logged.
func (f *File) reload(said string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.users().epoch
	if err := f.load(); err != nil {
		if err.Error() != said {
			f.refused(err)
		}
		return err
	}
	if d := f.users(); d.epoch != before {
		f.log().Info("users reloaded", "file", f.Path, "users", len(d.list))
	}
	return nil
}

// refused logs a file that cannot be used, one line for each fault.
func (f *File) refused(err error) {
	var faults *Faults
	if !errors.As(err, &faults) {
		f.log().Error("users file not read; the old users stay", "file", f.Path, "error", err.Error())
		return
	}
	for _, x := range faults.List {
		f.log().Error("users file refused; the old users stay", "file", f.Path, "line", x.Line, "column", x.Column, "fault", x.Text)
	}
}

func (f *File) load() error {
	data, err := readFile(f.Path)
	if err != nil {
		return err
	}
	return f.use(data)
}

// use makes data the current users.
func (f *File) use(data []byte) error {
	old := f.users()
	if old.epoch > 0 && old.sum == sha256.Sum256(data) {
		return nil
	}
	d, err := newDirectory(f.Path, data, f.Search)
	if err != nil {
		return err
	}
	d.epoch = old.epoch + 1
	f.current.Store(d)
	if d.uneven > 0 {
		f.log().Warn("hashes of different cost in the users file: the time of a sign-in can tell which names exist",
			"file", f.Path, "users", d.uneven, "most", d.dummy.kind)
	}
	return nil
}

// readFile reads at most one byte more than a users file may have.
func readFile(path string) ([]byte, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("users: %w", err)
	}
	defer r.Close()
	if fi, err := r.Stat(); err == nil && !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("users: %s is not a regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("users: %w", err)
	}
	return data, nil
}

// Authenticate checks a password. name may be spelled as Search allows; the User has the
// canonical name. Errors: ErrBadCredentials, ErrBusy, ctx's.
func (f *File) Authenticate(ctx context.Context, name, password string) (User, error) {
	if checkPassword(password) != nil {
		return User{}, ErrBadCredentials
	}
	d := f.users()
	a := d.find(name)
	h := d.dummy
	if a != nil {
		h = a.hash
	}
	if h == nil {
		return User{}, errors.New("users: Load was not called")
	}
	ok, err := f.match(ctx, h, password)
	if err != nil {
		return User{}, err
	}
	if a == nil || !ok {
		return User{}, ErrBadCredentials
	}
	// The file may have changed while this one waited.
	a = f.users().names[a.Name]
	if a == nil || a.Disabled || a.hash.text != h.text {
		return User{}, ErrBadCredentials
	}
	return a.user(), nil
}

// turn waits until a hash that takes so many KiB may run.
func (f *File) turn(ctx context.Context, memory int64) (leave func(), err error) {
	f.gates.Do(func() { f.gate = newGate(f.Hashing) })
	return f.gate.enter(ctx, memory)
}

func (f *File) match(ctx context.Context, h *hashed, password string) (bool, error) {
	leave, err := f.turn(ctx, h.memory)
	if err != nil {
		return false, err
	}
	defer leave()
	if f.counted != nil {
		f.counted(h.kind)
	}
	return h.digest.Match(password), nil
}

// Canonical returns the name under which failures of name are to be counted, for any
// input, known or not; at most 128 bytes. It has no errors.
func (f *File) Canonical(_ context.Context, name string) (string, error) {
	return f.users().canonical(name), nil
}

// Find returns the user whom a name means at the sign-in, disabled or not. Its only error
// is ErrNotFound.
func (f *File) Find(_ context.Context, name string) (User, error) {
	if a := f.users().find(name); a != nil {
		return a.user(), nil
	}
	return User{}, ErrNotFound
}

// Known returns a user by canonical name, disabled or not.
func (f *File) Known(name string) (User, bool) {
	if a := f.users().names[name]; a != nil {
		return a.user(), true
	}
	return User{}, false
}

// holds says whether a name is taken, in any spelling that folds to the same.
func (f *File) holds(name string) bool { return f.users().folded[fold(name)] != nil }

// List returns all users in the order of the file.
func (f *File) List() []User {
	list := f.users().list
	out := make([]User, len(list))
	for i, a := range list {
		out[i] = a.user()
	}
	return out
}

// Epoch changes whenever the users do; the caller asks Known again then. Who sees the new
// number sees the new users.
func (f *File) Epoch() uint64 { return f.users().epoch }

// Version changes whenever the user's password is set, even to the same one. It has a
// constant length and says nothing about the password; ok is false when there is no such
// user or he is disabled. A link that resets the password is bound to it; see
// ReplacePassword.
func (f *File) Version(name string) (version string, ok bool) {
	a := f.users().names[name]
	if a == nil || a.Disabled {
		return "", false
	}
	return a.version(), true
}

func (a *account) version() string {
	sum := sha256.Sum256([]byte("postern password mark\x00" + a.Name + "\x00" + a.hash.text))
	return hex.EncodeToString(sum[:16])
}
