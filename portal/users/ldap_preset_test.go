package users

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// TestLDAPKinds signs in at directories of every kind's shape: who may, under which name,
// with which groups. The server is slapd with their schema.
func TestLDAPKinds(t *testing.T) {
	type row struct{ why, name, want, groups string }
	for _, tt := range []struct {
		kind, ldif string
		change     func(*LDAPConfig)
		rows       []row
	}{
		{presetAD, "activedirectory.ldif", nil, []row{
			{"by account name, in small letters", "aliddell", "ALiddell", "Staff"},
			{"by mail address", "Alice@Example.com", "ALiddell", "Staff"},
			{"a DN with a comma, a password that never expires", "bob", "bob", "Staff"},
			{"an account that expires later", "later", "later", ""},
			{"a disabled account", "disabled", "", ""},
			{"an expired account", "expired", "", ""},
			{"the password must be changed first", "newcomer", "", ""},
			{"a machine", "PC$", "", ""},
			{"by the name of the entry", "Alice Liddell", "", ""},
		}},
		{presetAD, "activedirectory.ldif", func(c *LDAPConfig) { c.GroupSearch = groupsMemberOf }, []row{
			{"groups that the entry lists", "bob", "bob", "Staff"},
		}},
		{presetAD, "activedirectory.ldif", func(c *LDAPConfig) {
			c.GroupSearch, c.Attributes.GroupName = groupsMemberOf, "sAMAccountName"
		}, []row{
			{"groups that the entry lists, by a name that the DN does not hold", "bob", "bob", "staff-of-old"},
		}},
		{presetAD, "activedirectory.ldif", func(c *LDAPConfig) { c.UsersFilter = "(sAMAccountName={input})" }, []row{
			{"a disabled account that the filter lets through", "disabled", "", ""},
			{"an expired account that the filter lets through", "expired", "", ""},
		}},
		{presetFreeIPA, "freeipa.ldif", nil, []row{
			{"by name", "alice", "alice", "staff"},
			{"an account without Kerberos' attributes", "fresh", "fresh", ""},
			{"a locked account", "locked", "", ""},
			{"an expired password", "stale", "", ""},
			{"an expired account", "expired", "", ""},
		}},
		{presetFreeIPA, "freeipa.ldif", func(c *LDAPConfig) { c.GroupSearch = groupsMemberOf }, []row{
			{"listed groups, not the rules of access beside them", "alice", "alice", "staff"},
		}},
		{presetLLDAP, "lldap.ldif", func(c *LDAPConfig) { c.GroupSearch = groupsMemberOf }, []row{
			{"listed groups", "ALICE@example.com", "alice", "staff"},
		}},
		// lldap answers member for groups of unique names, slapd takes the schema at its word.
		{presetLLDAP, "lldap.ldif", func(c *LDAPConfig) { c.GroupsFilter = "(&(uniqueMember={dn})(objectClass=groupOfUniqueNames))" }, []row{
			{"groups by the filter", "alice", "alice", "staff"},
		}},
		{presetCustom, "lldap.ldif", func(c *LDAPConfig) {
			c.UsersFilter, c.Attributes.Username = "(&(cn={input})(objectClass=inetOrgPerson))", "cn"
			c.GroupsFilter = "(&(objectClass=groupOfUniqueNames)(cn=st*)(uniqueMember={dn}))"
		}, []row{
			{"names of one's own making", "alice liddell", "Alice Liddell", "staff"},
			{"not by another attribute", "alice", "", ""},
		}},
	} {
		d := startSlapd(t, slapdSetup{ldif: []string{tt.ldif}})
		c := d.config()
		c.Preset, c.UsersDN, c.GroupsDN = tt.kind, "", ""
		if tt.change != nil {
			tt.change(&c)
		}
		l, log := directoryAt(t, c)
		for _, r := range tt.rows {
			u, err := l.Authenticate(t.Context(), r.name, "right")
			if (err == nil) != (r.want != "") || err != nil && err != ErrBadCredentials || u.Name != r.want || strings.Join(u.Groups, " ") != r.groups {
				t.Errorf("%s, %s: user %q in %q, error %v; want %q in %q\n%s", tt.kind, r.why, u.Name, u.Groups, err, r.want, r.groups, log)
			}
		}
	}
}

