package portal

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"

	"postern/portal/strength"
	"postern/portal/users"
)

const (
	maxWords  = 16          // that a password must not consist of
	maxWord   = 64          // of one of them, in bytes
	judging   = 2           // passwords that are judged at once: each takes milliseconds
	judgeWait = time.Second // for one's turn
)

// judge says how good a password is for a user. Whatever he is called, and the site, is
// taken for known to whoever guesses.
func (s *site) judge(password string, u users.User) (strength.Judgement, error) {
	ctx, cancel := context.WithTimeout(context.Background(), judgeWait)
	defer cancel()
	select {
	case s.judges <- struct{}{}:
		defer func() { <-s.judges }()
	case <-ctx.Done():
		return strength.Judgement{}, users.ErrBusy
	}
	return s.Strength.Judge(password, append(wordsOf(u), words(s.brand.Name)...)), nil
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
	text = strings.ToLower(cut(text, maxWord))
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

// verdict says a judgement to the visitor.
func (s *site) verdict(v *visit, j strength.Judgement) string {
	switch j.Fault {
	case strength.Fine:
		return v.words.say([...]sentence{"strength.poor", "strength.poor", "strength.fair", "strength.good", "strength.strong"}[j.Score])
	case strength.Long:
		return v.words.say("strength.long")
	case strength.Unusable:
		return v.words.say("strength.unusable")
	case strength.Short:
		return v.words.say("strength.short", "Count", s.Strength.MinLength)
	case strength.Common:
		return v.words.say("strength.common")
	case strength.Personal:
		return v.words.say("strength.personal")
	}
	return v.words.say("strength.weak")
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
		if name, err = s.Factors.Tokens.ReadReset(slip, s.passwordVersion, s.now()); err != nil {
			return errExpired
		}
	}
	if name == "" {
		return errExpired
	}
	u, err := s.person(context.Background(), name)
	if errors.Is(err, users.ErrNotFound) {
		return errExpired
	}
	if err != nil {
		return err
	}
	j, err := s.judge(v.field("new"), u)
	if err != nil {
		return err
	}
	s.bareHeaders(v.c)
	return v.c.JSON(map[string]any{"score": j.Score, "fit": j.Fault == strength.Fine, "say": s.verdict(v, j)})
}
