// Package haproxy writes HAProxy's side of Postern: spoe.conf and postern.cfg for a
// version of HAProxy and in one of two forms, and knows what each version can do.
//
// It does not answer HAProxy (agent does), and takes every name that both sides share
// from package agent.
package haproxy

import "postern/agent/policy"

// Form is how the rules are handed to the operator.
type Form string

// The two forms, DESIGN 4.
const (
	Defaults Form = "defaults" // a named defaults section with an event
	Block    Form = "block"    // rules for one's own frontend with a group
)

// Version is a version of HAProxy, as far as the files depend on it.
type Version struct{ Major, Minor int }

// Config is what the files depend on.
type Config struct {
	Domains []policy.Domain
	Cookie  string
	Agent   string // address of the agent: unix:/path or host:port
	Portal  string // address of the portal: unix:/path or host:port
	Headers Headers
	SPOE    string // path of spoe.conf, as HAProxy will see it; for the filter line of the comments
	Timeout string // "timeout processing"; "" is 1s
}

// Headers are the names of the identity headers. An empty name is not sent.
type Headers struct {
	User   string `yaml:"user"`
	Groups string `yaml:"groups"`
	Name   string `yaml:"name"`
	Email  string `yaml:"email"`
}

// DefaultHeaders are the names that applications know.
func DefaultHeaders() Headers {
	return Headers{User: "Remote-User", Groups: "Remote-Groups", Name: "Remote-Name", Email: "Remote-Email"}
}

// Files are the two files.
type Files struct {
	SPOE   []byte // spoe.conf
	Config []byte // postern.cfg
}

// Generate writes both files.
func Generate(c Config, v Version, f Form) (Files, error) { return Files{}, nil }

// ParseVersion reads "2.6", "3.0.11" or the output of haproxy -v.
func ParseVersion(s string) (Version, error) { return Version{}, nil }
