package portal

import (
	"fmt"
	"runtime/debug"
	"sync"
)

// maxLater is how many things may be under way behind answers that have been given.
const maxLater = 32

// behind is what is done after an answer, so that its time tells nothing.
type behind struct {
	slots chan struct{}
	work  sync.WaitGroup
}

func newBehind() *behind { return &behind{slots: make(chan struct{}, maxLater)} }

// later does something after the answer. When too much is under way it is not done at
// all, and the log says so.
func (s *site) later(rid string, do func()) {
	select {
	case s.behind.slots <- struct{}{}:
	default:
		s.log().Error("too much to do behind answers; left undone", "rid", rid)
		return
	}
	s.behind.work.Go(func() {
		defer func() {
			<-s.behind.slots
			if r := recover(); r != nil {
				s.log().Error("portal: panic behind an answer", "rid", rid, "error", fmt.Sprintf("%v\n%s", r, debug.Stack()))
			}
		}()
		do()
	})
}
