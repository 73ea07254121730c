package factor_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"postern/agent/policy"
	"postern/portal/factor"
)

// everyForm is what a person's browser can hold of this package at once.
func everyForm(t testing.TB, k *kit, w *factor.WebAuthn, user, session string, now time.Time) map[string]string {
	t.Helper()
	ctx := context.Background()
	e, err := k.totp.Begin(user, session, user, now)
	if err != nil {
		t.Fatal(err)
	}
	r, err := w.BeginRegistration(ctx, user, "", session, now)
	if err != nil {
		t.Fatal(err)
	}
	event, err := k.tokens.NotMe(factor.Event{User: user}, now)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"totp":     e.Ticket,
		"register": r.Ticket,
		"login":    beginLogin(t, w, user, session, now).Ticket,
		"passkey":  beginLogin(t, w, "", session, now).Ticket,
		"reset":    k.tokens.Reset(user, session, now),
		"notme":    event,
	}
}

// Threat 25: what was begun in a session is of no use in another, the one that follows a
// rotation too.
func TestThreat25FormsDieWithTheirSession(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	w := k.webauthn(t)
	b := newBrowser()
	e, a := k.begin(t, "alice", noon)
	for _, session := range []string{"s-alice2", "", "s-bob"} {
		_, err := k.totp.Confirm(ctx, factor.Confirmation{User: "alice", Session: session, Ticket: e.Ticket, Code: a.code(t, noon), Name: "Phone", Level: policy.LevelTwo}, noon)
		wantErr(t, err, factor.ErrInvalid)
		_, err = k.totp.Resume("alice", session, "alice", e.Ticket, noon)
		wantErr(t, err, factor.ErrInvalid)
	}
	r, err := w.BeginRegistration(ctx, "alice", "", "b1", noon)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"b2", ""} {
		_, err = w.FinishRegistration(ctx, factor.Registration{User: "alice", Browser: secret, Ticket: r.Ticket, Response: b.create(t, r.Options), Name: "Key", Level: policy.LevelTwo}, noon)
		wantErr(t, err, factor.ErrInvalid)
	}
	// Begun without anything to bind to, nothing begins.
	_, err = k.totp.Begin("alice", "", "alice", noon)
	wantErr(t, err, factor.ErrInvalid)
	_, err = w.BeginRegistration(ctx, "alice", "", "", noon)
	wantErr(t, err, factor.ErrInvalid)
	_, err = w.BeginLogin(ctx, "alice", "", noon)
	wantErr(t, err, factor.ErrInvalid)
	_, err = w.BeginPasskey("", noon)
	wantErr(t, err, factor.ErrInvalid)
}

// Threat 29: nothing that is handed out repeats or can be told from what came before.
func TestThreat29NothingIsPredictable(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	w := k.webauthn(t)
	seen := make(map[string]string)
	note := func(what, value string, least int) {
		t.Helper()
		if len(value) < least {
			t.Errorf("%s %q is shorter than %d", what, value, least)
		}
		if was, ok := seen[value]; ok {
			t.Errorf("%s %q came twice, first as %s", what, value, was)
		}
		seen[value] = what
	}
	for i := range 16 {
		user := fmt.Sprint("user", i)
		a := k.enrol(t, user, "Phone", policy.LevelOne, noon)
		note("device id", a.ID, 26) // 26 characters of 5 bits
		b := newBrowser()
		note("device id", mustRegister(t, w, b, user, policy.LevelTwo, noon).ID, 26)
		note("user handle", string(b.keys[0].handle), 32)
		for what, text := range everyForm(t, k, w, user, "s", noon) {
			note(what, text, 100)
		}
		note("challenge", string(parseOptions(t, beginLogin(t, w, "", "s", noon).Options).PublicKey.Challenge), 32)
		e, _ := k.begin(t, user, noon)
		note("secret", e.Secret, 32)
		codes, err := k.codes.Generate(ctx, user, noon)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range codes {
			note("recovery code", c, 17)
		}
	}
}

