package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/portal/users"
)

// withUsers is the eight lines with another `users`.
func withUsers(text string) []byte {
	return []byte(strings.Replace(eightLines, "users: {file: users.yml}\n", text, 1))
}

// TestUsersOfSeveralForms: one source stands without a list, several in one.
func TestUsersOfSeveralForms(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "service"), []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const directory = "{address: ldaps://ldap.example.com, base_dn: 'dc=example,dc=com', preset: openldap, user: cn=postern, password: "
	for _, tt := range []struct {
		name, text string
		want       string // kind and file or password of each
		key        string // of the last
	}{
		{"a file", "users: {file: users.yml, search: {email: true}}\n", "file users.yml true", "users"},
		{"a list of one", "users: [{file: users.yml}]\n", "file users.yml false", "users[0]"},
		{"a directory", "users: {ldap: " + directory + "\"${SERVICE}\"}}\n", "ldap from the environment", "users"},
		{"several", "users:\n  - {file: users.yml, search: {email: true}}\n  - ldap: " + directory + "{file: service}}\n  - file: /etc/more.yml\n",
			"file users.yml true, ldap from a file, file2 /etc/more.yml false", "users[2]"},
		{"by an alias", "users: &u [{file: users.yml}, {file: more.yml}]\n", "file users.yml false, file2 more.yml false", "users[1]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Parse(filepath.Join(dir, "postern.yml"), withUsers(tt.text), env("SERVICE", "from the environment"))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i, s := range c.Users {
				name := c.Users.Names()[i]
				switch {
				case s.LDAP != nil:
					got = append(got, name+" "+s.LDAP.Password)
				default:
					file := strings.TrimPrefix(s.File, dir+"/")
					got = append(got, name+" "+file+map[bool]string{true: " true", false: " false"}[s.Search.Email])
					if s.Hashing != users.DefaultHashing() {
						t.Errorf("%s: hashing %+v", name, s.Hashing)
					}
				}
			}
			if joined := strings.Join(got, ", "); joined != tt.want {
				t.Errorf("%q, want %q", joined, tt.want)
			}
			if key := c.UsersKey(len(c.Users) - 1); key != tt.key {
				t.Errorf("key %q, want %q", key, tt.key)
			}
		})
	}
}

func TestUsersPathsAreRelativeToTheFile(t *testing.T) {
	c, err := Parse("/etc/postern/postern.yml", withUsers(`users:
  - file: users.yml
  - ldap:
      {preset: openldap, address: ldaps://ldap.example.com, base_dn: "dc=example,dc=com", refresh: 1m, grace: 8h,
       tls: {ca: ca.pem, certificate: /srv/postern.pem, key: key.pem}}
`), env())
	if err != nil {
		t.Fatal(err)
	}
	l := c.Users[1].LDAP
	for _, tt := range []struct{ got, want string }{
		{c.Users[0].File, "/etc/postern/users.yml"}, {l.TLS.CA, "/etc/postern/ca.pem"},
		{l.TLS.Certificate, "/srv/postern.pem"}, {l.TLS.Key, "/etc/postern/key.pem"},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
	if l.Refresh != time.Minute || c.Users.Grace() != 8*time.Hour {
		t.Errorf("refresh %v, grace %v", l.Refresh, c.Users.Grace())
	}
}

// TestUsersFaultsHaveTheirPlace: what is found later is shown where it stands, in either
// form.
func TestUsersFaultsHaveTheirPlace(t *testing.T) {
	for _, tt := range []struct{ name, text, err, want string }{
		{"one source", "users: {file: users.yml}\n", "users[0].file: is odd", "postern.yml:4:15: users.file: is odd"},
		{"a list", "users:\n  - file: a\n  - file: b\n", "users[1].file: is odd", "postern.yml:6:11: users[1].file: is odd"},
		{"a key that is not written", "users:\n  - file: a\n  - file: b\n", "users[1].search.email: is odd", "postern.yml:6:5: users[1].search.email: is odd"},
	} {
		c, err := Parse("postern.yml", withUsers(tt.text), env())
		if err != nil {
			t.Fatal(err)
		}
		if got, _, _ := strings.Cut(c.Check(errors.New(tt.err)).Error(), "\n"); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestUsersSecretsAreNotShown: a fault beside a password shows the line without it.
func TestUsersSecretsAreNotShown(t *testing.T) {
	for _, text := range []string{
		"users: {ldap: {password: hunter2, preset: none}}\n",
		"users: {ldap: {preset: none, password: hunter2}}\n",
		"users: {ldap: {prset: none, password: hunter2}}\n",
		"users: {ldap: {pasword: hunter2}}\n",
		"users: {ldap: {user: x, password: \"hunter2\", tls: {ca: 1, key: 2}}}\n",
		"users: {ldap: {tls: {cb: 1}, password: hunter2}}\n",
		"users: {ldap: {tls: {cb: 1}, password: hunter2}, secret: {file: x}}\n",
	} {
		_, err := Parse("postern.yml", withUsers(text), env())
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "(not shown)") {
			t.Errorf("error %v", err)
		}
	}
}

func TestUsersRisks(t *testing.T) {
	const directory = "users: {ldap: {preset: openldap, base_dn: 'dc=example,dc=com', address: "
	for _, tt := range []struct{ name, text, want string }{
		{"TLS", directory + "ldaps://ldap.example.com}}\n", ""},
		{"this machine", directory + "ldap://127.0.0.1}}\n", ""},
		{"in the clear", directory + "ldap://ldap.example.com, plaintext: true}}\n", "users.ldap.plaintext: passwords cross the network"},
		{"any certificate", directory + "ldaps://ldap.example.com, tls: {skip_verify: true}}}\n", "users.ldap.tls.skip_verify: whoever is between"},
	} {
		c, err := Parse("postern.yml", withUsers(tt.text), env())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, risk := range c.Risks() {
			if strings.HasPrefix(risk.Error(), "users") {
				got = append(got, risk.Error())
			}
		}
		if joined := strings.Join(got, "\n"); tt.want == "" && joined != "" || !strings.Contains(joined, tt.want) || len(got) > 1 {
			t.Errorf("%s: risks %q, want %q", tt.name, got, tt.want)
		}
	}
}
