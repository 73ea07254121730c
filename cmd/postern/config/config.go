// Package config reads postern.yml into the Config of every package: strictly, and with
// every fault of the file in one answer, each with its line and column.
//
// It does not open what the configuration names.
package config

import (
	"postern/agent"
	"postern/agent/policy"
	"postern/agent/session"
	"postern/haproxy"
	"postern/portal"
	"postern/portal/users"
)

// Config is one postern.yml.
type Config struct {
	Domains []policy.Domain `yaml:"domains"`
	Agent   agent.Config    `yaml:"agent"`
	Portal  portal.Config   `yaml:"portal"`
	Users   users.Config    `yaml:"users"`
	Access  policy.Config   `yaml:"access_control"`
	Session session.Config  `yaml:"session"`
	Headers haproxy.Headers `yaml:"headers"`
	Store   string          `yaml:"store"`
	Secret  string          `yaml:"-"` // path of the secret file, or its value; see Secret
}
