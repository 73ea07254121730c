package regulation_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"postern/agent/regulation"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// newLimiter is one over memory; change may alter it.
func newLimiter(change ...func(*regulation.Limiter)) *regulation.Limiter {
	l := &regulation.Limiter{
		Config: regulation.DefaultConfig(), Keeper: &regulation.Memory{}, Key: []byte("a key of the test, 32 bytes long"),
		Now: func() time.Time { return noon },
	}
	for _, c := range change {
		c(l)
	}
	return l
}

// guess makes one wrong guess and returns how long it would have had to wait.
func guess(t *testing.T, l *regulation.Limiter, at time.Time, subjects ...regulation.Subject) time.Duration {
	t.Helper()
	var wait *regulation.WaitError
	try, err := l.Begin(t.Context(), at, subjects...)
	switch {
	case err == nil:
		try.Fail(at)
		return 0
	case !errors.As(err, &wait) || wait.For <= 0:
		t.Fatalf("begin: %v", err)
	}
	return wait.For
}

func password(name string) regulation.Subject { return regulation.User(regulation.Password, name) }

func from(address string) regulation.Subject {
	return regulation.Address(regulation.Password, netip.MustParseAddr(address))
}

func TestWaitsGrow(t *testing.T) {
	l, at := newLimiter(), noon
	for n := range 5 {
		if wait := guess(t, l, at, password("bob")); wait != 0 {
			t.Fatalf("guess %d waits %v", n+1, wait)
		}
		at = at.Add(time.Second)
	}
	at = at.Add(-time.Second)
	for _, want := range []time.Duration{30, 60, 120, 240, 480, 900, 900} {
		want *= time.Second
		if wait := guess(t, l, at, password("bob")); wait != want {
			t.Fatalf("wait %v, want %v", wait, want)
		}
		if wait := guess(t, l, at.Add(want-time.Second), password("bob")); wait != time.Second {
			t.Fatalf("a second before %v are over the wait is %v", want, wait)
		}
		at = at.Add(want)
		if wait := guess(t, l, at, password("bob")); wait != 0 {
			t.Fatalf("after %v there are %v left", want, wait)
		}
	}
}

func TestFailuresAreForgotten(t *testing.T) {
	l := newLimiter()
	for n := range 20 {
		if wait := guess(t, l, noon.Add(time.Duration(n)*31*time.Second), password("bob")); wait != 0 {
			t.Fatalf("four failures in two minutes are too many: guess %d waits %v", n, wait)
		}
	}
	late := noon.Add(time.Hour)
	for range 5 {
		guess(t, l, late, password("bob"))
	}
	if wait := guess(t, l, late, password("bob")); wait != 30*time.Second {
		t.Fatalf("wait %v", wait)
	}
	late = late.Add(30*time.Second + 2*time.Minute)
	for n := range 5 {
		if wait := guess(t, l, late, password("bob")); wait != 0 {
			t.Fatalf("a quiet window after the wait: guess %d waits %v", n, wait)
		}
	}
	if wait := guess(t, l, late, password("bob")); wait != 30*time.Second {
		t.Fatalf("the first wait after a quiet window is %v", wait)
	}
}

func TestASuccessForgivesTheUserButNotTheAddress(t *testing.T) {
	l := newLimiter()
	here := from("192.0.2.7")
	for n := range 4 {
		if wait := guess(t, l, noon, password(fmt.Sprint("victim", n)), here); wait != 0 {
			t.Fatalf("guess %d waits", n)
		}
		try, err := l.Begin(t.Context(), noon, password("mallory"), here)
		if err != nil {
			t.Fatal(err)
		}
		try.Succeed()
	}
	guess(t, l, noon, password("victim5"), here)
	if guess(t, l, noon, password("victim6"), here) == 0 {
		t.Error("the address may go on")
	}
	for range 4 {
		guess(t, l, noon, password("bob"))
	}
	try, err := l.Begin(t.Context(), noon, password("bob"))
	if err != nil {
		t.Fatal(err)
	}
	try.Succeed()
	for n := range 5 {
		if guess(t, l, noon, password("bob")) != 0 {
			t.Errorf("bob's slips count after his success: guess %d waits", n)
		}
	}
}

func TestAnAttemptThatSaysNothingIsNotCounted(t *testing.T) {
	keeper := &regulation.Memory{}
	l := newLimiter(func(l *regulation.Limiter) { l.Keeper = keeper })
	for range 50 {
		try, err := l.Begin(t.Context(), noon, password("bob"), from("192.0.2.1"))
		if err != nil {
			t.Fatal(err)
		}
		try.Release()
		try.Fail(noon) // too late: it has been settled
	}
	if counts, bans := keeper.Len(); counts != 0 || bans != 0 || l.Under() != 0 {
		t.Errorf("of nothing are kept: %d counts, %d bans, %d attempts", counts, bans, l.Under())
	}
}

// What a wait took away comes back when the attempt that brought it about was none.
func TestAWaitIsTakenBackWithItsAttempt(t *testing.T) {
	for _, tt := range []struct {
		why string
		end func(*regulation.Attempt)
	}{
		{"right", (*regulation.Attempt).Succeed},
		{"released", (*regulation.Attempt).Release},
	} {
		l := newLimiter()
		here := from("192.0.2.7")
		for range 4 {
			guess(t, l, noon, here)
		}
		try, err := l.Begin(t.Context(), noon, here) // the fifth, which would be one too many
		if err != nil {
			t.Fatal(err)
		}
		tt.end(try)
		if wait := guess(t, l, noon, here); wait != 0 {
			t.Errorf("%s: the next waits %v", tt.why, wait)
		}
		if wait := guess(t, l, noon, here); wait != 30*time.Second {
			t.Errorf("%s: the one after five failures waits %v", tt.why, wait)
		}
		after := noon.Add(30 * time.Second)
		if try, err = l.Begin(t.Context(), after, here); err != nil {
			t.Fatal(err)
		}
		tt.end(try)
		guess(t, l, after, here)
		if wait := guess(t, l, after, here); wait != time.Minute {
			t.Errorf("%s: the second wait is %v, want 1m0s", tt.why, wait)
		}
	}
}

