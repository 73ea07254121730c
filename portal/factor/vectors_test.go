package factor

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"
)

// RFC 6238, appendix B: eight digits, a step of 30 seconds, the secret as long as the hash.
func TestRFC6238Vectors(t *testing.T) {
	secret := func(n int) []byte { return bytes.Repeat([]byte("1234567890"), 7)[:n] }
	seeds := map[string]seed{
		"SHA1":   {Secret: secret(20), Algorithm: "SHA1", Digits: 8, Period: 30},
		"SHA256": {Secret: secret(32), Algorithm: "SHA256", Digits: 8, Period: 30},
		"SHA512": {Secret: secret(64), Algorithm: "SHA512", Digits: 8, Period: 30},
	}
	tests := []struct {
		unix                 int64
		sha1, sha256, sha512 string
	}{
		{59, "94287082", "46119246", "90693936"},
		{1111111109, "07081804", "68084774", "25091201"},
		{1111111111, "14050471", "67062674", "99943326"},
		{1234567890, "89005924", "91819424", "93441116"},
		{2000000000, "69279037", "90698825", "38618901"},
		{20000000000, "65353130", "77737706", "47863826"},
	}
	for _, tt := range tests {
		for name, code := range map[string]string{"SHA1": tt.sha1, "SHA256": tt.sha256, "SHA512": tt.sha512} {
			step, ok, err := seeds[name].match(code, time.Unix(tt.unix, 0), 0, 0)
			if err != nil || !ok || step != tt.unix/30 {
				t.Errorf("%s at %d: step %d, %v, %v", name, tt.unix, step, ok, err)
			}
			if _, ok, _ := seeds[name].match(code, time.Unix(tt.unix+30, 0), 0, 0); ok {
				t.Errorf("%s: the code of %d fits a step later", name, tt.unix)
			}
		}
	}
}

func TestSealBindsTheRow(t *testing.T) {
	keys, err := NewKeys(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	others, err := NewKeys(bytes.Repeat([]byte{8}, 32))
	if err != nil {
		t.Fatal(err)
	}
	row := Row{Kind: "totp", User: "alice", ID: "1"}
	plain := []byte("the secret")
	sealed := keys.Seal(row, plain)
	if got, err := keys.Open(row, sealed); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("Open: %q, %v", got, err)
	}
	if bytes.Equal(sealed, keys.Seal(row, plain)) {
		t.Error("two seals of one text are equal")
	}
	if bytes.Contains(sealed, plain) {
		t.Error("the text is readable")
	}
	flipped := func(i int) []byte { b := bytes.Clone(sealed); b[i] ^= 1; return b }
	tests := []struct {
		name   string
		keys   *Keys
		row    Row
		sealed []byte
	}{
		{"another kind", keys, Row{"webauthn", "alice", "1"}, sealed},
		{"another user", keys, Row{"totp", "bob", "1"}, sealed},
		{"another device", keys, Row{"totp", "alice", "2"}, sealed},
		{"the user's name moved into the kind", keys, Row{"totpalice", "", "1"}, sealed},
		{"another secret", others, row, sealed},
		{"another version", keys, row, flipped(0)},
		{"another nonce", keys, row, flipped(3)},
		{"a changed text", keys, row, flipped(14)},
		{"a changed tag", keys, row, flipped(len(sealed) - 1)},
		{"a part of it", keys, row, sealed[:len(sealed)-1]},
		{"its head alone", keys, row, sealed[:13]},
		{"nothing", keys, row, nil},
	}
	for _, tt := range tests {
		if got, err := tt.keys.Open(tt.row, tt.sealed); !errors.Is(err, errSealed) || got != nil {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
	}
}

func TestKeysHideThemselves(t *testing.T) {
	secret := bytes.Repeat([]byte{0xab}, 32)
	keys, err := NewKeys(secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if got := fmt.Sprintf(verb, *keys); got != "factor.Keys(hidden)" {
			t.Errorf("%s prints the value %.60s", verb, got)
		}
		if got := fmt.Sprintf(verb, keys); got != "factor.Keys(hidden)" {
			t.Errorf("%s prints %.60s", verb, got)
		}
	}
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := NewKeys(make([]byte, n)); err == nil {
			t.Errorf("a secret of %d bytes was taken", n)
		}
	}
}

// FuzzTicket: no text is read but one that was signed here, spelled as it was signed, and
// none panics.
func FuzzTicket(f *testing.F) {
	keys, err := NewKeys(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		f.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	good := keys.sign(forReset, ticket{user: "alice", bound: "hash", expires: now.Add(time.Hour), data: []byte("d")})
	f.Add(good)
	f.Add(good + "A")
	f.Add(good + "\n")
	f.Add("." + good)
	f.Add(good[:len(good)-1])
	f.Add(keys.sign(forNotMe, ticket{user: "alice", bound: "hash", expires: now.Add(time.Hour)}))
	f.Add("")
	f.Add(".")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := keys.read(forReset, text, now)
		if err != nil {
			return
		}
		if s.user != "alice" || string(s.data) != "d" || !s.boundTo("hash") || s.boundTo("") || keys.encode(forReset, s.ticket, s.mac) != text {
			t.Fatalf("%q was read as %+v", text, s.ticket)
		}
	})
}

// Every other spelling of a ticket is refused: each byte changed, cut or added.
func TestTicketHasOneSpelling(t *testing.T) {
	keys, err := NewKeys(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	good := keys.sign(forReset, ticket{user: "alice", bound: "hash", expires: now.Add(time.Hour)})
	if s, err := keys.read(forReset, good, now); err != nil || s.user != "alice" || !s.boundTo("hash") || s.boundTo("hash2") {
		t.Fatalf("%+v, %v", s, err)
	}
	for i := range len(good) + 1 {
		others := []string{good[:i] + "A" + good[i:], good[:i] + "=" + good[i:], good[:i] + "\r\n" + good[i:], good[:i] + " " + good[i:]}
		if i < len(good) {
			others = append(others, good[:i], good[:i]+good[i+1:])
			for _, c := range "AQgw_-.+/" {
				others = append(others, good[:i]+string(c)+good[i+1:])
			}
		}
		for _, text := range others {
			if _, err := keys.read(forReset, text, now); text != good && err != ErrInvalid {
				t.Errorf("%q for %q: %v", text, good, err)
			}
		}
	}
}

// FuzzParseTicket: what the parser accepts is what sign would frame.
func FuzzParseTicket(f *testing.F) {
	f.Add(append([]byte{ticketV1}, make([]byte, 58)...))
	f.Add(append(append([]byte{ticketV1}, make([]byte, 56)...), 2, 'a', 'b', 1, 'c'))
	f.Add(append(append([]byte{ticketV1}, make([]byte, 56)...), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, ok := parseTicket(b)
		if !ok {
			return
		}
		again, ok := parseTicket(appendParts(bytes.Clone(b[:57]), s.user, string(s.data)))
		if !ok || again.user != s.user || !bytes.Equal(again.data, s.data) || again.id != s.id || again.mac != s.mac || !again.expires.Equal(s.expires) {
			t.Fatalf("%x became %+v, then %+v", b, s.ticket, again.ticket)
		}
	})
}
