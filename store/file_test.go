package store

import (
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"postern/store/storetest"
)

func TestOpenRefuses(t *testing.T) {
	for _, tt := range []struct {
		name    string
		url     string // DIR is the test's directory
		prepare func(t *testing.T, path string)
		want    string // in the error
		is      error
	}{
		{"a path without scheme", "/var/lib/postern.db", nil, `"/var/lib/postern.db" has no scheme; write sqlite:/var/lib/postern.db`, nil},
		{"a scheme that is not supported, without showing its password", "mysql://u:secret@h/db", nil, `scheme "mysql" is not supported`, nil},
		{"a scheme without path", "sqlite:", nil, "names no file", nil},
		{"memory", "sqlite::memory:", nil, "names no file", nil},
		{"a path with a zero byte", "sqlite:a\x00b", nil, "names no file", nil},
		{"a directory that does not exist", "sqlite:DIR/no/postern.db", nil, "DIR/no does not exist; create it", nil},
		{"a directory", "sqlite:DIR", nil, "is a directory; name a file in it, like sqlite:DIR/postern.db", nil},
		{"a file below a file", "sqlite:DIR/postern.db/x.db", text, "not a directory", nil},
		{"a pipe", "sqlite:DIR/postern.db", pipe, "is not a regular file", nil},
		{"a text file", "sqlite:DIR/postern.db", text, "is not a SQLite database", ErrSchema},
		{"a short text file", "sqlite:DIR/postern.db", short, "is not a SQLite database", ErrSchema},
		{"the database of another program", "sqlite:DIR/postern.db", foreign, "is a database of another program", ErrSchema},
		{"another program's with our table's name", "sqlite:DIR/postern.db", lookalike, "is a database of another program", ErrSchema},
		{"a newer schema", "sqlite:DIR/postern.db", newer, "has schema 9999, and this postern knows up to", ErrSchema},
		{"a damaged database", "sqlite:DIR/postern.db", damaged, "", ErrUnavailable},
		{"a link to nothing, which a second process would find under another name", "sqlite:DIR/postern.db", linkToNothing, "is a link to elsewhere.db, which is not there", nil},
		{"a lock that is a link to somewhere else", "sqlite:DIR/postern.db", linkedLock, "store: lock: ", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "postern.db")
			if tt.prepare != nil {
				tt.prepare(t, path)
			}
			before := content(path)
			s, err := Open(t.Context(), strings.ReplaceAll(tt.url, "DIR", dir))
			if err == nil {
				s.Close()
				t.Fatal("opened")
			}
			want := strings.ReplaceAll(tt.want, "DIR", dir)
			if got := err.Error(); !strings.HasPrefix(got, "store: ") || !strings.Contains(got, want) || strings.Contains(got, "secret") {
				t.Errorf("%q, want one with %q", got, want)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%v is not %v", err, tt.is)
			}
			if content(path) != before && tt.is != ErrUnavailable {
				t.Error("the file was changed")
			}
		})
	}
}

// content is what is in a file; nothing when it is none.
func content(path string) string {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func text(t *testing.T, path string) {
	write(t, path, strings.Repeat("This is not a database. ", 1000))
}
func short(t *testing.T, path string) { write(t, path, "SQLite") }

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func pipe(t *testing.T, path string) {
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}

func linkedLock(t *testing.T, path string) {
	if err := os.Symlink(path+".elsewhere", path+".lock"); err != nil {
		t.Fatal(err)
	}
}

func linkToNothing(t *testing.T, path string) {
	if err := os.Symlink("elsewhere.db", path); err != nil {
		t.Fatal(err)
	}
}

// run executes statements on a database file without our checks.
func run(t *testing.T, path, statements string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statements); err != nil {
		t.Fatal(err)
	}
}

func foreign(t *testing.T, path string) { run(t, path, `CREATE TABLE notes (note TEXT)`) }

func lookalike(t *testing.T, path string) {
	run(t, path, `CREATE TABLE schema (version INTEGER); INSERT INTO schema VALUES (1)`)
}

func newer(t *testing.T, path string) {
	closed(t, path)
	run(t, path, `INSERT INTO schema (version, name, applied) VALUES (9999, 'future', ''); PRAGMA journal_mode = DELETE; PRAGMA journal_mode = WAL`)
}

func damaged(t *testing.T, path string) {
	closed(t, path)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 100; i < len(b); i++ { // behind the header
		b[i] ^= 0xa5
	}
	write(t, path, string(b))
}

