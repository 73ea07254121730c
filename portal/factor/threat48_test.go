package factor_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"postern/agent/policy"
	"postern/portal/factor"
)

// Threat 48: each check of a WebAuthn ceremony, one bent at a time.
func TestThreat48Registration(t *testing.T) {
	tests := []struct {
		name string
		bend func(*browser)
		want error
	}{
		{"a sibling's origin", func(b *browser) { b.Origin = "https://wiki.example.com" }, factor.ErrOrigin},
		{"an origin that ends the same", func(b *browser) { b.Origin = "https://xauth.example.com" }, factor.ErrOrigin},
		{"another port", func(b *browser) { b.Origin = "https://auth.example.com:8443" }, factor.ErrOrigin},
		{"another scheme", func(b *browser) { b.Origin = "http://auth.example.com" }, factor.ErrOrigin},
		{"an origin in capitals, which no browser sends", func(b *browser) { b.Origin = "https://AUTH.example.com" }, factor.ErrOrigin},
		{"an origin with a path", func(b *browser) { b.Origin = "https://auth.example.com/" }, factor.ErrOrigin},
		{"in a frame of another site", func(b *browser) { b.CrossOrigin = true }, factor.ErrOrigin},
		{"under another top origin", func(b *browser) { b.TopOrigin = "https://evil.example" }, factor.ErrOrigin},
		{"for the parent domain's RP ID", func(b *browser) { b.RPID = "example.com" }, factor.ErrOrigin},
		{"a login's client data", func(b *browser) { b.Type = "webauthn.get" }, factor.ErrRefused},
		{"another challenge", func(b *browser) { b.Challenge = make([]byte, 32) }, factor.ErrRefused},
		{"nobody touched it", func(b *browser) { b.Absent = true }, factor.ErrRefused},
		{"user not verified", func(b *browser) { b.Verify = false }, factor.ErrNotVerified},
	}
	for _, tt := range tests {
		k := newKit(t)
		w := k.webauthn(t, func(c *factor.WebAuthnConfig) { c.UserVerification = "required" })
		b := newBrowser()
		tt.bend(b)
		if _, err := register(t, w, b, "alice", policy.LevelOne, noon); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if s, _ := k.devices.Has(context.Background(), "alice"); s.Any() {
			t.Errorf("%s: it was registered", tt.name)
		}
	}
}

func TestThreat48Login(t *testing.T) {
	ctx := context.Background()
	tests := []struct {
		name string
		bend func(b *browser, c *factor.Ceremony)
		want error
	}{
		{"a sibling's origin", func(b *browser, _ *factor.Ceremony) { b.Origin = "https://wiki.example.com" }, factor.ErrOrigin},
		{"another port", func(b *browser, _ *factor.Ceremony) { b.Origin = "https://auth.example.com:8443" }, factor.ErrOrigin},
		{"in a frame of another site", func(b *browser, _ *factor.Ceremony) { b.CrossOrigin = true }, factor.ErrOrigin},
		{"for the parent domain's RP ID", func(b *browser, _ *factor.Ceremony) { b.RPID = "example.com" }, factor.ErrOrigin},
		{"a registration's client data", func(b *browser, _ *factor.Ceremony) { b.Type = "webauthn.create" }, factor.ErrRefused},
		{"another challenge", func(b *browser, _ *factor.Ceremony) { b.Challenge = make([]byte, 32) }, factor.ErrRefused},
		{"no challenge", func(b *browser, _ *factor.Ceremony) { b.Challenge = []byte{} }, factor.ErrRefused},
		{"nobody touched it", func(b *browser, _ *factor.Ceremony) { b.Absent = true }, factor.ErrRefused},
		{"another user's handle", func(b *browser, _ *factor.Ceremony) { b.keys[0].handle = b.keys[1].handle }, factor.ErrUnknownCredential},
		{"another user's credential", func(b *browser, _ *factor.Ceremony) { b.keys = b.keys[1:] }, factor.ErrUnknownCredential},
		{"an unknown credential", func(b *browser, _ *factor.Ceremony) { b.keys[0].id = make([]byte, 32) }, factor.ErrUnknownCredential},
		{"a key that only says it is the credential", func(b *browser, _ *factor.Ceremony) { b.keys[0].priv = b.keys[1].priv }, factor.ErrRefused},
		{"a ceremony that is changed", func(_ *browser, c *factor.Ceremony) { c.Ticket = flip(c.Ticket) }, factor.ErrInvalid},
	}
	for _, tt := range tests {
		for _, user := range []string{"alice", ""} { // as a second factor, and alone
			w := newKit(t).webauthn(t)
			b := newBrowser()
			mustRegister(t, w, b, "alice", policy.LevelOne, noon)
			mustRegister(t, w, b, "bob", policy.LevelOne, noon)
			c := beginLogin(t, w, user, "b", noon)
			tt.bend(b, &c)
			response := b.assert(t, b.keys[0], parseOptions(t, c.Options))
			p, err := w.FinishLogin(ctx, factor.Assertion{User: user, Browser: "b", Ticket: c.Ticket, Response: response}, noon)
			if tt.name == "another user's credential" && user == "" {
				if err != nil || p.User != "bob" { // alone it is bob who signs in
					t.Errorf("%s alone: %+v, %v", tt.name, p, err)
				}
				continue
			}
			if !errors.Is(err, tt.want) || p.User != "" {
				t.Errorf("%s, user %q: %+v, %v, want %v", tt.name, user, p, err, tt.want)
			}
		}
	}
}

