package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestVerify changes a chain as somebody would who can write to the table.
func TestVerify(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*slate)
		want   string // faults
	}{
		{"nothing was changed", func(*slate) {}, ""},
		{"a word was changed", func(l *slate) { l.records[4].User = "mallory" }, "event 5, or one before it, is not as it was written"},
		{"a time was changed", func(l *slate) { l.records[4].At = l.records[4].At.Add(1) }, "event 5, or one before it, is not as it was written"},
		{"a word moved into the next field", func(l *slate) { l.records[0].User, l.records[0].By = "", "u0" }, "event 1, or one before it, is not as it was written"},
		{"an event was cut out", func(l *slate) { l.records = slices.Delete(l.records, 4, 5) }, "events 5 to 5 are missing"},
		{"events were cut out", func(l *slate) { l.records = slices.Delete(l.records, 4, 7) }, "events 5 to 7 are missing"},
		{"an event was cut out, and the others renumbered", func(l *slate) {
			l.records = slices.Delete(l.records, 8, 9)
			l.records[8].Seq = 9
		}, "event 9, or one before it, is not as it was written"},
		{"two changed places", func(l *slate) { l.records[2].Event, l.records[3].Event = l.records[3].Event, l.records[2].Event },
			"event 3, or one before it, is not as it was written|event 4, or one before it, is not as it was written"},
		{"the oldest were cut", func(l *slate) { l.records = l.records[3:] }, "events 1 to 3 are missing"},
		{"the oldest were cut, as if they had been pruned", func(l *slate) {
			l.marks = Marks{Pruned: 3, Sum: l.records[2].Sum}
			l.records = l.records[3:]
		}, "events up to 3 are missing, and no event says that they were pruned"},
		{"an event was changed and sealed under another key", func(l *slate) {
			l.records[9].User = "mallory"
			l.records[9].Sum = Chain([]byte("another key"))(l.records[8].Sum, 10, l.records[9].Event)
		}, "event 10, or one before it, is not as it was written"},
		{"everything is somebody else's", func(l *slate) {
			for i := range l.records {
				l.records[i].Sum = Sum{}
			}
		}, strings.TrimSuffix(strings.Repeat("event %d, or one before it, is not as it was written|", 10), "|")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, l := newStream(t, 10)
			tt.change(l)
			r, err := s.Verify(t.Context())
			want := tt.want
			for n := 1; strings.Contains(want, "%d"); n++ {
				want = strings.Replace(want, "%d", fmt.Sprint(n), 1)
			}
			if got := strings.Join(r.Faults, "|"); err != nil || got != want {
				t.Errorf("found %q, %v\nwant %q", got, err, want)
			}
		})
	}
}

