package users

import (
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// The presets.
const (
	presetAD       = "activedirectory"
	presetFreeIPA  = "freeipa"
	presetLLDAP    = "lldap"
	presetOpenLDAP = "openldap"
	presetCustom   = "custom"
)

// How groups are found.
const (
	groupsFilter   = "filter"   // groups_filter finds them
	groupsMemberOf = "memberof" // the user's entry lists them
	groupsNested   = "nested"   // the directory follows groups in groups
)

// inChain is the matching rule by which Active Directory follows groups in groups
// (LDAP_MATCHING_RULE_IN_CHAIN, MS-ADTS 3.1.1.3.4.4.3).
const inChain = "1.2.840.113556.1.4.1941"

const byNameOrMail = "(|({username_attribute}={input})({mail_attribute}={input}))"

// preset is what a kind of directory calls things. Whoever may not sign in is left out by
// the filter as far as the directory lets one ask for it; see also standing.
func preset(name string) LDAPSearch {
	switch name {
	case presetAD:
		return LDAPSearch{
			UsersFilter: "(&" + byNameOrMail + "(sAMAccountType=805306368)" + // a person
				"(!(userAccountControl:1.2.840.113556.1.4.803:=2))" + // bitwise and: not disabled
				"(!(pwdLastSet=0))" + // need not change the password first
				"(|(!(accountExpires=*))(accountExpires=0)(accountExpires>={date-time:microsoft-nt})))",
			GroupsFilter: "(&(member={dn})(|(sAMAccountType=268435456)(sAMAccountType=536870912)))",
			Attributes: LDAPAttributes{Username: "sAMAccountName", DisplayName: "displayName", Mail: "mail",
				MemberOf: "memberOf", GroupName: "cn", PasswordChanged: "pwdLastSet"},
		}
	case presetFreeIPA:
		return LDAPSearch{
			UsersFilter: "(&" + byNameOrMail + "(objectClass=person)(!(nsAccountLock=TRUE))" +
				"(|(!(krbPasswordExpiration=*))(krbPasswordExpiration>={date-time:generalized}))" +
				"(|(!(krbPrincipalExpiration=*))(krbPrincipalExpiration>={date-time:generalized})))",
			GroupsFilter: "(&(member={dn})(objectClass=groupOfNames))",
			UsersDN:      "cn=users,cn=accounts", GroupsDN: "cn=groups,cn=accounts",
			Attributes: LDAPAttributes{Username: "uid", DisplayName: "displayName", Mail: "mail",
				MemberOf: "memberOf", GroupName: "cn", PasswordChanged: "krbLastPwdChange"},
		}
	case presetLLDAP:
		return LDAPSearch{
			UsersFilter:  "(&" + byNameOrMail + "(objectClass=person))",
			GroupsFilter: "(&(member={dn})(objectClass=groupOfUniqueNames))",
			UsersDN:      "ou=people", GroupsDN: "ou=groups",
			Attributes: LDAPAttributes{Username: "uid", DisplayName: "cn", Mail: "mail",
				MemberOf: "memberOf", GroupName: "cn", PasswordChanged: "pwdChangedTime"},
		}
	case presetOpenLDAP:
		return LDAPSearch{
			UsersFilter: "(&" + byNameOrMail + "(|(objectClass=inetOrgPerson)(objectClass=organizationalPerson)))",
			GroupsFilter: "(&(|(member={dn})(uniqueMember={dn}))" +
				"(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=groupOfMembers)))",
			Attributes: LDAPAttributes{Username: "uid", DisplayName: "displayName", Mail: "mail",
				MemberOf: "memberOf", GroupName: "cn", PasswordChanged: "pwdChangedTime"},
		}
	}
	return LDAPSearch{Attributes: LDAPAttributes{Username: "uid", DisplayName: "displayName", Mail: "mail",
		MemberOf: "memberOf", GroupName: "cn"}}
}

// filled is the configuration with the preset and the defaults in place of what is not set.
func (c LDAPConfig) filled() LDAPConfig {
	if c.Preset == "" {
		c.Preset = presetCustom
	}
	p := preset(c.Preset)
	for _, s := range []struct {
		field *string
		value string
	}{
		{&c.UsersDN, p.UsersDN},
		{&c.GroupsDN, p.GroupsDN},
		{&c.UsersFilter, p.UsersFilter},
		{&c.GroupSearch, groupsFilter},
		{&c.Attributes.Username, p.Attributes.Username},
		{&c.Attributes.DisplayName, p.Attributes.DisplayName},
		{&c.Attributes.Mail, p.Attributes.Mail},
		{&c.Attributes.MemberOf, p.Attributes.MemberOf},
		{&c.Attributes.GroupName, p.Attributes.GroupName},
		{&c.Attributes.PasswordChanged, p.Attributes.PasswordChanged},
		{&c.PasswordChange, changeAuto},
		{&c.TLS.MinVersion, "1.2"},
	} {
		if *s.field == "" {
			*s.field = s.value
		}
	}
	if c.GroupsFilter == "" && c.GroupSearch == groupsNested {
		c.GroupsFilter = "(&(objectCategory=group)(member:" + inChain + ":={dn}))"
	}
	if c.GroupsFilter == "" {
		c.GroupsFilter = p.GroupsFilter
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&c.Timeout, 5 * time.Second}, {&c.Pool.Idle, 5 * time.Minute}, {&c.Refresh, 5 * time.Minute}, {&c.Grace, time.Hour}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if c.Pool.Size <= 0 {
		c.Pool.Size = 8
	}
	return c
}

// usersBase and groupsBase are where one searches. A part that names base_dn itself stands
// alone.
func (c LDAPSearch) usersBase() string  { return below(c.UsersDN, c.BaseDN) }
func (c LDAPSearch) groupsBase() string { return below(c.GroupsDN, c.BaseDN) }

func below(dn, base string) string {
	if dn == "" {
		return base
	}
	d, err1 := ldap.ParseDN(dn)
	b, err2 := ldap.ParseDN(base)
	if err1 == nil && err2 == nil && (b.AncestorOfFold(d) || b.EqualFold(d)) {
		return dn
	}
	return strings.TrimSuffix(dn, ",") + "," + base
}