// TestLDAPStanding: what an entry says about its account counts, whatever the filter says.
func TestLDAPStanding(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		why, attr, value string
		want             bool
	}{
		{"nothing is said", "cn", "x", true},
		{"an ordinary account", "userAccountControl", "512", true},
		{"disabled", "userAccountControl", "514", false},
		{"disabled, in another spelling of the attribute", "useraccountcontrol", "66050", false},
		{"control that is no number", "userAccountControl", "x", false},
		{"never expires", "accountExpires", "9223372036854775807", true},
		{"never expires either", "accountExpires", "0", true},
		{"expires in a second", "accountExpires", fmt.Sprint((now.Unix() + 1 + windowsEpoch) * 10_000_000), true},
		{"expires now", "accountExpires", fmt.Sprint((now.Unix() + windowsEpoch) * 10_000_000), false},
		{"expires at no time", "accountExpires", "soon", false},
		{"locked by 389", "nsAccountLock", "true", false},
		{"not locked by 389", "nsAccountLock", "FALSE", true},
		{"Kerberos' time is over", "krbPrincipalExpiration", "20260301120000Z", false},
		{"Kerberos' time is not over", "krbPrincipalExpiration", "20260301120001.5Z", true},
		{"Kerberos' time is none", "krbPrincipalExpiration", "tomorrow", false},
		{"locked for good", "pwdAccountLockedTime", "000001010000Z", false},
		{"locked for a while, which the directory enforces", "pwdAccountLockedTime", "20260301115900Z", true},
		{"must change the password", "pwdReset", "TRUE", false},
	} {
		e := ldap.NewEntry("uid=x", map[string][]string{tt.attr: {tt.value}})
		if got := mayStand(e, now); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.why, got, tt.want)
		}
	}
}

// TestLDAPRefusals: what a directory says beside a refused password is found out, and no
// more than that.
func TestLDAPRefusals(t *testing.T) {
	ad := func(data string) error {
		return ldap.NewError(ldap.LDAPResultInvalidCredentials,
			fmt.Errorf("80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data %s, v2580\x00", data))
	}
	policy := func(code int8) *ldap.SimpleBindResult {
		return &ldap.SimpleBindResult{Controls: []ldap.Control{&ldap.ControlBeheraPasswordPolicy{Expire: -1, Grace: -1, Error: code, ErrorString: ldap.BeheraPasswordPolicyErrorMap[code]}}}
	}
	wrong := ldap.NewError(ldap.LDAPResultInvalidCredentials, fmt.Errorf(""))
	for _, tt := range []struct {
		why  string
		got  *ldap.SimpleBindResult
		err  error
		want string
	}{
		{"a wrong password", nil, wrong, ""},
		{"a wrong password at Active Directory", nil, ad("52e"), ""},
		{"disabled there", nil, ad("533"), "disabled"},
		{"locked there", nil, ad("775"), "locked"},
		{"expired there", nil, ad("701"), "expired"},
		{"must change it there", nil, ad("773"), "must change password"},
		{"a number that only looks so", nil, ad("5330"), ""},
		{"a policy without a complaint", policy(-1), wrong, ""},
		{"a policy that has locked the account", policy(1), wrong, "Account locked"},
		{"a policy that wants another password", policy(2), wrong, "Password must be changed"},
		{"FreeIPA", nil, ldap.NewError(ldap.LDAPResultUnwillingToPerform, fmt.Errorf("Account inactivated. Contact system administrator.")), "Account inactivated. Contact system administrator."},
	} {
		if got := standing(tt.got, tt.err); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.why, got, tt.want)
		}
	}
}

// TestLDAPEntries: entries that are not as they should be.
func TestLDAPEntries(t *testing.T) {
	s := LDAPConfig{Preset: presetAD, LDAPSearch: LDAPSearch{GroupSearch: groupsMemberOf}}.filled().LDAPSearch
	for _, tt := range []struct {
		why   string
		dn    string
		attrs map[string][]string
		want  string // the name
	}{
		{"as it should be", "cn=x", map[string][]string{"sAMAccountName": {"alice"}}, "alice"},
		{"another spelling of the attribute", "cn=x", map[string][]string{"samaccountname": {"alice"}}, "alice"},
		{"decomposed", "cn=x", map[string][]string{"sAMAccountName": {"zoe\u0308"}}, "zoë"},
		{"no name", "cn=x", nil, ""},
		{"two names, none of them the entry's", "cn=x", map[string][]string{"sAMAccountName": {"a", "b"}}, ""},
		{"two names, one the entry's", "sAMAccountName=b,dc=x", map[string][]string{"sAMAccountName": {"a", "b"}}, "b"},
		{"a colon", "cn=x", map[string][]string{"sAMAccountName": {"a:b"}}, ""},
		{"a line break", "cn=x", map[string][]string{"sAMAccountName": {"a\nb"}}, ""},
		{"bytes that are no text", "cn=x", map[string][]string{"sAMAccountName": {"a\xffb"}}, ""},
		{"a right-to-left mark", "cn=x", map[string][]string{"sAMAccountName": {"a\u202eb"}}, ""},
		{"an endless name", "cn=x", map[string][]string{"sAMAccountName": {strings.Repeat("a", 129)}}, ""},
	} {
		p, err := s.person(ldap.NewEntry(tt.dn, tt.attrs), time.Now())
		if (err == nil) != (tt.want != "") || err == nil && p.Name != tt.want {
			t.Errorf("%s: %+v, error %v; want %q", tt.why, p, err, tt.want)
		}
	}
	many := make([]string, 3*maxEmails)
	for i := range many {
		many[i] = fmt.Sprintf("a%d@example.com", i)
	}
	p, err := s.person(ldap.NewEntry("cn=x", map[string][]string{
		"sAMAccountName": {"alice"}, "mail": many, "displayName": {strings.Repeat("é", 4000)}, "memberOf;range=0-1499": {"cn=x"},
	}), time.Now())
	if err != nil || len(p.Emails) != maxEmails || len(p.DisplayName) > maxText || !p.partial {
		t.Errorf("an enormous entry: %d addresses, a name of %d bytes, partial %v, error %v", len(p.Emails), len(p.DisplayName), p.partial, err)
	}
}

