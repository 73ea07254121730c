package portal

import (
	"slices"
	"testing"
	"time"

	"postern/agent/policy"
	"postern/agent/session"
)

func TestParsePage(t *testing.T) {
	for path, want := range map[string]string{
		"/settings": "/settings", "/settings/factors/app": "/settings/factors/app",
		"": "", "/": "", "/signout": "", "/settingsx": "", "//evil.test": "", "/settings//evil.test": "",
		"/settings/../signout": "", "/settings/%2f": "", "/settings?x": "", "https://evil.test/settings": "", "/settings/A": "",
	} {
		if got := parsePage(path); got != want {
			t.Errorf("parsePage(%q) = %q, want %q", path, got, want)
		}
	}
}

// TestWays: what brings a person nearer, by what he has proved and can prove.
func TestWays(t *testing.T) {
	config := houseRules()
	config.Rules = append(config.Rules,
		policy.Rule{Domain: policy.List{"vault.example.com"}, Policy: policy.TwoFactor, Factors: policy.List{"webauthn"}},
		policy.Rule{Domain: policy.List{"pay.example.com"}, Policy: policy.TwoFactor, MaxAge: 15 * time.Minute},
		policy.Rule{Domain: policy.List{"mail.example.com"}, Policy: policy.OneFactor, MaxAge: time.Hour})
	rules, err := policy.Compile(houseDomains(), config)
	must(t, err)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	proved := func(level policy.Level, ago map[policy.Factor]time.Duration) *session.Session {
		s := &session.Session{User: "bob", Level: level}
		for f, d := range ago {
			s.Proofs[f] = now.Add(-d).Unix()
		}
		return s
	}
	password := proved(policy.LevelOne, map[policy.Factor]time.Duration{policy.Password: 2 * time.Hour})
	both := proved(policy.LevelTwo, map[policy.Factor]time.Duration{policy.Password: 2 * time.Hour, policy.TOTP: 2 * time.Hour})
	key := proved(policy.LevelOne, map[policy.Factor]time.Duration{policy.WebAuthn: time.Hour})
	all := having{Any: true, Second: []policy.Factor{policy.WebAuthn, policy.TOTP, policy.Recovery}}
	to := func(host string) target { return parseTarget("https://"+host+".example.com/", "GET", "example.com") }
	for _, tt := range []struct {
		why  string
		at   place
		want []policy.Factor
	}{
		{"any second factor opens the bank", place{Session: password, Target: to("bank"), Having: all}, all.Second},
		{"the vault wants a passkey", place{Session: password, Target: to("vault"), Having: all}, []policy.Factor{policy.WebAuthn}},
		{"also from who proved a code", place{Session: both, Target: to("vault"), Having: all}, []policy.Factor{policy.WebAuthn}},
		{"a payment wants it fresh", place{Session: both, Target: to("pay"), Having: all}, all.Second},
		{"mail wants anything fresh, the password too", place{Session: password, Target: to("mail"), Having: all},
			[]policy.Factor{policy.WebAuthn, policy.TOTP, policy.Recovery, policy.Password}},
		{"one passkey is not two factors; a password makes two", place{Session: key, Target: to("bank"), Having: all},
			[]policy.Factor{policy.TOTP, policy.Recovery, policy.Password}},
		{"settings want the second factor", place{Session: password, Page: pageSettings, Having: all}, all.Second},
		{"without one, factors want the password again", place{Session: password, Page: pageFactors}, []policy.Factor{policy.Password}},
		{"and where mail is set up, first the password", place{Session: password, Page: pageFactors, Having: having{Mail: true}}, []policy.Factor{policy.Password}},
		{"then a mailed code", place{Session: proved(policy.LevelOne, map[policy.Factor]time.Duration{policy.Password: time.Minute}), Page: pageFactors, Having: having{Mail: true}}, []policy.Factor{policy.Mail}},
		{"a mailed code is no second factor", place{Session: password, Target: to("bank"), Having: having{Mail: true}}, nil},
		{"who has a factor elsewhere cannot get round it by mail", place{Session: password, Page: pageFactors, Having: having{Any: true, Mail: true}}, nil},
	} {
		if got := ways(rules, tt.at, now); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.why, got, tt.want)
		}
	}
}

