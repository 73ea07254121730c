package users

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-crypt/crypt/algorithm"
	"github.com/go-crypt/x/yescrypt"
)

// The most that one hash of the file may cost. A hash dearer than that would let anybody
// who knows the name stop the machine by signing in, so the file is refused.
const (
	maxMemory   = 1 << 20 // KiB
	maxPasses   = 4 << 20 // argon2: KiB of memory × passes
	maxThreads  = 64
	maxBcrypt   = 16      // log2 of rounds
	maxScrypt   = 1 << 24 // N × r × p
	maxPBKDF2   = 10_000_000
	maxSHA2     = 2_000_000
	minSaltSize = 8  // bytes
	minKeySize  = 16 // bytes; a shorter one could be met by chance
	maxPartSize = 128
)

// cost is what one hash takes.
type cost struct {
	kind   string // algorithm and parameters; two hashes of one kind take the same time
	memory int64  // KiB
}

// costOf reads the parameters from the canonical form of a digest and refuses those out
// of bounds.
func costOf(d algorithm.Digest) (cost, error) {
	parts := strings.Split(d.Encode(), "$")
	if len(parts) < 3 {
		return cost{}, errors.New("damaged hash: it cannot be decoded")
	}
	id, params, keep := parts[1], parts[2], d.Key()
	switch {
	case strings.HasPrefix(id, "argon2"):
		if len(parts) < 4 {
			return cost{}, errors.New("damaged hash: it cannot be decoded")
		}
		params = parts[3]
		m, t, p := number(params, "m="), number(params, "t="), number(params, "p=")
		if !within(m, 8*p, maxMemory) || !within(t, 1, maxPasses/m) || !within(p, 1, maxThreads) {
			return cost{}, fmt.Errorf("argon2 with %s is out of bounds: at most m=%d (1 GiB), p=%d, and m × t = %d", params, maxMemory, maxThreads, maxPasses)
		}
		return sized(cost{id + " " + params, m}, d, keep)
	case id == "5" || id == "6":
		return shaCost(id, params, len(parts), len(keep))
	case strings.HasPrefix(id, "2"):
		if n := number("cost="+params, "cost="); !within(n, 4, maxBcrypt) {
			return cost{}, fmt.Errorf("bcrypt of cost %s is out of bounds: 4 to %d", params, maxBcrypt)
		}
		return cost{"bcrypt " + params, 4}, nil
	case id == "bcrypt-sha256":
		if n := number(params, "r="); !within(n, 4, maxBcrypt) {
			return cost{}, fmt.Errorf("bcrypt of cost %d is out of bounds: 4 to %d", n, maxBcrypt)
		}
		return cost{id + " " + params, 4}, nil
	case id == "scrypt":
		return scryptCost(d, params, number(params, "ln="), number(params, "r="), number(params, "p="))
	case id == "y":
		_, ln, r, err := yescrypt.DecodeSetting([]byte(params))
		if err != nil {
			return cost{}, errors.New("damaged hash: it cannot be decoded")
		}
		return scryptCost(d, "yescrypt "+params, int64(ln), int64(r), 1)
	case strings.HasPrefix(id, "pbkdf2"):
		if n := number("i="+params, "i="); !within(n, 1000, maxPBKDF2) {
			return cost{}, fmt.Errorf("%s of %s iterations is out of bounds: 1000 to %d", id, params, maxPBKDF2)
		}
		return sized(cost{fmt.Sprintf("%s %s %d", id, params, len(keep)), 1}, d, keep)
	}
	return cost{}, errors.New("unknown kind of hash; argon2, bcrypt, scrypt, yescrypt, pbkdf2 and sha2crypt can be read")
}

// shaCost is the cost of sha2crypt, whose key is text of a fixed length and whose rounds
// may be left out.
func shaCost(id, params string, parts, key int) (cost, error) {
	rounds := int64(5000)
	if parts == 5 {
		rounds = number(params, "rounds=")
	}
	if !within(rounds, 1000, maxSHA2) {
		return cost{}, fmt.Errorf("sha2crypt of %d rounds is out of bounds: 1000 to %d", rounds, maxSHA2)
	}
	if want := map[string]int{"5": 43, "6": 86}[id]; key != want {
		return cost{}, fmt.Errorf("damaged hash: %d characters of sha2crypt instead of %d", key, want)
	}
	return cost{fmt.Sprintf("sha2crypt %s %d", id, rounds), 1}, nil
}

// scryptCost is the cost of scrypt and yescrypt with N = 2^ln.
func scryptCost(d algorithm.Digest, kind string, ln, r, p int64) (cost, error) {
	if !within(ln, 1, 24) || !within(r, 1, 1<<10) || !within(p, 1, 1<<10) ||
		(r*p)<<ln > maxScrypt || (r<<ln)/8 > maxMemory {
		return cost{}, fmt.Errorf("scrypt with ln=%d, r=%d, p=%d is out of bounds: at most 1 GiB, and 2^ln × r × p = %d", ln, r, p, maxScrypt)
	}
	return sized(cost{kind, (r << ln) / 8}, d, d.Key()) // 128 × r × N bytes
}

// sized refuses salts and keys that are too short to protect or too long to be true.
func sized(c cost, d algorithm.Digest, key []byte) (cost, error) {
	if n := len(d.Salt()); n < minSaltSize || n > maxPartSize {
		return cost{}, fmt.Errorf("damaged hash: a salt of %d bytes", n)
	}
	if n := len(key); n < minKeySize || n > maxPartSize {
		return cost{}, fmt.Errorf("damaged hash: a key of %d bytes", n)
	}
	return c, nil
}

// number returns the value of one parameter of a list like "m=65536,t=3", -1 when there
// is none.
func number(params, key string) int64 {
	for p := range strings.SplitSeq(params, ",") {
		if v, ok := strings.CutPrefix(p, key); ok {
			if n, err := strconv.ParseInt(v, 10, 64); err == nil {
				return n
			}
		}
	}
	return -1
}

func within(n, lo, hi int64) bool { return n >= lo && n <= hi }