// What a success has forgotten is not taken back once more, from the count of others.
func TestWhatIsForgottenIsNotTakenBack(t *testing.T) {
	l := newLimiter()
	begin := func() *regulation.Attempt {
		t.Helper()
		try, err := l.Begin(t.Context(), noon, password("bob"))
		if err != nil {
			t.Fatal(err)
		}
		return try
	}
	early, right := begin(), begin()
	right.Succeed()
	for range 4 {
		guess(t, l, noon, password("bob"))
	}
	early.Release()
	guess(t, l, noon, password("bob"))
	if guess(t, l, noon, password("bob")) == 0 {
		t.Error("a sixth guess at once")
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
		l := newLimiter()
		for range 5 {
			guess(t, l, noon, from(tt.a))
		}
		if waits := guess(t, l, noon, from(tt.b)) > 0; waits != tt.same {
			t.Errorf("%s: %s and %s count as one: %v", tt.why, tt.a, tt.b, waits)
		}
	}
	l := newLimiter()
	for range 50 {
		if guess(t, l, noon, regulation.Address(regulation.Password, netip.Addr{})) != 0 {
			t.Fatal("an unknown address is counted")
		}
	}
}

// Threat 37: every kind has a count of its own, and no success resets another's.
func TestThreat37KindsAreCountedByThemselves(t *testing.T) {
	l := newLimiter()
	at := netip.MustParseAddr("192.0.2.7")
	subjects := func(k regulation.Kind) []regulation.Subject {
		return []regulation.Subject{regulation.User(k, "bob"), regulation.Address(k, at)}
	}
	for _, wrong := range regulation.Kinds() {
		for range 5 {
			if wait := guess(t, l, noon, subjects(wrong)...); wait != 0 {
				t.Fatalf("%s waits %v before its own failures", wrong, wait)
			}
		}
		for _, right := range regulation.Kinds() {
			if right == wrong {
				continue
			}
			if try, err := l.Begin(t.Context(), noon, subjects(right)...); err == nil {
				try.Succeed()
			}
		}
		if guess(t, l, noon, subjects(wrong)...) == 0 {
			t.Errorf("%s may be guessed at after another kind's success", wrong)
		}
	}
}

// Threat 43: a browser that is known has a count of its own.
func TestThreat43AKnownBrowserIsNotLockedOut(t *testing.T) {
	l := newLimiter()
	own := regulation.Browser(regulation.Password, "browser", "bob")
	for range 6 {
		guess(t, l, noon, password("bob"))
	}
	for _, other := range []regulation.Subject{
		own,
		regulation.Browser(regulation.Password, "browser", "alice"),
		regulation.Browser(regulation.Password, "other", "bob"),
		regulation.User(regulation.Password, "browser\x00bob"),
		regulation.User(regulation.Password, "bobbrowser"),
	} {
		if wait := guess(t, l, noon, other); wait != 0 {
			t.Errorf("%v waits %v", other, wait)
		}
	}
	for range 4 {
		guess(t, l, noon, own)
	}
	if guess(t, l, noon, own) == 0 {
		t.Error("guesses from a known browser are not counted")
	}
}

// Threat 63: however many names are made up, what is kept has an end, and whoever waits
// goes on waiting.
func TestThreat63MadeUpNamesTakeBoundedRoom(t *testing.T) {
	const room = 3000
	keeper := &regulation.Memory{}
	l := newLimiter(func(l *regulation.Limiter) { l.Keeper = keeper; l.Keep(room) })
	for range 6 {
		guess(t, l, noon, password("victim"))
	}
	for n := range room + 8*regulation.Often {
		if n%2 == 0 {
			guess(t, l, noon, password(fmt.Sprint("made up ", n)))
			continue
		}
		if try, err := l.Begin(t.Context(), noon, password(fmt.Sprint("made up ", n))); err == nil && n%3 == 0 {
			try.Fail(noon) // others never settle
		}
	}
	if counts, _ := keeper.Len(); counts > room+regulation.Often {
		t.Errorf("%d counts, want at most %d", counts, room+regulation.Often)
	}
	if guess(t, l, noon, password("victim")) == 0 {
		t.Error("a flood of other names ends the victim's wait")
	}
}

func TestForgivenFailures(t *testing.T) {
	l := newLimiter()
	for range 6 {
		guess(t, l, noon, password("bob"))
		guess(t, l, noon, regulation.User(regulation.TOTP, "bob"))
	}
	if err := l.Forgive(t.Context(), password("bob")); err != nil {
		t.Fatal(err)
	}
	if wait := guess(t, l, noon, password("bob")); wait != 0 {
		t.Errorf("forgiven, and the wait is %v", wait)
	}
	if guess(t, l, noon, regulation.User(regulation.TOTP, "bob")) == 0 {
		t.Error("a new password forgives wrong codes")
	}
	if bans, err := l.Bans(t.Context()); err != nil || len(bans) != 1 || bans[0].Kind != regulation.TOTP {
		t.Errorf("bans after forgiving: %+v, %v", bans, err)
	}
}