// Threat 34: what an anonymous visitor is asked for says nothing about anybody.
func TestThreat34PasskeyOptionsNameNobody(t *testing.T) {
	k := newKit(t)
	w := k.webauthn(t)
	before := parseOptions(t, beginLogin(t, w, "", "b", noon).Options).PublicKey
	mustRegister(t, w, newBrowser(), "alice", policy.LevelOne, noon)
	after := parseOptions(t, beginLogin(t, w, "", "b", noon).Options).PublicKey
	before.Challenge, after.Challenge = nil, nil
	if fmt.Sprint(before) != fmt.Sprint(after) || len(after.Allow) != 0 {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

// Threat 36: guesses and uses at the same time count one by one, on two nodes.
func TestThreat36ParallelUsesHaveOneWinner(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	nodes := []*kit{k, kitOver(t, k.keep)}
	const n = 24
	want := func(what string, got map[error]int, losers ...error) {
		t.Helper()
		lost := 0
		for _, err := range losers {
			lost += got[err]
		}
		if got[nil] != 1 || lost != n-1 {
			t.Errorf("%s: %v, want one winner and %d of %v", what, got, n-1, losers)
		}
	}

	a := k.enrol(t, "alice", "Phone", policy.LevelOne, noon)
	later := noon.Add(time.Minute)
	code := a.code(t, later)
	want("a TOTP code", race(n, func(i int) error {
		_, err := nodes[i%2].totp.Verify(ctx, "alice", code, later)
		return err
	}), factor.ErrSpent)

	e, fresh := k.begin(t, "alice", later)
	code = fresh.code(t, later)
	want("an enrolment", race(n, func(i int) error {
		_, err := nodes[i%2].totp.Confirm(ctx, factor.Confirmation{User: "alice", Session: "s-alice", Ticket: e.Ticket, Code: code, Name: "Tablet", Level: policy.LevelTwo}, later)
		return err
	}), factor.ErrSpent)

	codes, err := k.codes.Generate(ctx, "alice", noon)
	if err != nil {
		t.Fatal(err)
	}
	want("a recovery code", race(n, func(i int) error {
		_, err := nodes[i%2].codes.Use(ctx, "alice", codes[0], noon)
		return err
	}), factor.ErrSpent)
	if left, _ := k.codes.Left(ctx, "alice"); left != 9 {
		t.Errorf("%d recovery codes left", left)
	}

	mailed := issue(t, k, "alice", "s", factor.PurposeStepUp, noon)
	want("a mailed code", race(n, func(i int) error {
		return nodes[i%2].mailed.Check(ctx, "alice", "s", factor.PurposeStepUp, mailed, noon)
	}), factor.ErrSpent, factor.ErrWrong)

	users := hashes{"alice": "h"}
	token := k.tokens.Reset("alice", "h", noon)
	want("a reset token", race(n, func(i int) error {
		_, err := nodes[i%2].tokens.SpendReset(ctx, token, users.find, noon)
		return err
	}), factor.ErrSpent)

	b := newBrowser()
	w := k.webauthn(t)
	mustRegister(t, w, b, "alice", policy.LevelTwo, noon)
	c := beginLogin(t, w, "alice", "b", noon)
	response := b.get(t, c.Options)
	want("an assertion", race(n, func(i int) error {
		_, err := nodes[i%2].webauthn(t).FinishLogin(ctx, factor.Assertion{User: "alice", Browser: "b", Ticket: c.Ticket, Response: response}, noon)
		return err
	}), factor.ErrSpent)
}

// Threat 36, 37: five wrong guesses close a mailed code, however many come at once, and
// nothing but a new mail opens another.
func TestThreat37MailedCodeGuessing(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	code := issue(t, k, "alice", "s", factor.PurposeEnrol, noon)
	got := race(40, func(i int) error {
		guess := fmt.Sprintf("%08d", i)
		if guess == strings.ReplaceAll(code, " ", "") {
			guess = "99999999"
		}
		return k.mailed.Check(ctx, "alice", "s", factor.PurposeEnrol, guess, noon)
	})
	if got[factor.ErrWrong] != 40 {
		t.Errorf("guesses: %v", got)
	}
	wantErr(t, k.mailed.Check(ctx, "alice", "s", factor.PurposeEnrol, code, noon), factor.ErrWrong)

	// The fifth try is still a try.
	code = issue(t, k, "alice", "s", factor.PurposeEnrol, noon)
	for range 4 {
		wantErr(t, k.mailed.Check(ctx, "alice", "s", factor.PurposeEnrol, wrong(code), noon), factor.ErrWrong)
	}
	wantErr(t, k.mailed.Check(ctx, "alice", "s", factor.PurposeEnrol, code, noon), nil)

	// 5 mails of 5 tries are all that ten minutes hold.
	for range 3 {
		issue(t, k, "alice", "s", factor.PurposeEnrol, noon)
	}
	_, err := k.mailed.Issue(ctx, "alice", "s", factor.PurposeEnrol, noon)
	wantErr(t, err, factor.ErrTooMany)
}

// Threat 38: a time step is spent once, on every node and after a restart, and no later
// acceptance of an earlier step gets around it.
func TestThreat38CodeReplayAndSkew(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	enrolled := noon
	a := k.enrol(t, "alice", "Phone", policy.LevelOne, enrolled)
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	steps := []struct {
		name    string
		code    int // made for the moment, seconds after noon
		at      int // sent at
		want    error
		restart bool
	}{
		{name: "the code of the enrolment", code: 0, at: 1, want: factor.ErrSpent},
		{name: "the step before it, which skew allows", code: -30, at: 1, want: factor.ErrSpent},
		{name: "the next step, early", code: 30, at: 2},
		{name: "the same code again", code: 30, at: 3, want: factor.ErrSpent},
		{name: "the same code in its own step", code: 30, at: 31, want: factor.ErrSpent},
		{name: "the same code after a restart", code: 30, at: 32, want: factor.ErrSpent, restart: true},
		{name: "the step before, still in reach", code: 0, at: 33, want: factor.ErrSpent},
		{name: "the one after", code: 60, at: 61},
		{name: "the one before that, never used but overtaken", code: 30, at: 62, want: factor.ErrSpent},
		{name: "out of reach by age", code: 60, at: 120, want: factor.ErrWrong},
		{name: "out of reach by haste", code: 180, at: 120, want: factor.ErrWrong},
	}
	for _, s := range steps {
		if s.restart {
			k = kitOver(t, k.keep)
		}
		if _, err := k.totp.Verify(ctx, "alice", a.code(t, at(s.code)), at(s.at)); err != s.want {
			t.Errorf("%s: %v, want %v", s.name, err, s.want)
		}
	}

	codes, err := k.codes.Generate(ctx, "alice", noon)
	if err != nil {
		t.Fatal(err)
	}
	_, err = k.codes.Use(ctx, "alice", codes[3], noon)
	wantErr(t, err, nil)
	_, err = kitOver(t, k.keep).codes.Use(ctx, "alice", codes[3], noon.AddDate(1, 0, 0))
	wantErr(t, err, factor.ErrSpent)
}

// Threat 39: what was made for one door opens no other.
func TestThreat39OneDoorsTokenOpensNoOther(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	w := k.webauthn(t)
	b := newBrowser()
	mustRegister(t, w, b, "alice", policy.LevelOne, noon)
	users := hashes{"alice": "s"}
	reg, err := w.BeginRegistration(ctx, "alice", "", "s", noon)
	if err != nil {
		t.Fatal(err)
	}
	created := b.create(t, reg.Options)
	got := b.get(t, beginLogin(t, w, "alice", "s", noon).Options)
	doors := map[string]func(token string) error{
		"totp": func(token string) error {
			_, err := k.totp.Resume("alice", "s", "alice", token, noon)
			return err
		},
		"register": func(token string) error {
			_, err := w.FinishRegistration(ctx, factor.Registration{User: "alice", Browser: "s", Ticket: token, Response: created, Name: "Key", Level: policy.LevelTwo}, noon)
			return err
		},
		"login": func(token string) error {
			_, err := w.FinishLogin(ctx, factor.Assertion{User: "alice", Browser: "s", Ticket: token, Response: got}, noon)
			return err
		},
		"passkey": func(token string) error {
			_, err := w.FinishLogin(ctx, factor.Assertion{Browser: "s", Ticket: token, Response: got}, noon)
			return err
		},
		"reset": func(token string) error { _, err := k.tokens.ReadReset(token, users.find, noon); return err },
		"notme": func(token string) error { _, err := k.tokens.ReadNotMe(token, noon); return err },
	}
	for door, open := range doors {
		for form, token := range everyForm(t, k, w, "alice", "s", noon) {
			err := open(token)
			if form != door && err != factor.ErrInvalid {
				t.Errorf("a token for %s at the door %s: %v", form, door, err)
			}
			if form == door && err == factor.ErrInvalid {
				t.Errorf("the door %s refuses its own token", door)
			}
		}
	}
}

// Threat 40: a form sent empty, early or with another's parts ends nothing.
func TestThreat40EmptyAndReorderedForms(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	w := k.webauthn(t)
	_, err := k.totp.Confirm(ctx, factor.Confirmation{}, noon)
	wantErr(t, err, factor.ErrInvalid)
	_, err = k.totp.Confirm(ctx, factor.Confirmation{User: "alice", Session: "s", Code: "000000", Name: "Phone", Level: policy.LevelTwo}, noon)
	wantErr(t, err, factor.ErrInvalid)
	_, err = w.FinishRegistration(ctx, factor.Registration{Name: "Key", Level: policy.LevelTwo}, noon)
	wantErr(t, err, factor.ErrInvalid)
	_, err = w.FinishLogin(ctx, factor.Assertion{}, noon)
	wantErr(t, err, factor.ErrInvalid)

	// A secret shown to one user is not confirmed for another.
	e, a := k.begin(t, "mallory", noon)
	_, err = k.totp.Confirm(ctx, factor.Confirmation{User: "alice", Session: "s-mallory", Ticket: e.Ticket, Code: a.code(t, noon), Name: "Phone", Level: policy.LevelTwo}, noon)
	wantErr(t, err, factor.ErrInvalid)
	// A ceremony begun for one user is not ended for another, nor for nobody.
	b := newBrowser()
	mustRegister(t, w, b, "mallory", policy.LevelOne, noon)
	c := beginLogin(t, w, "mallory", "b", noon)
	for _, user := range []string{"alice", ""} {
		_, err = w.FinishLogin(ctx, factor.Assertion{User: user, Browser: "b", Ticket: c.Ticket, Response: b.get(t, c.Options)}, noon)
		wantErr(t, err, factor.ErrInvalid)
	}
	for _, response := range []string{"", "null", "{}", "[]", strings.Repeat("{", 1000)} {
		_, err = w.FinishLogin(ctx, factor.Assertion{User: "mallory", Browser: "b", Ticket: c.Ticket, Response: []byte(response)}, noon)
		wantErr(t, err, factor.ErrRefused)
	}
}

// Threat 41: a session that proved one factor enrols the first device and no other, not
// with a form from before either, nor in a race with the user's own.
func TestThreat41EnrolmentHijack(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	w := k.webauthn(t)
	early, thief := k.begin(t, "alice", noon)
	ceremony, err := w.BeginRegistration(ctx, "alice", "", "s-alice", noon)
	if err != nil {
		t.Fatal(err)
	}
	own := k.enrol(t, "alice", "Phone", policy.LevelOne, noon)

	confirm := factor.Confirmation{User: "alice", Session: "s-alice", Ticket: early.Ticket, Code: thief.code(t, noon), Name: "Thief", Level: policy.LevelOne}
	_, err = k.totp.Confirm(ctx, confirm, noon)
	wantErr(t, err, factor.ErrNeedsProof)
	b := newBrowser()
	reg := factor.Registration{User: "alice", Browser: "s-alice", Ticket: ceremony.Ticket, Response: b.create(t, ceremony.Options), Name: "Thief", Level: policy.LevelOne}
	_, err = w.FinishRegistration(ctx, reg, noon)
	wantErr(t, err, factor.ErrNeedsProof)
	// With two factors proved, the forms that were refused are still spent.
	confirm.Level, reg.Level = policy.LevelTwo, policy.LevelTwo
	_, err = k.totp.Confirm(ctx, confirm, noon)
	wantErr(t, err, factor.ErrSpent)
	_, err = w.FinishRegistration(ctx, reg, noon)
	wantErr(t, err, factor.ErrSpent)
	list, err := k.devices.List(ctx, "alice")
	if err != nil || len(list) != 1 || list[0].ID != own.ID {
		t.Fatalf("alice has %+v, %v", list, err)
	}

	got := race(16, func(i int) error {
		e, err := k.totp.Begin("bob", "s", "bob", noon)
		if err != nil {
			return err
		}
		_, err = k.totp.Confirm(ctx, factor.Confirmation{User: "bob", Session: "s", Ticket: e.Ticket, Code: app{uri: e.URI}.code(t, noon), Name: "Phone", Level: policy.LevelOne}, noon)
		return err
	})
	if got[nil] != 1 || got[factor.ErrNeedsProof] != 15 {
		t.Errorf("sixteen first devices at once: %v", got)
	}
}

// Threat 41: the number of devices is bounded, whoever enrols them.
func TestThreat41DevicesAreBounded(t *testing.T) {
	k := newKit(t)
	w := k.webauthn(t)
	for i := range 16 {
		k.enrol(t, "alice", fmt.Sprint("Phone ", i), policy.LevelTwo, noon)
	}
	_, err := register(t, w, newBrowser(), "alice", policy.LevelTwo, noon)
	wantErr(t, err, factor.ErrTooMany)
}

// Threat 42: a weaker proof never passes for a stronger one.
func TestThreat42WeakerProofsStayWeak(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	w := k.webauthn(t)
	b := newBrowser()
	mustRegister(t, w, b, "alice", policy.LevelOne, noon) // verified at registration
	b.Verify = false
	p, err := login(t, w, b, "alice", noon)
	if err != nil || p.Verified || p.Level != policy.LevelOne {
		t.Errorf("a touch: %+v, %v", p, err)
	}
	_, err = login(t, w, b, "", noon)
	wantErr(t, err, factor.ErrNotVerified)
	b.Verify = true
	if p, err = login(t, w, b, "alice", noon); err != nil || !p.Verified || p.Level != policy.LevelTwo {
		t.Errorf("a PIN: %+v, %v", p, err)
	}
	// A ceremony that asked for less is not the one that asks for more.
	c := beginLogin(t, w, "alice", "b", noon)
	_, err = w.FinishLogin(ctx, factor.Assertion{Browser: "b", Ticket: c.Ticket, Response: b.get(t, c.Options)}, noon)
	wantErr(t, err, factor.ErrInvalid)
	// A code that confirmed a mailbox is no step-up.
	code := issue(t, k, "alice", "s", factor.PurposeEnrol, noon)
	wantErr(t, k.mailed.Check(ctx, "alice", "s", factor.PurposeStepUp, code, noon), factor.ErrWrong)
	// An old proof is not a fresh one: what began before the ticket's end is refused after it.
	c = beginLogin(t, w, "alice", "b", noon)
	_, err = w.FinishLogin(ctx, factor.Assertion{User: "alice", Browser: "b", Ticket: c.Ticket, Response: b.get(t, c.Options)}, c.Expires)
	wantErr(t, err, factor.ErrExpired)
}

// Threat 45: a reset link is for one user, once, and dies with the password it replaces.
func TestThreat45ResetLinks(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	users := hashes{"alice": "h1", "bob": "h1"}
	first := k.tokens.Reset("alice", "h1", noon)
	second := k.tokens.Reset("alice", "h1", noon)
	user, err := k.tokens.SpendReset(ctx, first, users.find, noon)
	if err != nil || user != "alice" {
		t.Fatalf("%q, %v", user, err)
	}
	users["alice"] = "h2"
	_, err = k.tokens.SpendReset(ctx, second, users.find, noon)
	wantErr(t, err, factor.ErrInvalid)
	users["alice"] = "h1" // a backup is restored
	_, err = k.tokens.SpendReset(ctx, first, users.find, noon)
	wantErr(t, err, factor.ErrSpent)
}

// Threat 63: what an anonymous visitor can start costs no memory and no store.
func TestThreat63BeginningCostsNothing(t *testing.T) {
	k := newKit(t)
	w := k.webauthn(t)
	w.Keeper, w.Spent = nil, nil
	for range 100 {
		c, err := w.BeginPasskey("b", noon)
		if err != nil || len(c.Ticket) > 2048 {
			t.Fatalf("a ticket of %d bytes, %v", len(c.Ticket), err)
		}
		// Junk is refused before anything is asked.
		junk := make([]byte, 70<<10)
		_, _ = rand.Read(junk)
		_, err = w.FinishLogin(context.Background(), factor.Assertion{Browser: "b", Ticket: c.Ticket, Response: junk}, noon)
		wantErr(t, err, factor.ErrRefused)
		_, err = w.FinishLogin(context.Background(), factor.Assertion{Browser: "b", Ticket: string(junk), Response: nil}, noon)
		wantErr(t, err, factor.ErrInvalid)
	}
}
