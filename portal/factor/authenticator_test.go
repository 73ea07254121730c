package factor_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math/big"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/uuid"
)

// model is the AAGUID of this authenticator.
const model = "ee882879-721c-4913-9775-3dfcce97072a"

// b64 is a binary field in WebAuthn's JSON.
type b64 []byte

func (b b64) MarshalJSON() ([]byte, error) {
	return json.Marshal(base64.RawURLEncoding.EncodeToString(b))
}

func (b *b64) UnmarshalJSON(text []byte) error {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	raw, err := base64.RawURLEncoding.DecodeString(s)
	*b = raw
	return err
}

// options is what a site sends to begin a ceremony.
type options struct {
	PublicKey struct {
		Challenge b64    `json:"challenge"`
		RPID      string `json:"rpId"`
		Timeout   int    `json:"timeout"`
		RP        struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		} `json:"rp"`
		User struct {
			ID   b64    `json:"id"`
			Name string `json:"name"`
		} `json:"user"`
		UserVerification string       `json:"userVerification"`
		Attestation      string       `json:"attestation"`
		Allow            []descriptor `json:"allowCredentials"`
		Exclude          []descriptor `json:"excludeCredentials"`
		Selection        struct {
			Attachment       string `json:"authenticatorAttachment"`
			ResidentKey      string `json:"residentKey"`
			UserVerification string `json:"userVerification"`
		} `json:"authenticatorSelection"`
	} `json:"publicKey"`
}

type descriptor struct {
	ID b64 `json:"id"`
}

// browser is a browser with a software authenticator in it: ES256 keys, honest unless a
// test bends one of the exported fields.
type browser struct {
	Origin      string
	Verify      bool // the user enters a PIN
	Absent      bool // the user does not touch it
	CountBy     int64
	Type        string // of the client data; "" is the right one
	Challenge   []byte // nil is the one of the options
	RPID        string // "" is the one of the options
	CrossOrigin bool
	TopOrigin   string
	NoHandle    bool
	Attest      string // "self": by the key itself; "maker": by a certificate; "": none
	AAGUID      uuid.UUID
	Extensions  map[string]any // client extension results

	keys []*key
}

type key struct {
	id     []byte
	rpid   string
	handle []byte
	priv   *ecdsa.PrivateKey
	count  int64
}

func newBrowser() *browser {
	return &browser{Origin: "https://auth.example.com", Verify: true, CountBy: 1, AAGUID: uuid.MustParse(model)}
}

func (b *browser) clientData(t testing.TB, typ string, challenge []byte) []byte {
	t.Helper()
	if b.Type != "" {
		typ = b.Type
	}
	if b.Challenge != nil {
		challenge = b.Challenge
	}
	data := map[string]any{"type": typ, "challenge": b64(challenge), "origin": b.Origin, "crossOrigin": b.CrossOrigin}
	if b.TopOrigin != "" {
		data["topOrigin"] = b.TopOrigin
	}
	return marshal(t, data)
}

// authData is the authenticator data (WebAuthn 6.1).
func (b *browser) authData(rpid string, count int64, attested []byte) []byte {
	if b.RPID != "" {
		rpid = b.RPID
	}
	hash := sha256.Sum256([]byte(rpid))
	var flags byte
	if !b.Absent {
		flags |= 0x01
	}
	if b.Verify {
		flags |= 0x04
	}
	if attested != nil {
		flags |= 0x40
	}
	out := append(hash[:], flags)
	out = binary.BigEndian.AppendUint32(out, uint32(count))
	return append(out, attested...)
}

// create is navigator.credentials.create() and toJSON().
func (b *browser) create(t testing.TB, raw json.RawMessage) []byte {
	t.Helper()
	o := parseOptions(t, raw)
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k := &key{id: make([]byte, 32), rpid: o.PublicKey.RP.ID, handle: o.PublicKey.User.ID, priv: priv, count: b.CountBy}
	_, _ = rand.Read(k.id)
	b.keys = append(b.keys, k)
	return b.attest(t, k, o)
}

