package factor_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"postern/agent/policy"
	"postern/portal/factor"
)

// keepers is everything that this package asks of a store.
type keepers interface {
	factor.Keeper
	factor.CodeKeeper
	factor.MailKeeper
	factor.SpentKeeper
}

// noon is when every test begins.
var noon = time.Date(2026, 5, 4, 12, 0, 7, 0, time.UTC)

func newKeys(t testing.TB, first byte) *factor.Keys {
	t.Helper()
	secret := make([]byte, 32)
	secret[0] = first
	keys, err := factor.NewKeys(secret)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// kit is one installation.
type kit struct {
	keep    keepers
	devices *factor.Devices
	totp    *factor.TOTP
	codes   *factor.Recovery
	mailed  *factor.Mailed
	tokens  *factor.Tokens
	keys    *factor.Keys
}

func newKit(t testing.TB) *kit {
	t.Helper()
	return kitOver(t, newKeepers(t))
}

// kitOver is another node of an installation: it shares the store and the secret alone.
func kitOver(t testing.TB, keep keepers) *kit {
	t.Helper()
	keys := newKeys(t, 1)
	return &kit{
		keep:    keep,
		keys:    keys,
		devices: &factor.Devices{Keeper: keep, Recovery: keep},
		totp:    &factor.TOTP{Config: factor.DefaultConfig().TOTP, Keys: keys, Keeper: keep, Spent: keep},
		codes:   &factor.Recovery{Keys: keys, Keeper: keep},
		mailed:  &factor.Mailed{Keys: keys, Keeper: keep},
		tokens:  &factor.Tokens{Keys: keys, Spent: keep},
	}
}

// race runs n calls at the same time and counts how each ended.
func race(n int, call func(i int) error) map[error]int {
	var (
		start = make(chan struct{})
		mu    sync.Mutex
		wg    sync.WaitGroup
		ended = make(map[error]int)
	)
	for i := range n {
		wg.Go(func() {
			<-start
			err := call(i)
			mu.Lock()
			ended[err]++
			mu.Unlock()
		})
	}
	close(start)
	wg.Wait()
	return ended
}

// wantErr fails unless err is want; nil wants none.
func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
}

func TestDevices(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	phone := k.enrol(t, "alice", "Phone", policy.LevelOne, noon)
	tablet := k.enrol(t, "alice", "Tablet", policy.LevelTwo, noon.Add(time.Minute))
	bobs := k.enrol(t, "bob", "Phone", policy.LevelOne, noon)
	if _, err := k.codes.Generate(ctx, "alice", noon); err != nil {
		t.Fatal(err)
	}

	s, err := k.devices.Has(ctx, "alice")
	if err != nil || s.TOTP != 2 || s.WebAuthn != 0 || s.Recovery != 10 || !s.Any() {
		t.Fatalf("Has: %+v, %v", s, err)
	}
	if s, err := k.devices.Has(ctx, "nobody"); err != nil || s.Any() {
		t.Fatalf("Has of an unknown user: %+v, %v", s, err)
	}

	wantErr(t, k.devices.Rename(ctx, "alice", phone.ID, "  Old phone "), nil)
	wantErr(t, k.devices.Rename(ctx, "alice", bobs.ID, "Mine"), factor.ErrNotFound)
	wantErr(t, k.devices.Rename(ctx, "", bobs.ID, "Mine"), factor.ErrNotFound)
	for _, name := range []string{"", "  ", "a\nb", "\u202eevil", "a\x00", string(make([]byte, 65)), "\xff"} {
		wantErr(t, k.devices.Rename(ctx, "alice", phone.ID, name), factor.ErrName)
	}
	list, err := k.devices.List(ctx, "alice")
	if err != nil || len(list) != 2 || list[0].Name != "Old phone" || list[1].Name != "Tablet" {
		t.Fatalf("List: %+v, %v", list, err)
	}

	_, err = k.devices.Delete(ctx, "alice", bobs.ID)
	wantErr(t, err, factor.ErrNotFound)
	_, err = k.devices.Delete(ctx, "alice", "")
	wantErr(t, err, factor.ErrNotFound)
	if gone, err := k.devices.Delete(ctx, "alice", phone.ID); err != nil || gone.Name != "Old phone" {
		t.Fatalf("Delete: %+v, %v", gone, err)
	}
	if n, _ := k.codes.Left(ctx, "alice"); n != 10 {
		t.Errorf("%d recovery codes after one of two devices went, want 10", n)
	}
	if _, err := k.devices.Delete(ctx, "alice", tablet.ID); err != nil {
		t.Fatal(err)
	}
	if n, _ := k.codes.Left(ctx, "alice"); n != 0 {
		t.Errorf("%d recovery codes after the last device went, want none", n)
	}
	if all, _ := k.devices.List(ctx, ""); len(all) != 1 || all[0].User != "bob" {
		t.Errorf("List of all users: %+v", all)
	}
}

