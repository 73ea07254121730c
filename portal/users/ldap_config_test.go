package users

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// sensible is a configuration without a fault.
func sensible() LDAPConfig {
	return LDAPConfig{
		Preset:     presetOpenLDAP,
		LDAPServer: LDAPServer{Address: "ldaps://ldap.example.com", User: "cn=postern,dc=example,dc=com", Password: "x"},
		LDAPSearch: LDAPSearch{BaseDN: "dc=example,dc=com"},
	}
}

func TestLDAPConfigFaults(t *testing.T) {
	if err := sensible().Validate("users[0].ldap"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		why    string
		change func(*LDAPConfig)
		key    string // "" when there is no fault
		want   string
	}{
		{"a preset that is none", func(c *LDAPConfig) { c.Preset = "ad" }, "preset", "activedirectory, freeipa, lldap, openldap, custom"},
		{"no address", func(c *LDAPConfig) { c.Address = "" }, "address", "missing"},
		{"two ways to say where", func(c *LDAPConfig) { c.Addresses = []string{"ldaps://b"} }, "addresses", "leave one of them out"},
		{"several", func(c *LDAPConfig) { c.Address, c.Addresses = "", []string{"ldaps://a", "ldaps://b:1636"} }, "", ""},
		{"several, one of them in the clear", func(c *LDAPConfig) { c.Address, c.Addresses = "", []string{"ldaps://a", "ldap://b"} }, "addresses[1]", "in the clear"},
		{"in the clear", func(c *LDAPConfig) { c.Address = "ldap://ldap.example.com" }, "address", "in the clear; write ldaps://ldap.example.com"},
		{"in the clear, on purpose", func(c *LDAPConfig) { c.Address, c.Plaintext = "ldap://ldap.example.com", true }, "", ""},
		{"in the clear, on this machine", func(c *LDAPConfig) { c.Address = "ldap://localhost" }, "", ""},
		{"in the clear, on this machine by number", func(c *LDAPConfig) { c.Address = "ldap://[::1]:1389" }, "", ""},
		{"in the clear, to a name that only begins so", func(c *LDAPConfig) { c.Address = "ldap://127.0.0.1.example.com" }, "address", "in the clear"},
		{"StartTLS", func(c *LDAPConfig) { c.Address, c.StartTLS = "ldap://ldap.example.com", true }, "", ""},
		{"StartTLS on TLS", func(c *LDAPConfig) { c.StartTLS = true }, "start_tls", "only with ldap://"},
		{"StartTLS on a socket", func(c *LDAPConfig) { c.Address, c.StartTLS = "ldapi:///run/slapd/ldapi", true }, "start_tls", "only with ldap://"},
		{"another scheme", func(c *LDAPConfig) { c.Address = "https://ldap.example.com" }, "address", "is not ldap://host"},
		{"no scheme", func(c *LDAPConfig) { c.Address = "ldap.example.com" }, "address", "is not ldap://host"},
		{"no host", func(c *LDAPConfig) { c.Address = "ldaps://" }, "address", "is not ldap://host"},
		{"a password in the address", func(c *LDAPConfig) { c.Address = "ldaps://u:p@ldap.example.com" }, "address", "is not ldap://host"},
		{"a base in the address", func(c *LDAPConfig) { c.Address = "ldaps://ldap.example.com/dc=example" }, "address", "is not ldap://host"},
		{"a port that is none", func(c *LDAPConfig) { c.Address = "ldaps://ldap.example.com:65536" }, "address", "is not ldap://host"},
		{"port 0", func(c *LDAPConfig) { c.Address = "ldaps://ldap.example.com:0" }, "address", "is not ldap://host"},
		{"a socket without a path", func(c *LDAPConfig) { c.Address = "ldapi://" }, "address", "ldapi:///path"},
		{"a name without a password", func(c *LDAPConfig) { c.Password = "" }, "password", "go together"},
		{"a password without a name", func(c *LDAPConfig) { c.User = "" }, "password", "go together"},
		{"neither", func(c *LDAPConfig) { c.User, c.Password = "", "" }, "", ""},
		{"an endless password", func(c *LDAPConfig) { c.Password = strings.Repeat("x", MaxPassword+1) }, "password", "longer than"},
		{"old TLS", func(c *LDAPConfig) { c.TLS.MinVersion = "1.1" }, "tls.min_version", "none of 1.2, 1.3"},
		{"a certificate without a key", func(c *LDAPConfig) { c.TLS.Certificate = "cert.pem" }, "tls.key", "go together"},
		{"an authority that is not asked", func(c *LDAPConfig) { c.TLS.CA, c.TLS.SkipVerify = "ca.pem", true }, "tls.skip_verify", "does not go with ca"},
		{"no base", func(c *LDAPConfig) { c.BaseDN = "" }, "base_dn", "missing"},
		{"a base that is no DN", func(c *LDAPConfig) { c.BaseDN = "example.com" }, "base_dn", "is not a DN"},
		{"a part that is no DN", func(c *LDAPConfig) { c.GroupsDN = "groups" }, "groups_dn", "is not a DN"},
		{"a bracket too few", func(c *LDAPConfig) { c.UsersFilter = "(&(uid={input})(objectClass=person)" }, "users_filter", "is not a filter: unexpected end of filter"},
		{"a bracket too many", func(c *LDAPConfig) { c.UsersFilter = "(uid={input}))" }, "users_filter", "is not a filter"},
		{"no brackets", func(c *LDAPConfig) { c.UsersFilter = "uid={input}" }, "users_filter", "does not start with an '('"},
		{"two filters", func(c *LDAPConfig) { c.UsersFilter = "(uid={input})(mail={input})" }, "users_filter", "extra at end"},
		{"a filter for everybody", func(c *LDAPConfig) { c.UsersFilter = "(objectClass=person)" }, "users_filter", "does not hold {input}"},
		{"a filter for beginnings", func(c *LDAPConfig) { c.UsersFilter = "(uid={input}*)" }, "users_filter", "a part of a name"},
		{"a filter for ends", func(c *LDAPConfig) { c.UsersFilter = "(uid=*{input})" }, "users_filter", "a part of a name"},
		{"a placeholder that is none", func(c *LDAPConfig) { c.UsersFilter = "(&(uid={input})(x={username}))" }, "users_filter", "unknown placeholder {username}; here one may write {input}"},
		{"a placeholder without an end", func(c *LDAPConfig) { c.UsersFilter = "(&(uid={input})(x={date))" }, "users_filter", `"{" without its "}"`},
		{"an end without a placeholder", func(c *LDAPConfig) { c.UsersFilter = "(&(uid={input})(x=date}))" }, "users_filter", `"}" without its "{"`},
		{"a brace as a character", func(c *LDAPConfig) { c.UsersFilter = `(&(uid={input})(x=\7bdate\7d))` }, "", ""},
		{"groups by what was typed", func(c *LDAPConfig) { c.GroupsFilter = "(memberUid={input})" }, "groups_filter", "write {username}"},
		{"everybody's groups", func(c *LDAPConfig) { c.GroupsFilter = "(objectClass=groupOfNames)" }, "groups_filter", "the same groups"},
		{"groups of posix", func(c *LDAPConfig) { c.GroupsFilter = "(&(memberUid={username})(objectClass=posixGroup))" }, "", ""},
		{"groups by a filter that is none", func(c *LDAPConfig) { c.GroupsFilter = "(member={dn}" }, "groups_filter", "is not a filter"},
		{"a way to find groups that is none", func(c *LDAPConfig) { c.GroupSearch = "recursive" }, "group_search", "none of filter, memberof, nested"},
		{"nested groups elsewhere", func(c *LDAPConfig) { c.GroupSearch = groupsNested }, "group_search", "Active Directory"},
		{"nested groups", func(c *LDAPConfig) { c.Preset, c.GroupSearch = presetAD, groupsNested }, "", ""},
		{"an attribute that is none", func(c *LDAPConfig) { c.Attributes.Username = "uid)(x=*" }, "attributes.username", "not the name of an attribute"},
		{"an attribute with an option", func(c *LDAPConfig) { c.Attributes.Mail = "mail;lang-en" }, "attributes.mail", "not the name"},
		{"an attribute by number", func(c *LDAPConfig) { c.Attributes.Mail = "0.9.2342.19200300.100.1.3" }, "", ""},
		{"custom without a filter", func(c *LDAPConfig) { c.Preset, c.GroupSearch = presetCustom, groupsMemberOf }, "users_filter", "missing"},
		{"custom without groups", func(c *LDAPConfig) { c.Preset, c.UsersFilter = "", "(uid={input})" }, "groups_filter", "missing"},
		{"custom", func(c *LDAPConfig) { c.Preset, c.UsersFilter, c.GroupSearch = "", "(uid={input})", "memberof" }, "", ""},
		{"a time that is none", func(c *LDAPConfig) { c.Timeout = -1 }, "timeout", "not between"},
		{"an endless timeout", func(c *LDAPConfig) { c.Timeout = time.Hour }, "timeout", "not between"},
		{"a hasty refresh", func(c *LDAPConfig) { c.Refresh = time.Second }, "refresh", "less than 10s"},
		{"endless grace", func(c *LDAPConfig) { c.Grace = 1000 * time.Hour }, "grace", "not between"},
		{"a crowd", func(c *LDAPConfig) { c.Pool.Size = 1000 }, "pool.size", "not between"},
		{"an endless connection", func(c *LDAPConfig) { c.Pool.Idle = -time.Second }, "pool.idle", "not between"},
		{"a way to change passwords that is none", func(c *LDAPConfig) { c.PasswordChange = "yes" }, "password_change", "none of auto"},
	} {
		c := sensible()
		tt.change(&c)
		err := c.Validate("users[0].ldap")
		switch {
		case tt.key == "" && err != nil:
			t.Errorf("%s: %v", tt.why, err)
		case tt.key == "":
		case err == nil:
			t.Errorf("%s: no fault, want one at %s", tt.why, tt.key)
		case !strings.HasPrefix(err.Error(), "users[0].ldap."+tt.key+": ") || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n"):
			t.Errorf("%s: %q; want one fault at %s that says %q", tt.why, err, tt.key, tt.want)
		}
	}
}

