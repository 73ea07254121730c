package factor_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"postern/agent/policy"
	"postern/portal/factor"
)

// webauthn is the ceremonies of the kit's site auth.example.com; set changes its configuration.
func (k *kit) webauthn(t testing.TB, set ...func(*factor.WebAuthnConfig)) *factor.WebAuthn {
	t.Helper()
	return k.site(t, "https://auth.example.com", set...)
}

func (k *kit) site(t testing.TB, portal string, set ...func(*factor.WebAuthnConfig)) *factor.WebAuthn {
	t.Helper()
	c := factor.DefaultConfig().WebAuthn
	for _, f := range set {
		f(&c)
	}
	if err := (factor.Config{TOTP: factor.DefaultConfig().TOTP, WebAuthn: c}).Validate(); err != nil {
		t.Fatal(err)
	}
	site, err := c.Site(portal)
	if err != nil {
		t.Fatal(err)
	}
	return &factor.WebAuthn{Config: c, Site: site, Keys: k.keys, Keeper: k.keep, Spent: k.keep}
}

// register runs a whole registration in the browser secret "b-" and the user's name.
func register(t testing.TB, w *factor.WebAuthn, b *browser, user string, level policy.Level, now time.Time) (factor.Device, error) {
	t.Helper()
	c, err := w.BeginRegistration(context.Background(), user, "", "b-"+user, now)
	if err != nil {
		t.Fatal(err)
	}
	return w.FinishRegistration(context.Background(), factor.Registration{
		User: user, Browser: "b-" + user, Ticket: c.Ticket, Response: b.create(t, c.Options), Name: "Key", Level: level,
	}, now)
}

func mustRegister(t testing.TB, w *factor.WebAuthn, b *browser, user string, level policy.Level, now time.Time) factor.Device {
	t.Helper()
	d, err := register(t, w, b, user, level, now)
	if err != nil {
		t.Fatalf("register %s: %v", user, err)
	}
	return d
}

// login runs a whole ceremony: of a known user, or of whoever has a passkey when user is "".
func login(t testing.TB, w *factor.WebAuthn, b *browser, user string, now time.Time) (factor.Proof, error) {
	t.Helper()
	c := beginLogin(t, w, user, "b", now)
	return w.FinishLogin(context.Background(), factor.Assertion{User: user, Browser: "b", Ticket: c.Ticket, Response: b.get(t, c.Options)}, now)
}

