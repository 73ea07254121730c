package users

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"
	"golang.org/x/sync/singleflight"
)

// LDAP is a directory server that people are looked up in and that checks their
// passwords. Fill it and call Run to keep what is known of the users fresh. Its methods
// may be called from many goroutines.
//
// It follows no referral, never binds with an empty password, and escapes every value
// that goes into a filter.
type LDAP struct {
	Config LDAPConfig
	Log    *slog.Logger     // nil: nothing is logged
	Now    func() time.Time // nil: time.Now

	once     sync.Once
	conns    *ldapPool
	writing  chan struct{} // holds whoever sets a password
	asking   singleflight.Group
	cache    ldapCache
	pace     ldapPace
	unusable saidOnce // groups that were left out
}

// pool makes the pool at first use, and with it the configuration that everybody reads.
func (l *LDAP) pool() *ldapPool {
	l.once.Do(func() {
		l.conns = newLDAPPool(l.Config.filled(), l.log())
		l.writing = make(chan struct{}, 1)
	})
	return l.conns
}

func (l *LDAP) config() *LDAPConfig { return &l.pool().config }

func (l *LDAP) log() *slog.Logger {
	if l.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l.Log
}

func (l *LDAP) now() time.Time {
	if l.Now == nil {
		return time.Now()
	}
	return l.Now()
}

// Check connects, binds and reads the folder of the users. The error says what is wrong:
// the address, TLS, the account (ErrServiceAccount), or base_dn.
func (l *LDAP) Check(ctx context.Context) error {
	for _, base := range []string{l.config().usersBase(), l.config().groupsBase()} {
		err := l.pool().use(ctx, asService, false, func(c *ldapConn) error {
			_, err := c.Search(&ldap.SearchRequest{BaseDN: base, Scope: ldap.ScopeBaseObject, SizeLimit: 1,
				Filter: "(objectClass=*)", Attributes: []string{"1.1"}})
			return err
		})
		if isResult(err, ldap.LDAPResultNoSuchObject) {
			return fmt.Errorf("%w: there is no %s, or user may not see it", ErrUnavailable, base)
		}
		if err != nil {
			return l.unexpected(err)
		}
	}
	return nil
}

// Authenticate checks a password: it searches for the user and binds as him. name may be
// spelled as the directory allows, or be a mail address; the User has the canonical name.
// Errors: ErrBadCredentials, ErrBusy, ErrUnavailable, ctx's.
func (l *LDAP) Authenticate(ctx context.Context, name, password string) (User, error) {
	name, ok := legible(name)
	if !ok || checkPassword(password) != nil {
		return User{}, ErrBadCredentials
	}
	var p *person
	err := l.pool().use(ctx, asService, false, func(c *ldapConn) (err error) {
		p, err = l.lookup(c, name)
		return err
	})
	if errors.Is(err, ErrNotFound) {
		l.lost(name)
		return User{}, l.decoy(ctx, password)
	}
	if err != nil {
		return User{}, l.unexpected(err)
	}
	if p.Name != name {
		l.lost(name) // when it was somebody's own until now
	}
	began := time.Now()
	err = l.bindAs(ctx, p.dn, password)
	var refused *refusal
	switch {
	case errors.As(err, &refused):
		l.pace.add(time.Since(began))
		l.refused(p, refused)
		return User{}, ErrBadCredentials
	case err != nil:
		return User{}, err
	}
	if p.Disabled {
		l.refused(p, &refusal{standing: "disabled"})
		return User{}, ErrBadCredentials
	}
	if err := l.pool().use(ctx, asService, false, func(c *ldapConn) error { return l.join(c, p) }); err != nil {
		return User{}, l.unexpected(err)
	}
	l.cache.put(p, name, l.now())
	return p.user(), nil
}

// refusal is a bind that the directory refused: bad credentials to the outside, whatever
// it was.
type refusal struct {
	standing string // what is wrong with the account itself, "" when the password is
}

func (r *refusal) Error() string { return ErrBadCredentials.Error() }

