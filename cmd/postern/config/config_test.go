package config

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func env(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

const eightLines = `domains:
  - domain: example.com
    portal: https://auth.example.com
users: {file: users.yml}
access_control:
  default_policy: deny
  rules:
    - {domain: wiki.example.com, policy: one_factor}
`

// TestFaults holds what people see of a broken file: every fault, each with its place.
func TestFaults(t *testing.T) {
	files, err := filepath.Glob("testdata/faults/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Parse("postern.yml", data, env("DOMAIN", "example.com"))
			var faults Faults
			if !errors.As(err, &faults) {
				t.Fatalf("error %v, want Faults", err)
			}
			got := []byte(faults.Error() + "\n")
			golden := strings.TrimSuffix(file, ".yml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s differs; run go test ./cmd/postern/config -update and read the diff\n%s", golden, got)
			}
		})
	}
}

func TestEightLinesAreEnough(t *testing.T) {
	c, err := Parse("/etc/postern/postern.yml", []byte(eightLines), env())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ what, got, want string }{
		{"the users file is relative to the configuration", c.Users[0].File, "/etc/postern/users.yml"},
		{"the store has a place", c.Store, "sqlite:/var/lib/postern/postern.db"},
		{"the control socket is beside the store", c.Control, "/var/lib/postern/control.sock"},
		{"the secret has a place", c.Secret.File, "/var/lib/postern/secret"},
		{"the agent has a socket", c.Agent.Listen, "unix:/run/postern/agent.sock"},
		{"identity headers have their known names", c.Headers.User, "Remote-User"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %q, want %q", tt.what, tt.got, tt.want)
		}
	}
	if c.Session.Lifetime != 12*time.Hour {
		t.Errorf("lifetime %v, want 12h", c.Session.Lifetime)
	}
}

func TestRelativePaths(t *testing.T) {
	text := eightLines + `store: sqlite:data/postern.db
secret: {file: secret}
agent: {listen: "unix:agent.sock"}
portal: {listen: "unix:portal.sock"}
`
	c, err := Parse("/srv/sso/postern.yml", []byte(text), env())
	if err != nil {
		t.Fatal(err)
	}
	got := []string{c.Store, c.Secret.File, c.Agent.Listen, c.Portal.Listen, c.Control}
	want := []string{"sqlite:/srv/sso/data/postern.db", "/srv/sso/secret", "unix:/srv/sso/agent.sock", "unix:/srv/sso/portal.sock", "/srv/sso/data/control.sock"}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%q, want %q", got[i], want[i])
		}
	}
}

func TestEnvironment(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"a variable stands for its value", "${DIR}/u.yml", "/srv/u.yml"},
		{"two in one value", "${DIR}/${NAME}", "/srv/bob"},
		{"two dollars stand for one", "/x/$${DIR}", "/x/${DIR}"},
		{"a dollar alone is a dollar", "/x/$DIR", "/x/$DIR"},
		{"a value is not read again", "/x${NESTED}", "/x${DIR}"},
		{"a value cannot become YAML", "/${YAML}", "/a, other: b}\nusers: {file: c}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(eightLines, "users.yml", `"`+tt.in+`"`, 1)
			c, err := Parse("postern.yml", []byte(text), env("DIR", "/srv", "NAME", "bob", "NESTED", "${DIR}", "YAML", "a, other: b}\nusers: {file: c}"))
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Users[0].File; got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// TestSecretsAreNotShown: the line of a fault is printed, but not when it holds a secret.
func TestSecretsAreNotShown(t *testing.T) {
	_, err := Parse("postern.yml", []byte(eightLines+"secret: hunter2\n"), env())
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), ":9:9: secret: is shorter") {
		t.Errorf("error %v", err)
	}
}

