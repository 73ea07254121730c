package strength

import (
	"strings"

	"github.com/trustelem/zxcvbn/adjacency"
	"github.com/trustelem/zxcvbn/match"
	"github.com/trustelem/zxcvbn/scoring"
)

// repeats finds what is said several times in a row: "aaa", "abcabc". At each place the
// longest run counts, and of two the one of the shorter part.
func repeats(password string) (found []*match.Match) {
	runes := []rune(password)
	offsets := make([]int, 0, len(runes)+1)
	for i := range password {
		offsets = append(offsets, i)
	}
	offsets = append(offsets, len(password))
	for i := 0; i < len(runes); {
		part, times := repeatAt(runes[i:])
		if times < 2 {
			i++
			continue
		}
		from, to := offsets[i], offsets[i+part*times]
		base := password[from:offsets[i+part]]
		analysis := scoring.MostGuessableMatchSequence(base, matches(base, nil), false)
		found = append(found, &match.Match{
			Pattern: "repeat", I: from, J: to - 1, Token: password[from:to],
			BaseToken: base, BaseGuesses: analysis.Guesses, BaseMatches: analysis.Sequence, RepeatCount: times,
		})
		i += part * times
	}
	return found
}

// repeatAt returns the longest repetition at the beginning of a text: the length of what
// is repeated and how often it stands there.
func repeatAt(text []rune) (part, times int) {
	for p := 1; 2*p <= len(text); p++ {
		same := 0
		for p+same < len(text) && text[p+same] == text[same] {
			same++
		}
		if n := same/p + 1; n > 1 && n*p > part*times {
			part, times = p, n
		}
	}
	return part, times
}

// sequences finds characters that follow each other at one distance: "abcd", "97531".
func sequences(password string) (found []*match.Match) {
	const maxStep = 5
	begin := 0
	for k := 1; k < len(password); k++ {
		step := int(password[k]) - int(password[k-1])
		if k+1 < len(password) && int(password[k+1])-int(password[k]) == step {
			continue
		}
		size := max(step, -step)
		if size > 0 && size <= maxStep && (k-begin > 1 || size == 1) {
			found = append(found, &match.Match{
				Pattern: "sequence", I: begin, J: k, Token: password[begin : k+1], SequenceName: "any", SequenceSpace: 26, Ascending: step > 0,
			})
		}
		begin = k
	}
	return found
}

// shifted are the characters that need the shift key.
const shifted = `~!@#$%^&*()_+QWERTYUIOP{}|ASDFGHJKL:"ZXCVBNM<>?`

// spatial finds rows and other walks on a keyboard, of three keys and more.
func spatial(password string) (found []*match.Match) {
	for _, g := range adjacency.Graphs {
		for i := 0; i+1 < len(password); {
			w := walk(password[i:], g)
			if w.length > 2 {
				found = append(found, &match.Match{
					Pattern: "spatial", I: i, J: i + w.length - 1, Token: password[i : i+w.length],
					Graph: g.Name, Turns: w.turns, ShiftedCount: w.shifts,
				})
			}
			i += w.length
		}
	}
	return found
}

// steps is a walk from key to key.
type steps struct{ length, turns, shifts int }

// walk follows the keys from the beginning of a text as far as each is beside the one
// before.
func walk(text string, g *adjacency.Graph) steps {
	w := steps{length: 1}
	letters := g.Name == "qwerty" || g.Name == "dvorak"
	if letters && strings.IndexByte(shifted, text[0]) >= 0 {
		w.shifts++
	}
	for last := -1; w.length < len(text); w.length++ {
		direction, shift := -1, false
		for at, keys := range g.Graph[text[w.length-1:w.length]] {
			if i := strings.IndexByte(keys, text[w.length]); i >= 0 {
				direction, shift = at, i == 1
				break
			}
		}
		if direction < 0 {
			break
		}
		if direction != last {
			w.turns++
			last = direction
		}
		if shift {
			w.shifts++
		}
	}
	return w
}
