package users

import "time"

// LDAPConfig is `ldap` of one entry of `users`.
type LDAPConfig struct {
	Preset         string `yaml:"preset"` // activedirectory, freeipa, lldap, openldap or custom
	LDAPServer     `yaml:",inline"`
	LDAPSearch     `yaml:",inline"`
	PasswordChange string        `yaml:"password_change"` // auto (default), extended, unicode, modify or off
	Refresh        time.Duration `yaml:"refresh"`         // what is known of a user is asked for again after this; 0: 5m
	Grace          time.Duration `yaml:"grace"`           // how much longer it holds while the directory is away; 0: 1h
}

// LDAPServer says where the directory is and how one talks to it.
type LDAPServer struct {
	Address   string        `yaml:"address"`   // ldap://, ldaps://host:port or ldapi:///path/of/socket
	Addresses []string      `yaml:"addresses"` // several, in the order in which they are tried
	StartTLS  bool          `yaml:"start_tls"` // for ldap://
	Plaintext bool          `yaml:"plaintext"` // passwords may cross the network unencrypted
	TLS       LDAPTLS       `yaml:"tls"`
	User      string        `yaml:"user"` // DN of the account that searches; "": nobody
	Password  string        `yaml:"password" secret:"true"`
	Timeout   time.Duration `yaml:"timeout"` // for one operation, connecting included; 0: 5s
	Pool      LDAPPool      `yaml:"pool"`
}

// LDAPTLS says how far the directory is trusted.
type LDAPTLS struct {
	CA          string `yaml:"ca"`          // file of certificates to trust instead of the system's
	ServerName  string `yaml:"server_name"` // name in the server's certificate; "": the host of the address
	SkipVerify  bool   `yaml:"skip_verify"` // believe any certificate
	MinVersion  string `yaml:"min_version"` // 1.2 (default) or 1.3
	Certificate string `yaml:"certificate"` // file of our own certificate
	Key         string `yaml:"key"`         // file of its key
}

// LDAPPool bounds the connections.
type LDAPPool struct {
	Size int           `yaml:"size"` // connections at most; 0: 8
	Idle time.Duration `yaml:"idle"` // an unused one is closed after this; 0: 5m
}

// LDAPSearch says where users and groups are and what their attributes are called. What
// is not set comes from the preset.
type LDAPSearch struct {
	BaseDN       string         `yaml:"base_dn"`
	UsersDN      string         `yaml:"users_dn"`  // below base_dn
	GroupsDN     string         `yaml:"groups_dn"` // below base_dn
	UsersFilter  string         `yaml:"users_filter"`
	GroupsFilter string         `yaml:"groups_filter"`
	GroupSearch  string         `yaml:"group_search"` // filter, memberof or nested
	Attributes   LDAPAttributes `yaml:"attributes"`
}

// LDAPAttributes are the names of attributes.
type LDAPAttributes struct {
	Username        string `yaml:"username"`
	DisplayName     string `yaml:"display_name"`
	Mail            string `yaml:"mail"`
	MemberOf        string `yaml:"member_of"`
	GroupName       string `yaml:"group_name"`
	PasswordChanged string `yaml:"password_changed"`
}

// Validate returns every fault at once, each under its key; at is where the
// configuration stands, as users[0].ldap.
func (c LDAPConfig) Validate(at string) error { return nil }
