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
type floods map[like]*flood

// first says whether e is to be written, and notes in its Detail how many were not.
func (f *floods) first(e *Event, now time.Time) bool {
	if *f == nil {
		*f = floods{}
	}
	key := like{e.Kind, e.User, e.Addr, e.Reason}
	one := (*f)[key]
	if one == nil {
		if len(*f) >= maxFloods {
			f.forget(now)
		}
		if len(*f) >= maxFloods {
			key = like{kind: e.Kind}
			one = (*f)[key]
		}
	}
	switch {
	case one == nil:
		(*f)[key] = &flood{written: now}
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

// forget drops what would be written anyway.
func (f *floods) forget(now time.Time) {
	for key, one := range *f {
		if one.more == 0 && now.Sub(one.written) >= floodEvery || now.Sub(one.written) >= 2*floodEvery {
			delete(*f, key)
		}
	}
}
