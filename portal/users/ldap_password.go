package users

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"unicode/utf16"

	"github.com/go-ldap/ldap/v3"
)

// How passwords are set.
const (
	changeAuto     = "auto"     // unicode at Active Directory, else extended where it is announced
	changeExtended = "extended" // the extended operation of RFC 3062: the directory hashes
	changeUnicode  = "unicode"  // Active Directory's unicodePwd
	changeModify   = "modify"   // userPassword is replaced: only where the directory hashes what is written
	changeOff      = "off"
)

// What a directory announces, by OID.
const (
	oidPasswordModify = "1.3.6.1.4.1.4203.1.11.1" // RFC 3062
	oidAD             = "1.2.840.113556.1.4.800"  // Active Directory, MS-ADTS 3.1.1.3.4.3.1
	oidPolicyHints    = "1.2.840.113556.1.4.2239" // MS-ADTS 3.1.1.3.4.1.27: history and age count for resets too
	policyHintsOn     = "\x30\x03\x02\x01\x01"    // SEQUENCE { INTEGER 1 }
)

// SetPassword replaces a user's password, by canonical name. Errors: ErrNotFound,
// ErrPassword (the directory's own policy included), ErrReadOnly, ErrBusy,
// ErrUnavailable, ctx's.
func (l *LDAP) SetPassword(ctx context.Context, name, password string) error {
	return l.setPassword(ctx, name, password, "")
}

// ReplacePassword is SetPassword for the holder of a Version: when the password has
// changed since, the answer is ErrChanged and nothing happens. The directory is asked for
// the version just before; it has no way to do both at once.
func (l *LDAP) ReplacePassword(ctx context.Context, name, password, version string) error {
	if version == "" {
		return ErrChanged
	}
	return l.setPassword(ctx, name, password, version)
}

// Version changes whenever the user's password is set: it is made of the attribute
// password_changed, and where an entry has none, of what changes with every change of the
// entry (entryCSN, whenChanged, modifyTimestamp). ok is false when the user is not known
// or disabled, when the directory keeps none of these, and when passwords are not set here.
func (l *LDAP) Version(name string) (version string, ok bool) {
	if c := l.config(); c.PasswordChange == changeOff || c.User == "" {
		return "", false
	}
	u, e, ok := l.cache.get(name, l.now())
	if !ok || u.Disabled || e.gone || e.mark == "" {
		return "", false
	}
	return e.mark, true
}

func (l *LDAP) setPassword(ctx context.Context, name, password, version string) error {
	if err := checkPassword(password); err != nil {
		return err
	}
	if c := l.config(); c.PasswordChange == changeOff || c.User == "" {
		return ErrReadOnly
	}
	if err := l.lockWrite(ctx); err != nil {
		return err
	}
	defer func() { <-l.writing }()
	err := l.pool().use(ctx, asService, true, func(c *ldapConn) error {
		p, err := l.lookup(c, name)
		switch {
		case err != nil:
			return err
		case p.Name != name || p.Disabled:
			return &answer{ErrNotFound}
		case version != "" && p.mark != version:
			return &answer{ErrChanged}
		}
		return l.write(c, p.dn, password)
	})
	var verdict *answer
	switch {
	case errors.Is(err, ErrNotFound):
		l.lost(name)
		return ErrNotFound
	case errors.As(err, &verdict):
		return verdict.error
	case err != nil:
		return l.unexpected(err)
	}
	if err := l.again(ctx, name); err != nil {
		l.log().Warn("directory not asked after a password was set", "error", err.Error())
	}
	return nil
}

// lockWrite lets one password be set at a time, so that of two holders of one version
// only one gets his way.
func (l *LDAP) lockWrite(ctx context.Context) error {
	l.pool() // made the channel
	select {
	case l.writing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// write sets the password of an entry.
func (l *LDAP) write(c *ldapConn, dn, password string) error {
	way, controls, err := l.way(c)
	if err != nil {
		return err
	}
	switch way {
	case changeExtended:
		_, err = c.PasswordModify(ldap.NewPasswordModifyRequest(dn, "", password))
	case changeUnicode:
		r := ldap.NewModifyRequest(dn, controls)
		r.Replace("unicodePwd", []string{unicodePassword(password)})
		err = c.Modify(r)
	case changeModify:
		r := ldap.NewModifyRequest(dn, nil)
		r.Replace("userPassword", []string{password})
		err = c.Modify(r)
	default:
		return &answer{ErrReadOnly}
	}
	switch {
	case isResult(err, ldap.LDAPResultConstraintViolation), isResult(err, ldap.LDAPResultUnwillingToPerform),
		isResult(err, ldap.LDAPResultInvalidAttributeSyntax):
		return &answer{fmt.Errorf("%w: the directory refuses it: %s", ErrPassword, reason(err))}
	case isResult(err, ldap.LDAPResultInsufficientAccessRights), isResult(err, ldap.LDAPResultNoSuchAttribute),
		isResult(err, ldap.LDAPResultUndefinedAttributeType), isResult(err, ldap.LDAPResultObjectClassViolation):
		return &answer{fmt.Errorf("%w: %s", ErrReadOnly, reason(err))}
	}
	return err
}

// way says how the directory sets passwords.
func (l *LDAP) way(c *ldapConn) (way string, controls []ldap.Control, err error) {
	way = l.config().PasswordChange
	if way == changeExtended || way == changeModify {
		return way, nil, nil
	}
	root, err := c.Search(&ldap.SearchRequest{
		Scope: ldap.ScopeBaseObject, SizeLimit: 1, Filter: "(objectClass=*)",
		Attributes: []string{"supportedExtension", "supportedControl", "supportedCapabilities"},
	})
	if err != nil {
		return "", nil, err
	}
	if len(root.Entries) != 1 {
		return "", nil, &answer{ErrReadOnly}
	}
	has := func(attr, oid string) bool { return slices.Contains(values(root.Entries[0], attr), oid) }
	if has("supportedControl", oidPolicyHints) {
		controls = []ldap.Control{ldap.NewControlString(oidPolicyHints, true, policyHintsOn)}
	}
	switch {
	case way == changeUnicode, l.config().Preset == presetAD, has("supportedCapabilities", oidAD):
		return changeUnicode, controls, nil
	case has("supportedExtension", oidPasswordModify):
		return changeExtended, nil, nil
	}
	return "", nil, &answer{ErrReadOnly}
}

// unicodePassword is a password as Active Directory takes it: in quotes, UTF-16, the
// lower byte first (MS-ADTS 3.1.1.3.1.5.1).
func unicodePassword(password string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(`"` + password + `"`)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return string(b)
}