func TestVerifyAfterPruning(t *testing.T) {
	s, l := newStream(t, 10)
	if n, err := s.Prune(t.Context(), Prune{Now: start, Max: 4}); n != 6 || err != nil {
		t.Fatal(n, err)
	}
	add(t, s, Event{Kind: SignIn})
	r, err := s.Verify(t.Context())
	if err != nil || len(r.Faults) > 0 || r.First != 7 || r.Last != 12 || r.Sum != fmt.Sprintf("%x", l.all()[5].Sum) {
		t.Errorf("%+v, %v", r, err)
	}
	// Whoever cuts further than pruning went is found out.
	l.marks = Marks{Pruned: 8, Sum: l.records[1].Sum}
	l.records = l.records[2:]
	if r, err := s.Verify(t.Context()); err != nil || len(r.Faults) != 1 || !strings.Contains(r.Faults[0], "up to 8 are missing") {
		t.Errorf("%+v, %v", r, err)
	}
	// What somebody calls pruning is none.
	add(t, s, Event{Kind: SignIn, Detail: "8"})
	add(t, s, Event{Kind: Pruned, Detail: "99999"})
	if r, err := s.Verify(t.Context()); err != nil || len(r.Faults) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

// pruning is a slate that is pruned while it is read.
type pruning struct {
	*slate
	s     *Stream
	times int
}

func (p *pruning) ListRecords(ctx context.Context, f Filter) ([]Record, error) {
	if f.Oldest && p.times > 0 {
		p.times--
		if _, err := p.PruneRecords(ctx, Prune{Now: start, Max: len(p.all()) - 1}, Chain(p.s.Key)); err != nil {
			return nil, err
		}
	}
	return p.slate.ListRecords(ctx, f)
}

func TestVerifyWhilePruning(t *testing.T) {
	for times, faults := range map[int]int{0: 0, 1: 0, 2: 0, 3: 1} {
		s, l := newStream(t, 10)
		s.Ledger = &pruning{slate: l, s: s, times: times}
		if r, err := s.Verify(t.Context()); err != nil || len(r.Faults) != faults {
			t.Errorf("pruned %d times: %+v, %v", times, r, err)
		}
	}
}

func TestVerifyNothing(t *testing.T) {
	s, l := newStream(t, 0)
	if r, err := s.Verify(t.Context()); err != nil || len(r.Faults) > 0 || r.First != 0 || r.Sum != "" {
		t.Errorf("%+v, %v", r, err)
	}
	l.breaks(true)
	if _, err := s.Verify(t.Context()); err == nil {
		t.Error("a ledger that cannot be read verifies")
	}
}

func TestVerifyMany(t *testing.T) {
	s, l := newStream(t, 0)
	for range 3 {
		all := make([]Event, verifyStep)
		for i := range all {
			all[i] = Event{At: start.Add(time.Duration(i)), Kind: SignIn}
		}
		if err := s.AddEvents(t.Context(), all); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < len(l.records); i += 10 {
		l.records[i].User = "mallory"
	}
	r, err := s.Verify(t.Context())
	if err != nil || len(r.Faults) != maxFaults+1 || r.Faults[maxFaults] != "and 280 more" || r.Last != 3*verifyStep {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestVerifyCopy(t *testing.T) {
	s, l := newStream(t, 10)
	var lines []string
	for _, r := range l.all() {
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(data))
	}
	for _, tt := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"all of it", lines, ""},
		{"from some place on", lines[4:], ""},
		{"nothing", nil, ""},
		{"lines that came twice", slices.Concat(lines[:6], lines[3:]), ""},
		{"the first one changed", append([]string{strings.Replace(lines[0], "u0", "ux", 1)}, lines[1:]...), "event 1, or one before it, is not as it was written"},
		{"one changed", slices.Concat(lines[:5], []string{strings.Replace(lines[5], "u5", "ux", 1)}, lines[6:]), "event 6, or one before it, is not as it was written"},
		{"one came twice, changed", slices.Concat(lines[:6], []string{strings.Replace(lines[5], "u5", "ux", 1)}, lines[6:]), "event 6 comes after event 6"},
		{"one is missing", slices.Concat(lines[:5], lines[6:]), "events 6 to 6 are missing"},
		{"half a line", slices.Concat(lines[:5], []string{lines[5][:20]}, lines[5:]), "line 6 is not an event"},
		{"a line of somebody else", slices.Concat(lines[:5], []string{`{"seq":6}`}, lines[5:]), "line 6 is not an event"},
	} {
		r, err := VerifyCopy(strings.NewReader(strings.Join(tt.lines, "\n")+"\n"), s.Key)
		if got := strings.Join(r.Faults, "|"); err != nil || got != tt.want {
			t.Errorf("%s: %q, %v\nwant %q", tt.name, got, err, tt.want)
		}
	}
	if _, err := VerifyCopy(bytes.NewReader(bytes.Repeat([]byte{'x'}, 2*maxLine)), s.Key); err == nil || !strings.Contains(err.Error(), "line 1: ") {
		t.Errorf("a line without end: %v", err)
	}
	if r, err := VerifyCopy(strings.NewReader(strings.Join(lines, "\n")), []byte("another key")); err != nil || len(r.Faults) != 10 {
		t.Errorf("under another key: %+v, %v", r, err)
	}
}
