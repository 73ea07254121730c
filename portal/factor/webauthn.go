package factor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"postern/agent/policy"
)

// Errors of WebAuthn ceremonies that a page has a sentence for. What goes wrong in the
// browser (cancelled, timed out, not supported) never gets here.
var (
	// ErrOrigin says that the ceremony was run on another origin, in a frame of one, or
	// for another RP ID.
	ErrOrigin = errors.New("webauthn: run on another site")
	// ErrUnknownCredential says that the passkey is not registered, or not with this user.
	ErrUnknownCredential = errors.New("webauthn: passkey is not registered")
	// ErrNotVerified says that the authenticator did not verify its user (PIN, fingerprint, face).
	ErrNotVerified = errors.New("webauthn: user was not verified")
	// ErrNotAllowed says that the model is not among those that may register.
	ErrNotAllowed = errors.New("webauthn: this model is not allowed")
	// ErrRefused says that the response does not prove what it must. It wraps the reason.
	ErrRefused = errors.New("webauthn: refused")
)

// CounterError says that a right signature came with a counter that did not go forward:
// the passkey may have been copied. The device was warned of; tell its user.
type CounterError struct {
	Device Device
	Stored int64
	Got    int64
}

// Error names the device and both counters.
func (e *CounterError) Error() string {
	return fmt.Sprintf("webauthn: device %s: counter %d after %d", e.Device.ID, e.Got, e.Stored)
}

// maxResponse is the largest response of a browser that is parsed, in bytes. Attestations
// with their certificates are the largest, below 20 KiB.
const maxResponse = 64 << 10

// Site is where ceremonies run: one portal.
type Site struct {
	RPID   string // whose credentials they are: "auth.example.com"
	Origin string // the one origin that is accepted: "https://auth.example.com"
}

// Site returns the site of a portal, given as in `domains`. The RP ID is the portal's
// host, so that an application on a sibling host cannot run a ceremony, unless rp_id
// names a suffix of it. http is good enough for localhost only, as it is for browsers.
func (c WebAuthnConfig) Site(portal string) (Site, error) {
	u, err := url.Parse(portal)
	if err != nil {
		return Site{}, fmt.Errorf("webauthn: portal %q: %w", portal, err)
	}
	host, port := strings.ToLower(u.Hostname()), u.Port()
	local := host == "localhost" || strings.HasSuffix(host, ".localhost")
	if host == "" || u.Scheme != "https" && !(u.Scheme == "http" && local) {
		return Site{}, fmt.Errorf("webauthn: portal %q is not an https URL", portal)
	}
	rpid := host
	if c.RPID != "" {
		rpid = c.RPID
		wide := strings.HasSuffix(host, "."+rpid) && strings.Contains(rpid, ".")
		if rpid != host && !wide {
			return Site{}, fmt.Errorf("factors.webauthn.rp_id: %q is not a suffix of the portal's host %q", rpid, host)
		}
	}
	if err := protocol.ValidateRPID(rpid); err != nil {
		return Site{}, fmt.Errorf("webauthn: passkeys need a portal with a name, not %q: %w", rpid, err)
	}
	origin := u.Scheme + "://" + host
	if port != "" && !(u.Scheme == "https" && port == "443") && !(u.Scheme == "http" && port == "80") {
		origin = u.Scheme + "://" + net.JoinHostPort(host, port)
	}
	return Site{RPID: rpid, Origin: origin}, nil
}

// WebAuthn registers passkeys and security keys, and has them prove who is there. One
// value serves one site.
//
// A ceremony is a Begin and a Finish. What they share travels in a signed ticket with
// the browser, so that pages nobody finishes cost no memory and any node can finish: the
// ticket is bound to a secret that only this browser has, expires, and is accepted once.
type WebAuthn struct {
	Config WebAuthnConfig
	Site   Site
	Keys   *Keys
	Keeper Keeper
	Spent  SpentKeeper
}

// Ceremony is one that has begun.
type Ceremony struct {
	Options json.RawMessage // {"publicKey": …} for navigator.credentials, binary fields base64url
	Ticket  string
	Expires time.Time
}

// Proof is what a finished login ceremony shows.
type Proof struct {
	User     string
	Device   Device
	Verified bool         // the authenticator verified its user
	Level    policy.Level // what this proof is worth without any other
}