// closed makes a store with a few sessions.
func closed(t *testing.T, path string) {
	t.Helper()
	s, err := Open(t.Context(), "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 50 {
		if err := s.SaveSession(t.Context(), storetest.Session(n), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestDamageIsAnErrorOrRight: whatever page is damaged, what the store answers is an
// error of the right kind or the right answer.
func TestDamageIsAnErrorOrRight(t *testing.T) {
	path := t.TempDir() + "/postern.db"
	closed(t, path)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	failed := 0
	for page := 1; page < len(good)/4096; page++ {
		bad := append([]byte(nil), good...)
		for i := range 4096 {
			bad[page*4096+i] = byte(i * 7)
		}
		write(t, path, string(bad))
		s, err := Open(t.Context(), "sqlite:"+path)
		if err != nil {
			if !errors.Is(err, ErrUnavailable) {
				t.Errorf("page %d: Open: %v", page, err)
			}
			failed++
			continue
		}
		r, err := s.LoadSession(t.Context(), storetest.Session(7).Hash)
		if err == nil && r.ID != storetest.Session(7).ID {
			t.Errorf("page %d: loaded %+v", page, r)
		}
		if err != nil {
			failed++
		}
		s.Close()
	}
	if failed == 0 {
		t.Error("no damage was noticed: the test does not damage what is read")
	}
}

func TestFilesAreOurs(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir := t.TempDir()
	path := dir + "/postern.db"
	s := openAt(t, path)
	if err := s.SaveSession(t.Context(), storetest.Session(1), nil); err != nil {
		t.Fatal(err)
	}
	wantModes(t, dir, 4)

	copied := t.TempDir() // as from a backup, for all to read
	for _, name := range []string{"postern.db", "postern.db-wal"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(copied, name), b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	s = openAt(t, copied+"/postern.db")
	if _, err := s.LoadSession(t.Context(), storetest.Session(1).Hash); err != nil {
		t.Errorf("the copy: %v", err)
	}
	wantModes(t, copied, 4)
}

// TestRootMakesNothingThatIsRoots: whatever of the store a command of root makes in a
// folder of the user that Postern runs as is that user's, and so is what root left there
// before; in a folder of root it stays root's.
func TestRootMakesNothingThatIsRoots(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may give files away")
	}
	for _, owner := range []int{1234, 0} {
		dir := t.TempDir()
		path := dir + "/postern.db"
		if err := os.Chown(dir, owner, owner); err != nil {
			t.Fatal(err)
		}
		wantOwners := func(when string, files int) {
			t.Helper()
			names, _ := filepath.Glob(path + "*")
			if len(names) != files {
				t.Errorf("%s: %v, want %d files", when, names, files)
			}
			for _, name := range names {
				info, err := os.Stat(name)
				if err != nil {
					t.Fatal(err)
				}
				if st := info.Sys().(*syscall.Stat_t); int(st.Uid) != owner || int(st.Gid) != owner || info.Mode() != fileMode {
					t.Errorf("%s: %s has owner %d:%d, mode %v, want %d and %v", when, name, st.Uid, st.Gid, info.Mode(), owner, fileMode)
				}
			}
		}
		for n, when := range []string{"new", "left there by root"} {
			s, err := Open(t.Context(), "sqlite:"+path)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.SaveSession(t.Context(), storetest.Session(n), nil); err != nil {
				t.Fatal(err)
			}
			wantOwners(when, 4)
			killed := []string{content(path), content(path + "-wal"), content(path + "-shm")}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			for i, more := range []string{"", "-wal", "-shm"} {
				write(t, path+more, killed[i])
			}
			for _, more := range []string{"", "-wal", "-shm", ".lock"} {
				if err := os.Chown(path+more, 0, 0); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// TestLinkBesideTheStore: what a link has in place of a log file's name is not touched.
func TestLinkBesideTheStore(t *testing.T) {
	path, other := t.TempDir()+"/postern.db", t.TempDir()+"/other"
	closed(t, path)
	write(t, other, "")
	if err := errors.Join(os.Chmod(other, 0o644), os.Symlink(other, path+"-wal")); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(t.Context(), "sqlite:"+path); err == nil {
		s.Close()
		t.Error("opened")
	}
	if info, err := os.Stat(other); err != nil || info.Mode() != 0o644 {
		t.Errorf("what the link leads to: %v, %v", info, err)
	}
}

func wantModes(t *testing.T, dir string, files int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != files {
		t.Errorf("%d files, %v, want %d", len(entries), err, files)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != fileMode {
			t.Errorf("%s has mode %v, want %v", e.Name(), info.Mode(), fileMode)
		}
	}
}

func TestOddNames(t *testing.T) {
	for _, name := range []string{"with space.db", "question?mode=memory.db", "hash#1.db", "100%25.db", "ünïcode.db", "semi;colon&and=.db", "'quote'.db"} {
		path := filepath.Join(t.TempDir(), name)
		s := openAt(t, path)
		if err := s.SaveSession(t.Context(), storetest.Session(1), nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestURLs(t *testing.T) {
	for url, want := range map[string]string{
		"sqlite:/var/lib/p.db":   "/var/lib/p.db",
		"sqlite:///var/lib/p.db": "/var/lib/p.db",
		"sqlite:relative.db":     "relative.db",
		"sqlite:./a:b.db":        "./a:b.db",
	} {
		if got, err := sqlitePath(url); got != want || err != nil {
			t.Errorf("%s: %q, %v, want %q", url, got, err, want)
		}
	}
}

// TestNotWritable runs as a user who may read the store and not write it.
func TestNotWritable(t *testing.T) {
	dir, err := os.MkdirTemp("", "postern") // t.TempDir is closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(os.Chmod(dir, 0o700), os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	})
	path := dir + "/postern.db"
	closed(t, path)
	for _, name := range []string{path, path + ".lock"} {
		if err := os.Chmod(name, 0o444); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	exe := dir + "x.test" // beside it: the build's own folder is closed to others
	b, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(exe, b, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(exe) })
	want := map[fs.FileMode]string{0o444: "lock: open " + path + ".lock: permission denied", 0o666: path + " cannot be written: "}
	for mode, text := range want {
		if err := os.Chmod(path+".lock", mode); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(exe)
		cmd.Dir = "/"
		cmd.Env = append(os.Environ(), childJob+"=hold", childPath+"="+path)
		if os.Getuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "error: store: "+text) {
			t.Errorf("lock with mode %v: %v, %q, want %q", mode, err, out, text)
		}
	}
}
