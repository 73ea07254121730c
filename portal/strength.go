package portal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/trustelem/zxcvbn"

	"postern/portal/users"
)

// Strength is `passwords` of the configuration: how good a new password must be. Those
// that exist are not asked again.
type Strength struct {
	MinLength int `yaml:"min_length"` // characters
	MinScore  int `yaml:"min_score"`  // of zxcvbn: 0 (guessed at once) to 4 (very hard to guess)
}

// DefaultStrength is what an absent `passwords` means.
func DefaultStrength() Strength { return Strength{MinLength: 12, MinScore: 3} }

// Validate returns every fault, each under its key.
func (s Strength) Validate() error {
	var faults []error
	if s.MinLength < 8 || s.MinLength > 64 {
		faults = append(faults, fmt.Errorf("passwords.min_length: %d is not between 8 and 64", s.MinLength))
	}
	if s.MinScore < 0 || s.MinScore > 4 {
		faults = append(faults, fmt.Errorf("passwords.min_score: %d is not between 0 and 4", s.MinScore))
	}
	return errors.Join(faults...)
}

const (
	maxJudged = 64          // bytes of a password that are looked at; more make it no worse
	maxWords  = 16          // that the password must not consist of
	judging   = 2           // passwords that are judged at once: each takes milliseconds
	judgeWait = time.Second // for one's turn
)

// judgement is how good a new password is.
type judgement struct {
	Score int      // 0 to 4
	Fit   bool     // it can be set
	Say   sentence // about it; with "strength.short" Count says how long it must be
}

// judge says how good a password is for a user. Whatever he is called, and the site, is
// taken for known to whoever guesses.
func (s *site) judge(password string, u users.User) (judgement, error) {
	ctx, cancel := context.WithTimeout(context.Background(), judgeWait)
	defer cancel()
	select {
	case s.judges <- struct{}{}:
		defer func() { <-s.judges }()
	case <-ctx.Done():
		return judgement{}, users.ErrBusy
	}
	return s.Strength.judge(password, append(wordsOf(u), words(s.brand.Name)...)), nil
}

// judge is the policy itself.
func (s Strength) judge(password string, known []string) judgement {
	length := utf8.RuneCountInString(password)
	switch {
	case len(password) > maxPassword:
		return judgement{Say: "strength.long"}
	case !utf8.ValidString(password) || strings.ContainsRune(password, 0):
		return judgement{Say: "strength.unusable"}
	}
	password = cut(password, maxJudged)
	result := zxcvbn.PasswordStrength(password, known)
	j := judgement{Score: result.Score}
	common := len(result.Sequence) == 1 && result.Sequence[0].DictionaryName == "passwords"
	// What is known gives nothing, however much of it is strung together.
	rest, personal := stripped(password, known)
	if personal {
		j.Score = min(j.Score, zxcvbn.PasswordStrength(rest, nil).Score)
	}
	switch {
	case length < s.MinLength:
		j.Say = "strength.short"
	case j.Score >= s.MinScore:
		j.Fit, j.Say = true, [...]sentence{"strength.poor", "strength.poor", "strength.fair", "strength.good", "strength.strong"}[j.Score]
	case common:
		j.Say = "strength.common"
	case personal:
		j.Say = "strength.personal"
	default:
		j.Say = "strength.weak"
	}
	return j
}

// stripped is what is left of a password when all known words are taken out of it, in
// lower case, and whether there were any.
func stripped(password string, known []string) (rest string, found bool) {
	rest = strings.ToLower(password)
	known = slices.Clone(known)
	slices.SortFunc(known, func(a, b string) int { return len(b) - len(a) })
	for _, w := range known {
		if len(w) > 2 && strings.Contains(rest, w) {
			rest, found = strings.ReplaceAll(rest, w, ""), true
		}
	}
	return rest, found
}

// wordsOf are the words that somebody would try who knows the user.
func wordsOf(u users.User) []string {
	list := append(words(u.Name), words(u.DisplayName)...)
	for _, a := range u.Emails {
		list = append(list, words(a)...)
	}
	return list[:min(len(list), maxWords)]
}

// words takes a text apart, and keeps it whole as well.
func words(text string) []string {
	text = strings.ToLower(cut(text, maxJudged))
	list := []string{text}
	for _, w := range strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if len(w) > 2 && w != text {
			list = append(list, w)
		}
	}
	return list
}

// cut shortens a text to n bytes and drops what is no whole character.
func cut(s string, n int) string { return strings.ToValidUTF8(s[:min(len(s), n)], "") }

// answer is a judgement in words.
func (j judgement) answer(words *speaker, s Strength) string {
	if j.Say == "strength.short" {
		return words.say(j.Say, "Count", s.MinLength)
	}
	return words.say(j.Say)
}

// takeStrength is POST /password-strength: what the page shows while somebody types. It
// answers those only who may set a password now: a session, or a reset link that holds.
func (s *site) takeStrength(v *visit) error {
	if !v.checkToken(s.Server, "", v.user()) {
		return errExpired
	}
	name := v.user()
	if slip := v.field("slip"); slip != "" && s.resets() {
		var err error
		if name, err = s.Factors.Tokens.ReadReset(slip, s.Password.Version, s.now()); err != nil {
			return errExpired
		}
	}
	u, known := s.Users.Find(name)
	if !known || name == "" {
		return errExpired
	}
	j, err := s.judge(v.field("new"), u)
	if err != nil {
		return err
	}
	s.bareHeaders(v.c)
	return v.c.JSON(map[string]any{"score": j.Score, "fit": j.Fit, "say": j.answer(v.words, s.Strength)})
}
