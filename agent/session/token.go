package session

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"hash"
	"sync"
)

// A token is 64 characters:
//
//	selector, 10 random bytes in lower-case base32      16 characters, the session's id
//	verifier, 20 random bytes, then 16 bytes of MAC     48 characters of base64url
//
// The selector is public; the 160 bits of the verifier are the secret. The MAC, an
// HMAC-SHA256 over both, tells tokens that were issued from junk without asking anybody.
// None of the encodings has spare bits, so a token has one spelling.
const (
	// TokenLength is the length of every token, in bytes.
	TokenLength = 64

	selectorLen = 16 // characters
	selectorRaw = 10 // bytes
	verifierRaw = 20
	macRaw      = 16
	restRaw     = verifierRaw + macRaw

	keyLen = 32 // the least length of Table.Key, in bytes
)

// macContext keeps this use of the key apart from every other one.
const macContext = "postern session token 1\n"

// minter makes and checks tokens under one key. Safe for any number of goroutines.
type minter struct {
	key  []byte
	pool sync.Pool // of *macState
}

// macState is what one check needs, kept to allocate nothing.
type macState struct {
	mac     hash.Hash
	context []byte
	sum     [sha256.Size]byte
	raw     [restRaw]byte
}

func (m *minter) state() *macState {
	if s, ok := m.pool.Get().(*macState); ok {
		return s
	}
	return &macState{mac: hmac.New(sha256.New, m.key), context: []byte(macContext)}
}

// sign computes the MAC of selector (its characters) and verifier into s.sum.
func (s *macState) sign(selector, verifier []byte) []byte {
	s.mac.Reset()
	s.mac.Write(s.context)
	s.mac.Write(selector)
	s.mac.Write(verifier)
	return s.mac.Sum(s.sum[:0])[:macRaw]
}

// mint returns a new token.
func (m *minter) mint() string {
	var token [TokenLength]byte
	var selector [selectorRaw]byte
	rand.Read(selector[:]) // never returns an error, crypto/rand
	selectorText.Encode(token[:selectorLen], selector[:])

	s := m.state()
	defer m.pool.Put(s)
	rand.Read(s.raw[:verifierRaw])
	copy(s.raw[verifierRaw:], s.sign(token[:selectorLen], s.raw[:verifierRaw]))
	base64.RawURLEncoding.Encode(token[selectorLen:], s.raw[:])
	return string(token[:])
}

// issued says whether token was made under this key. Without a key none was.
func (m *minter) issued(token []byte) bool {
	if len(token) != TokenLength || len(m.key) < keyLen {
		return false
	}
	s := m.state()
	defer m.pool.Put(s)
	// Decode skips line breaks; then it comes out short.
	n, err := base64.RawURLEncoding.Decode(s.raw[:], token[selectorLen:])
	if err != nil || n != restRaw {
		return false
	}
	want := s.sign(token[:selectorLen], s.raw[:verifierRaw])
	return subtle.ConstantTimeCompare(s.raw[verifierRaw:], want) == 1
}

// selectorText writes selectors: lower case, no digit that looks like a letter.
var selectorText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
