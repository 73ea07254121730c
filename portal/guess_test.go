package portal

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/portal/users"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// slowUsers lets a test hold passwords while they are being checked.
type slowUsers struct {
	*users.File
	checked atomic.Int32
	hold    chan struct{}
}

func (s *slowUsers) Authenticate(ctx context.Context, name, password string) (users.User, error) {
	s.checked.Add(1)
	<-s.hold
	return s.File.Authenticate(ctx, name, password)
}

func TestThreat36ParallelGuesses(t *testing.T) {
	slow := &slowUsers{hold: make(chan struct{})}
	h := openHouse(t, func(s *Server) {
		slow.File = s.Users.(*users.File)
		s.Users = slow
	})
	const guesses = 40
	var answers sync.WaitGroup
	var wrong, refused atomic.Int32
	for n := range guesses {
		b := h.browser()
		b.header.Set(testClient, fmt.Sprintf("198.51.100.%d", n))
		page := b.get(auth + "/")
		answers.Go(func() {
			switch a := b.send(page, "/", "username", "bob", "password", "guess"); a.StatusCode {
			case http.StatusUnauthorized:
				wrong.Add(1)
			case http.StatusTooManyRequests:
				refused.Add(1)
			default:
				t.Errorf("status %d", a.StatusCode)
			}
		})
	}
	for slow.checked.Load() < 5 && !t.Failed() { // all that may be looked at are, before one is answered
		runtime.Gosched()
	}
	close(slow.hold)
	answers.Wait()
	if n := slow.checked.Load(); n != 5 || wrong.Load() != 5 || refused.Load() != guesses-5 {
		t.Errorf("%d passwords were checked, %d answers say wrong, %d say wait; want 5, 5, %d", n, wrong.Load(), refused.Load(), guesses-5)
	}
}

func TestThreat35GuessesCountByCanonicalName(t *testing.T) {
	h := openHouse(t, func(s *Server) { s.Users.(*users.File).Search = users.Search{CaseInsensitive: true, Email: true} })
	for n, name := range []string{"alice", "ALICE", " alice", "Alice", "alice@example.com"} {
		b := h.from(n)
		b.signIn("", name, "guess").want(t, http.StatusUnauthorized)
	}
	got := h.from(9).signIn("", "aLiCe", "wonderland")
	got.want(t, http.StatusTooManyRequests, "Too many attempts. Try again in", `value="aLiCe"`)
	if s, err := strconv.Atoi(got.Header.Get("Retry-After")); err != nil || s < 1 || s > 30 {
		t.Errorf("Retry-After %q", got.Header.Get("Retry-After"))
	}
}

func TestThreat34NamesThatDoNotExistWaitAsWell(t *testing.T) {
	h := openHouse(t)
	for n := range 5 {
		h.from(n).signIn("", "nobody", "guess").want(t, http.StatusUnauthorized)
	}
	h.from(9).signIn("", "nobody", "guess").want(t, http.StatusTooManyRequests)
}

func TestFiveFailuresFromOneAddress(t *testing.T) {
	h := openHouse(t)
	for n := range 5 {
		h.from(1).signIn("", fmt.Sprint("nobody", n), "guess").want(t, http.StatusUnauthorized)
	}
	h.from(1).signIn("", "bob", "builder").want(t, http.StatusTooManyRequests)
	h.from(2).signIn("", "bob", "builder").wantRedirect(t, "/")
}

func TestThreat43StrangersCannotLockAUserOut(t *testing.T) {
	h := openHouse(t)
	own := h.from(1)
	own.signIn("", "bob", "builder").wantRedirect(t, "/")
	own.send(own.get(auth+"/"), "/signout")
	for n := range 5 {
		h.from(2+n).signIn("", "bob", "guess").want(t, http.StatusUnauthorized)
	}
	h.from(9).signIn("", "bob", "builder").want(t, http.StatusTooManyRequests)
	own.signIn("", "bob", "slip").want(t, http.StatusUnauthorized)
	own.signIn("", "bob", "builder").wantRedirect(t, "/")
	// The same cookie helps with nobody else, and guesses from it are counted too.
	own.send(own.get(auth+"/"), "/signout")
	for range 5 {
		own.signIn("", "bob", "guess").want(t, http.StatusUnauthorized)
	}
	own.signIn("", "bob", "builder").want(t, http.StatusTooManyRequests)
}

// from opens a browser at an address of its own.
func (h *house) from(n int) *browser {
	b := h.browser()
	b.header.Set(testClient, fmt.Sprintf("198.51.100.%d", n))
	return b
}
