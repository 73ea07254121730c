package credential

import (
	"bytes"
	"strings"
	"testing"
)

func TestSecretsHaveAForm(t *testing.T) {
	for _, k := range []Kind{Token, App} {
		s := mint(k)
		if len(s) != SecretLength || !strings.HasPrefix(s, k.prefix()) || KindOf([]byte(s)) != k {
			t.Errorf("%s: %q is of kind %q", k, s, KindOf([]byte(s)))
		}
	}
	if got := Kind("other").prefix(); got != "" {
		t.Errorf("an unknown kind has the prefix %q", got)
	}
	// A form that scanners know does not change: this one was made by hand.
	if got := string(appendSum([]byte("pst_" + strings.Repeat("0", randomLen)))); got != "pst_"+strings.Repeat("0", randomLen)+"0O7J8C" {
		t.Errorf("the checksum of zeros makes it %s", got)
	}
}

func TestKindOf(t *testing.T) {
	good := mint(Token)
	flip := func(i int) string {
		b := []byte(good)
		if b[i] == 'x' {
			b[i] = 'y'
		} else {
			b[i] = 'x'
		}
		return string(b)
	}
	for _, tt := range []struct {
		name, secret string
		want         Kind
	}{
		{"a token", good, Token},
		{"nothing", "", ""},
		{"a password", "correct horse battery staple", ""},
		{"the prefix alone", "pst_", ""},
		{"one character short", good[:SecretLength-1], ""},
		{"one too long", good + "0", ""},
		{"a blank before it", " " + good[:SecretLength-1], ""},
		{"the other prefix with this one's sum", "psa_" + good[4:], ""},
		{"no prefix at all", "xyz_" + good[4:], ""},
		{"capitals in the prefix", "PST_" + good[4:], ""},
		{"a mistyped character", flip(10), ""},
		{"a mistyped last character", flip(SecretLength - 1), ""},
		{"a character of base64", string(appendSum([]byte(good[:20] + "-" + good[21:SecretLength-6]))), ""},
		{"a NUL", string(appendSum([]byte(good[:20] + "\x00" + good[21:SecretLength-6]))), ""},
	} {
		if got := KindOf([]byte(tt.secret)); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	secret := []byte(good)
	if n := testing.AllocsPerRun(100, func() { KindOf(secret) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestThreat29PredictableSecrets: every digit occurs, about as often as the others, and
// no secret comes twice.
func TestThreat29PredictableSecrets(t *testing.T) {
	const many = 2000
	seen := map[string]bool{}
	count := map[byte]int{}
	for range many {
		s := mint(Token)
		if seen[s] {
			t.Fatal("the same secret twice")
		}
		seen[s] = true
		for _, c := range []byte(s[prefixLen : prefixLen+randomLen]) {
			count[c]++
		}
	}
	if len(count) != 62 {
		t.Errorf("%d different digits", len(count))
	}
	mean := many * randomLen / 62
	for c, n := range count {
		if n < mean*7/10 || n > mean*13/10 { // eleven standard deviations
			t.Errorf("%q came %d times, the mean is %d", c, n, mean)
		}
	}
}

// FuzzKindOf: what has a form is made of its own characters and checksum alone.
func FuzzKindOf(f *testing.F) {
	f.Add([]byte(mint(Token)))
	f.Add([]byte(mint(App)))
	f.Add([]byte("pst_"))
	f.Add(bytes.Repeat([]byte("0"), SecretLength))
	f.Fuzz(func(t *testing.T, b []byte) {
		k := KindOf(b)
		if k == "" {
			return
		}
		if !bytes.HasPrefix(b, []byte(k.prefix())) || len(b) != SecretLength || string(appendSum(bytes.Clone(b[:SecretLength-sumLen]))) != string(b) {
			t.Errorf("%q was taken for %s", b, k)
		}
	})
}