// library is go-webauthn set up for this site. Lifetimes are ours: its Enforce is off.
func (w *WebAuthn) library() (*webauthn.WebAuthn, error) {
	if w.Config.Disable {
		return nil, ErrDisabled
	}
	resident := w.Config.Discoverable == string(protocol.ResidentKeyRequirementRequired)
	timeout := webauthn.TimeoutConfig{Timeout: w.Config.Timeout, TimeoutUVD: w.Config.Timeout}
	lib, err := webauthn.New(&webauthn.Config{
		RPID:                  w.Site.RPID,
		RPDisplayName:         w.Config.DisplayName,
		RPOrigins:             []string{w.Site.Origin},
		AttestationPreference: protocol.ConveyancePreference(w.Config.Attestation),
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			AuthenticatorAttachment: protocol.AuthenticatorAttachment(w.Config.Attachment),
			ResidentKey:             protocol.ResidentKeyRequirement(w.Config.Discoverable),
			RequireResidentKey:      &resident,
			UserVerification:        protocol.UserVerificationRequirement(w.Config.UserVerification),
		},
		Timeouts: webauthn.TimeoutsConfig{Login: timeout, Registration: timeout},
		// Some password managers report extensions that nobody asked for. None is read here.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
	if err != nil {
		return nil, fmt.Errorf("webauthn: %w", err)
	}
	return lib, nil
}

// begun makes the ceremony of what the library began.
func (w *WebAuthn) begun(purpose, user, browser string, options any, session *webauthn.SessionData, now time.Time) (Ceremony, error) {
	session.AllowedCredentialIDs = nil // looked up again at the end; they make a ticket long
	data, err := json.Marshal(session)
	if err != nil {
		return Ceremony{}, fmt.Errorf("webauthn: %w", err)
	}
	raw, err := json.Marshal(options)
	if err != nil {
		return Ceremony{}, fmt.Errorf("webauthn: %w", err)
	}
	expires := now.Add(w.Config.Timeout)
	text := w.Keys.sign(w.purpose(purpose), ticket{user: user, bound: browser, expires: expires, data: data})
	return Ceremony{Options: raw, Ticket: text, Expires: expires}, nil
}

// resume opens the ticket of a ceremony for its user and its browser.
func (w *WebAuthn) resume(purpose, user, browser, text string, now time.Time) (signed, webauthn.SessionData, error) {
	var session webauthn.SessionData
	s, err := w.Keys.read(w.purpose(purpose), text, now)
	if err != nil {
		return signed{}, session, err
	}
	if browser == "" || s.user != user || !s.boundTo(browser) {
		return signed{}, session, ErrInvalid
	}
	if err := json.Unmarshal(s.data, &session); err != nil {
		return signed{}, session, ErrInvalid
	}
	return s, session, nil
}

// purpose keeps the ceremonies of two sites apart.
func (w *WebAuthn) purpose(p string) string { return p + " " + w.Site.RPID + " " + w.Site.Origin }

// sameSite checks what the library checks too, to tell the reasons apart, and one thing
// more strictly: the origin is compared byte by byte, and no frame of another is allowed.
func (w *WebAuthn) sameSite(c protocol.CollectedClientData, a protocol.AuthenticatorData) error {
	if c.Origin != w.Site.Origin || c.CrossOrigin || c.TopOrigin != "" {
		return ErrOrigin
	}
	if !equalHash(a.RPIDHash, w.Site.RPID) {
		return ErrOrigin
	}
	return nil
}

// refused wraps the library's reason. Its long form may quote the response: it is for a
// log at debug level, not for a page.
func refused(err error) error {
	return fmt.Errorf("%w: %w", ErrRefused, err)
}

// known is a user with his credentials on this site.
func (w *WebAuthn) known(ctx context.Context, user string) (person, error) {
	if user == "" {
		return person{}, ErrInvalid
	}
	records, err := w.Keeper.ListFactors(ctx, Filter{User: user, Kind: KindWebAuthn})
	if err != nil {
		return person{}, err
	}
	p := person{name: user, handle: w.handle(user)}
	for _, r := range records {
		if r.Site != w.Site.RPID {
			continue
		}
		c, err := w.open(r)
		if err != nil {
			continue // a record that does not open is no credential; the others still work
		}
		p.credentials = append(p.credentials, c)
	}
	return p, nil
}
