package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// forgeries are texts that want to be more than text.
func forgeries() []string {
	return []string{
		"alice\n{\"seq\":1,\"kind\":\"sign_in\",\"user\":\"root\"}", "a\r\nb", "a\u2028b\u2029c", "a\x00b", "\x1b[2J\x1b]0;owned\x07",
		"a\u202eb\u2066c", "\xff\xfe", "\"},{\"kind\":\"sign_in\"", strings.Repeat("é", 300), strings.Repeat("\x01", 300), "\u0085\u009b31m", "\ufeff",
	}
}

// TestThreat65LogInjection: whatever stands in a field, an event is one line of JSON, and
// reads back as the event that was kept.
func TestThreat65LogInjection(t *testing.T) {
	s, l := newStream(t, 0)
	for _, text := range forgeries() {
		add(t, s, Event{Kind: Kind(text), User: text, By: text, Factor: text, Reason: text, Detail: text, Session: text, Request: text, Addr: text, Browser: text})
	}
	for i, r := range l.all() {
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.ContainsAny(data, "\n\r") || !utf8.Valid(data) || bytes.ContainsFunc(data, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q became the line %q", forgeries()[i], data)
		}
		if len(data) > maxLine {
			t.Errorf("%q became a line of %d bytes", forgeries()[i], len(data))
		}
		var back Record
		if err := json.Unmarshal(data, &back); err != nil || back != r {
			t.Errorf("%s\nreads back as\n%+v, %v\nwant\n%+v", data, back, err, r)
		}
		if r.User != r.Detail || len(r.User) > maxText || strings.TrimSpace(r.User) == "" && strings.ContainsFunc(forgeries()[i], unicode.IsLetter) {
			t.Errorf("%q was kept as %q", forgeries()[i], r.User)
		}
	}
}

// TestThreat32EventsHaveNoPlaceForSecrets: a new field must be thought about.
func TestThreat32EventsHaveNoPlaceForSecrets(t *testing.T) {
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Event]()) {
		names = append(names, f.Name)
	}
	if want := []string{"At", "Kind", "User", "By", "Factor", "Reason", "Detail", "Session", "Request", "Addr", "Browser"}; !slices.Equal(names, want) {
		t.Errorf("an event has the fields %q, want %q: can a secret stand in the new one?", names, want)
	}
}

func TestRecordIsALine(t *testing.T) {
	s, l := newStream(t, 0)
	add(t, s, Event{At: start.Add(5), Kind: SignInFailed, User: "zoë", Factor: "password", Reason: Wrong, Detail: "<a&b>", Session: "s", Request: "r", Addr: "::1", Browser: "Firefox"})
	data, err := json.Marshal(l.all()[0])
	if err != nil {
		t.Fatal(err)
	}
	want := `{"seq":1,"at":"2026-11-01T12:00:00.000000005Z","kind":"sign_in_failed","outcome":"refused","user":"zoë","factor":"password","reason":"wrong",` +
		`"detail":"\u003ca\u0026b\u003e","session":"s","rid":"r","addr":"::1","browser":"Firefox","sum":"` + fmt.Sprintf("%x", l.all()[0].Sum) + `"}`
	if string(data) != want {
		t.Errorf("\n%s\nwant\n%s", data, want)
	}
	for _, bad := range []string{`{"seq":1}`, `{"seq":1,"sum":"zz"}`, `{"seq":1,"sum":"abcd"}`, `{"seq":-1}`, `[]`, `{`} {
		if err := json.Unmarshal([]byte(bad), new(Record)); err == nil {
			t.Errorf("%s is a record", bad)
		}
	}
}

func TestStreamFillsInWhen(t *testing.T) {
	l := &slate{}
	s := &Stream{Ledger: l, Now: func() time.Time { return start }}
	add(t, s, Event{Kind: SignIn})
	add(t, s, Event{Kind: SignIn, At: start.Add(-time.Hour).In(time.FixedZone("x", 3600))})
	if all := l.all(); !all[0].At.Equal(start) || all[1].At != start.Add(-time.Hour) {
		t.Errorf("%+v", all)
	}
	events, err := s.ListEvents(t.Context(), Filter{})
	if err != nil || len(events) != 2 || events[0] != l.all()[1].Event {
		t.Errorf("%+v, %v", events, err)
	}
	l.breaks(true)
	if err := s.AddEvent(t.Context(), Event{Kind: SignIn}); !errors.Is(err, errFull) {
		t.Errorf("a ledger that is full: %v", err)
	}
	if _, err := s.ListEvents(t.Context(), Filter{}); !errors.Is(err, errFull) {
		t.Errorf("a ledger that cannot be read: %v", err)
	}
}

func TestGrownIsClosedByTheNextEvent(t *testing.T) {
	s, l := newStream(t, 1)
	one, two := s.Grown(), s.Grown()
	select {
	case <-one:
		t.Error("closed before there was an event")
	default:
	}
	l.breaks(true)
	_ = s.AddEvent(t.Context(), Event{Kind: SignIn})
	select {
	case <-two:
		t.Error("closed by an event that was not kept")
	default:
	}
	l.breaks(false)
	add(t, s, Event{Kind: SignIn})
	<-one
	<-two
}

