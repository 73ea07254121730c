package users

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/go-crypt/crypt"
	"github.com/go-crypt/crypt/algorithm"
	"golang.org/x/crypto/argon2"
)

// The parameters of new hashes: argon2id, the second recommended choice of RFC 9106
// section 4.
const (
	argonTime    = 3
	argonMemory  = 64 << 10 // KiB
	argonThreads = 4
	argonSalt    = 16 // bytes
	argonKey     = 32 // bytes
)

// nobody is hashed for names that do not exist while the file has no users. Its key is
// not the hash of anything known, and the result is not looked at.
const nobody = "$argon2id$v=19$m=65536,t=3,p=4$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// Hash makes the hash of a new password, in the form that the users file holds. It takes
// 64 MiB and some tens of milliseconds. Errors: ErrPassword.
func Hash(password string) (string, error) {
	if err := checkPassword(password); err != nil {
		return "", err
	}
	salt := make([]byte, argonSalt)
	rand.Read(salt) // never fails, crypto/rand
	key := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonThreads, argonKey)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		argonMemory, argonTime, argonThreads, b64.EncodeToString(salt), b64.EncodeToString(key)), nil
}

// Verify says whether a password fits a hash in one of the forms that the users file may
// hold. The error is for a hash that cannot be used, never for a password that is wrong.
func Verify(hash, password string) (bool, error) {
	d, err := parseHash(hash)
	if err != nil {
		return false, err
	}
	if checkPassword(password) != nil {
		return false, nil
	}
	return d.digest.Match(password), nil
}

// checkPassword refuses what can be no password, at no cost that depends on the user.
func checkPassword(password string) error {
	switch {
	case password == "":
		return fmt.Errorf("%w: it is empty", ErrPassword)
	case len(password) > MaxPassword:
		return fmt.Errorf("%w: it is longer than %d bytes", ErrPassword, MaxPassword)
	case strings.IndexByte(password, 0) >= 0:
		return fmt.Errorf("%w: it holds a NUL", ErrPassword)
	case !utf8.ValidString(password):
		return fmt.Errorf("%w: it is not UTF-8", ErrPassword)
	}
	return nil
}

// hashed is a hash that has been read and whose cost is within bounds.
type hashed struct {
	text   string // as in the file
	digest algorithm.Digest
	cost
}

// parseHash reads a hash. Its errors never quote the hash.
func parseHash(text string) (*hashed, error) {
	if len(text) > 512 {
		return nil, errors.New("hash is longer than 512 bytes")
	}
	if !strings.HasPrefix(text, "$") && !strings.HasPrefix(text, "{") {
		return nil, errors.New("not a hash; a password in plain text is refused (`postern hash` makes one)")
	}
	dec, err := crypt.NewDefaultDecoder()
	if err != nil {
		return nil, err
	}
	d, err := dec.Decode(text)
	switch {
	case errors.Is(err, algorithm.ErrEncodedHashInvalidIdentifier):
		return nil, errors.New("unknown kind of hash; argon2, bcrypt, scrypt, yescrypt, pbkdf2 and sha2crypt can be read")
	case err != nil:
		return nil, errors.New("damaged hash: it cannot be decoded")
	}
	c, err := costOf(d)
	if err != nil {
		return nil, err
	}
	return &hashed{text: text, digest: d, cost: c}, nil
}
