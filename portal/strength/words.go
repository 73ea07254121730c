package strength

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"io"
	"math"
	"sort"
	"sync"
)

// packed is zxcvbn's lists of passwords, words and names as one, sorted, each word with
// the best of its ranks. It is unpacked when the first password is judged: most
// installations start more often than a password is changed. A word is the number of
// bytes that it shares with the one before, the others, and 0x80 plus twice the binary
// logarithm of its rank.
//
//go:embed words.gz
var packed []byte

// longest is how long a word of the list may be, in bytes.
const longest = 32

// list is the list, unpacked.
type list struct {
	words []string // sorted
	steps []uint8  // of the rank, in half octaves
}

// theList unpacks the list once.
var theList = sync.OnceValue(func() *list {
	l, err := unpack(packed)
	if err != nil {
		return &list{} // a test unpacks what is built in
	}
	return l
})

func unpack(packed []byte) (*list, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	l := &list{}
	var word [longest]byte
	n, fresh := 0, true
	for _, b := range raw {
		switch {
		case fresh:
			n, fresh = int(b), false
			if n >= longest {
				return nil, io.ErrUnexpectedEOF
			}
		case b >= 0x80:
			l.words, l.steps = append(l.words, string(word[:n])), append(l.steps, b&0x7f)
			fresh = true
		case n >= longest:
			return nil, io.ErrUnexpectedEOF
		default:
			word[n] = b
			n++
		}
	}
	return l, nil
}

// rank is how soon a word is tried, 1 for the first; 0 when it is not in the list.
func (l *list) rank(word string) int {
	if len(word) > longest {
		return 0
	}
	i := sort.SearchStrings(l.words, word)
	if i == len(l.words) || l.words[i] != word {
		return 0
	}
	return int(math.Exp2(float64(l.steps[i]) / 2))
}