// attest is the answer of create for a key.
func (b *browser) attest(t testing.TB, k *key, o options) []byte {
	t.Helper()
	client := b.clientData(t, "webauthn.create", o.PublicKey.Challenge)
	point, err := k.priv.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	cose, err := cbor.Marshal(map[int]any{1: 2, 3: -7, -1: 1, -2: point[1:33], -3: point[33:]})
	if err != nil {
		t.Fatal(err)
	}
	attested := append(b.AAGUID[:], byte(len(k.id)>>8), byte(len(k.id)))
	attested = append(append(attested, k.id...), cose...)
	auth := b.authData(k.rpid, k.count, attested)
	object := map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": auth}
	switch b.Attest {
	case "self":
		object["fmt"], object["attStmt"] = "packed", map[string]any{"alg": -7, "sig": sign(t, k.priv, auth, client)}
	case "maker":
		cert, priv := maker(t)
		object["fmt"], object["attStmt"] = "packed", map[string]any{"alg": -7, "sig": sign(t, priv, auth, client), "x5c": [][]byte{cert}}
	}
	att, err := cbor.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return b.respond(t, k, map[string]any{
		"clientDataJSON": b64(client), "attestationObject": b64(att), "transports": []string{"internal"},
	})
}

// get is navigator.credentials.get() and toJSON(), with the first key that fits.
func (b *browser) get(t testing.TB, raw json.RawMessage) []byte {
	t.Helper()
	o := parseOptions(t, raw)
	for _, k := range b.keys {
		if k.rpid == o.PublicKey.RPID && (len(o.PublicKey.Allow) == 0 || listed(o.PublicKey.Allow, k.id)) {
			return b.assert(t, k, o)
		}
	}
	t.Fatal("no key in this browser fits")
	return nil
}

// assert is the answer of get for a key, whether it was asked for or not.
func (b *browser) assert(t testing.TB, k *key, o options) []byte {
	t.Helper()
	k.count += b.CountBy
	client := b.clientData(t, "webauthn.get", o.PublicKey.Challenge)
	auth := b.authData(k.rpid, k.count, nil)
	response := map[string]any{"clientDataJSON": b64(client), "authenticatorData": b64(auth), "signature": b64(sign(t, k.priv, auth, client))}
	if !b.NoHandle {
		response["userHandle"] = b64(k.handle)
	}
	return b.respond(t, k, response)
}

func (b *browser) respond(t testing.TB, k *key, response map[string]any) []byte {
	t.Helper()
	ext := b.Extensions
	if ext == nil {
		ext = map[string]any{}
	}
	return marshal(t, map[string]any{
		"id": b64(k.id), "rawId": b64(k.id), "type": "public-key", "authenticatorAttachment": "platform",
		"clientExtensionResults": ext, "response": response,
	})
}

// maker is a certificate as makers put one into their keys (WebAuthn 8.2.1).
func maker(t testing.TB) (cert []byte, priv *ecdsa.PrivateKey) {
	t.Helper()
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
		Subject: pkix.Name{Country: []string{"SE"}, Organization: []string{"Example"}, OrganizationalUnit: []string{"Authenticator Attestation"}, CommonName: "Example"}}
	if cert, err = x509.CreateCertificate(rand.Reader, template, template, &priv.PublicKey, priv); err != nil {
		t.Fatal(err)
	}
	return cert, priv
}

func sign(t testing.TB, priv *ecdsa.PrivateKey, auth, client []byte) []byte {
	t.Helper()
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(append(bytes.Clone(auth), hash[:]...))
	sig, err := priv.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

func listed(list []descriptor, id []byte) bool {
	for _, d := range list {
		if bytes.Equal(d.ID, id) {
			return true
		}
	}
	return false
}

func parseOptions(t testing.TB, raw json.RawMessage) options {
	t.Helper()
	var o options
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatalf("options %s: %v", raw, err)
	}
	if len(o.PublicKey.Challenge) < 16 {
		t.Fatalf("a challenge of %d bytes", len(o.PublicKey.Challenge))
	}
	return o
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