func TestLDAPConfigAllFaultsAtOnce(t *testing.T) {
	err := LDAPConfig{LDAPSearch: LDAPSearch{UsersFilter: "(", GroupSearch: "x"}, Refresh: 1}.Validate("users[2].ldap")
	for _, key := range []string{"address", "base_dn", "group_search", "users_filter", "groups_filter", "refresh"} {
		if !strings.Contains(err.Error(), "users[2].ldap."+key+": ") {
			t.Errorf("no fault at %s in:\n%v", key, err)
		}
	}
}

// TestLDAPPresets: every preset is without a fault once it knows where the directory is,
// and asks for what its kind of directory has.
func TestLDAPPresets(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ preset, users, groups, usersBase, groupsBase string }{
		{presetAD, "(&(|(sAMAccountName=alice)(mail=alice))(sAMAccountType=805306368)(!(userAccountControl:1.2.840.113556.1.4.803:=2))" +
			"(!(pwdLastSet=0))(|(!(accountExpires=*))(accountExpires=0)(accountExpires>=134168400000000000)))",
			"(&(member=uid=alice\\2cdc=x)(|(sAMAccountType=268435456)(sAMAccountType=536870912)))", "dc=x", "dc=x"},
		{presetFreeIPA, "(&(|(uid=alice)(mail=alice))(objectClass=person)(!(nsAccountLock=TRUE))" +
			"(|(!(krbPasswordExpiration=*))(krbPasswordExpiration>=20260301120000Z))(|(!(krbPrincipalExpiration=*))(krbPrincipalExpiration>=20260301120000Z)))",
			"(&(member=uid=alice\\2cdc=x)(objectClass=groupOfNames))", "cn=users,cn=accounts,dc=x", "cn=groups,cn=accounts,dc=x"},
		{presetLLDAP, "(&(|(uid=alice)(mail=alice))(objectClass=person))",
			"(&(member=uid=alice\\2cdc=x)(objectClass=groupOfUniqueNames))", "ou=people,dc=x", "ou=groups,dc=x"},
		{presetOpenLDAP, "(&(|(uid=alice)(mail=alice))(|(objectClass=inetOrgPerson)(objectClass=organizationalPerson)))",
			"(&(|(member=uid=alice\\2cdc=x)(uniqueMember=uid=alice\\2cdc=x))(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=groupOfMembers)))",
			"dc=x", "dc=x"},
	} {
		c := sensible()
		c.Preset, c.BaseDN = tt.preset, "dc=x"
		if err := c.Validate("ldap"); err != nil {
			t.Errorf("%s: %v", tt.preset, err)
		}
		c = c.filled()
		users, err := c.usersFilter("alice", now)
		if want := tt.users; err != nil || users != want {
			t.Errorf("%s: users\n%s, error %v; want\n%s", tt.preset, users, err, want)
		}
		groups, err := c.groupsFilter(&person{User: User{Name: "alice"}, dn: "uid=alice,dc=x"}, now)
		if want := strings.ReplaceAll(tt.groups, `\2c`, ","); err != nil || groups != want {
			t.Errorf("%s: groups\n%s, error %v; want\n%s", tt.preset, groups, err, want)
		}
		if c.usersBase() != tt.usersBase || c.groupsBase() != tt.groupsBase {
			t.Errorf("%s: searches %s and %s; want %s and %s", tt.preset, c.usersBase(), c.groupsBase(), tt.usersBase, tt.groupsBase)
		}
	}
	c := LDAPConfig{Preset: presetAD, LDAPSearch: LDAPSearch{GroupSearch: groupsNested}}.filled()
	if want := "(&(objectCategory=group)(member:1.2.840.113556.1.4.1941:={dn}))"; c.GroupsFilter != want {
		t.Errorf("nested groups by %s, want %s", c.GroupsFilter, want)
	}
	own := LDAPConfig{Preset: presetAD, LDAPSearch: LDAPSearch{UsersFilter: "(cn={input})", Attributes: LDAPAttributes{Username: "cn"}}}.filled()
	if own.UsersFilter != "(cn={input})" || own.Attributes.Username != "cn" || own.Attributes.DisplayName != "displayName" {
		t.Errorf("a preset overrides what is set: %+v", own.LDAPSearch)
	}
}