// Threat 48: a ceremony is accepted once, in its browser, in its time.
func TestThreat48CeremoniesAreSingleUse(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	w := k.webauthn(t)
	b := newBrowser()
	b.CountBy = 0 // no counter that would refuse a replay for us
	reg, err := w.BeginRegistration(ctx, "alice", "", "b", noon)
	if err != nil {
		t.Fatal(err)
	}
	r := factor.Registration{User: "alice", Browser: "b", Ticket: reg.Ticket, Response: b.create(t, reg.Options), Name: "Key", Level: policy.LevelTwo}
	d, err := w.FinishRegistration(ctx, r, noon)
	wantErr(t, err, nil)
	_, err = w.FinishRegistration(ctx, r, noon)
	wantErr(t, err, factor.ErrSpent)
	if _, err := k.devices.Delete(ctx, "alice", d.ID); err != nil {
		t.Fatal(err)
	}
	_, err = kitOver(t, k.keep).webauthn(t).FinishRegistration(ctx, r, noon) // deleted is not undone
	wantErr(t, err, factor.ErrSpent)

	b = newBrowser()
	b.CountBy = 0
	mustRegister(t, w, b, "alice", policy.LevelTwo, noon)
	c := beginLogin(t, w, "alice", "b", noon)
	a := factor.Assertion{User: "alice", Browser: "b", Ticket: c.Ticket, Response: b.get(t, c.Options)}
	other := a
	other.Browser = "b2"
	_, err = w.FinishLogin(ctx, other, noon)
	wantErr(t, err, factor.ErrInvalid)
	_, err = w.FinishLogin(ctx, a, c.Expires)
	wantErr(t, err, factor.ErrExpired)
	_, err = w.FinishLogin(ctx, a, c.Expires.Add(-time.Second))
	wantErr(t, err, nil)
	_, err = w.FinishLogin(ctx, a, noon)
	wantErr(t, err, factor.ErrSpent)
	second := beginLogin(t, w, "alice", "b", noon)
	a.Ticket = second.Ticket // an old answer to a new question
	_, err = w.FinishLogin(ctx, a, noon)
	wantErr(t, err, factor.ErrRefused)
}

// Threat 48: a credential belongs to one user.
func TestThreat48CredentialIsRegisteredOnce(t *testing.T) {
	ctx := context.Background()
	w := newKit(t).webauthn(t)
	b := newBrowser()
	mustRegister(t, w, b, "alice", policy.LevelOne, noon)
	for _, user := range []string{"bob", "alice"} { // an authenticator that ignores the exclusion
		c, err := w.BeginRegistration(ctx, user, "", "b", noon)
		if err != nil {
			t.Fatal(err)
		}
		response := b.attest(t, b.keys[0], parseOptions(t, c.Options))
		_, err = w.FinishRegistration(ctx, factor.Registration{User: user, Browser: "b", Ticket: c.Ticket, Response: response, Name: "Key", Level: policy.LevelTwo}, noon)
		wantErr(t, err, factor.ErrExists)
	}
	if p, err := login(t, w, b, "", noon); err != nil || p.User != "alice" {
		t.Errorf("whose is it now: %+v, %v", p, err)
	}
}

// Threat 48: a counter that goes back is refused and reported, and the device is marked.
func TestThreat48CounterGoesBack(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	w := k.webauthn(t)
	b := newBrowser()
	d := mustRegister(t, w, b, "alice", policy.LevelOne, noon)
	for range 3 {
		if _, err := login(t, w, b, "alice", noon); err != nil {
			t.Fatal(err)
		}
	}
	later := noon.Add(time.Hour)
	for _, count := range []int64{3, 1, -1} { // the stored one again, one from the past, then zero
		b.keys[0].count = count
		_, err := login(t, w, b, "alice", later)
		var back *factor.CounterError
		if !errors.As(err, &back) || back.Device.ID != d.ID || back.Stored != 4 || back.Got != count+1 || !contains(back.Error(), d.ID) {
			t.Fatalf("counter %d: %v", count+1, err)
		}
	}
	list, err := k.devices.List(ctx, "alice")
	if err != nil || len(list) != 1 || !list[0].Warned.Equal(later) || !list[0].Used.Equal(noon) {
		t.Fatalf("%+v, %v", list, err)
	}
	b.keys[0].count = 10 // the true one goes on
	if _, err := login(t, w, b, "alice", later); err != nil {
		t.Errorf("a counter that went forward: %v", err)
	}
}

// Threat 48: a credential copied in the store to another user's row is no credential.
func TestThreat48CopiedRowProvesNothing(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	w := k.webauthn(t)
	b := newBrowser()
	alice := mustRegister(t, w, b, "alice", policy.LevelOne, noon)
	mallory := mustRegister(t, w, newBrowser(), "mallory", policy.LevelOne, noon)
	records, err := k.keep.ListFactors(ctx, factor.Filter{User: "mallory"})
	if err != nil || len(records) != 1 || records[0].ID != mallory.ID {
		t.Fatalf("%+v, %v", records, err)
	}
	c := beginLogin(t, w, "alice", "b", noon)
	if err := k.keep.AdvanceFactor(ctx, factor.Advance{User: "alice", ID: alice.ID, Count: 100, Sealed: records[0].Sealed}); err != nil {
		t.Fatal(err)
	}
	if p, err := w.FinishLogin(ctx, factor.Assertion{User: "alice", Browser: "b", Ticket: c.Ticket, Response: b.get(t, c.Options)}, noon); err == nil {
		t.Errorf("it proved %+v", p)
	}
	_, err = w.BeginLogin(ctx, "alice", "b", noon)
	wantErr(t, err, factor.ErrNotFound)
}
