package users

import (
	"strings"
	"testing"
)

// vectors are hashes made by other programs: libxcrypt, CPython's hashlib, and the
// reference implementation of argon2. None was made by this package or go-crypt.
var vectors = []struct{ kind, password, hash string }{
	{"argon2id, reference", "password", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"},
	{"argon2i, reference", "password", "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA"},
	{"bcrypt, libxcrypt", "correct horse", "$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2"},
	{"bcrypt as PHP and Apache mark it", "correct horse", "$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2"},
	{"bcrypt as the oldest mark it", "correct horse", "$2a$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2"},
	{"bcrypt over HMAC-SHA256, libxcrypt and hashlib", "correct horse", "$bcrypt-sha256$v=2,t=2b,r=5$abcdefghijklmnopqrstuu$z/ZOR6j/mKW80LoaiDuyrjDzJLu/X92"},
	{"sha256crypt with rounds, libxcrypt", "correct horse", "$5$rounds=10000$saltstring$ggJFhqdTxePyBHLQYFUkzFoOn.JeJ0OPTPpSZXyvS/3"},
	{"sha512crypt without rounds, libxcrypt", "correct horse", "$6$saltstring$.r0X7ub5wGR2v4Xz7svCIozfnlorFh19V89t8KC9Umd81uGhFgsyTRNyzQDXDIm17fFcR9z3z7oBNdsyYBbtm/"},
	{"yescrypt, libxcrypt", "correct horse", "$y$j75$F5Jx5fExrKuPp53xLKQ..1$aEFV0VcEI5Jx.rzUhLbfRgipTKSbuNF0ldHPkDpnco3"},
	{"scrypt, hashlib", "correct horse", "$scrypt$ln=12,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$/jx4uMnBLEcnyBJyK5rKAfmnFbwMBoBPE5YY+OEpHOo"},
	{"pbkdf2 with sha1, hashlib", "correct horse", "$pbkdf2-sha1$20000$MDEyMzQ1Njc4OWFiY2RlZg$3j/kSXDCFGf.gK.IC5hDJD7B63c"},
	{"pbkdf2 with sha1, named briefly", "correct horse", "$pbkdf2$20000$MDEyMzQ1Njc4OWFiY2RlZg$3j/kSXDCFGf.gK.IC5hDJD7B63c"},
	{"pbkdf2 with sha224, hashlib", "correct horse", "$pbkdf2-sha224$20000$MDEyMzQ1Njc4OWFiY2RlZg$ZyGkj5rqd4BEli7fh9mlsB328L4D/h.vx4btMg"},
	{"pbkdf2 with sha256, hashlib", "correct horse", "$pbkdf2-sha256$20000$MDEyMzQ1Njc4OWFiY2RlZg$B3wSUJ5W6ui2SZcJK4iHhw7b0KOV4rJ.bqiu44A3R.8"},
	{"pbkdf2 with sha384, hashlib", "correct horse", "$pbkdf2-sha384$20000$MDEyMzQ1Njc4OWFiY2RlZg$AwYwJWTNnIVnEs4L/olhOjqAMEv0ms4etnNLVYIplsaky3yALHJ5uxKnblVIae/k"},
	{"pbkdf2 with sha512, hashlib", "correct horse", "$pbkdf2-sha512$20000$MDEyMzQ1Njc4OWFiY2RlZg$RXvVwV.1nQeX5AO1/6Q2PzsLpW6hOBjDAXiBbrsUD/C2DCZBsYYVDAHlZ6NrP.2ZhW0YHfEHs6YYTOxFvk1SvQ"},
	{"with the prefix that LDAP uses", "correct horse", "{CRYPT}$5$rounds=10000$saltstring$ggJFhqdTxePyBHLQYFUkzFoOn.JeJ0OPTPpSZXyvS/3"},
}

func TestVerifyVectors(t *testing.T) {
	for _, tt := range vectors {
		t.Run(tt.kind, func(t *testing.T) {
			for _, p := range []struct {
				password string
				want     bool
			}{{tt.password, true}, {tt.password + "x", false}, {"", false}} {
				got, err := Verify(tt.hash, p.password)
				if err != nil || got != p.want {
					t.Errorf("Verify(%q) = %v, %v, want %v", p.password, got, err, p.want)
				}
			}
		})
	}
}

func TestHash(t *testing.T) {
	one, err := Hash("pässword 密码")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(one, "$argon2id$v=19$m=65536,t=3,p=4$") {
		t.Errorf("hash %q, want the second choice of RFC 9106", one)
	}
	if ok, err := Verify(one, "pässword 密码"); !ok || err != nil {
		t.Errorf("Verify = %v, %v, want true", ok, err)
	}
	if ok, _ := Verify(one, "passwort"); ok {
		t.Error("another password fits")
	}
	if two, _ := Hash("pässword 密码"); two == one {
		t.Error("two hashes of one password are equal; the salt is not random")
	}
}

func TestHashRefuses(t *testing.T) {
	for name, password := range map[string]string{
		"nothing":           "",
		"a NUL":             "abc\x00def",
		"no UTF-8":          "abc\xff",
		"1025 bytes":        strings.Repeat("x", 1025),
		"a megabyte":        strings.Repeat("x", 1<<20),
		"only a NUL inside": "\x00",
	} {
		if h, err := Hash(password); err == nil {
			t.Errorf("%s was hashed: %s", name, h)
		}
	}
	if _, err := Hash(strings.Repeat("x", MaxPassword)); err != nil {
		t.Errorf("%d bytes: %v", MaxPassword, err)
	}
}

func TestParseHashRefuses(t *testing.T) {
	const salt, key = "MDEyMzQ1Njc4OWFiY2RlZg", "B3wSUJ5W6ui2SZcJK4iHhw7b0KOV4rJbqiu44A3R8AA"
	tests := []struct{ name, hash, want string }{
		{"nothing", "", "plain text"},
		{"a password in plain text", "hunter2", "plain text"},
		{"plain text in disguise", "$plaintext$hunter2", "unknown kind"},
		{"plain text in base64", "$base64$aHVudGVyMg", "unknown kind"},
		{"md5crypt", "$1$saltstri$qdUYtQVUFFNzuBvdAvVkC/", "unknown kind"},
		{"an LDAP scheme", "{SSHA}abcdef", "cannot be decoded"},
		{"a hash that was cut", "$argon2id$v=19$m=65536,t=3,p=4$" + salt, "cannot be decoded"},
		{"a sha2crypt that was cut", "$6$saltstring$.r0X7ub5wGR2v4Xz7svCIozfnlor", "characters of sha2crypt"},
		{"a bcrypt that was cut", "$2b$10$abcdefghijklmnopqrstuu23JPZtHcGhw", "cannot be decoded"},
		{"a key of one byte", "$argon2id$v=19$m=65536,t=3,p=4$" + salt + "$AA", "key of 1 bytes"},
		{"a salt of one byte", "$argon2id$v=19$m=65536,t=3,p=4$AA$" + key, "salt of 1 bytes"},
		{"too long to be true", "$argon2id$v=19$m=65536,t=3,p=4$" + salt + "$" + strings.Repeat("A", 600), "512 bytes"},
		{"argon2 of 2 GiB", "$argon2id$v=19$m=2097152,t=1,p=4$" + salt + "$" + key, "out of bounds"},
		{"argon2 of 4 billion passes", "$argon2id$v=19$m=65536,t=4294967295,p=4$" + salt + "$" + key, "out of bounds"},
		{"argon2 of 4 billion threads", "$argon2id$v=19$m=65536,t=1,p=4294967295$" + salt + "$" + key, "out of bounds"},
		{"argon2 of another version", "$argon2id$v=16$m=65536,t=3,p=4$" + salt + "$" + key, "cannot be decoded"},
		{"bcrypt of cost 31", "$2b$31$abcdefghijklmnopqrstuu23JPZtHcGhwXSF41f93o/7vBdDut3Xu", "out of bounds"},
		{"bcrypt of cost -1", "$2b$-1$abcdefghijklmnopqrstuu23JPZtHcGhwXSF41f93o/7vBdDut3Xu", "out of bounds"},
		{"bcrypt of cost 3, which means 10", "$2b$03$abcdefghijklmnopqrstuu23JPZtHcGhwXSF41f93o/7vBdDut3Xu", "out of bounds"},
		{"scrypt of 2^30", "$scrypt$ln=30,r=8,p=1$" + salt + "$" + key, "out of bounds"},
		{"scrypt of a negative power", "$scrypt$ln=-1,r=8,p=1$" + salt + "$" + key, "out of bounds"},
		{"scrypt in too many lanes", "$scrypt$ln=14,r=8,p=1000000$" + salt + "$" + key, "out of bounds"},
		{"yescrypt of 4 GiB", "$y$jJT$F5Jx5fExrKuPp53xLKQ..1$zwtVrjrUCmXcyLTs6oxLTQlzifSUkF8RHJ./tK5KU79", "out of bounds"},
		{"pbkdf2 of two billion", "$pbkdf2-sha512$2000000000$" + salt + "$" + strings.ReplaceAll(key, "+", "."), "out of bounds"},
		{"pbkdf2 of one", "$pbkdf2-sha512$1$" + salt + "$" + key, "out of bounds"},
		{"sha2crypt of a billion rounds", "$6$rounds=999999999$saltstring$.r0X7ub5wGR2v4Xz7svCIozfnlorFh19V89t8KC9Umd81uGhFgsyTRNyzQDXDIm17fFcR9z3z7oBNdsyYBbtm/", "out of bounds"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseHash(tt.hash)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one with %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), salt) {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
}

// FuzzParseHash: no text panics, and whatever is accepted can be checked within bounds.
func FuzzParseHash(f *testing.F) {
	for _, v := range vectors {
		f.Add(v.hash)
	}
	f.Add("$argon2id$v=19$m=8,t=1,p=1$$")
	f.Add("$y$$$")
	f.Add("{PBKDF2}1$a$b")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseHash(text)
		if err != nil {
			return
		}
		if h.memory < 1 || h.memory > maxMemory || h.kind == "" {
			t.Fatalf("%q: cost %+v", text, h.cost)
		}
		if again, err := parseHash(h.digest.Encode()); err != nil || again.kind != h.kind {
			t.Fatalf("%q: read again as %v, %v", text, again, err)
		}
	})
}
