package spop_test

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"postern/agent/spop"
	"postern/agent/spop/spoptest"
)

// seer is a Handler that keeps what it was told ahead, and spoils what it was told with.
type seer struct {
	spop.Handler
	mu    sync.Mutex
	calls []int
	seen  [][]byte
}

func (s *seer) Ahead(frames [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, len(frames))
	for i, f := range frames {
		s.seen = append(s.seen, bytes.Clone(f))
		frames[i] = nil
	}
}

// blind is a Handler that cannot bear to know.
type blind struct{ spop.Handler }

func (blind) Ahead([][]byte) { panic("bug") }

// TestForesightPanics: a hint that goes wrong costs nobody his answer.
func TestForesightPanics(t *testing.T) {
	p := greet(t, start(t, &spop.Server{Handler: blind{echo}}))
	var all []byte
	for i := range uint64(40) {
		all = spoptest.AppendNotify(all, i, 1, message(fmt.Sprint(i)))
	}
	send(t, p, all)
	for i := range uint64(40) {
		if a, err := p.Ack(); err != nil || a.Stream != i || a.Str("id") != fmt.Sprint(i) {
			t.Fatalf("answer %d is %+v, %v", i, a, err)
		}
	}
}

// TestForesight: frames that came together are told ahead, each once, and all are
// answered in order. One that came alone, or is not whole, is not told.
func TestForesight(t *testing.T) {
	for _, n := range []int{1, 2, 32, 33, 34, 70} {
		s := &seer{Handler: echo}
		p := greet(t, start(t, &spop.Server{Handler: s}))
		var all []byte
		var want [][]byte
		for i := range n {
			at := len(all)
			all = spoptest.AppendNotify(all, uint64(i), 1, message(fmt.Sprint(i)))
			want = append(want, bytes.Clone(all[at+4:]))
		}
		rest := spoptest.AppendNotify(nil, uint64(n), 1, message("rest"))
		send(t, p, all, rest[:20])
		for i := range n {
			a, err := p.Ack()
			if err != nil || a.Stream != uint64(i) || a.Str("id") != fmt.Sprint(i) {
				t.Fatalf("%d frames: answer %d is %+v, %v", n, i, a, err)
			}
		}
		send(t, p, rest[20:])
		if a, err := p.Ack(); err != nil || a.Str("id") != "rest" {
			t.Fatalf("%d frames: the rest is %+v, %v", n, a, err)
		}
		s.mu.Lock()
		// What is told at a time depends on how much was read at a time; one that is
		// left over alone is not told.
		told := 0
		for i, f := range s.seen {
			for told < n && !bytes.Equal(f, want[told]) {
				told++
			}
			if told == n {
				t.Fatalf("%d frames: what was told as %d is none of them, or not in order: %q", n, i, f)
			}
			told++
		}
		if n == 1 && len(s.calls) != 0 || n > 1 && len(s.calls) == 0 {
			t.Errorf("%d frames: told %v", n, s.calls)
		}
		for _, k := range s.calls {
			if k < 2 || k > 32 {
				t.Errorf("%d frames: told %d at a time", n, k)
			}
		}
		s.mu.Unlock()
	}
}
