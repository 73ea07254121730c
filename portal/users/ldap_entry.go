package users

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
	"golang.org/x/text/unicode/norm"
)

// Bounds of what is read of one person.
const (
	maxTyped  = 256 // bytes of a name as it is typed
	maxEmails = 16
	maxText   = 256 // bytes of a display name
)

// person is a user as the directory has him.
type person struct {
	User
	dn       string
	mark     string   // the value that changes with the password; "" when there is none
	memberOf []string // as the entry lists them
	partial  bool     // the list goes on where we have not read it
}

// user copies what the outside may see and change.
func (p *person) user() User {
	u := p.User
	u.Emails, u.Groups = slices.Clone(u.Emails), slices.Clone(u.Groups)
	return u
}

// The attributes that say whether somebody may sign in, whatever the filter says. A
// directory has some of them and knows nothing of the others.
const (
	attrADControl     = "userAccountControl"     // Active Directory: bit 2 is disabled
	attrADExpires     = "accountExpires"         // Active Directory: 100 ns since 1601; 0 and 2^63-1: never
	attrNSLock        = "nsAccountLock"          // 389, FreeIPA: TRUE
	attrKrbExpires    = "krbPrincipalExpiration" // FreeIPA: a time
	attrPolicyLock    = "pwdAccountLockedTime"   // password policy: 000001010000Z is for ever
	attrPolicyReset   = "pwdReset"               // password policy: TRUE, must change it first
	policyLockForever = "000001010000Z"          // draft-behera-ldap-password-policy-10, 5.3.3
)

// wanted are the attributes that a search asks for: what we read, as far as the kind of
// directory may have it. Some say in their log what they do not know.
func (c LDAPConfig) wanted() []string {
	a := c.Attributes
	all := []string{a.Username, a.DisplayName, a.Mail, a.PasswordChanged, "modifyTimestamp"}
	if c.GroupSearch == groupsMemberOf {
		all = append(all, a.MemberOf)
	}
	for _, more := range []struct {
		attr, presets string
	}{
		{attrADControl, presetAD}, {attrADExpires, presetAD}, {"whenChanged", presetAD},
		{attrNSLock, presetFreeIPA}, {attrKrbExpires, presetFreeIPA},
		{attrPolicyLock, presetOpenLDAP + presetFreeIPA}, {attrPolicyReset, presetOpenLDAP + presetFreeIPA}, {"entryCSN", presetOpenLDAP},
	} {
		if c.Preset == presetCustom || strings.Contains(more.presets, c.Preset) {
			all = append(all, more.attr)
		}
	}
	all = slices.DeleteFunc(all, func(s string) bool { return s == "" })
	slices.Sort(all)
	return slices.Compact(all)
}

// person reads an entry. It fails when the entry has no name that can be used.
func (c LDAPSearch) person(e *ldap.Entry, now time.Time) (*person, error) {
	name, err := c.nameOf(e)
	if err != nil {
		return nil, err
	}
	p := &person{User: User{Name: name, DisplayName: name}, dn: e.DN}
	if v := tidy(value(e, c.Attributes.DisplayName), maxText); v != "" {
		p.DisplayName = v
	}
	for _, m := range values(e, c.Attributes.Mail) {
		if m = strings.TrimSpace(m); checkEmail(m) == nil && !slices.Contains(p.Emails, m) && len(p.Emails) < maxEmails {
			p.Emails = append(p.Emails, m)
		}
	}
	p.Disabled = !mayStand(e, now)
	p.mark = c.markOf(e, name)
	if c.GroupSearch == groupsMemberOf {
		p.memberOf = values(e, c.Attributes.MemberOf)
		ranged := strings.ToLower(c.Attributes.MemberOf) + ";range="
		p.partial = slices.ContainsFunc(e.Attributes, func(a *ldap.EntryAttribute) bool {
			return strings.HasPrefix(strings.ToLower(a.Name), ranged) // MS-ADTS 3.1.1.3.1.3.3
		})
	}
	return p, nil
}

