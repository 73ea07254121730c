package factor

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Config is `factors` of the configuration.
type Config struct {
	TOTP     TOTPConfig     `yaml:"totp"`
	WebAuthn WebAuthnConfig `yaml:"webauthn"`
}

// TOTPConfig says what new devices are; those that exist keep what they were enrolled with.
type TOTPConfig struct {
	Disable   bool          `yaml:"disable"`
	Issuer    string        `yaml:"issuer"`    // what the authenticator app shows
	Algorithm string        `yaml:"algorithm"` // SHA1, SHA256 or SHA512
	Digits    int           `yaml:"digits"`    // 6 or 8
	Period    time.Duration `yaml:"period"`    // whole seconds, 15s to 2m
	Skew      int           `yaml:"skew"`      // steps before and after now that are accepted, 0 to 2
}

// WebAuthnConfig says which passkeys and security keys are asked for and accepted.
type WebAuthnConfig struct {
	Disable          bool          `yaml:"disable"`
	DisplayName      string        `yaml:"display_name"`      // what the browser calls this place
	RPID             string        `yaml:"rp_id"`             // "": the portal's host; else a suffix of it, and then sibling hosts can run ceremonies too
	UserVerification string        `yaml:"user_verification"` // as a second factor: required, preferred or discouraged; alone it is always required
	Attachment       string        `yaml:"attachment"`        // "", platform or cross-platform
	Discoverable     string        `yaml:"discoverable"`      // required, preferred or discouraged; only a discoverable one signs in alone
	Attestation      string        `yaml:"attestation"`       // none, indirect, direct or enterprise
	AAGUIDs          []string      `yaml:"aaguids"`           // models that may register, as their certificates say, whoever issued those; empty: all. Needs direct or enterprise attestation
	TwoFactors       bool          `yaml:"two_factors"`       // a passkey that verified its user counts as two factors
	Timeout          time.Duration `yaml:"timeout"`           // of a ceremony, 30s to 10m
}

// DefaultConfig is what an absent `factors` means.
func DefaultConfig() Config {
	return Config{
		TOTP: TOTPConfig{Issuer: "Postern", Algorithm: "SHA1", Digits: 6, Period: 30 * time.Second, Skew: 1},
		WebAuthn: WebAuthnConfig{
			DisplayName: "Postern", UserVerification: "preferred", Discoverable: "preferred",
			Attestation: "none", TwoFactors: true, Timeout: 5 * time.Minute,
		},
	}
}

// Validate names every fault, each under its key.
func (c Config) Validate() error { return errors.Join(c.TOTP.validate(), c.WebAuthn.validate()) }

func (c TOTPConfig) validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.Issuer == "" || len(c.Issuer) > 64 || strings.ContainsAny(c.Issuer, ":/%\r\n") {
		fault("factors.totp.issuer: %q is not 1 to 64 bytes without colon, slash and percent sign", c.Issuer)
	}
	if _, ok := algorithmOf(strings.ToUpper(c.Algorithm)); !ok {
		fault("factors.totp.algorithm: %q is not SHA1, SHA256 or SHA512", c.Algorithm)
	}
	if c.Digits != 6 && c.Digits != 8 {
		fault("factors.totp.digits: %d is not 6 or 8", c.Digits)
	}
	if c.Period < 15*time.Second || c.Period > 2*time.Minute || c.Period%time.Second != 0 {
		fault("factors.totp.period: %v is not a number of seconds from 15s to 2m", c.Period)
	}
	if c.Skew < 0 || c.Skew > 2 {
		fault("factors.totp.skew: %d is not 0, 1 or 2", c.Skew)
	}
	return errors.Join(faults...)
}

func (c WebAuthnConfig) validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	word := func(key, value string, words ...string) {
		if !slices.Contains(words, value) {
			fault("factors.webauthn.%s: %q is not one of %s", key, value, strings.Join(words, ", "))
		}
	}
	if c.DisplayName == "" || len(c.DisplayName) > 64 {
		fault("factors.webauthn.display_name: %q is not 1 to 64 bytes", c.DisplayName)
	}
	word("user_verification", c.UserVerification, "required", "preferred", "discouraged")
	word("attachment", c.Attachment, "", "platform", "cross-platform")
	word("discoverable", c.Discoverable, "required", "preferred", "discouraged")
	word("attestation", c.Attestation, "none", "indirect", "direct", "enterprise")
	for i, a := range c.AAGUIDs {
		if id, err := uuid.Parse(a); err != nil || id == uuid.Nil {
			fault("factors.webauthn.aaguids[%d]: %q is not an AAGUID such as ee882879-721c-4913-9775-3dfcce97072a", i, a)
		}
	}
	if len(c.AAGUIDs) > 0 && c.Attestation != "direct" && c.Attestation != "enterprise" {
		fault("factors.webauthn.aaguids: browsers hide the model unless attestation is direct or enterprise")
	}
	if c.Timeout < 30*time.Second || c.Timeout > 10*time.Minute {
		fault("factors.webauthn.timeout: %v is not between 30s and 10m", c.Timeout)
	}
	return errors.Join(faults...)
}