func beginLogin(t testing.TB, w *factor.WebAuthn, user, secret string, now time.Time) factor.Ceremony {
	t.Helper()
	var (
		c   factor.Ceremony
		err error
	)
	if user == "" {
		c, err = w.BeginPasskey(secret, now)
	} else {
		c, err = w.BeginLogin(context.Background(), user, secret, now)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWebAuthnOptions(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	w := k.webauthn(t, func(c *factor.WebAuthnConfig) {
		c.Attachment, c.Attestation, c.UserVerification, c.Discoverable = "cross-platform", "direct", "required", "required"
	})
	b := newBrowser()
	c, err := w.BeginRegistration(ctx, "alice", "Alice Liddell", "b-alice", noon)
	if err != nil {
		t.Fatal(err)
	}
	o := parseOptions(t, c.Options).PublicKey
	if o.RP.ID != "auth.example.com" || o.RP.Name != "Postern" || o.User.Name != "alice" || len(o.User.ID) != 32 || strings.Contains(string(o.User.ID), "alice") ||
		o.Attestation != "direct" || o.Selection.Attachment != "cross-platform" || o.Selection.ResidentKey != "required" ||
		o.Selection.UserVerification != "required" || o.Timeout != 300_000 || len(o.Exclude) != 0 {
		t.Errorf("registration asks %s", c.Options)
	}
	if !c.Expires.Equal(noon.Add(5 * time.Minute)) {
		t.Errorf("expires %v", c.Expires)
	}
	d := mustRegister(t, w, b, "alice", policy.LevelOne, noon)
	if d.Kind != factor.KindWebAuthn || d.Site != "auth.example.com" || d.Name != "Key" || d.Kind.Factor() != policy.WebAuthn {
		t.Errorf("device %+v", d)
	}

	c, err = w.BeginRegistration(ctx, "alice", "", "b-alice", noon)
	if err != nil {
		t.Fatal(err)
	}
	if o := parseOptions(t, c.Options).PublicKey; len(o.Exclude) != 1 || !listed(o.Exclude, b.keys[0].id) {
		t.Errorf("what is registered is not excluded: %s", c.Options)
	}
	c = beginLogin(t, w, "alice", "b", noon)
	if o := parseOptions(t, c.Options).PublicKey; len(o.Allow) != 1 || !listed(o.Allow, b.keys[0].id) || o.RPID != "auth.example.com" || o.UserVerification != "required" {
		t.Errorf("login asks %s", c.Options)
	}
	_, err = w.BeginLogin(ctx, "bob", "b", noon)
	wantErr(t, err, factor.ErrNotFound)

	s, err := k.devices.Has(ctx, "alice")
	if err != nil || s.WebAuthn != 1 || s.Sites["auth.example.com"] != 1 || !s.Any() {
		t.Errorf("Has: %+v, %v", s, err)
	}
}

func TestWebAuthnLogin(t *testing.T) {
	tests := []struct {
		name     string
		user     string // "" signs in alone
		set      func(*factor.WebAuthnConfig)
		bend     func(*browser)
		want     error
		verified bool
		level    policy.Level
	}{
		{name: "second factor, verified", user: "alice", verified: true, level: policy.LevelTwo},
		{name: "second factor, a touch", user: "alice", bend: func(b *browser) { b.Verify = false }, level: policy.LevelOne},
		{name: "second factor, a touch where verification is required", user: "alice",
			set:  func(c *factor.WebAuthnConfig) { c.UserVerification = "required" },
			bend: func(b *browser) { b.Verify = false }, want: factor.ErrNotVerified},
		{name: "second factor without a user handle, as U2F keys do", user: "alice", bend: func(b *browser) { b.NoHandle = true }, verified: true, level: policy.LevelTwo},
		{name: "passkey alone", verified: true, level: policy.LevelTwo},
		{name: "passkey alone that counts as one", set: func(c *factor.WebAuthnConfig) { c.TwoFactors = false }, verified: true, level: policy.LevelOne},
		{name: "passkey alone, a touch", bend: func(b *browser) { b.Verify = false }, want: factor.ErrNotVerified},
		{name: "passkey alone, a touch where verification is discouraged",
			set:  func(c *factor.WebAuthnConfig) { c.UserVerification = "discouraged" },
			bend: func(b *browser) { b.Verify = false }, want: factor.ErrNotVerified},
		{name: "passkey alone without a user handle", bend: func(b *browser) { b.NoHandle = true }, want: factor.ErrUnknownCredential},
		{name: "nobody touched it", user: "alice", bend: func(b *browser) { b.Absent = true }, want: factor.ErrRefused},
		{name: "an authenticator that keeps no counter", bend: func(b *browser) { b.CountBy = 0 }, verified: true, level: policy.LevelTwo},
		{name: "extension results that nobody asked for", bend: func(b *browser) {
			b.Extensions = map[string]any{"credProps": map[string]any{"rk": true}}
		}, verified: true, level: policy.LevelTwo},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set := tt.set
			if set == nil {
				set = func(*factor.WebAuthnConfig) {}
			}
			w := newKit(t).webauthn(t, set)
			b := newBrowser()
			if tt.name == "an authenticator that keeps no counter" {
				b.CountBy = 0
			}
			d := mustRegister(t, w, b, "alice", policy.LevelOne, noon)
			if tt.bend != nil {
				tt.bend(b)
			}
			for round := range 2 {
				now := noon.Add(time.Duration(round+1) * time.Minute)
				p, err := login(t, w, b, tt.user, now)
				if !errors.Is(err, tt.want) {
					t.Fatalf("round %d: %v, want %v", round, err, tt.want)
				}
				if err != nil {
					continue
				}
				if p.User != "alice" || p.Device.ID != d.ID || p.Verified != tt.verified || p.Level != tt.level || !p.Device.Used.Equal(now) {
					t.Errorf("round %d: %+v", round, p)
				}
			}
		})
	}
}

