package users

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-ldap/ldap/v3"
)

const policies = `overlay ppolicy
ppolicy_default cn=policy,ou=services,dc=example,dc=com
`

const policy = `dn: cn=policy,ou=services,dc=example,dc=com
objectClass: organizationalRole
objectClass: pwdPolicy
cn: policy
pwdAttribute: userPassword
pwdCheckQuality: 2
pwdMinLength: 8
`

// TestLDAPPasswordChange sets passwords in every way that slapd knows.
func TestLDAPPasswordChange(t *testing.T) {
	for _, tt := range []struct {
		why, way string
		setup    slapdSetup
	}{
		{"the extended operation, where it is announced", changeAuto, slapdSetup{ldif: []string{"example.ldif"}}},
		{"the extended operation, on purpose", changeExtended, slapdSetup{ldif: []string{"example.ldif"}}},
		{"the extended operation under a policy, which says when", changeAuto, slapdSetup{ldif: []string{"example.ldif", policy}, conf: policies}},
		{"the attribute, where the server hashes it", changeModify, slapdSetup{ldif: []string{"example.ldif"}, conf: "overlay ppolicy\nppolicy_hash_cleartext\n"}},
	} {
		t.Run(tt.why, func(t *testing.T) {
			d := startSlapd(t, tt.setup)
			l, _ := followed(t, d, func(c *LDAPConfig) { c.PasswordChange = tt.way })
			version, ok := l.Version("Alice")
			if !ok || len(version) != 32 {
				t.Fatalf("version %q, %v", version, ok)
			}
			if err := l.ReplacePassword(t.Context(), "Alice", "looking glass", version); err != nil {
				t.Fatal(err)
			}
			if _, err := l.Authenticate(t.Context(), "alice", "looking glass"); err != nil {
				t.Errorf("the new password: %v", err)
			}
			if _, err := l.Authenticate(t.Context(), "alice", "wonderland"); err != ErrBadCredentials {
				t.Errorf("the old password: %v", err)
			}
			next, ok := l.Version("Alice")
			if !ok || next == version {
				t.Errorf("the version stays %q, %v", next, ok)
			}
			if err := l.ReplacePassword(t.Context(), "Alice", "through the glass", version); err != ErrChanged {
				t.Errorf("from the old version: %v, want ErrChanged", err)
			}
			if err := l.SetPassword(t.Context(), "Alice", "through the glass"); err != nil {
				t.Errorf("SetPassword: %v", err)
			}
			if _, err := l.Authenticate(t.Context(), "bob", "builder"); err != nil {
				t.Errorf("Bob's password: %v", err)
			}
			var stored []byte
			d.admin(func(c *ldap.Conn) error {
				found, err := c.Search(&ldap.SearchRequest{BaseDN: aliceDN, Filter: "(objectClass=*)", Attributes: []string{"userPassword"}})
				if err == nil {
					stored = found.Entries[0].GetRawAttributeValue("userPassword")
				}
				return err
			})
			if bytes.Contains(stored, []byte("glass")) {
				t.Error("the password is stored in the clear")
			}
		})
	}
}

// TestLDAPPasswordRefused: what a directory, a policy or the configuration refuses.
func TestLDAPPasswordRefused(t *testing.T) {
	ruled := startSlapd(t, slapdSetup{ldif: []string{"example.ldif", policy}, conf: policies})
	closed := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}, conf: "access to attrs=userPassword by anonymous auth by * none\n"})
	for _, tt := range []struct {
		why            string
		d              *slapd
		change         func(*LDAPConfig)
		name, password string
		want           error
	}{
		{"no password", ruled, nil, "Alice", "", ErrPassword},
		{"an endless password", ruled, nil, "Alice", strings.Repeat("x", MaxPassword+1), ErrPassword},
		{"a password with a NUL", ruled, nil, "Alice", "looking\x00glass", ErrPassword},
		{"too short for the policy", ruled, nil, "Alice", "short", ErrPassword},
		{"nobody", ruled, nil, "nobody", "looking glass", ErrNotFound},
		{"another spelling", ruled, nil, "alice", "looking glass", ErrNotFound},
		{"an address", ruled, nil, "alice@example.com", "looking glass", ErrNotFound},
		{"switched off", ruled, func(c *LDAPConfig) { c.PasswordChange = changeOff }, "Alice", "looking glass", ErrReadOnly},
		{"an account that may not", closed, nil, "Alice", "looking glass", ErrReadOnly},
		{"an account that may not, by the attribute", closed, func(c *LDAPConfig) { c.PasswordChange = changeModify }, "Alice", "looking glass", ErrReadOnly},
		{"a directory without the attribute", ruled, func(c *LDAPConfig) { c.PasswordChange = changeUnicode }, "Alice", "looking glass", ErrReadOnly},
	} {
		c := tt.d.config()
		if tt.change != nil {
			tt.change(&c)
		}
		l, _ := directoryAt(t, c)
		err := l.SetPassword(t.Context(), tt.name, tt.password)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.why, err, tt.want)
		}
		if err != nil && tt.password != "" && strings.Contains(err.Error(), tt.password) {
			t.Errorf("%s: the error holds the password", tt.why)
		}
		if tt.name == "Alice" {
			if _, err := l.Authenticate(t.Context(), "alice", "wonderland"); err != nil {
				t.Errorf("%s: and the old one: %v", tt.why, err)
			}
		}
	}
	l, _ := directoryAt(t, LDAPConfig{Preset: presetOpenLDAP, LDAPServer: LDAPServer{Address: ruled.ldap},
		LDAPSearch: LDAPSearch{BaseDN: "dc=example,dc=com"}})
	if err := l.SetPassword(t.Context(), "Alice", "looking glass"); err != ErrReadOnly {
		t.Errorf("without an account of our own: %v", err)
	}
	l, _ = directoryAt(t, ruled.config())
	if err := l.ReplacePassword(t.Context(), "Alice", "looking glass", ""); err != ErrChanged {
		t.Errorf("without a version: %v", err)
	}
	if _, ok := l.Version("Alice"); ok {
		t.Error("there is a version of somebody who was not looked up")
	}
}

