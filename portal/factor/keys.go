package factor

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
)

// sealV1 is the first byte of everything Seal makes: AES-256-GCM under the key that
// HKDF-SHA256 draws from the installation's secret, a random nonce of 96 bits, the row
// as associated data.
const sealV1 = 1

// errSealed says that a sealed value was made for another row, under another secret, or
// was changed. It is nobody's mistake at a keyboard, so callers see it as it is.
var errSealed = errors.New("factor: a sealed value does not open")

// Keys are what this package derives from the installation's secret. Make them with
// NewKeys; nothing works with a zero Keys.
type Keys struct {
	aead   cipher.AEAD
	newMAC func() hash.Hash
}

// NewKeys derives the keys. The secret has 32 bytes; without the same secret nothing
// that was stored or sent can be read again.
func NewKeys(secret []byte) (*Keys, error) {
	if len(secret) != 32 {
		return nil, fmt.Errorf("factor: a secret of %d bytes, want 32", len(secret))
	}
	seal, err := hkdf.Key(sha256.New, secret, nil, "postern/factor/seal/v1", 32)
	if err != nil {
		return nil, fmt.Errorf("factor: %w", err)
	}
	mac, err := hkdf.Key(sha256.New, secret, nil, "postern/factor/mac/v1", 32)
	if err != nil {
		return nil, fmt.Errorf("factor: %w", err)
	}
	block, err := aes.NewCipher(seal)
	if err != nil {
		return nil, fmt.Errorf("factor: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("factor: %w", err)
	}
	return &Keys{aead: aead, newMAC: func() hash.Hash { return hmac.New(sha256.New, mac) }}, nil
}

// Format keeps the keys out of every log and message, whatever the verb.
func (k Keys) Format(f fmt.State, verb rune) { _, _ = io.WriteString(f, "factor.Keys(hidden)") }

// Row is where a sealed value belongs. A value sealed for one row opens in no other.
type Row struct {
	Kind string
	User string
	ID   string
}

// Seal encrypts plain for a row. Two seals of one text differ.
func (k *Keys) Seal(row Row, plain []byte) []byte {
	out := make([]byte, 1+k.aead.NonceSize(), 1+k.aead.NonceSize()+len(plain)+k.aead.Overhead())
	out[0] = sealV1
	_, _ = rand.Read(out[1:]) // never fails: crypto/rand ends the process instead
	return k.aead.Seal(out, out[1:], plain, row.bind())
}

// Open decrypts what Seal made for the same row under the same secret, and refuses
// everything else.
func (k *Keys) Open(row Row, sealed []byte) ([]byte, error) {
	head := 1 + k.aead.NonceSize()
	if len(sealed) < head+k.aead.Overhead() || sealed[0] != sealV1 {
		return nil, errSealed
	}
	plain, err := k.aead.Open(nil, sealed[1:head], sealed[head:], row.bind())
	if err != nil {
		return nil, errSealed
	}
	return plain, nil
}

// bind is the row as associated data, the version of the format with it.
func (r Row) bind() []byte {
	return appendParts([]byte{sealV1}, r.Kind, r.User, r.ID)
}

// mac authenticates parts for one purpose. The parts are framed by their lengths, so
// that no two lists of parts give the same input.
func (k *Keys) mac(purpose string, parts ...string) [32]byte {
	h := k.newMAC()
	h.Write(appendParts(nil, purpose))
	h.Write(appendParts(nil, parts...))
	return [32]byte(h.Sum(nil))
}

// appendParts appends each part behind its length.
func appendParts(b []byte, parts ...string) []byte {
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	return b
}
