package journal

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// verifyStep is how many records are looked at together.
const verifyStep = 1000

// maxFaults bounds what a Report lists.
const maxFaults = 20

// Report says what a check of the chain has found.
type Report struct {
	First  uint64   `json:"first"` // the first event that is there; 0: there is none
	Last   uint64   `json:"last"`
	Sum    string   `json:"sum"`    // of the last one, in hexadecimal digits
	Faults []string `json:"faults"` // none: the chain holds
	more   int
}

func (r *Report) fault(format string, args ...any) {
	if len(r.Faults) == maxFaults {
		r.more++
		return
	}
	r.Faults = append(r.Faults, fmt.Sprintf(format, args...))
}

// link is a place in a chain that is being checked.
type link struct {
	report *Report
	seal   Seal
	seq    uint64
	sum    Sum
	pruned uint64 // what an event says was pruned
}

// next checks one record against what came before it.
func (l *link) next(r Record) {
	switch {
	case r.Seq == l.seq+1:
	case r.Seq > l.seq+1:
		l.report.fault("events %d to %d are missing", l.seq+1, r.Seq-1)
	default:
		l.report.fault("event %d comes after event %d", r.Seq, l.seq)
	}
	switch {
	case r.Seq != l.seq+1: // its sum cannot be told
	case r.Sum != l.seal(l.sum, r.Seq, r.Event):
		l.report.fault("event %d, or one before it, is not as it was written", r.Seq)
	}
	if n, err := strconv.ParseUint(r.Detail, 10, 64); err == nil && r.Kind == Pruned && n < r.Seq {
		l.pruned = max(l.pruned, n)
	}
	if l.report.First == 0 {
		l.report.First = r.Seq
	}
	l.seq, l.sum = r.Seq, r.Sum
}

func (l *link) end() Report {
	l.report.Last = l.seq
	if l.report.First > 0 {
		l.report.Sum = fmt.Sprintf("%x", l.sum[:])
	}
	if l.report.more > 0 {
		l.report.Faults = append(l.report.Faults, fmt.Sprintf("and %d more", l.report.more))
	}
	if l.report.Faults == nil {
		l.report.Faults = []string{}
	}
	return *l.report
}

// Verify checks the chain of all events of a ledger: that none was changed, inserted or
// cut out, and that none was removed but by pruning. That the newest are missing cannot
// be told from the ledger alone: compare Last and Sum with a copy, or an earlier Report.
func (s *Stream) Verify(ctx context.Context) (Report, error) {
	for try := 1; ; try++ {
		m, err := s.Ledger.Marks(ctx)
		if err != nil {
			return Report{}, err
		}
		r, err := s.verify(ctx, m)
		if err != nil || len(r.Faults) == 0 || try == maxTries {
			return r, err
		}
		if after, err := s.Ledger.Marks(ctx); err != nil || after.Pruned == m.Pruned {
			return r, err
		} // what is missing was pruned meanwhile
	}
}

// maxTries bounds how often a check begins anew.
const maxTries = 3

func (s *Stream) verify(ctx context.Context, m Marks) (Report, error) {
	l := &link{report: &Report{}, seal: Chain(s.Key), seq: m.Pruned, sum: m.Sum}
	for {
		records, err := s.Ledger.ListRecords(ctx, Filter{After: l.seq, Oldest: true, Limit: verifyStep})
		if err != nil {
			return Report{}, err
		}
		for _, r := range records {
			l.next(r)
		}
		if len(records) < verifyStep {
			break
		}
	}
	if m.Pruned > l.pruned {
		l.report.fault("events up to %d are missing, and no event says that they were pruned", m.Pruned)
	}
	return l.end(), nil
}

// ErrLine says that a line is no event.
var ErrLine = errors.New("is not an event")

// VerifyCopy checks lines that Copy wrote, from any place of the stream on. Lines that
// came twice in a row are one.
func VerifyCopy(in io.Reader, key []byte) (Report, error) {
	l := &link{report: &Report{}, seal: Chain(key)}
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, maxLine), maxLine)
	number := 0
	var recent map[uint64]Record
	for lines.Scan() {
		number++
		if len(lines.Bytes()) == 0 {
			continue
		}
		var r Record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			l.report.fault("line %d %v", number, ErrLine)
			continue
		}
		if old, twice := recent[r.Seq]; twice && old == r {
			continue
		}
		if recent == nil {
			recent = map[uint64]Record{}
			l.report.First = r.Seq
		}
		if l.report.First == r.Seq && len(recent) == 0 && r.Seq > 1 {
			l.seq, l.sum = r.Seq, r.Sum // what is before the first line is not known
		} else {
			l.next(r)
		}
		if len(recent) >= 2*copyStep {
			clear(recent)
		}
		recent[r.Seq] = r
	}
	if err := lines.Err(); err != nil {
		return Report{}, fmt.Errorf("line %d: %w", number+1, err)
	}
	return l.end(), nil
}