// TestLDAPGroupNames: a group with several names is called after its entry, whatever the
// order in which the directory lists them; one whose entry is named otherwise has them all.
func TestLDAPGroupNames(t *testing.T) {
	d := startSlapd(t, slapdSetup{ldif: []string{"example.ldif"}})
	d.change(staffDN, "cn", "employees", "staff")
	d.change("cn=Wonder Land,ou=groups,dc=example,dc=com", "cn", "Wonder Land", "elsewhere")
	c := d.config()
	l, _ := directoryAt(t, c)
	if u, err := l.Authenticate(t.Context(), "alice", "wonderland"); err != nil || !slices.Equal(u.Groups, []string{"Wonder Land", "staff"}) {
		t.Errorf("groups %q, %v", u.Groups, err)
	}
	other := ldap.NewEntry("ou=x", map[string][]string{"cn": {"a", "b"}})
	if got := named(other, "cn"); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("an entry that is named otherwise: %q", got)
	}
}

// TestLDAPUnusableGroups: a group that no header can carry is left out, and the log says
// so, once.
func TestLDAPUnusableGroups(t *testing.T) {
	d := startSlapd(t, slapdSetup{ldif: []string{"example.ldif", "dn: cn=x,ou=groups,dc=example,dc=com\nobjectClass: groupOfNames\ncn: x\nmember: " + aliceDN + "\n"}})
	d.admin(func(c *ldap.Conn) error {
		return c.ModifyDN(ldap.NewModifyDNRequest("cn=x,ou=groups,dc=example,dc=com", `cn=staff\2C external`, true, ""))
	})
	l, log := directoryAt(t, d.config())
	for range 2 {
		if u, err := l.Authenticate(t.Context(), "alice", "wonderland"); err != nil || len(u.Groups) != 2 {
			t.Errorf("groups %q, %v", u.Groups, err)
		}
	}
	if n := strings.Count(log.String(), "group left out"); n != 1 || !strings.Contains(log.String(), "WARN") {
		t.Errorf("said %d times:\n%s", n, log)
	}
}

// TestLDAPManyGroups: somebody in more groups than are read is not decided about.
func TestLDAPManyGroups(t *testing.T) {
	var b strings.Builder
	for i := range maxGroups + 1 {
		fmt.Fprintf(&b, "dn: cn=g%d,ou=groups,dc=example,dc=com\nobjectClass: groupOfNames\ncn: g%d\nmember: %s\n", i, i, bobDN)
		if i < maxGroups {
			fmt.Fprintf(&b, "member: %s\n", aliceDN)
		}
		b.WriteString("\n")
	}
	d := startSlapd(t, slapdSetup{ldif: []string{"example.ldif", b.String()}})
	d.change(staffDN, "member", "uid=frank,ou=people,dc=example,dc=com")
	d.change("cn=Wonder Land,ou=groups,dc=example,dc=com", "uniqueMember", "uid=frank,ou=people,dc=example,dc=com")
	l, _ := directoryAt(t, d.config())
	if u, err := l.Authenticate(t.Context(), "alice", "wonderland"); err != nil || len(u.Groups) != maxGroups || !slices.IsSorted(u.Groups) {
		t.Errorf("%d groups, error %v; want %d", len(u.Groups), err, maxGroups)
	}
	if u, err := l.Authenticate(t.Context(), "bob", "builder"); err == nil || !strings.Contains(err.Error(), "more than 1000 groups") {
		t.Errorf("one group more: %d groups, error %v", len(u.Groups), err)
	}
}

// FuzzTidy: what comes out is short, has no control characters, and comes out again.
func FuzzTidy(f *testing.F) {
	f.Add("Alice\r\nSet-Cookie: x", 256)
	f.Add("\xff\u2028\u00e9e\u0301", 3)
	f.Fuzz(func(t *testing.T, s string, n int) {
		n = n&1023 + 1
		out := tidy(s, n)
		if len(out) > n || checkText(out) != nil && len(out) <= 256 {
			t.Fatalf("%q became %q", s, out)
		}
		if again := tidy(out, n); again != out {
			t.Fatalf("%q became %q and then %q", s, out, again)
		}
	})
}
