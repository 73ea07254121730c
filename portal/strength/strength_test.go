package strength

import (
	"strings"
	"testing"
)

// alice is what is known of her.
var alice = []string{"alice", "alice liddell", "liddell", "a.liddell@rabbithole.example", "rabbithole", "example", "Postern"}

func TestJudge(t *testing.T) {
	for _, tt := range []struct {
		name, password string
		want           Fault
	}{
		{"nothing", "", Short},
		{"a good one that is short", "xK9$vQ2!pZ7", Short},
		{"characters count, not bytes", "ääääöööüüü", Short},
		{"one that everybody tries", "passwordpassword", Weak},
		{"a row of keys", "qwertyuiop[]", Weak},
		{"one letter", strings.Repeat("a", 60), Weak},
		{"a year and a word", "summer2024summer2024", Weak},
		{"a date, twice", "31.12.199131.12.1991", Weak},
		{"the alphabet backwards", "zyxwvutsrqponm", Weak},
		{"one's name", "AliceLiddell1", Personal},
		{"one's names in a row", "Alice Liddell alice@rabbithole.example", Personal},
		{"one's mail domain", "rabbithole.example", Personal},
		{"the name of the site", "postern-postern", Personal},
		{"four odd words", "seven odd lanterns hum", Fine},
		{"a name among odd words", "seven odd lanterns hum for alice", Fine},
		{"letters of another alphabet", "жёлтый трамвай едет", Fine},
		{"a random one", "xK9$vQ2!pZ7mR", Fine},
		{"a long one is judged by its beginning", strings.Repeat("a", 80) + "xK9$vQ2!pZ7mR", Weak},
		{"longer than can be checked", strings.Repeat("xK9$vQ2!pZ7mR", 100), Long},
		{"not text", "xK9$vQ2!pZ7mR\xff", Unusable},
		{"a NUL", "xK9$vQ2!p\x00Z7mR", Unusable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := DefaultConfig().Judge(tt.password, alice); got.Fault != tt.want {
				t.Errorf("%+v, want fault %v", got, tt.want)
			}
		})
	}
	if got := (Config{MinLength: 8, MinScore: 0}).Judge("password", nil); got != (Judgement{Score: 0}) {
		t.Errorf("where anything goes: %+v", got)
	}
	if got := (Config{MinLength: 8, MinScore: 4}).Judge("password", nil); got.Fault != Common {
		t.Errorf("the commonest of all: %+v", got)
	}
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    Config
		want string
	}{
		{"the default", DefaultConfig(), ""},
		{"shorter than is sensible", Config{7, 3}, "passwords.min_length: 7 is not between 8 and 64"},
		{"longer than people type", Config{65, 3}, "passwords.min_length: 65 is not between 8 and 64"},
		{"no score of zxcvbn", Config{8, 5}, "passwords.min_score: 5 is not between 0 and 4"},
		{"both", Config{0, -1}, "passwords.min_length: 0 is not between 8 and 64\npasswords.min_score: -1 is not between 0 and 4"},
	} {
		got := ""
		if err := tt.c.Validate(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestDates(t *testing.T) {
	for token, want := range map[string]day{
		"31.12.1991": {1991, 12, 31}, "1991-12-31": {1991, 12, 31}, "12/31/91": {1991, 12, 31}, "311291": {1991, 12, 31},
		"19911231": {1991, 12, 31}, "1.1.01": {2001, 1, 1}, "010203": {2003, 2, 1}, "1191": {2001, 1, 19}, "2015_06_04": {2015, 4, 6},
	} {
		if got, _, ok := date(token); !ok || got != want {
			t.Errorf("%q: %+v, %v, want %+v", token, got, ok, want)
		}
	}
	for _, token := range []string{"", "abcd", "32.13.1991", "1.2", "1.2.3.4", "99999999", "1..1991", "1-1/1991", "00.00.1991", "12345678901", "１２３４"} {
		if got, _, ok := date(token); ok {
			t.Errorf("%q is a date: %+v", token, got)
		}
	}
}

func TestRepeats(t *testing.T) {
	for text, want := range map[string]string{
		"aaa": "a*3", "abab": "ab*2", "aabaab": "aab*2", "xabcabcx": "abc*2", "aabaabaabaab": "aab*4", "ababc": "ab*2", "ßßß": "ß*3", "abc": "", "": "",
	} {
		got := ""
		for _, m := range repeats(text) {
			got += m.BaseToken + "*" + string(rune('0'+m.RepeatCount))
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// FuzzJudge: no password panics, one that is fine is as long and as good as the policy
// asks, and what is known of the user never makes it better.
func FuzzJudge(f *testing.F) {
	for _, s := range []string{"", "password", "qwertyuiop[]", "1111111111111", "p4ssw0rd", "19.12.1997", "жёлтый", "\x00", "\xff", "aAaAaAaAaAaA", "alicealice", "ⱯⱯ"} {
		f.Add(s)
	}
	c := DefaultConfig()
	f.Fuzz(func(t *testing.T, password string) {
		got := c.Judge(password, alice)
		if got.Score < 0 || got.Score > 4 {
			t.Fatalf("%q: %+v", password, got)
		}
		if plain := c.Judge(password, nil); got.Score > plain.Score || got.Fault == Fine && plain.Fault != Fine {
			t.Fatalf("%q: %+v, and %+v of somebody else's", password, got, plain)
		}
		if got.Fault == Fine && (len(password) < c.MinLength || got.Score < c.MinScore) {
			t.Fatalf("%q is fine: %+v", password, got)
		}
	})
}