// TestThreat43FloodsAreCounted: who sends without end fills no journal, and pushes nothing
// out of one.
func TestThreat43FloodsAreCounted(t *testing.T) {
	now := start
	l := &slate{}
	s := &Stream{Ledger: l, Now: func() time.Time { return now }}
	for i := range 100 {
		add(t, s, Event{Kind: SignInRefused, User: "bob", Addr: "192.0.2.1", Reason: Wait, Request: fmt.Sprint(i)})
		add(t, s, Event{Kind: SignInFailed, User: "bob", Reason: Wrong})
		now = now.Add(100 * time.Millisecond)
	}
	add(t, s, Event{Kind: SignInRefused, User: "bob", Addr: "192.0.2.2", Reason: Wait})
	add(t, s, Event{Kind: SignInRefused, User: "bob", Addr: "192.0.2.1", Reason: IsBanned})
	add(t, s, Event{Kind: BasicFailed, User: "bob", Addr: "192.0.2.1", Reason: Wait})
	now = start.Add(floodEvery)
	add(t, s, Event{Kind: SignInRefused, User: "bob", Addr: "192.0.2.1", Reason: Wait, Detail: "x"})
	add(t, s, Event{Kind: SignInRefused, User: "bob", Addr: "192.0.2.2", Reason: Wait})
	now = now.Add(2 * floodEvery)
	add(t, s, Event{Kind: SignInRefused, User: "bob", Addr: "192.0.2.1", Reason: Wait})
	var got []string
	for _, r := range l.all() {
		if r.Kind != SignInFailed {
			got = append(got, strings.Join([]string{string(r.Kind), r.Addr, r.Reason, r.Detail}, " "))
		}
	}
	want := []string{
		"sign_in_refused 192.0.2.1 wait ", "sign_in_refused 192.0.2.2 wait ", "sign_in_refused 192.0.2.1 banned ", "basic_failed 192.0.2.1 wait ",
		"sign_in_refused 192.0.2.1 wait 99 more before; x", "sign_in_refused 192.0.2.1 wait ",
	}
	if !slices.Equal(got, want) {
		t.Errorf("kept\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if n := len(l.all()) - len(got); n != 100 {
		t.Errorf("%d failures, want all 100: each of them cost a hash", n)
	}
}

func TestThreat63FloodsAreBounded(t *testing.T) {
	now := start
	l := &slate{}
	s := &Stream{Ledger: l, Now: func() time.Time { return now }}
	flood := func() {
		for i := range 3 * maxFloods {
			add(t, s, Event{Kind: SignInRefused, Addr: fmt.Sprintf("2001:db8::%x", i), Reason: Wait})
			add(t, s, Event{Kind: TokenRefused, Addr: fmt.Sprintf("2001:db8::%x", i), Reason: Wait})
		}
	}
	flood()
	if len(s.floods.known) > maxFloods+len(Kinds()) || len(l.all()) > maxFloods+len(Kinds()) {
		t.Errorf("%d are told apart, %d kept, want about %d", len(s.floods.known), len(l.all()), maxFloods)
	}
	now = now.Add(3 * floodEvery)
	flood()
	if len(s.floods.known) > maxFloods+len(Kinds()) || len(l.all()) > 2*(maxFloods+len(Kinds())) {
		t.Errorf("%d are told apart, %d kept, want about %d", len(s.floods.known), len(l.all()), 2*maxFloods)
	}
	// A clock that is set back does not silence anybody for long.
	before := len(l.all())
	now = start.Add(-time.Hour)
	add(t, s, Event{Kind: SignInRefused, Addr: "2001:db8::1", Reason: Wait})
	if len(l.all()) != before+1 {
		t.Error("a clock that was set back silences a flood")
	}
}

func TestKinds(t *testing.T) {
	seen := map[Kind]bool{}
	for _, k := range Kinds() {
		if seen[k] || k == "" || !k.Valid() || strings.ToLower(string(k)) != string(k) {
			t.Errorf("kind %q", k)
		}
		seen[k] = true
		if failed := strings.HasSuffix(string(k), "_failed") || strings.HasSuffix(string(k), "_refused"); failed && k.Outcome() != Refused {
			t.Errorf("%s: outcome %s", k, k.Outcome())
		}
	}
	if len(seen) != 31 || Kind("x").Valid() || SignIn.Outcome() != Done || FactorSuspicious.Outcome() != Refused {
		t.Errorf("%d kinds", len(seen))
	}
	for _, k := range []Kind{SignInRefused, BasicFailed, Banned, Started, Reloaded, Pruned} {
		if slices.Contains(Personal(), k) {
			t.Errorf("%s is the operator's", k)
		}
	}
}
