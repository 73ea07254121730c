// Package strength judges new passwords: how many guesses one withstands, by the method
// of zxcvbn (Wheeler, USENIX Security 2016), and whether that is enough.
//
// It does not say sentences (portal does), keeps nothing, and asks nobody: no list of
// leaked passwords is looked up anywhere.
package strength

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/trustelem/zxcvbn/scoring"
)

// Config is `passwords` of the configuration: how good a new password must be. Those that
// exist are not asked again.
type Config struct {
	MinLength int `yaml:"min_length"` // characters
	MinScore  int `yaml:"min_score"`  // of zxcvbn: 0 (guessed at once) to 4 (very hard to guess)
}

// DefaultConfig is what an absent `passwords` means.
func DefaultConfig() Config { return Config{MinLength: 12, MinScore: 3} }

// Validate returns every fault, each under its key.
func (c Config) Validate() error {
	var faults []error
	if c.MinLength < 8 || c.MinLength > 64 {
		faults = append(faults, fmt.Errorf("passwords.min_length: %d is not between 8 and 64", c.MinLength))
	}
	if c.MinScore < 0 || c.MinScore > 4 {
		faults = append(faults, fmt.Errorf("passwords.min_score: %d is not between 0 and 4", c.MinScore))
	}
	return errors.Join(faults...)
}

// Fault is why a password is refused; Fine is none.
type Fault int

// The faults, in the order in which they are looked for.
const (
	Fine     Fault = iota
	Long           // more bytes than anybody checks
	Unusable       // not UTF-8, or with a NUL
	Short          // fewer characters than Config.MinLength
	Common         // among those that are tried first
	Personal       // made of what is known of its user
	Weak           // guessed too soon
)

// Judgement is what there is to say of a password.
type Judgement struct {
	Score int // 0 to 4
	Fault Fault
}

// Bounds, in bytes. What stands behind judged bytes makes a password no worse, and the
// time that judging takes grows with the square of its length.
const (
	maxPassword = 1024
	maxJudged   = 64
)

// Judge says how good a password is. known are words that whoever guesses would try: the
// user's name, the site's. They give nothing, however many of them are strung together.
func (c Config) Judge(password string, known []string) Judgement {
	length := utf8.RuneCountInString(password)
	switch {
	case len(password) > maxPassword:
		return Judgement{Fault: Long}
	case !utf8.ValidString(password) || strings.ContainsRune(password, 0):
		return Judgement{Fault: Unusable}
	}
	password = cut(password)
	guesses, common := estimate(password, known)
	j := Judgement{Score: score(guesses)}
	rest, personal := without(password, known)
	if personal {
		guesses, _ = estimate(rest, nil)
		j.Score = min(j.Score, score(guesses))
	}
	switch {
	case length < c.MinLength:
		j.Fault = Short
	case j.Score >= c.MinScore:
	case common:
		j.Fault = Common
	case personal:
		j.Fault = Personal
	default:
		j.Fault = Weak
	}
	return j
}

// estimate returns how many guesses a password withstands, and whether it is one word of
// the list as a whole.
func estimate(password string, known []string) (guesses float64, common bool) {
	result := scoring.MostGuessableMatchSequence(password, matches(password, known), false)
	s := result.Sequence
	return result.Guesses, len(s) == 1 && s[0].Pattern == "dictionary" && s[0].DictionaryName == listed
}

// score is zxcvbn's scale: each step is worth a hundred to a thousand times the guesses.
func score(guesses float64) int {
	for i, bound := range []float64{1e3, 1e6, 1e8, 1e10} {
		if guesses < bound+5 {
			return i
		}
	}
	return 4
}

// without is what is left of a password when all known words are taken out of it, in
// lower case, and whether there were any.
func without(password string, known []string) (rest string, found bool) {
	rest = strings.ToLower(password)
	known = slices.Clone(known)
	slices.SortFunc(known, func(a, b string) int { return len(b) - len(a) })
	for _, w := range known {
		if w = strings.ToLower(w); len(w) > 2 && strings.Contains(rest, w) {
			rest, found = strings.ReplaceAll(rest, w, ""), true
		}
	}
	return rest, found
}

// cut shortens a text to what is judged, and drops what is no whole character.
func cut(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxJudged)], "") }