// TestSecretFilesAreBounded: a file without an end is refused, not read to it.
func TestSecretFilesAreBounded(t *testing.T) {
	const mail = "mail: {smtp: {address: 'submissions://mail.example.com', sender: a@example.com, username: a, password: {file: /dev/zero}}}\n"
	_, err := Parse("postern.yml", []byte(eightLines+mail), env())
	if err == nil || !strings.Contains(err.Error(), ":9:111: mail.smtp.password: /dev/zero holds more than 65536 bytes") {
		t.Errorf("error %v", err)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(filepath.Join(dir, "none.yml"), env()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	big := filepath.Join(dir, "big.yml")
	if err := os.WriteFile(big, bytes.Repeat([]byte("# comment\n"), MaxSize/10+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(big, env()); err == nil || !strings.Contains(err.Error(), "larger than 4 MiB") {
		t.Errorf("a huge file: %v", err)
	}
	if _, err := Parse("x.yml", []byte("a: \x00"), env()); err == nil || !strings.Contains(err.Error(), "NUL") {
		t.Errorf("a binary file: %v", err)
	}
}

func TestCheckFindsTheLine(t *testing.T) {
	c, err := Parse("postern.yml", []byte(eightLines), env())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, err, want string }{
		{"a value", "users.file: no such file", "postern.yml:4:15: users.file: no such file"},
		{"a key inside a list", "access_control.rules[0].policy: is odd", "postern.yml:8:42: access_control.rules[0].policy: is odd"},
		{"what is not in the file shows what holds it", "access_control.rules[0].query[1].key: is odd", "postern.yml:8:7: access_control.rules[0].query[1].key: is odd"},
		{"no key path at all", "the sky is falling", "postern.yml: the sky is falling"},
		{"a word that is no key", "open: the sky is falling", "postern.yml: open: the sky is falling"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := c.Check(errors.New(tt.err))
			if first, _, _ := strings.Cut(got.Error(), "\n"); first != tt.want {
				t.Errorf("%q, want %q", first, tt.want)
			}
		})
	}
	if err := c.Check(nil); err != nil {
		t.Errorf("nil became %v", err)
	}
}

func TestNearest(t *testing.T) {
	words := []string{"domain", "domain_regex", "policy", "subject", "networks"}
	for _, tt := range []struct{ word, want string }{
		{"polcy", "policy"}, {"domian", "domain"}, {"Policy", "policy"}, {"network", "networks"},
		{"net", "networks"}, {"zzz", ""}, {"", ""}, {strings.Repeat("p", 200), ""},
	} {
		if got := Nearest(tt.word, words); got != tt.want {
			t.Errorf("Nearest(%q) = %q, want %q", tt.word, got, tt.want)
		}
	}
}

// FuzzParse: no input panics or hangs; what is refused is refused with Faults whose lines
// are in the file.
func FuzzParse(f *testing.F) {
	f.Add(eightLines)
	f.Add("a: &a [*a]\n")
	f.Add("domains: [{domain: x, portal: ${Y}}]\nsecret: {file: [}\n")
	f.Add("? [a]\n: b\n")
	f.Add("\"a\x7f\": 'b\n\n c'\n")
	f.Fuzz(func(t *testing.T, text string) {
		_, err := Parse("f.yml", []byte(text), env())
		if err == nil {
			return
		}
		var faults Faults
		if !errors.As(err, &faults) || len(faults) == 0 {
			t.Fatalf("%T %v", err, err)
		}
		lines := strings.Count(text, "\n") + 1
		for _, fault := range faults {
			if fault.Line < 0 || fault.Line > lines || fault.Message == "" {
				t.Fatalf("%+v of %d lines", fault, lines)
			}
		}
		_ = faults.Error()
	})
}

// TestAutheliasRulesArePasted: a block of rules in the grammar of Authelia's users is read as it is.
func TestAutheliasRulesArePasted(t *testing.T) {
	c, err := Load("testdata/authelia.yml", env())
	if err != nil {
		t.Fatal(err)
	}
	r := c.Access.Rules
	if len(r) != 12 || len(r[1].Networks) != 4 || len(r[7].Subject) != 2 || len(r[7].Subject[0]) != 2 || len(r[11].Query) != 2 || len(c.Access.Networks) != 2 {
		t.Errorf("%d rules, %d networks: %+v", len(r), len(c.Access.Networks), r)
	}
}

// TestThreat14NothingIsIgnored: a key that is misspelt anywhere is a fault, at every depth
// and in every spelling that YAML has for it. A rule that lost its subject would let in more.
func TestThreat14NothingIsIgnored(t *testing.T) {
	for _, tt := range []struct{ name, text string }{
		{"at the root", eightLines + "acess_control: {}\n"},
		{"in another case", strings.Replace(eightLines, "policy: one_factor", "Policy: one_factor", 1)},
		{"in a rule", strings.Replace(eightLines, "policy: one_factor", `policy: one_factor, subjects: "group:a"`, 1)},
		{"quoted", strings.Replace(eightLines, "policy: one_factor", `policy: one_factor, "subject ": "group:a"`, 1)},
		{"escaped", strings.Replace(eightLines, "policy: one_factor", `policy: one_factor, "sub\u200bject": "group:a"`, 1)},
		{"behind an alias", strings.Replace(eightLines, "portal: https", "x-rule: &r {domian: a.example.com}\n    portal: https", 1)},
		{"through a merge key", strings.Replace(eightLines, "{domain: wiki", `{<<: {subject: "group:a"}, domain: wiki`, 1)},
		{"a key that is a list", eightLines + "? [a, b]\n: c\n"},
		{"a rule that is text", strings.Replace(eightLines, "{domain: wiki.example.com, policy: one_factor}", "wiki.example.com", 1)},
		{"a policy that is a number", strings.Replace(eightLines, "policy: one_factor", "policy: 1", 1)},
		{"a rule without a policy", strings.Replace(eightLines, ", policy: one_factor", "", 1)},
		{"a policy without a value", strings.Replace(eightLines, "policy: one_factor", "policy:", 1)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Parse("postern.yml", []byte(tt.text), env()); err == nil {
				t.Errorf("was read:\n%s", tt.text)
			}
		})
	}
}

// TestAliases stand for the whole value, wherever a value may stand.
func TestAliases(t *testing.T) {
	text := `domains:
  - domain: &d example.com
    portal: https://auth.example.com
  - domain: example.org
    portal: https://auth.example.org
users: {file: users.yml}
access_control:
  rules:
    - {domain: *d, policy: &p one_factor, networks: &n [10.0.0.0/8]}
    - {domain: www.example.org, policy: *p, networks: *n}
`
	c, err := Parse("postern.yml", []byte(text), env())
	if err != nil {
		t.Fatal(err)
	}
	r := c.Access.Rules
	if len(r) != 2 || r[0].Domain[0] != "example.com" || r[1].Policy != r[0].Policy || len(r[1].Networks) != 1 {
		t.Errorf("%+v", r)
	}
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 8 {
		refs := strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", ")
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, refs)
	}
	if _, err := Parse("postern.yml", []byte(bomb), env()); err == nil || !strings.Contains(err.Error(), "its aliases multiply") {
		t.Errorf("a billion values: %.200v", err)
	}
}