func TestWebAuthnDisabled(t *testing.T) {
	ctx := context.Background()
	w := newKit(t).webauthn(t, func(c *factor.WebAuthnConfig) { c.Disable = true })
	_, err := w.BeginRegistration(ctx, "alice", "", "b", noon)
	wantErr(t, err, factor.ErrDisabled)
	_, err = w.FinishRegistration(ctx, factor.Registration{}, noon)
	wantErr(t, err, factor.ErrDisabled)
	_, err = w.BeginLogin(ctx, "alice", "b", noon)
	wantErr(t, err, factor.ErrDisabled)
	_, err = w.BeginPasskey("b", noon)
	wantErr(t, err, factor.ErrDisabled)
	_, err = w.FinishLogin(ctx, factor.Assertion{}, noon)
	wantErr(t, err, factor.ErrDisabled)
}

func TestWebAuthnModels(t *testing.T) {
	only := func(c *factor.WebAuthnConfig) { c.Attestation, c.AAGUIDs = "direct", []string{model} }
	tests := []struct {
		name string
		set  func(*factor.WebAuthnConfig)
		bend func(*browser)
		want error
	}{
		{"any model, none attested", func(*factor.WebAuthnConfig) {}, func(b *browser) {}, nil},
		{"any model, attested", func(*factor.WebAuthnConfig) {}, func(b *browser) { b.Attest = "maker" }, nil},
		{"any model, attested by itself", func(*factor.WebAuthnConfig) {}, func(b *browser) { b.Attest = "self" }, nil},
		{"one on the list", only, func(b *browser) { b.Attest = "maker" }, nil},
		{"one that says itself that it is on the list", only, func(b *browser) { b.Attest = "self" }, factor.ErrNotAllowed},
		{"one on the list that is not attested", only, func(b *browser) {}, factor.ErrNotAllowed},
		{"another", only, func(b *browser) { b.Attest, b.AAGUID = "maker", uuid.New() }, factor.ErrNotAllowed},
		{"a hidden one", only, func(b *browser) { b.Attest, b.AAGUID = "maker", uuid.Nil }, factor.ErrNotAllowed},
	}
	for _, tt := range tests {
		b := newBrowser()
		tt.bend(b)
		if _, err := register(t, newKit(t).webauthn(t, tt.set), b, "alice", policy.LevelOne, noon); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestWebAuthnSite(t *testing.T) {
	tests := []struct {
		portal, rpid string
		want         factor.Site
		fault        string
	}{
		{"https://auth.example.com", "", factor.Site{RPID: "auth.example.com", Origin: "https://auth.example.com"}, ""},
		{"https://AUTH.example.com:443/", "", factor.Site{RPID: "auth.example.com", Origin: "https://auth.example.com"}, ""},
		{"https://auth.example.com:8443", "", factor.Site{RPID: "auth.example.com", Origin: "https://auth.example.com:8443"}, ""},
		{"https://auth.example.com", "example.com", factor.Site{RPID: "example.com", Origin: "https://auth.example.com"}, ""},
		{"https://auth.example.com", "auth.example.com", factor.Site{RPID: "auth.example.com", Origin: "https://auth.example.com"}, ""},
		{"http://localhost:9080", "", factor.Site{RPID: "localhost", Origin: "http://localhost:9080"}, ""},
		{"http://auth.localhost:80", "", factor.Site{RPID: "auth.localhost", Origin: "http://auth.localhost"}, ""},
		{"http://auth.example.com", "", factor.Site{}, "not an https URL"},
		{"https://", "", factor.Site{}, "not an https URL"},
		{"https://192.0.2.1", "", factor.Site{}, "need a portal with a name"},
		{"https://auth.example.com", "com", factor.Site{}, "not a suffix"},
		{"https://auth.example.com", "ample.com", factor.Site{}, "not a suffix"},
		{"https://auth.example.com", "wiki.example.com", factor.Site{}, "not a suffix"},
		{"https://auth.example.com", "x.auth.example.com", factor.Site{}, "not a suffix"},
		{"://", "", factor.Site{}, "portal"},
	}
	for _, tt := range tests {
		got, err := factor.WebAuthnConfig{RPID: tt.rpid}.Site(tt.portal)
		if got != tt.want || (err == nil) != (tt.fault == "") || (err != nil && !contains(err.Error(), tt.fault)) {
			t.Errorf("%s, rp_id %q: %+v, %v", tt.portal, tt.rpid, got, err)
		}
	}
}

// Two portals share a store: a passkey works where it was registered.
func TestWebAuthnSitesAreApart(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	com, org := k.webauthn(t), k.site(t, "https://auth.example.org")
	b := newBrowser()
	mustRegister(t, com, b, "alice", policy.LevelOne, noon)

	_, err := org.BeginLogin(ctx, "alice", "b", noon)
	wantErr(t, err, factor.ErrNotFound)
	c := beginLogin(t, com, "", "b", noon)
	_, err = org.FinishLogin(ctx, factor.Assertion{Browser: "b", Ticket: c.Ticket, Response: b.get(t, c.Options)}, noon)
	wantErr(t, err, factor.ErrInvalid)

	other := newBrowser()
	other.Origin = "https://auth.example.org"
	_, err = register(t, org, other, "alice", policy.LevelOne, noon)
	wantErr(t, err, factor.ErrNeedsProof) // a factor elsewhere is a factor
	other.keys = nil
	mustRegister(t, org, other, "alice", policy.LevelTwo, noon)
	if p, err := login(t, org, other, "", noon); err != nil || p.Device.Site != "auth.example.org" {
		t.Errorf("%+v, %v", p, err)
	}
	if s, _ := k.devices.Has(ctx, "alice"); s.WebAuthn != 2 || s.Sites["auth.example.org"] != 1 {
		t.Errorf("Has: %+v", s)
	}
}

// FuzzWebAuthnResponse: no response but a right one proves or registers anything, and none panics.
func FuzzWebAuthnResponse(f *testing.F) {
	ctx := context.Background()
	w := newKit(f).webauthn(f)
	b := newBrowser()
	mustRegister(f, w, b, "alice", policy.LevelOne, noon)
	reg, err := w.BeginRegistration(ctx, "alice", "", "b", noon)
	if err != nil {
		f.Fatal(err)
	}
	in := beginLogin(f, w, "alice", "b", noon)
	b.Origin = "https://evil.example" // so that no seed is right
	f.Add(b.create(f, reg.Options))
	f.Add(b.get(f, in.Options))
	f.Add([]byte(`{"id":"AA","rawId":"AA","type":"public-key","response":{}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, response []byte) {
		if d, err := w.FinishRegistration(ctx, factor.Registration{User: "alice", Browser: "b", Ticket: reg.Ticket, Response: response, Name: "Key", Level: policy.LevelTwo}, noon); err == nil {
			t.Fatalf("%q registered %+v", response, d)
		}
		if p, err := w.FinishLogin(ctx, factor.Assertion{User: "alice", Browser: "b", Ticket: in.Ticket, Response: response}, noon); err == nil {
			t.Fatalf("%q proved %+v", response, p)
		}
	})
}
