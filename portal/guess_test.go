package portal

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/portal/users"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// guess makes one wrong guess and returns how long it would have had to wait.
func (l *limiter) guess(at time.Time, subjects ...subject) time.Duration {
	try, wait := l.begin(context.Background(), at, subjects...)
	if try != nil {
		try.fail(at)
	}
	return wait
}

func TestGuessesWaitLongerAndLonger(t *testing.T) {
	l := newLimiter(DefaultConfig().Guesses)
	bob, at := subjectUser("bob"), noon
	for n := range 5 {
		if wait := l.guess(at, bob); wait != 0 {
			t.Fatalf("guess %d waits %v", n+1, wait)
		}
		at = at.Add(time.Second)
	}
	for _, want := range []time.Duration{30, 60, 120, 240, 480, 900, 900} {
		want *= time.Second
		if wait := l.guess(at, bob); wait <= 0 || wait > want || wait < want-time.Second {
			t.Fatalf("wait %v, want %v", wait, want)
		}
		if wait := l.guess(at.Add(want-2*time.Second), bob); wait <= 0 {
			t.Fatalf("a guess is let through before %v are over", want)
		}
		at = at.Add(want)
		if wait := l.guess(at, bob); wait != 0 {
			t.Fatalf("after %v there are %v left", want, wait)
		}
	}
}

func TestGuessesAreForgotten(t *testing.T) {
	l := newLimiter(DefaultConfig().Guesses)
	bob := subjectUser("bob")
	for n := range 20 {
		if wait := l.guess(noon.Add(time.Duration(n)*31*time.Second), bob); wait != 0 {
			t.Fatalf("four failures in two minutes are too many: guess %d waits %v", n, wait)
		}
	}
	late := noon.Add(time.Hour)
	for range 5 {
		l.guess(late, bob)
	}
	if wait := l.guess(late, bob); wait != 30*time.Second {
		t.Fatalf("wait %v", wait)
	}
	late = late.Add(30*time.Second + 2*time.Minute)
	for n := range 5 {
		if wait := l.guess(late, bob); wait != 0 {
			t.Fatalf("a quiet window after the wait: guess %d waits %v", n, wait)
		}
	}
}

func TestASuccessForgivesTheUserButNotTheAddress(t *testing.T) {
	l := newLimiter(DefaultConfig().Guesses)
	here, _ := subjectAddress(netip.MustParseAddr("192.0.2.7"))
	for n := range 5 {
		if wait := l.guess(noon, subjectUser(fmt.Sprint("victim", n)), here); wait != 0 {
			t.Fatalf("guess %d waits", n)
		}
		try, wait := l.begin(t.Context(), noon, subjectUser("mallory"))
		if try == nil {
			t.Fatalf("mallory waits %v", wait)
		}
		try.succeed()
	}
	if l.guess(noon, subjectUser("victim6"), here) == 0 {
		t.Error("the address may go on")
	}
	for range 4 {
		l.guess(noon, subjectUser("bob"))
	}
	try, _ := l.begin(t.Context(), noon, subjectUser("bob"))
	try.succeed()
	for n := range 5 {
		if l.guess(noon, subjectUser("bob")) != 0 {
			t.Errorf("bob's slips count after his success: guess %d waits", n)
		}
	}
}

func TestAnAttemptThatSaysNothingIsNotCounted(t *testing.T) {
	l := newLimiter(DefaultConfig().Guesses)
	for range 50 {
		try, wait := l.begin(t.Context(), noon, subjectUser("bob"))
		if try == nil {
			t.Fatalf("waits %v", wait)
		}
		try.release()
	}
	if len(l.counts) != 0 {
		t.Errorf("%d counts are kept of nothing", len(l.counts))
	}
}

func TestAddressesByLine(t *testing.T) {
	for _, tt := range []struct {
		why  string
		a, b string
		same bool
	}{
		{"the same", "192.0.2.1", "192.0.2.1", true},
		{"neighbours in IPv4", "192.0.2.1", "192.0.2.2", false},
		{"IPv4 in IPv6's clothes", "192.0.2.1", "::ffff:192.0.2.1", true},
		{"one /64", "2001:db8::1", "2001:db8::ffff:2", true},
		{"another /64", "2001:db8::1", "2001:db8:0:1::1", false},
		{"a zone", "fe80::1%eth0", "fe80::1", true},
	} {
		a, _ := subjectAddress(netip.MustParseAddr(tt.a))
		b, _ := subjectAddress(netip.MustParseAddr(tt.b))
		if (a == b) != tt.same {
			t.Errorf("%s: %s and %s count as one: %v", tt.why, tt.a, tt.b, a == b)
		}
	}
	if _, ok := subjectAddress(netip.Addr{}); ok {
		t.Error("an unknown address is counted")
	}
}

func TestThreat63GuessesTakeBoundedMemory(t *testing.T) {
	l := newLimiter(DefaultConfig().Guesses)
	l.room = 2000
	victim := subjectUser("victim")
	for range 6 {
		l.guess(noon, victim)
	}
	for n := range 10 * l.room {
		l.guess(noon, makeSubject(byUser, strconv.Itoa(n)))
	}
	if len(l.counts) > l.room {
		t.Errorf("%d counts, want at most %d", len(l.counts), l.room)
	}
	if l.guess(noon, victim) == 0 {
		t.Error("a flood of other names ends the victim's wait")
	}
}

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