// nameOf is the one canonical name of an entry: the value of the username attribute, and
// of several the one that names the entry itself. It does not depend on what was typed.
func (c LDAPSearch) nameOf(e *ldap.Entry) (string, error) {
	all := named(e, c.Attributes.Username)
	if len(all) != 1 {
		return "", fmt.Errorf("%d values of %s, and none of them names the entry", len(all), c.Attributes.Username)
	}
	name := norm.NFC.String(all[0])
	return name, CheckName(name)
}

// markOf makes the version of the password: from the attribute that says when it was set,
// else from what changes whenever anything in the entry does.
func (c LDAPSearch) markOf(e *ldap.Entry, name string) string {
	for _, attr := range []string{c.Attributes.PasswordChanged, "entryCSN", "whenChanged", "modifyTimestamp"} {
		if v := value(e, attr); v != "" {
			sum := sha256.Sum256([]byte("postern password mark\x00" + name + "\x00" + strings.ToLower(attr) + "\x00" + v))
			return hex.EncodeToString(sum[:16])
		}
	}
	return ""
}

// mayStand says whether the entry's own attributes let somebody sign in at that time.
func mayStand(e *ldap.Entry, now time.Time) bool {
	if v := value(e, attrADControl); v != "" {
		if n, err := strconv.ParseInt(v, 10, 64); err != nil || n&2 != 0 {
			return false
		}
	}
	if v := value(e, attrADExpires); v != "" && v != "0" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n/10_000_000-windowsEpoch <= now.Unix() {
			return false
		}
	}
	if v := value(e, attrKrbExpires); v != "" {
		if at, err := generalized(v); err != nil || !at.After(now) {
			return false
		}
	}
	return !strings.EqualFold(value(e, attrNSLock), "true") &&
		!strings.EqualFold(value(e, attrPolicyReset), "true") &&
		value(e, attrPolicyLock) != policyLockForever
}

// generalized reads a time of RFC 4517 section 3.3.13, as far as directories write it.
func generalized(s string) (time.Time, error) {
	for _, form := range []string{"20060102150405Z", "20060102150405.999999999Z", "200601021504Z"} {
		if t, err := time.Parse(form, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time", s)
}

// values are those of an attribute, whatever the case of its name; none when it has no name.
func values(e *ldap.Entry, attr string) []string {
	if attr == "" {
		return nil
	}
	return e.GetEqualFoldAttributeValues(attr)
}

func value(e *ldap.Entry, attr string) string {
	if v := values(e, attr); len(v) > 0 {
		return v[0]
	}
	return ""
}

// named are the values of an attribute by which entries are called: of several the one that
// stands in the DN, since directories keep no order, else all.
func named(e *ldap.Entry, attr string) []string {
	all := values(e, attr)
	if len(all) < 2 {
		return all
	}
	if dn, err := ldap.ParseDN(e.DN); err == nil && len(dn.RDNs) > 0 {
		for _, a := range dn.RDNs[0].Attributes {
			if strings.EqualFold(a.Type, attr) {
				return []string{a.Value}
			}
		}
	}
	return all
}

// tidy makes text of a directory fit for headers, pages and logs: valid, without control
// characters, at most n bytes.
func tidy(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == utf8.RuneError {
			return ' '
		}
		return r
	}, clip(s, 4*n))
	s = strings.TrimSpace(norm.NFC.String(s))
	for len(s) > n {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return strings.TrimSpace(s)
}

// legible is a name as it was typed, when it can be anybody's: printable characters only,
// so that none is hidden which a directory would not see.
func legible(name string) (string, bool) {
	if len(name) > maxTyped || !utf8.ValidString(name) {
		return "", false
	}
	name = norm.NFC.String(strings.TrimSpace(name))
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return "", false
		}
	}
	return name, name != ""
}
