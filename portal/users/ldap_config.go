package users

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// LDAPConfig is `ldap` of one entry of `users`. What is not set comes from the preset.
type LDAPConfig struct {
	Preset         string `yaml:"preset"` // activedirectory, freeipa, lldap, openldap or custom (default)
	LDAPServer     `yaml:",inline"`
	LDAPSearch     `yaml:",inline"`
	PasswordChange string        `yaml:"password_change"` // auto (default), extended, unicode, modify or off
	Refresh        time.Duration `yaml:"refresh"`         // what is known of a user is asked for again after this; 0: 5m
	Grace          time.Duration `yaml:"grace"`           // how much longer it holds while the directory is away; 0: 1h
}

// LDAPServer says where the directory is and how one talks to it.
type LDAPServer struct {
	Address   string        `yaml:"address"`   // ldap://host:port, ldaps://host:port or ldapi:///path/of/socket
	Addresses []string      `yaml:"addresses"` // several, in the order in which they are tried
	StartTLS  bool          `yaml:"start_tls"` // for ldap://
	Plaintext bool          `yaml:"plaintext"` // passwords may cross the network in the clear
	TLS       LDAPTLS       `yaml:"tls"`
	User      string        `yaml:"user"`                   // DN of the account that searches; "": nobody
	Password  string        `yaml:"password" secret:"true"` // of that account
	Timeout   time.Duration `yaml:"timeout"`                // for one operation, connecting included; 0: 5s
	Pool      LDAPPool      `yaml:"pool"`
}

// LDAPTLS says how far the directory is trusted.
type LDAPTLS struct {
	CA          string `yaml:"ca"`          // file of certificates to trust instead of the system's
	ServerName  string `yaml:"server_name"` // name in the server's certificate; "": the host of the address
	SkipVerify  bool   `yaml:"skip_verify"` // any certificate will do, a thief's too
	MinVersion  string `yaml:"min_version"` // 1.2 (default) or 1.3
	Certificate string `yaml:"certificate"` // file of our own certificate
	Key         string `yaml:"key"`         // file of its key
}

// LDAPPool bounds the connections.
type LDAPPool struct {
	Size int           `yaml:"size"` // connections at most; 0: 8
	Idle time.Duration `yaml:"idle"` // an unused one is closed after this; 0: 5m
}

// LDAPSearch says where users and groups are and what their attributes are called.
type LDAPSearch struct {
	BaseDN       string         `yaml:"base_dn"`
	UsersDN      string         `yaml:"users_dn"`  // below base_dn
	GroupsDN     string         `yaml:"groups_dn"` // below base_dn
	UsersFilter  string         `yaml:"users_filter"`
	GroupsFilter string         `yaml:"groups_filter"`
	GroupSearch  string         `yaml:"group_search"` // filter, memberof or nested
	Attributes   LDAPAttributes `yaml:"attributes"`
}

// LDAPAttributes are the names that attributes have in the directory.
type LDAPAttributes struct {
	Username        string `yaml:"username"`
	DisplayName     string `yaml:"display_name"`
	Mail            string `yaml:"mail"`
	MemberOf        string `yaml:"member_of"`
	GroupName       string `yaml:"group_name"`
	PasswordChanged string `yaml:"password_changed"` // changes whenever the password does
}

