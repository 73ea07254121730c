package credential

import (
	"crypto/rand"
	"crypto/sha256"
	"hash/crc32"
)

// A secret is 53 characters:
//
//	pst_ or psa_                                     4
//	43 random letters and digits, 256 bits          43
//	CRC-32 (IEEE) of all before it, in base 62       6
//
// The prefix and the checksum let scanners of source code recognise one without asking,
// and let Postern tell a mistyped one from a password.
const (
	// SecretLength is the length of every secret, in bytes.
	SecretLength = prefixLen + randomLen + sumLen

	prefixLen = 4
	randomLen = 43 // 62^43 > 2^256
	sumLen    = 6  // 62^6 > 2^32
)

// digits are those of base 62: no character that ends a word when it is clicked on.
const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// prefix is how the secrets of a kind begin.
func (k Kind) prefix() string {
	switch k {
	case Token:
		return "pst_"
	case App:
		return "psa_"
	}
	return ""
}

// mint returns a new secret of a kind.
func mint(k Kind) string {
	b := append(make([]byte, 0, SecretLength), k.prefix()...)
	b = appendRandom(b, randomLen)
	return string(appendSum(b))
}

// appendRandom appends n random digits, each as likely as the others.
func appendRandom(b []byte, n int) []byte {
	var raw [64]byte
	for n > 0 {
		rand.Read(raw[:]) // never returns an error, crypto/rand
		for _, c := range raw {
			if c &= 63; int(c) < len(digits) && n > 0 {
				b = append(b, digits[c])
				n--
			}
		}
	}
	return b
}

// appendSum appends the checksum of b.
func appendSum(b []byte) []byte {
	text := sumOf(b)
	return append(b, text[:]...)
}

func sumOf(b []byte) (text [sumLen]byte) {
	sum := crc32.ChecksumIEEE(b)
	for i := sumLen - 1; i >= 0; i-- {
		text[i] = digits[sum%62]
		sum /= 62
	}
	return text
}

// KindOf says of which kind a secret has the form, checksum included; "" when of none.
// It allocates nothing and says nothing about whether the secret was ever given out.
func KindOf(secret []byte) Kind {
	if len(secret) != SecretLength {
		return ""
	}
	kind := Token
	switch string(secret[:prefixLen]) {
	case "pst_":
	case "psa_":
		kind = App
	default:
		return ""
	}
	for _, c := range secret[prefixLen:] {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return ""
		}
	}
	if sumOf(secret[:SecretLength-sumLen]) != [sumLen]byte(secret[SecretLength-sumLen:]) {
		return ""
	}
	return kind
}

// hashOf is under what a secret is kept. 256 random bits need no slow hash.
func hashOf(secret []byte) [32]byte { return sha256.Sum256(secret) }
