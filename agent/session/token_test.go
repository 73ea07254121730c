package session

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func testMinter(b byte) *minter { return &minter{key: bytes.Repeat([]byte{b}, keyLen)} }

func TestTokenIsIssued(t *testing.T) {
	m := testMinter(1)
	token := m.mint()
	if len(token) != TokenLength {
		t.Errorf("token has %d characters, want %d", len(token), TokenLength)
	}
	if !m.issued([]byte(token)) {
		t.Errorf("%q was just issued and is refused", token)
	}
	for i := range len(token) {
		c := token[i]
		lower := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !lower && (i < selectorLen || !(c >= 'A' && c <= 'Z' || c == '-' || c == '_')) {
			t.Errorf("character %d of %q does not belong there", i, token)
		}
	}
}

func TestJunkIsNotIssued(t *testing.T) {
	m := testMinter(1)
	token := m.mint()
	upper := strings.ToUpper(token[:selectorLen]) + token[selectorLen:]
	for _, tt := range []struct{ name, token string }{
		{"nothing", ""},
		{"one character less", token[:TokenLength-1]},
		{"one character more", token + "A"},
		{"issued under another key", testMinter(2).mint()},
		{"the selector in upper case", upper},
		{"the selector of another token", m.mint()[:selectorLen] + token[selectorLen:]},
		{"the MAC of another token", token[:TokenLength-20] + m.mint()[TokenLength-20:]},
		{"line break for a character", token[:40] + "\n" + token[41:]},
		{"line breaks alone", strings.Repeat("\n", TokenLength)},
		{"padding", token[:TokenLength-2] + "=="},
		{"standard base64", token[:TokenLength-1] + "+"},
		{"zeros", strings.Repeat("\x00", TokenLength)},
		{"binary", strings.Repeat("\xff", TokenLength)},
		{"a space before", " " + token[:TokenLength-1]},
	} {
		if m.issued([]byte(tt.token)) {
			t.Errorf("%s: %q is taken for issued", tt.name, tt.token)
		}
	}
}

func TestEveryCharacterOfATokenCounts(t *testing.T) {
	m := testMinter(1)
	token := []byte(m.mint())
	for i := range token {
		for bit := range 8 {
			token[i] ^= 1 << bit
			if m.issued(token) {
				t.Errorf("bit %d of character %d does not count", bit, i)
			}
			token[i] ^= 1 << bit
		}
	}
}

func TestWithoutAKeyNothingIsIssued(t *testing.T) {
	for _, key := range [][]byte{nil, {}, make([]byte, keyLen-1)} {
		m := &minter{key: key}
		if m.issued([]byte(m.mint())) {
			t.Errorf("a key of %d bytes issues tokens", len(key))
		}
	}
}

// TestThreat29PredictableTokens: no part of a token repeats or stays, save by the rules
// of its alphabet.
func TestThreat29PredictableTokens(t *testing.T) {
	const n = 20000
	m := testMinter(1)
	selectors, verifiers := map[string]bool{}, map[string]bool{}
	var seen [TokenLength][256]int
	for range n {
		token := m.mint()
		selectors[token[:selectorLen]] = true
		verifiers[token[selectorLen:selectorLen+26]] = true
		for i := range len(token) {
			seen[i][token[i]]++
		}
	}
	if len(selectors) != n || len(verifiers) != n {
		t.Errorf("of %d tokens %d selectors and %d verifiers are distinct", n, len(selectors), len(verifiers))
	}
	for i := range seen {
		size := 64
		if i < selectorLen {
			size = 32
		}
		used := 0
		for _, count := range seen[i] {
			if count > 0 {
				used++
			}
			if count > 2*n/size {
				t.Errorf("character %d is the same in %d of %d tokens", i, count, n)
			}
		}
		if used != size {
			t.Errorf("character %d takes %d values, want %d", i, used, size)
		}
	}
}

// FuzzIssued: whatever is not a token of this key is refused, and never kept or asked
// for; Find and Load agree on it.
func FuzzIssued(f *testing.F) {
	m := testMinter(1)
	f.Add([]byte(testMinter(2).mint()))
	f.Add([]byte(strings.Repeat("a", TokenLength)))
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, token []byte) {
		before := bytes.Clone(token)
		if m.issued(token) {
			t.Fatalf("%q has a right MAC: the key is guessed", token)
		}
		table := &Table{Config: DefaultConfig(), Key: m.key}
		if e, r := table.Find(token, "example.com", time.Unix(0, 0)); e != nil || r != None {
			t.Fatalf("Find of %q: %v", token, r)
		}
		if e, r, err := table.Load(t.Context(), token, "example.com"); e != nil || r != None || err != nil {
			t.Fatalf("Load of %q: %v, %v", token, r, err)
		}
		if !bytes.Equal(before, token) {
			t.Fatal("the token was changed")
		}
	})
}

func TestFindAllocatesNothing(t *testing.T) {
	table, tokens := filled(t, 1000)
	unseen := []byte(table.memory().minter.mint())
	unknown := []byte(table.memory().minter.mint())
	table.memory().unknown.add(string(unknown), 0)
	junk := bytes.Clone(tokens[0])
	junk[20] ^= 1
	now := time.Now()
	for _, tt := range []struct {
		name   string
		token  []byte
		domain string
		want   Result
	}{
		{"a session in memory", tokens[3], "example.com", Hit},
		{"a session of another domain", tokens[3], "example.org", None},
		{"no token", nil, "example.com", None},
		{"junk over a known selector", junk, "example.com", None},
		{"junk", bytes.Repeat([]byte("a"), TokenLength), "example.com", None},
		{"a token that was never seen", unseen, "example.com", Miss},
		{"a token that is known to be nothing", unknown, "example.com", None},
	} {
		got := None
		allocs := testing.AllocsPerRun(100, func() { _, got = table.Find(tt.token, tt.domain, now) })
		if got != tt.want {
			t.Errorf("%s: result %d, want %d", tt.name, got, tt.want)
		}
		if allocs != 0 && !raceEnabled {
			t.Errorf("%s: %v allocations", tt.name, allocs)
		}
	}
}