// TestLDAPWanted: a directory is asked for what its kind has, a custom one for everything.
func TestLDAPWanted(t *testing.T) {
	for _, tt := range []struct{ preset, groups, want string }{
		{presetAD, "", "accountExpires displayName mail modifyTimestamp pwdLastSet sAMAccountName userAccountControl whenChanged"},
		{presetFreeIPA, "", "displayName krbLastPwdChange krbPrincipalExpiration mail modifyTimestamp nsAccountLock pwdAccountLockedTime pwdReset uid"},
		{presetLLDAP, groupsMemberOf, "cn mail memberOf modifyTimestamp pwdChangedTime uid"},
		{presetOpenLDAP, "", "displayName entryCSN mail modifyTimestamp pwdAccountLockedTime pwdChangedTime pwdReset uid"},
		{"", "", "accountExpires displayName entryCSN krbPrincipalExpiration mail modifyTimestamp nsAccountLock pwdAccountLockedTime pwdReset uid userAccountControl whenChanged"},
	} {
		c := LDAPConfig{Preset: tt.preset, LDAPSearch: LDAPSearch{GroupSearch: tt.groups}}.filled()
		if got := strings.Join(c.wanted(), " "); got != tt.want {
			t.Errorf("%q: %s, want %s", tt.preset, got, tt.want)
		}
	}
}

