package factor

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"
)

const (
	recoveryCodes  = 10
	recoveryLength = 15 // characters of 5 bits: 75 bits a code

	// recoveryAlphabet is Crockford's base32: no i, l, o and u.
	recoveryAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"
)

// Recovery makes and spends recovery codes. A store holds their HMAC under a derived
// key, not a slow hash: a code has 75 random bits, which no amount of guessing searches,
// so slowness would only buy an attacker a way to keep our processor busy.
type Recovery struct {
	Keys   *Keys
	Keeper CodeKeeper
}

// Generate replaces all codes of a user, at once, and returns the new ones, such as
// "7k2mf-x9q0d-4wz8h". This is the only time they can be seen.
func (r *Recovery) Generate(ctx context.Context, user string, now time.Time) ([]string, error) {
	if user == "" {
		return nil, ErrNotFound
	}
	codes := make([]string, recoveryCodes)
	macs := make([][32]byte, recoveryCodes)
	for i := range codes {
		var raw [recoveryLength]byte
		_, _ = rand.Read(raw[:]) // never fails: crypto/rand ends the process instead
		for j := range raw {
			raw[j] = recoveryAlphabet[raw[j]%32] // 256 is a multiple of 32: no bias
		}
		codes[i] = group(string(raw[:]), 5, "-")
		macs[i] = r.mac(user, string(raw[:]))
	}
	if err := r.Keeper.ReplaceRecovery(ctx, user, macs, now); err != nil {
		return nil, err
	}
	return codes, nil
}

// Use spends a code, for exactly one caller, and says how many are left. Case, spaces
// and dashes do not matter, and o, i and l are read as the digits they look like.
// Errors: ErrWrong, ErrSpent.
func (r *Recovery) Use(ctx context.Context, user, code string, now time.Time) (left int, err error) {
	code = cleanRecovery(code)
	if user == "" || len(code) != recoveryLength {
		return 0, ErrWrong
	}
	left, err = r.Keeper.SpendRecovery(ctx, user, r.mac(user, code), now)
	if errors.Is(err, ErrNotFound) {
		return 0, ErrWrong
	}
	return left, err
}

// Left says how many codes a user has.
func (r *Recovery) Left(ctx context.Context, user string) (int, error) {
	return r.Keeper.CountRecovery(ctx, user)
}

// All says how many codes each user has; who has none is not in it.
func (r *Recovery) All(ctx context.Context) (map[string]int, error) {
	return r.Keeper.ListRecovery(ctx)
}

func (r *Recovery) mac(user, code string) [32]byte { return r.Keys.mac("recovery", user, code) }

func cleanRecovery(code string) string {
	return strings.NewReplacer("o", "0", "i", "1", "l", "1").Replace(strings.ToLower(cleanCode(code)))
}
