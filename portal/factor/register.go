package factor

import (
	"bytes"
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/metadata"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/google/uuid"

	"postern/agent/policy"
)

// Registration is what the browser sends to end a registration.
type Registration struct {
	User     string
	Browser  string // what the ceremony was begun with
	Ticket   string
	Response []byte       // PublicKeyCredential.toJSON()
	Name     string       // of the device
	Level    policy.Level // what the session has proved, freshly; below two it may register the first device only
}

// BeginRegistration asks for a new credential. display is the user's name as people read
// it. browser is a secret of this browser that changes with its session: the session's
// token, or one made from it. What the user has registered on this site is excluded.
func (w *WebAuthn) BeginRegistration(ctx context.Context, user, display, browser string, now time.Time) (Ceremony, error) {
	lib, err := w.library()
	if err != nil {
		return Ceremony{}, err
	}
	if browser == "" {
		return Ceremony{}, ErrInvalid
	}
	p, err := w.known(ctx, user)
	if err != nil {
		return Ceremony{}, err
	}
	p.display = display
	if display == "" {
		p.display = user
	}
	options, session, err := lib.BeginRegistration(p, webauthn.WithExclusions(p.descriptors()))
	if err != nil {
		return Ceremony{}, refused(err)
	}
	return w.begun(forRegister, user, browser, options, session, now)
}

// FinishRegistration stores the new device. Errors: ErrName, ErrOrigin, ErrNotVerified,
// ErrNotAllowed, ErrExists, ErrNeedsProof, ErrTooMany, ErrRefused; ErrInvalid, ErrExpired
// and ErrSpent for the ceremony.
func (w *WebAuthn) FinishRegistration(ctx context.Context, reg Registration, now time.Time) (Device, error) {
	lib, err := w.library()
	if err != nil {
		return Device{}, err
	}
	name, err := cleanName(reg.Name)
	if err != nil {
		return Device{}, err
	}
	signed, session, err := w.resume(forRegister, reg.User, reg.Browser, reg.Ticket, now)
	if err != nil {
		return Device{}, err
	}
	c, err := w.create(lib, reg, session)
	if err != nil {
		return Device{}, err
	}
	r := Record{
		Device: Device{ID: rand.Text(), Kind: KindWebAuthn, User: reg.User, Name: name, Site: w.Site.RPID, Created: now},
		Lookup: w.lookup(c.ID),
		Count:  int64(c.Authenticator.SignCount),
	}
	if r.Sealed, err = w.seal(r, c); err != nil {
		return Device{}, err
	}
	if err := signed.spend(ctx, w.Spent, now); err != nil {
		return Device{}, err
	}
	if err := add(ctx, w.Keeper, r, reg.Level); err != nil {
		return Device{}, err
	}
	return r.Device, nil
}

// create verifies the response of a registration (WebAuthn 7.1).
func (w *WebAuthn) create(lib *webauthn.WebAuthn, reg Registration, session webauthn.SessionData) (webauthn.Credential, error) {
	if len(reg.Response) > maxResponse {
		return webauthn.Credential{}, ErrRefused
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(reg.Response)
	if err != nil {
		return webauthn.Credential{}, refused(err)
	}
	auth := parsed.Response.AttestationObject.AuthData
	if err := w.sameSite(parsed.Response.CollectedClientData, auth); err != nil {
		return webauthn.Credential{}, err
	}
	if session.UserVerification == protocol.VerificationRequired && !auth.Flags.UserVerified() {
		return webauthn.Credential{}, ErrNotVerified
	}
	c, err := lib.CreateCredential(person{name: reg.User, handle: w.handle(reg.User)}, session, parsed)
	if err != nil {
		return webauthn.Credential{}, refused(err)
	}
	if !w.allowed(c) {
		return webauthn.Credential{}, ErrNotAllowed
	}
	return *c, nil
}

// allowed holds the list of models. A model that is not attested, or only by the new key
// itself, which may say what it likes, or hidden behind an AAGUID of zeros, is not on any list.
func (w *WebAuthn) allowed(c *webauthn.Credential) bool {
	if len(w.Config.AAGUIDs) == 0 {
		return true
	}
	switch c.AttestationType {
	case "", string(metadata.None), string(metadata.BasicSurrogate):
		return false
	}
	return slices.ContainsFunc(w.Config.AAGUIDs, func(text string) bool {
		id, err := uuid.Parse(strings.TrimSpace(text))
		return err == nil && id != uuid.Nil && bytes.Equal(id[:], c.Authenticator.AAGUID)
	})
}
