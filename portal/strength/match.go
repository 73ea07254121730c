package strength

import (
	"strings"

	"github.com/trustelem/zxcvbn/match"
)

// Names of the two dictionaries, in matches.
const (
	listed    = "list"
	knownList = "known"
)

// matches finds everything in a password that somebody who guesses would try. Where it
// finds more than zxcvbn the password is judged the worse for it.
func matches(password string, known []string) []*match.Match {
	d := dictionary{list: theList(), known: map[string]int{}}
	for i, w := range known {
		if w = strings.ToLower(w); w != "" && d.known[w] == 0 {
			d.known[w] = i + 1
		}
	}
	found := d.find(password)
	found = append(found, d.reversed(password)...)
	found = append(found, d.disguised(password)...)
	found = append(found, spatial(password)...)
	found = append(found, repeats(password)...)
	found = append(found, sequences(password)...)
	found = append(found, years(password)...)
	found = append(found, dates(password)...)
	match.Sort(found)
	return found
}

// dictionary is the list and what is known of the user.
type dictionary struct {
	list  *list
	known map[string]int
}

// find returns every word in a text, whatever its case.
func (d dictionary) find(text string) (found []*match.Match) {
	add := func(i, j, rank int, word, name string) {
		found = append(found, &match.Match{
			Pattern: "dictionary", I: i, J: j - 1, Token: text[i:j], MatchedWord: word, Rank: rank, DictionaryName: name,
		})
	}
	for i := range text {
		for j := i + 1; j <= len(text); j++ {
			word := strings.ToLower(text[i:j])
			if rank := d.list.rank(word); rank > 0 {
				add(i, j, rank, word, listed)
			}
			if rank := d.known[word]; rank > 0 {
				add(i, j, rank, word, knownList)
			}
		}
	}
	return found
}

// reversed finds words that are written backwards.
func (d dictionary) reversed(text string) []*match.Match {
	backwards := reverse(text)
	if len(backwards) != len(text) {
		return nil
	}
	found := d.find(backwards)
	for _, m := range found {
		m.I, m.J = len(text)-1-m.J, len(text)-1-m.I
		m.Token, m.Reversed = text[m.I:m.J+1], true
	}
	return found
}

func reverse(s string) string {
	runes := []rune(s)
	for i, j := 0, len(runes)-1; i < j; i, j = i+1, j-1 {
		runes[i], runes[j] = runes[j], runes[i]
	}
	return string(runes)
}

// Disguises: characters, and the letters that each stands for, in every reading.
const masks = "4@8({[<3690!$5+%2|17"

func readings() [3]string {
	const sure = "aabcccceggoisstxz" // the last three are two letters each
	return [3]string{sure + "iit", sure + "llt", sure + "iil"}
}

// disguised finds words with digits and signs in place of letters.
func (d dictionary) disguised(text string) (found []*match.Match) {
	for _, letters := range readings() {
		plain := []byte(text)
		for i, c := range plain {
			if at := strings.IndexByte(masks, c); at >= 0 {
				plain[i] = letters[at]
			}
		}
		for _, m := range d.find(string(plain)) {
			token := text[m.I : m.J+1]
			m.Sub = substitutions(token, string(plain[m.I:m.J+1]))
			if len(m.Sub) > 0 && len(token) > 1 {
				m.Token, m.L33t = token, true
				found = append(found, m)
			}
		}
	}
	return found
}

// substitutions are the signs of a token with the letters that they stand for.
func substitutions(token, plain string) map[string]string {
	subs := map[string]string{}
	for i := range len(token) {
		if token[i] != plain[i] {
			subs[token[i:i+1]] = plain[i : i+1]
		}
	}
	return subs
}
