package factor

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// person is a user as the library wants one.
type person struct {
	name        string
	display     string
	handle      []byte
	credentials []webauthn.Credential
}

// WebAuthnID and the others: webauthn.User.
func (p person) WebAuthnID() []byte                         { return p.handle }
func (p person) WebAuthnName() string                       { return p.name }
func (p person) WebAuthnDisplayName() string                { return p.display }
func (p person) WebAuthnCredentials() []webauthn.Credential { return p.credentials }

// descriptors names the credentials of a person.
func (p person) descriptors() []protocol.CredentialDescriptor {
	out := make([]protocol.CredentialDescriptor, 0, len(p.credentials))
	for _, c := range p.credentials {
		out = append(out, c.Descriptor())
	}
	return out
}

// handle is what an authenticator knows a user by: it says nothing about him, and is
// the same on every node without being stored (WebAuthn 5.4.3).
func (w *WebAuthn) handle(user string) []byte {
	mac := w.Keys.mac("user handle", w.Site.RPID, user)
	return mac[:]
}

// lookup is the key under which a credential is found, whoever's it is.
func (w *WebAuthn) lookup(credentialID []byte) []byte {
	mac := w.Keys.mac("credential", w.Site.RPID, string(credentialID))
	return mac[:]
}

func (w *WebAuthn) seal(r Record, c webauthn.Credential) ([]byte, error) {
	plain, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("webauthn: %w", err)
	}
	return w.Keys.Seal(r.row(), plain), nil
}

func (w *WebAuthn) open(r Record) (webauthn.Credential, error) {
	var c webauthn.Credential
	plain, err := w.Keys.Open(r.row(), r.Sealed)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(plain, &c); err != nil {
		return c, fmt.Errorf("webauthn: %w", err)
	}
	return c, nil
}

func equalHash(hash []byte, of string) bool {
	want := sha256.Sum256([]byte(of))
	return subtle.ConstantTimeCompare(hash, want[:]) == 1
}
