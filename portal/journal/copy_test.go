package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// paper is somewhere to write that can be full.
type paper struct {
	mu     sync.Mutex
	text   bytes.Buffer
	broken error
	writes int
}

func (p *paper) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writes++
	if p.broken != nil {
		return 0, p.broken
	}
	return p.text.Write(b)
}

func (p *paper) breaks(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken = err
}

func (p *paper) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

func (p *paper) tries() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.writes
}

// copying runs a Copy until end is called; said is what it logs.
func copying(t *testing.T, s *Stream, out io.Writer) (said *paper, end func()) {
	t.Helper()
	said = &paper{}
	c := &Copy{Stream: s, Out: out, Log: slog.New(slog.NewTextHandler(said, nil)), Retry: time.Millisecond}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	var once sync.Once
	end = func() {
		once.Do(func() {
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(end)
	return said, end
}

// wantLines checks that text is a chain from first to last.
func wantLines(t *testing.T, s *Stream, text string, first, last uint64) {
	t.Helper()
	r, err := VerifyCopy(strings.NewReader(text), s.Key)
	if err != nil || len(r.Faults) > 0 || r.First != first || r.Last != last {
		t.Errorf("%+v, %v, want %d to %d in\n%s", r, err, first, last, text)
	}
	if n := strings.Count(text, "\n"); uint64(n) != last-first+1 {
		t.Errorf("%d lines, want %d", n, last-first+1)
	}
}

func TestCopyFollows(t *testing.T) {
	s, l := newStream(t, 3)
	out := &paper{}
	_, end := copying(t, s, out)
	until(t, "the events that were there", func() bool { return strings.Count(out.String(), "\n") == 3 })
	add(t, s, Event{Kind: SignOut, User: "bob"})
	until(t, "the one that came", func() bool { return strings.Count(out.String(), "\n") == 4 })
	add(t, s, Event{Kind: Stopped})
	end()
	wantLines(t, s, out.String(), 1, 5)
	if m, _ := l.Marks(t.Context()); m.Copied != 5 {
		t.Errorf("copied %d, want 5", m.Copied)
	}
	add(t, s, Event{Kind: Started})
	_, end = copying(t, s, out)
	end()
	wantLines(t, s, out.String(), 1, 6)
}

func TestCopyCatchesUp(t *testing.T) {
	s, l := newStream(t, 1)
	out := &paper{broken: errors.New("no space left on device")}
	said, end := copying(t, s, out)
	until(t, "some tries", func() bool { return out.tries() > 5 })
	for range 3 * copyStep {
		add(t, s, Event{Kind: SignIn}) // nobody waits
	}
	out.breaks(nil)
	until(t, "all of them", func() bool { return strings.Count(out.String(), "\n") == 1+3*copyStep })
	l.breaks(true)
	tries := func() int { return strings.Count(said.String(), "not copied") }
	until(t, "word of the ledger", func() bool { s.tell(); return tries() == 2 })
	l.breaks(false)
	add(t, s, Event{Kind: SignOut})
	until(t, "the last one", func() bool { return strings.Count(out.String(), "\n") == 2+3*copyStep })
	end()
	wantLines(t, s, out.String(), 1, 2+3*copyStep)
	log := said.String()
	if strings.Count(log, "no space left") != 1 || strings.Count(log, "copied again") != 2 || !strings.Contains(log, "from=1 ") {
		t.Errorf("said\n%s\nwant each trouble once, and when it was over", log)
	}
}

func TestCopyBeginsWhenTheLedgerDoes(t *testing.T) {
	s, l := newStream(t, 2)
	l.breaks(true)
	out := &paper{}
	said, end := copying(t, s, out)
	until(t, "trouble", func() bool { return strings.Contains(said.String(), "disk full") })
	l.breaks(false)
	until(t, "the events", func() bool { return strings.Count(out.String(), "\n") == 2 })
	end()
	wantLines(t, s, out.String(), 1, 2)
}

// TestCopyAfterACrash: the ledger was not told how far the file is.
func TestCopyAfterACrash(t *testing.T) {
	s, l := newStream(t, 6)
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	f := &File{Path: path, Mode: 0o600}
	_, end := copying(t, s, f)
	end()
	whole := content(t, path)
	lines := strings.SplitAfter(whole, "\n")
	half := strings.Join(lines[:4], "") + lines[4][:40]
	if err := os.WriteFile(path, []byte(half), 0o600); err != nil {
		t.Fatal(err)
	}
	l.marks.Copied = 2
	f = &File{Path: path, Mode: 0o600}
	if err := f.Open(); err != nil {
		t.Fatal(err)
	}
	_, end = copying(t, s, f)
	end()
	if got, want := content(t, path), half+"\n"+strings.Join(lines[4:], ""); got != want {
		t.Errorf("the file is\n%s\nwant\n%s", got, want)
	}
}

// TestCopyOfARotatedFileThatIsNotOnDisk: when the file was rotated and its end cannot be
// brought to the disk, nothing is marked as copied, and what the mark does not reach is
// written into the new one. A pipe stands for the old file: it can be closed, not synced.
func TestCopyOfARotatedFileThatIsNotOnDisk(t *testing.T) {
	s, l := newStream(t, 3)
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	f := &File{Path: path, Mode: 0o600}
	said, end := copying(t, s, f)
	until(t, "the events that were there", func() bool {
		data, _ := os.ReadFile(path)
		return bytes.Count(data, []byte("\n")) == 3
	})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f.mu.Lock()
	f.f.Close()
	f.f = w
	err = os.Rename(path, path+".1")
	f.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	add(t, s, Event{Kind: SignOut, User: "bob"})
	until(t, "the new file", func() bool {
		data, _ := os.ReadFile(path)
		return bytes.HasSuffix(data, []byte("\n"))
	})
	end()
	wantLines(t, s, content(t, path), 1, 4)
	if m, _ := l.Marks(t.Context()); m.Copied != 4 {
		t.Errorf("copied %d, want 4", m.Copied)
	}
	if n := strings.Count(said.String(), "not copied"); n != 1 {
		t.Errorf("said %d times, want once:\n%s", n, said)
	}
}

func TestCopyIsNotLedAstray(t *testing.T) {
	s, l := newStream(t, 3)
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	text := fmt.Sprintf(`{"seq":18446744073709551615,"sum":"%064x"}`+"\n", 0)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f := &File{Path: path}
	if err := f.Open(); err != nil {
		t.Fatal(err)
	}
	_, end := copying(t, s, f)
	end()
	if got := content(t, path); strings.Count(got, "\n") != 4 {
		t.Errorf("a line of somebody else keeps events away:\n%s", got)
	}
	// What was pruned before it was copied is missed, and that is said.
	l.marks.Copied = 1
	if _, err := s.Prune(t.Context(), Prune{Now: start, Max: 1}); err != nil {
		t.Fatal(err)
	}
	out := &paper{}
	said, end := copying(t, s, out)
	end()
	wantLines(t, s, out.String(), 3, 4)
	if !strings.Contains(said.String(), "pruned before they were copied") {
		t.Errorf("said %s", said)
	}
}

// TestCopyThatIsNotRead: a reader who stops reading holds nobody up, at the end neither.
func TestCopyThatIsNotRead(t *testing.T) {
	s, _ := newStream(t, 3)
	r, w := io.Pipe()
	defer r.Close()
	_, end := copying(t, s, w)
	for range 100 {
		add(t, s, Event{Kind: SignIn})
	}
	end()
}
