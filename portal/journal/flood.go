package journal

import (
	"fmt"
	"strings"
	"time"
)

const (
	floodEvery = time.Minute // how often the like of an event is written
	maxFloods  = 4096        // kinds of like events that are told apart; all others are alike
)

// like is what makes two events of one kind alike.
type like struct {
	kind               Kind
	user, addr, reason string
}

// flood is what is known of like events.
type flood struct {
	written time.Time
	more    int // that came since and were not written
}

// floods says which events of a flood are written.
type floods struct {
	known map[like]*flood
	swept time.Time // when those that are over were dropped last
}

// first says whether e is to be written, and notes in its Detail how many were not.
func (f *floods) first(e *Event, now time.Time) bool {
	key := like{e.Kind, e.User, e.Addr, e.Reason}
	one := f.known[key]
	if one == nil && len(f.known) >= maxFloods {
		f.sweep(now)
		if len(f.known) >= maxFloods {
			key = like{kind: e.Kind}
			one = f.known[key]
		}
	}
	switch {
	case one == nil:
		if f.known == nil {
			f.known = map[like]*flood{}
		}
		f.known[key] = &flood{written: now}
		return true
	case now.Sub(one.written) < floodEvery && !now.Before(one.written):
		one.more++
		return false
	case one.more > 0:
		e.Detail = cleanText(strings.TrimSuffix(fmt.Sprintf("%d more before; %s", one.more, e.Detail), "; "))
	}
	one.written, one.more = now, 0
	return true
}

// sweep drops what is over, at most once in the time that takes.
func (f *floods) sweep(now time.Time) {
	if now.Sub(f.swept) < floodEvery && !now.Before(f.swept) {
		return
	}
	f.swept = now
	for key, one := range f.known {
		if age := now.Sub(one.written); age < 0 || one.more == 0 && age >= floodEvery || age >= 2*floodEvery {
			delete(f.known, key)
		}
	}
}