func TestLDAPBase(t *testing.T) {
	for _, tt := range []struct{ part, want string }{
		{"", "dc=example,dc=com"},
		{"ou=people", "ou=people,dc=example,dc=com"},
		{"ou=a,ou=b", "ou=a,ou=b,dc=example,dc=com"},
		{"ou=people,DC=Example,dc=com", "ou=people,DC=Example,dc=com"},
		{"dc=example,dc=com", "dc=example,dc=com"},
	} {
		if got := below(tt.part, "dc=example,dc=com"); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.part, got, tt.want)
		}
	}
}

// FuzzLDAPFilter: whatever is typed, the filter stays the one that was written, with the
// value in its place, byte for byte.
func FuzzLDAPFilter(f *testing.F) {
	for _, s := range []string{"alice", "*", "a*", ")(uid=*", "*)(|(uid=*", `\2a`, "a\x00b", "zoë", "\xff", "{dn}", "{input}"} {
		f.Add(s)
	}
	c := sensible().filled()
	shape, err := c.usersFilter("x", time.Time{})
	if err != nil {
		f.Fatal(err)
	}
	want, _ := ldap.CompileFilter(shape)
	f.Fuzz(func(t *testing.T, input string) {
		filter, err := c.usersFilter(input, time.Time{})
		if err != nil {
			t.Fatalf("%q: %v", input, err)
		}
		got, err := ldap.CompileFilter(filter)
		if err != nil {
			t.Fatalf("%s: %v", filter, err)
		}
		// (&(|(uid=…)(mail=…))…): the assertion values are what was typed.
		names := got.Children[0]
		if len(got.Children) != len(want.Children) || len(names.Children) != 2 {
			t.Fatalf("%q has changed the filter: %s", input, filter)
		}
		for _, match := range names.Children {
			if match.Tag != ldap.FilterEqualityMatch {
				t.Fatalf("%q has changed the kind of a match: %s", input, filter)
			}
			if v := match.Children[1].ByteValue; !slices.Equal(v, []byte(input)) {
				if s, ok := match.Children[1].Value.(string); !ok || s != input {
					t.Fatalf("%q became %q", input, v)
				}
			}
		}
	})
}
