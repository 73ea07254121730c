package strength

import (
	"bytes"
	"compress/gzip"
	"flag"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/trustelem/zxcvbn/frequency"
)

var update = flag.Bool("update", false, "rewrite words.gz")

// ranks are the best ranks of zxcvbn's words.
func ranks() map[string]int {
	best := map[string]int{}
	for _, list := range frequency.FrequencyLists {
		for i, w := range list {
			if r, ok := best[w]; !ok || i+1 < r {
				best[w] = i + 1
			}
		}
	}
	return best
}

// TestWords holds what is built in to zxcvbn's own lists; -update packs them anew.
func TestWords(t *testing.T) {
	best := ranks()
	if *update {
		if err := os.WriteFile("words.gz", pack(t, best), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Skip("run again to test what was written")
	}
	l, err := unpack(packed)
	if err != nil {
		t.Fatal(err)
	}
	if len(l.words) != len(best) || !slices.IsSorted(l.words) {
		t.Fatalf("%d words, want %d, in order", len(l.words), len(best))
	}
	for _, w := range l.words {
		got, want := l.rank(w), best[w]
		if got < 1 || got > want || want > got*2 {
			t.Fatalf("%q has rank %d, want %d", w, got, want)
		}
	}
	for _, w := range []string{"", "passwor", "zzzzzzzz", strings.Repeat("a", 100)} {
		if r := l.rank(w); r != 0 && best[w] == 0 {
			t.Errorf("%q has rank %d and is in no list", w, r)
		}
	}
}

func pack(t *testing.T, best map[string]int) []byte {
	t.Helper()
	words := make([]string, 0, len(best))
	for w := range best {
		if len(w) >= longest || strings.ContainsFunc(w, func(r rune) bool { return r >= 0x80 }) {
			t.Fatalf("%q does not fit", w)
		}
		words = append(words, w)
	}
	slices.Sort(words)
	var raw, packed bytes.Buffer
	last := ""
	for _, w := range words {
		same := 0
		for same < len(w) && same < len(last) && w[same] == last[same] {
			same++
		}
		raw.WriteByte(byte(same))
		raw.WriteString(w[same:])
		raw.WriteByte(0x80 | byte(2*math.Log2(float64(best[w]))))
		last = w
	}
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(raw.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// FuzzUnpack: no bytes panic.
func FuzzUnpack(f *testing.F) {
	f.Add([]byte("\x00a\x80\x01b\x81"))
	f.Add([]byte{31, 'a', 'b', 0x80})
	f.Add([]byte{200})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(raw)
		_ = z.Close()
		if l, err := unpack(b.Bytes()); err == nil && len(l.words) != len(l.steps) {
			t.Fatalf("%d words, %d steps", len(l.words), len(l.steps))
		}
	})
}