// attributeName is what RFC 4512 section 2.5 lets an attribute be called, options aside.
var attributeName = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]*|[0-9]+(\.[0-9]+)+)$`)

// Validate returns every fault at once, each under its key; at is where the
// configuration stands, users[0].ldap for one.
func (c LDAPConfig) Validate(at string) error {
	v := &ldapFaults{at: at}
	presets := []string{presetAD, presetFreeIPA, presetLLDAP, presetOpenLDAP, presetCustom}
	if c.Preset != "" && !slices.Contains(presets, c.Preset) {
		v.add("preset", "%q is none of %s", c.Preset, strings.Join(presets, ", "))
		return v.err()
	}
	c.validateServer(v)
	c.validateTLS(v)
	c.filled().validateSearch(v)
	if !slices.Contains([]string{"", changeAuto, changeExtended, changeUnicode, changeModify, changeOff}, c.PasswordChange) {
		v.add("password_change", "%q is none of auto, extended, unicode, modify, off", c.PasswordChange)
	}
	for _, d := range []struct {
		key         string
		value, most time.Duration
	}{
		{"timeout", c.Timeout, time.Minute},
		{"pool.idle", c.Pool.Idle, 24 * time.Hour},
		{"refresh", c.Refresh, 24 * time.Hour},
		{"grace", c.Grace, 31 * 24 * time.Hour},
	} {
		if d.value < 0 || d.value > d.most {
			v.add(d.key, "%v is not between 0s and %v", d.value, d.most)
		}
	}
	if c.Refresh > 0 && c.Refresh < 10*time.Second {
		v.add("refresh", "%v is less than 10s", c.Refresh)
	}
	if c.Pool.Size < 0 || c.Pool.Size > 256 {
		v.add("pool.size", "%d is not between 0 and 256", c.Pool.Size)
	}
	return v.err()
}

// ldapFaults collects faults under their keys.
type ldapFaults struct {
	at   string
	errs []error
}

func (v *ldapFaults) add(key, format string, args ...any) {
	v.errs = append(v.errs, fmt.Errorf("%s.%s: %w", v.at, key, fmt.Errorf(format, args...)))
}

func (v *ldapFaults) err() error { return errors.Join(v.errs...) }

func (c LDAPServer) validateServer(v *ldapFaults) {
	switch {
	case c.Address == "" && len(c.Addresses) == 0:
		v.add("address", "missing; write ldaps://ldap.example.com for one")
	case c.Address != "" && len(c.Addresses) > 0:
		v.add("addresses", "address says already where the directory is; leave one of them out")
	case c.Address != "":
		c.validateAddress(v, "address", c.Address)
	}
	for i, a := range c.Addresses {
		c.validateAddress(v, fmt.Sprintf("addresses[%d]", i), a)
	}
	if (c.User == "") != (c.Password == "") {
		v.add("password", "user and password go together: a name without a password signs nobody in")
	}
	if len(c.Password) > MaxPassword || strings.ContainsRune(c.Password, 0) {
		v.add("password", "is longer than %d bytes or holds a NUL", MaxPassword)
	}
}

func (c LDAPServer) validateAddress(v *ldapFaults, key, address string) {
	e, err := parseEndpoint(address)
	switch {
	case err != nil:
		v.add(key, "%w", err)
	case c.StartTLS && e.scheme != "ldap":
		v.add("start_tls", "does not go with %s://, only with ldap://", e.scheme)
	case e.scheme == "ldap" && !c.StartTLS && !c.Plaintext && !e.loopback():
		v.add(key, "passwords would cross the network in the clear; write ldaps://%s, or set start_tls, or plaintext if nobody listens there", e.host)
	}
}

func (c LDAPServer) validateTLS(v *ldapFaults) {
	if !slices.Contains([]string{"", "1.2", "1.3"}, c.TLS.MinVersion) {
		v.add("tls.min_version", "%q is none of 1.2, 1.3", c.TLS.MinVersion)
	}
	if (c.TLS.Certificate == "") != (c.TLS.Key == "") {
		v.add("tls.key", "certificate and key go together")
	}
	if c.TLS.SkipVerify && c.TLS.CA != "" {
		v.add("tls.skip_verify", "does not go with ca, which would be trusted for nothing")
	}
}

// validateSearch looks at a search that is filled in already.
func (c LDAPConfig) validateSearch(v *ldapFaults) {
	if c.BaseDN == "" {
		v.add("base_dn", "missing; write dc=example,dc=com for one")
	}
	for _, d := range []struct{ key, dn string }{{"base_dn", c.BaseDN}, {"users_dn", c.UsersDN}, {"groups_dn", c.GroupsDN}} {
		if _, err := ldap.ParseDN(d.dn); err != nil {
			v.add(d.key, "%q is not a DN: %s", d.dn, reason(err))
		}
	}
	names := true
	for _, a := range []struct {
		key, name string
		need      bool
	}{
		{"username", c.Attributes.Username, true},
		{"display_name", c.Attributes.DisplayName, false},
		{"mail", c.Attributes.Mail, false},
		{"member_of", c.Attributes.MemberOf, c.GroupSearch == groupsMemberOf},
		{"group_name", c.Attributes.GroupName, true},
		{"password_changed", c.Attributes.PasswordChanged, false},
	} {
		if (a.need || a.name != "") && !attributeName.MatchString(a.name) {
			v.add("attributes."+a.key, "%q is not the name of an attribute", a.name)
			names = false
		}
	}
	modes := []string{groupsFilter, groupsMemberOf, groupsNested}
	switch {
	case !slices.Contains(modes, c.GroupSearch):
		v.add("group_search", "%q is none of %s", c.GroupSearch, strings.Join(modes, ", "))
	case c.GroupSearch == groupsNested && c.Preset != presetAD && c.Preset != presetCustom:
		v.add("group_search", "nested is a way of Active Directory's; preset %s has none", c.Preset)
	}
	if !names {
		return // the filters may name them
	}
	if err := c.checkUsersFilter(); err != nil {
		v.add("users_filter", "%w", err)
	}
	if err := c.checkGroupsFilter(); err != nil {
		v.add("groups_filter", "%w", err)
	}
}

// endpoint is one address, taken apart.
type endpoint struct {
	scheme string // ldap, ldaps or ldapi
	host   string // without port; "" for a socket
	dial   string // host:port, or the path of a socket
}

// parseEndpoint reads an address. Ports default to 389 and 636.
func parseEndpoint(address string) (endpoint, error) {
	wrong := fmt.Errorf("%q is not ldap://host, ldaps://host or ldapi:///path", address)
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok || checkText(address) != nil {
		return endpoint{}, wrong
	}
	if scheme == "ldapi" {
		path, err := url.PathUnescape(strings.TrimSuffix(rest, "/"))
		if err != nil || !strings.HasPrefix(path, "/") {
			return endpoint{}, wrong
		}
		return endpoint{scheme: scheme, dial: path}, nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return endpoint{}, wrong
	}
	port := u.Port()
	switch scheme {
	case "ldap":
		if port == "" {
			port = "389"
		}
	case "ldaps":
		if port == "" {
			port = "636"
		}
	default:
		return endpoint{}, wrong
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return endpoint{}, wrong
	}
	return endpoint{scheme: scheme, host: u.Hostname(), dial: net.JoinHostPort(u.Hostname(), port)}, nil
}

// loopback says whether what is sent there stays on this machine.
func (e endpoint) loopback() bool {
	ip := net.ParseIP(e.host)
	return e.scheme == "ldapi" || e.host == "localhost" || ip != nil && ip.IsLoopback()
}

// addresses are all addresses in order.
func (c LDAPServer) addresses() []string {
	if c.Address != "" {
		return append([]string{c.Address}, c.Addresses...)
	}
	return c.Addresses
}
