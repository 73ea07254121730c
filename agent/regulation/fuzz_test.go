package regulation_test

import (
	"context"
	"testing"
	"time"

	"postern/agent/regulation"
)

// steadfast is a Keeper that answers also when nobody waits for it any more, so that an
// attempt can be begun by somebody who would not wait for others.
type steadfast struct{ *regulation.Memory }

func (s steadfast) ChangeCounts(ctx context.Context, keys []regulation.Key, change func([]regulation.Count) error) error {
	return s.Memory.ChangeCounts(context.WithoutCancel(ctx), keys, change)
}

// looked is an attempt at the secret.
type looked struct {
	at        time.Time
	try       *regulation.Attempt
	takenBack bool
}

// FuzzGuesses: whatever is begun on two nodes, and however and in whatever order it ends,
// no stretch shorter than the first wait has more looks at the secret than are allowed, of
// those that are not taken back and that no success has forgiven; and when all have ended,
// none is under way.
func FuzzGuesses(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 1, 1, 1})
	f.Add([]byte{0, 4, 0, 4, 0, 4, 0, 4, 0, 6, 0, 12, 3, 0, 4, 0})
	f.Add([]byte{0, 0, 0, 0, 0, 255, 0, 5, 0, 5, 0, 6, 0, 6, 0, 0, 0})
	f.Add([]byte("000&00%0000")) // one is taken back that a success had forgotten already
	f.Fuzz(func(t *testing.T, ops []byte) {
		keeper := steadfast{&regulation.Memory{}}
		var both [2]*regulation.Limiter
		for i := range both {
			both[i] = newLimiter(func(l *regulation.Limiter) { l.Keeper = keeper })
		}
		cfg := both[0].Config
		impatient, cancel := context.WithCancel(t.Context())
		cancel()
		at := noon
		var looks []*looked // since the last success, in order of time
		var under []*looked
		for _, op := range ops {
			arg := int(op >> 3)
			switch op & 7 {
			case 0, 1: // a guess on one of the nodes
				if try, err := both[op&1].Begin(impatient, at, password("bob")); err == nil {
					one := &looked{at: at, try: try}
					looks, under = append(looks, one), append(under, one)
				}
			case 2, 3:
				at = at.Add(time.Duration(arg) * time.Second)
			default: // one of those under way ends
				if len(under) == 0 {
					continue
				}
				i := arg % len(under)
				one := under[i]
				under = append(under[:i:i], under[i+1:]...)
				switch op & 7 {
				case 4, 7:
					one.try.Fail(at)
				case 5:
					one.takenBack = true
					one.try.Release()
				case 6:
					one.try.Succeed()
					looks = nil
				}
			}
			for i, first := range looks {
				n := 0
				for _, l := range looks[i:] {
					if !l.takenBack && l.at.Sub(first.at) < cfg.Wait {
						n++
					}
				}
				if n > cfg.Failures {
					t.Fatalf("%d looks within %v", n, cfg.Wait)
				}
			}
		}
		for _, one := range under {
			one.try.Fail(at)
		}
		if both[0].Under()+both[1].Under() != 0 {
			t.Fatal("attempts are under way that have ended")
		}
	})
}