// adStanding finds what Active Directory says of an account, MS-ADTS 2.2.4 and the codes of
// LogonUser; 52e, the password, is not among them.
var adStanding = regexp.MustCompile(`\bdata (530|531|532|533|701|773|775)\b`)

// bindAs tries a password. Errors: *refusal, ErrBusy, ErrUnavailable, ctx's.
func (l *LDAP) bindAs(ctx context.Context, dn, password string) error {
	if dn == "" || password == "" {
		return &refusal{} // would bind as nobody
	}
	err := l.pool().use(ctx, asNobody, false, func(c *ldapConn) error {
		c.as = asNobody
		r := ldap.NewSimpleBindRequest(dn, password, nil)
		if p := l.config().Preset; p != presetAD && p != presetLLDAP { // they have nothing to say
			r.Controls = []ldap.Control{ldap.NewControlBeheraPasswordPolicy()}
		}
		got, err := c.SimpleBind(r)
		if ldap.IsErrorAnyOf(err, ldap.LDAPResultReferral, ldap.LDAPResultProtocolError, ldap.LDAPResultAuthMethodNotSupported,
			ldap.LDAPResultStrongAuthRequired, ldap.LDAPResultConfidentialityRequired) {
			return err // nobody may bind like this, whatever his password is
		}
		if err != nil && !isTransport(err) {
			return &answer{&refusal{standing: standing(got, err)}}
		}
		if why := policyError(got); err == nil && why != "" {
			return &answer{&refusal{standing: why}} // the password is right, and good for nothing but a change
		}
		return err
	})
	if r := (*refusal)(nil); errors.As(err, &r) {
		return r
	}
	return l.unexpected(err)
}

// standing says what a refused bind tells of the account itself.
func standing(got *ldap.SimpleBindResult, err error) string {
	if m := adStanding.FindStringSubmatch(reason(err)); m != nil {
		return map[string]string{"530": "logon hours", "531": "workstation", "532": "password expired", "533": "disabled",
			"701": "expired", "773": "must change password", "775": "locked"}[m[1]]
	}
	if why := policyError(got); why != "" {
		return why
	}
	if isResult(err, ldap.LDAPResultUnwillingToPerform) || isResult(err, ldap.LDAPResultConstraintViolation) {
		return reason(err) // FreeIPA: inactivated, or too many failures
	}
	return ""
}

// policyError is what a directory with password policies says beside its answer.
func policyError(got *ldap.SimpleBindResult) string {
	if got == nil {
		return ""
	}
	c, ok := ldap.FindControl(got.Controls, ldap.ControlTypeBeheraPasswordPolicy).(*ldap.ControlBeheraPasswordPolicy)
	if !ok || c.Error < 0 {
		return ""
	}
	return cmp.Or(c.ErrorString, "password policy")
}

// refused looks at once whether a known user may still be let in, when the directory said
// that there is something about his account. Nobody waits for it: the time would tell.
func (l *LDAP) refused(p *person, r *refusal) {
	if r.standing == "" {
		return
	}
	l.log().Info("directory refuses an account", "user", p.Name, "why", r.standing)
	if _, _, known := l.cache.get(p.Name, l.now()); known {
		l.asking.DoChan("\x00"+p.Name, func() (any, error) {
			return nil, l.again(context.Background(), p.Name) // pool.use bounds it
		})
	}
}

// lost notes that the directory does not find somebody, who may have been known.
func (l *LDAP) lost(name string) { l.cache.miss(name, l.now()) }

// decoy costs what a wrong password does: a bind, and the time that one takes which is
// really checked.
func (l *LDAP) decoy(ctx context.Context, password string) error {
	began := time.Now()
	err := l.bindAs(ctx, l.nobodysDN(), password)
	if r := (*refusal)(nil); err != nil && !errors.As(err, &r) {
		return err
	}
	if err := l.pace.wait(ctx, began); err != nil {
		return err
	}
	return ErrBadCredentials
}
