package factor

import (
	"context"
	"crypto/hmac"
	"errors"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"postern/agent/policy"
)

// Assertion is what the browser sends to end a login ceremony.
type Assertion struct {
	User     string // the known user; "" for a passkey that signs in alone
	Browser  string // what the ceremony was begun with
	Ticket   string
	Response []byte // PublicKeyCredential.toJSON()
}

// BeginLogin asks a user who has proved his password for one of his credentials.
// browser is a secret of this browser that changes with its session. ErrNotFound when he
// has none on this site.
func (w *WebAuthn) BeginLogin(ctx context.Context, user, browser string, now time.Time) (Ceremony, error) {
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
	if len(p.credentials) == 0 {
		return Ceremony{}, ErrNotFound
	}
	options, session, err := lib.BeginLogin(p)
	if err != nil {
		return Ceremony{}, refused(err)
	}
	return w.begun(forLogin, user, browser, options, session, now)
}

// BeginPasskey asks for any passkey of this site, whoever's it is: its answer is the same
// for everybody and names no credential. browser is a secret of this browser, such as its
// pre-login cookie. It is also the one for conditional mediation (the browser offers
// passkeys in the user name field). The authenticator must verify its user: a touch
// alone never signs anybody in.
func (w *WebAuthn) BeginPasskey(browser string, now time.Time) (Ceremony, error) {
	lib, err := w.library()
	if err != nil {
		return Ceremony{}, err
	}
	if browser == "" {
		return Ceremony{}, ErrInvalid
	}
	options, session, err := lib.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return Ceremony{}, refused(err)
	}
	return w.begun(forPasskey, "", browser, options, session, now)
}

// FinishLogin verifies the response to either, for exactly one caller. The user of the
// proof may have been disabled since: the caller asks who he is now. Errors: ErrOrigin,
// ErrUnknownCredential, ErrNotVerified, *CounterError, ErrRefused; ErrInvalid, ErrExpired
// and ErrSpent for the ceremony.
func (w *WebAuthn) FinishLogin(ctx context.Context, a Assertion, now time.Time) (Proof, error) {
	lib, err := w.library()
	if err != nil {
		return Proof{}, err
	}
	purpose := forLogin
	if a.User == "" {
		purpose = forPasskey
	}
	signed, session, err := w.resume(purpose, a.User, a.Browser, a.Ticket, now)
	if err != nil {
		return Proof{}, err
	}
	if len(a.Response) > maxResponse {
		return Proof{}, ErrRefused
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(a.Response)
	if err != nil {
		return Proof{}, refused(err)
	}
	r, c, err := w.owner(ctx, a.User, parsed)
	if err != nil {
		return Proof{}, err
	}
	c, err = w.verify(lib, r.User, c, session, parsed)
	if err != nil {
		return Proof{}, err
	}
	// The signature is right: from here on an answer can be told from its replay, and a
	// copied passkey from a forged counter.
	if err := signed.spend(ctx, w.Spent, now); err != nil {
		return Proof{}, err
	}
	auth := parsed.Response.AuthenticatorData
	if err := w.advance(ctx, r, c, int64(auth.Counter), now); err != nil {
		return Proof{}, err
	}
	r.Used = now
	p := Proof{User: r.User, Device: r.Device, Verified: auth.Flags.UserVerified(), Level: policy.LevelOne}
	if p.Verified && w.Config.TwoFactors {
		p.Level = policy.LevelTwo
	}
	return p, nil
}

// owner finds the credential of a response. user restricts it to his own, "" does not;
// then the response must name its user by the handle that was given to him.
func (w *WebAuthn) owner(ctx context.Context, user string, parsed *protocol.ParsedCredentialAssertionData) (Record, webauthn.Credential, error) {
	none := webauthn.Credential{}
	records, err := w.Keeper.ListFactors(ctx, Filter{Kind: KindWebAuthn, Lookup: w.lookup(parsed.RawID)})
	if err != nil {
		return Record{}, none, err
	}
	if len(records) != 1 || records[0].Site != w.Site.RPID || records[0].User == "" {
		return Record{}, none, ErrUnknownCredential
	}
	r := records[0]
	if user != "" && r.User != user {
		return Record{}, none, ErrUnknownCredential
	}
	handle := parsed.Response.UserHandle
	if (user == "" || len(handle) > 0) && !hmac.Equal(handle, w.handle(r.User)) {
		return Record{}, none, ErrUnknownCredential
	}
	c, err := w.open(r)
	return r, c, err
}

// verify checks the response against one credential (WebAuthn 7.2) and returns it with
// the flags of this use.
func (w *WebAuthn) verify(lib *webauthn.WebAuthn, user string, c webauthn.Credential, session webauthn.SessionData, parsed *protocol.ParsedCredentialAssertionData) (webauthn.Credential, error) {
	auth := parsed.Response.AuthenticatorData
	if err := w.sameSite(parsed.Response.CollectedClientData, auth); err != nil {
		return c, err
	}
	if session.UserVerification == protocol.VerificationRequired && !auth.Flags.UserVerified() {
		return c, ErrNotVerified
	}
	session.UserID = w.handle(user) // a passkey's session names nobody; owner has found him
	p := person{name: user, handle: session.UserID, credentials: []webauthn.Credential{c}}
	got, err := lib.ValidateLogin(p, session, parsed)
	if err != nil {
		return c, refused(err)
	}
	return *got, nil
}

// advance writes a use. The counter must go forward, unless the authenticator keeps none
// and says zero each time (WebAuthn 6.1.1).
func (w *WebAuthn) advance(ctx context.Context, r Record, c webauthn.Credential, count int64, now time.Time) error {
	sealed, err := w.seal(r, c)
	if err != nil {
		return err
	}
	err = w.Keeper.AdvanceFactor(ctx, Advance{User: r.User, ID: r.ID, Count: count, Used: now, Sealed: sealed})
	if !errors.Is(err, ErrSpent) {
		return err
	}
	back := &CounterError{Device: r.Device, Stored: r.Count, Got: count}
	back.Device.Warned = now
	if err := w.Keeper.AmendFactor(ctx, Amend{User: r.User, ID: r.ID, Warned: now}); err != nil {
		return errors.Join(back, err)
	}
	return back
}