// TestLDAPPasswordRace: of many holders of one version, one sets the password.
func TestLDAPPasswordRace(t *testing.T) {
	d := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}})
	l, _ := followed(t, d, nil)
	version, _ := l.Version("Alice")
	var done, changed atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			switch err := l.ReplacePassword(t.Context(), "Alice", "looking glass", version); err {
			case nil:
				done.Add(1)
			case ErrChanged:
				changed.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if done.Load() != 1 || changed.Load() != 7 {
		t.Errorf("%d have set the password and %d came too late, want 1 and 7", done.Load(), changed.Load())
	}
}

// TestLDAPPasswordActiveDirectory: what is written there is the password in quotes, in
// UTF-16, whatever the directory announces.
func TestLDAPPasswordActiveDirectory(t *testing.T) {
	d := startSlapd(t, slapdSetup{ldif: []string{"activedirectory.ldif"},
		conf: "access to attrs=unicodePwd by dn.exact=cn=postern,ou=services,dc=example,dc=com write by * none\n"})
	c := d.config()
	c.Preset, c.UsersDN, c.GroupsDN = presetAD, "", ""
	l, _ := directoryAt(t, c)
	if _, err := l.Find(t.Context(), "aliddell"); err != nil {
		t.Fatal(err)
	}
	before, ok := l.Version("ALiddell")
	if err := l.ReplacePassword(t.Context(), "ALiddell", "zoë 1", before); err != nil || !ok {
		t.Fatalf("%v, %v", err, ok)
	}
	d.admin(func(c *ldap.Conn) error {
		found, err := c.Search(&ldap.SearchRequest{BaseDN: "cn=Alice Liddell,cn=Users,dc=example,dc=com", Filter: "(objectClass=*)", Attributes: []string{"unicodePwd"}})
		if err != nil {
			return err
		}
		if got, want := found.Entries[0].GetRawAttributeValue("unicodePwd"), []byte("\"\x00z\x00o\x00\xeb\x00 \x001\x00\"\x00"); !bytes.Equal(got, want) {
			t.Errorf("written was %q, want %q", got, want)
		}
		return nil
	})
	d.change("cn=Alice Liddell,cn=Users,dc=example,dc=com", "pwdLastSet", "133500000000000001")
	if err := l.again(t.Context(), "ALiddell"); err != nil {
		t.Fatal(err)
	}
	if after, ok := l.Version("ALiddell"); !ok || after == before {
		t.Errorf("pwdLastSet has changed, and the version stays %q, %v", after, ok)
	}
}

// TestLDAPVersion: the version follows the attribute of the password when there is one,
// and else everything.
func TestLDAPVersion(t *testing.T) {
	s := LDAPConfig{Preset: presetFreeIPA}.filled().LDAPSearch
	mark := func(attrs ...string) string {
		m := map[string][]string{"uid": {"alice"}}
		for i := 0; i < len(attrs); i += 2 {
			m[attrs[i]] = []string{attrs[i+1]}
		}
		return s.markOf(ldap.NewEntry("uid=alice", m), "alice")
	}
	own := mark("krbLastPwdChange", "20250101120000Z", "modifyTimestamp", "1")
	for _, tt := range []struct {
		why, a, b string
		same      bool
	}{
		{"the password's own time, when the rest changes", own, mark("krbLastPwdChange", "20250101120000Z", "modifyTimestamp", "2"), true},
		{"another time", own, mark("krbLastPwdChange", "20250101120001Z", "modifyTimestamp", "1"), false},
		{"its first time", own, mark("modifyTimestamp", "1"), false},
		{"no time, and a change", mark("entryCSN", "1"), mark("entryCSN", "2"), false},
		{"one value in two attributes", mark("entryCSN", "1"), mark("modifyTimestamp", "1"), false},
	} {
		if (tt.a == tt.b) != tt.same || tt.a == "" || tt.b == "" {
			t.Errorf("%s: %q and %q", tt.why, tt.a, tt.b)
		}
	}
	if m := mark(); m != "" {
		t.Errorf("nothing tells, and the version is %q", m)
	}
}