// TestEnrols: what somebody could set up to get further.
func TestEnrols(t *testing.T) {
	config := houseRules()
	config.Rules = append(config.Rules, policy.Rule{Domain: policy.List{"vault.example.com"}, Policy: policy.TwoFactor, Factors: policy.List{"webauthn"}})
	rules, err := policy.Compile(houseDomains(), config)
	must(t, err)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := &session.Session{User: "bob", Level: policy.LevelOne}
	s.Proofs[policy.Password] = now.Unix()
	both := []policy.Factor{policy.WebAuthn, policy.TOTP}
	to := func(host string) target { return parseTarget("https://"+host+".example.com/", "GET", "example.com") }
	for _, tt := range []struct {
		why  string
		at   place
		want []policy.Factor
	}{
		{"who has none takes either to the bank", place{Session: s, Target: to("bank"), Having: having{Enrol: both}}, both},
		{"the vault takes a passkey", place{Session: s, Target: to("vault"), Having: having{Enrol: both}}, both[:1]},
		{"so does it from who has an app", place{Session: s, Target: to("vault"), Having: having{Any: true, Second: both[1:], Enrol: both}}, both[:1]},
		{"nothing for the vault where there are no passkeys", place{Session: s, Target: to("vault"), Having: having{Enrol: both[1:]}}, nil},
		{"who has one elsewhere cannot set up another", place{Session: s, Target: to("bank"), Having: having{Any: true, Enrol: both}}, nil},
		{"nothing to see one's own pages", place{Session: s, Page: pageFactors, Having: having{Enrol: both}}, nil},
		{"nothing for what is denied", place{Session: s, Target: to("admin"), Having: having{}}, nil},
	} {
		if got := enrols(rules, tt.at, now); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.why, got, tt.want)
		}
	}
}

// TestThreat42StepUpIsNotMetByAWeakerProof: what opens a sensitive page is fresh and of
// the person's own strength.
func TestThreat42StepUpIsNotMetByAWeakerProof(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) int64 { return now.Add(-d).Unix() }
	second := having{Any: true, Second: []policy.Factor{policy.TOTP}, Mail: true}
	none, mail := having{}, having{Mail: true}
	for _, tt := range []struct {
		why    string
		level  policy.Level
		proofs policy.Proofs
		page   string
		has    having
		want   bool
	}{
		{"a fresh code", policy.LevelTwo, policy.Proofs{policy.TOTP: ago(time.Minute)}, pageFactors, second, true},
		{"an old code", policy.LevelTwo, policy.Proofs{policy.TOTP: ago(6 * time.Minute)}, pageFactors, second, false},
		{"an old code and a fresh password", policy.LevelTwo, policy.Proofs{policy.TOTP: ago(time.Hour), policy.Password: ago(0)}, pageFactors, second, false},
		{"a fresh mail code beside a second factor", policy.LevelOne, policy.Proofs{policy.Password: ago(0), policy.Mail: ago(0)}, pageFactors, second, false},
		{"an old code is enough to look", policy.LevelTwo, policy.Proofs{policy.TOTP: ago(time.Hour)}, pageSettings, second, true},
		{"one factor of two is not enough to look", policy.LevelOne, policy.Proofs{policy.Password: ago(0)}, pageSettings, second, false},
		{"a fresh password where there is nothing else", policy.LevelOne, policy.Proofs{policy.Password: ago(time.Minute)}, pagePassword, none, true},
		{"an old password", policy.LevelOne, policy.Proofs{policy.Password: ago(time.Hour)}, pagePassword, none, false},
		{"a fresh password without the mailed code", policy.LevelOne, policy.Proofs{policy.Password: ago(0)}, pagePassword, mail, false},
		{"a mailed code after an old password", policy.LevelOne, policy.Proofs{policy.Password: ago(time.Hour), policy.Mail: ago(0)}, pagePassword, mail, false},
		{"password and mailed code", policy.LevelOne, policy.Proofs{policy.Password: ago(0), policy.Mail: ago(0)}, pagePassword, mail, true},
	} {
		s := &session.Session{User: "bob", Level: tt.level, Proofs: tt.proofs}
		if got := opens(s, tt.page, tt.has, now); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.why, got, tt.want)
		}
	}
}
