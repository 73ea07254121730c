package users

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCheckName(t *testing.T) {
	tests := []struct {
		why, name string
		ok        bool
	}{
		{"a plain name", "alice", true},
		{"a mail address", "alice@example.com", true},
		{"a space inside", "Alice Liddell", true},
		{"other scripts", "Алиса-爱丽丝", true},
		{"a domain before it", `HOUSE\alice`, true},
		{"128 bytes", strings.Repeat("x", 128), true},
		{"nothing", "", false},
		{"129 bytes", strings.Repeat("x", 129), false},
		{"a comma, which parts groups", "a,b", false},
		{"a colon, which parts Basic credentials", "a:b", false},
		{"a line feed", "a\nb", false},
		{"a NUL", "a\x00b", false},
		{"delete", "a\x7fb", false},
		{"a C1 control", "a\u0085b", false},
		{"a line separator", "a\u2028b", false},
		{"text that runs backwards", "a\u202eb", false},
		{"a joiner that nobody sees", "a\u200db", false},
		{"a space that is none", "a\u00a0b", false},
		{"a space in front", " alice", false},
		{"a space behind", "alice ", false},
		{"two spaces", "a  b", false},
		{"not UTF-8", "a\xffb", false},
	}
	for _, tt := range tests {
		if err := CheckName(tt.name); (err == nil) != tt.ok {
			t.Errorf("%s: CheckName(%q) = %v", tt.why, tt.name, err)
		}
	}
}

func TestFold(t *testing.T) {
	for _, pair := range [][2]string{
		{"alice", "ALICE"}, {"alice", " Alice "}, {"straße", "STRASSE"}, {"ﬁona", "FIONA"},
		{"café", "cafe\u0301"}, {"ａｌｉｃｅ", "alice"}, {"Σίσυφος", "ΣΊΣΥΦΟΣ"}, {"K", "\u212A"},
	} {
		if fold(pair[0]) != fold(pair[1]) {
			t.Errorf("%q folds to %q, %q to %q", pair[0], fold(pair[0]), pair[1], fold(pair[1]))
		}
	}
	if fold("alice") == fold("alicе") { // the last letter is Cyrillic
		t.Error("two different letters fold to one")
	}
}

// FuzzCanonical: whatever is typed counts for a name that is bounded, valid and the same
// when it is counted again.
func FuzzCanonical(f *testing.F) {
	d, err := newDirectory("users.yml", []byte(people()), Search{Email: true, CaseInsensitive: true})
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"", "Alice", "0ﷺﷺﷺﷺ", "bob@example.com", strings.Repeat("ﷺ", 100), "a\xff", "\u0345\u0301", "ŉ", "\u1e9e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		c := d.canonical(name)
		if len(c) > maxName || !utf8.ValidString(c) {
			t.Fatalf("%q counts for %q", name, c)
		}
		if again := d.canonical(c); again != c && len(name) < 20 {
			t.Fatalf("%q counts for %q, that for %q", name, c, again)
		}
	})
}