// TestRisks: each is reported for what is risky, and not for what is not.
func TestRisks(t *testing.T) {
	base := strings.Replace(eightLines, "auth.example.com\n", "auth.example.com\n    home: https://www.example.com\n", 1)
	for _, tt := range []struct{ name, add, want string }{
		{"nothing", "", ""},
		{"loopback", "agent: {listen: 127.0.0.1:9100}\nportal: {listen: \"[::1]:9080\"}\n", ""},
		{"an agent that everybody reaches", "agent: {listen: 10.0.0.1:9100}\n", "agent.listen: whoever reaches"},
		{"a portal that everybody reaches", "portal: {listen: \":9080\"}\n", "portal.listen: :9080 can be reached past HAProxy"},
		{"proxies that are everybody", "portal: {trusted_proxies: [\"::/0\"]}\n", "portal.trusted_proxies[0]: ::/0"},
		{"nobody is exempt", "regulation: {failures: 3, exempt: []}\n", ""},
		{"somebody is exempt", "regulation: {exempt: [10.0.0.0/8]}\n", "regulation.exempt[0]: whoever is in 10.0.0.0/8 guesses"},
		{"many guesses", "regulation: {failures: 100}\n", "regulation.failures: 100 guesses"},
		{"any number of forms", "regulation: {requests: 0}\n", "regulation.requests: one address"},
		{"a long life", "session: {lifetime: 2000h, remember_me: 3000h}\n", "session.lifetime: 2000h0m0s is long"},
		{"certificates that nobody looks at", "    - {domain: a.example.com, policy: one_factor, credentials: [token, certificate]}\n", "access_control.rules[1].credentials: certificate is never met"},
		{"a factor that nobody looks at", "    - {domain: a.example.com, policy: two_factor, factors: certificate}\n", "access_control.rules[1].factors: certificate is never met"},
		{"certificates that are on", "    - {domain: a.example.com, policy: two_factor, factors: certificate}\ncertificates: {by: cn}\n", ""},
		{"a secret in the file", "secret: 0123456789abcdef0123456789abcdef\n", "secret: stands in the file itself"},
		{"a secret that is easy to guess", "secret: ${EASY}\n", "secret: has 2 different characters"},
		{"a secret from the environment", "secret: ${SECRET}\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Parse("postern.yml", []byte(base+tt.add), env("EASY", strings.Repeat("ab", 20), "SECRET", "correct horse battery staple 0123456789"))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, risk := range c.Risks() {
				got = append(got, risk.Error())
			}
			if joined := strings.Join(got, "\n"); tt.want == "" && joined != "" || !strings.Contains(joined, tt.want) || len(got) > 1 {
				t.Errorf("risks %q, want %q", got, tt.want)
			}
		})
	}
}