func TestDeleteAll(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	k.enrol(t, "alice", "Phone", policy.LevelOne, noon)
	k.enrol(t, "alice", "Tablet", policy.LevelTwo, noon)
	k.enrol(t, "bob", "Phone", policy.LevelOne, noon)
	if _, err := k.codes.Generate(ctx, "alice", noon); err != nil {
		t.Fatal(err)
	}
	if gone, err := k.devices.DeleteAll(ctx, "alice"); err != nil || len(gone) != 2 {
		t.Fatalf("DeleteAll: %+v, %v", gone, err)
	}
	if s, _ := k.devices.Has(ctx, "alice"); s.Any() {
		t.Errorf("alice still has %+v", s)
	}
	if s, _ := k.devices.Has(ctx, "bob"); s.TOTP != 1 {
		t.Errorf("bob has %+v, want his phone", s)
	}
	_, err := k.devices.DeleteAll(ctx, "")
	wantErr(t, err, factor.ErrNotFound)
}

func TestConfigFaults(t *testing.T) {
	if err := factor.DefaultConfig().Validate(); err != nil {
		t.Fatalf("the defaults: %v", err)
	}
	tests := []struct {
		fault string // part of the message
		set   func(*factor.Config)
	}{
		{"factors.totp.issuer", func(c *factor.Config) { c.TOTP.Issuer = "" }},
		{"factors.totp.issuer", func(c *factor.Config) { c.TOTP.Issuer = "a:b" }},
		{"factors.totp.algorithm", func(c *factor.Config) { c.TOTP.Algorithm = "MD5" }},
		{"factors.totp.digits", func(c *factor.Config) { c.TOTP.Digits = 7 }},
		{"factors.totp.period", func(c *factor.Config) { c.TOTP.Period = 5 * time.Second }},
		{"factors.totp.period", func(c *factor.Config) { c.TOTP.Period = 30*time.Second + 1 }},
		{"factors.totp.skew", func(c *factor.Config) { c.TOTP.Skew = 3 }},
		{"factors.totp.skew", func(c *factor.Config) { c.TOTP.Skew = -1 }},
		{"factors.webauthn.display_name", func(c *factor.Config) { c.WebAuthn.DisplayName = "" }},
		{"factors.webauthn.user_verification", func(c *factor.Config) { c.WebAuthn.UserVerification = "yes" }},
		{"factors.webauthn.attachment", func(c *factor.Config) { c.WebAuthn.Attachment = "usb" }},
		{"factors.webauthn.discoverable", func(c *factor.Config) { c.WebAuthn.Discoverable = "" }},
		{"factors.webauthn.attestation", func(c *factor.Config) { c.WebAuthn.Attestation = "always" }},
		{"factors.webauthn.aaguids[0]", func(c *factor.Config) {
			c.WebAuthn.Attestation, c.WebAuthn.AAGUIDs = "direct", []string{"yubikey"}
		}},
		{"factors.webauthn.aaguids[0]", func(c *factor.Config) {
			c.WebAuthn.Attestation, c.WebAuthn.AAGUIDs = "direct", []string{"00000000-0000-0000-0000-000000000000"}
		}},
		{"hide the model", func(c *factor.Config) { c.WebAuthn.AAGUIDs = []string{model} }},
		{"factors.webauthn.timeout", func(c *factor.Config) { c.WebAuthn.Timeout = time.Second }},
	}
	for _, tt := range tests {
		c := factor.DefaultConfig()
		tt.set(&c)
		if err := c.Validate(); err == nil || !contains(err.Error(), tt.fault) {
			t.Errorf("%s: got %v", tt.fault, err)
		}
	}
}
