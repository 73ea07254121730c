// Package haproxy writes HAProxy's side of Postern: spoe.conf and postern.cfg for a
// version of HAProxy and in one of two forms, and knows what each version can do.
//
// It does not answer HAProxy (agent does), does not run it save to ask for its version
// and to check files, and takes every name that both sides share from package agent.
package haproxy

import (
	"bytes"
	"net/netip"

	"postern/agent/policy"
)

// Form is how the rules are handed to the operator.
type Form string

// The two forms, DESIGN 4.
const (
	Defaults Form = "defaults" // a named defaults section with an event
	Block    Form = "block"    // rules for one's own frontend with a group
)

// Config is what the files depend on. Everything in it ends up in a configuration file:
// Generate refuses whatever HAProxy could read in another way than it was meant.
type Config struct {
	Domains       []policy.Domain
	Cookie        string         // name of Postern's cookie: letters, digits, hyphen, underscore
	Agent         string         // address of the agent: unix:/path or host:port
	Portal        string         // address of the portal: unix:/path or host:port
	Headers       Headers        // "" in a field: that header is not sent
	SPOE          string         // path of spoe.conf, as HAProxy will see it; for the filter line of the comments
	Timeout       string         // "timeout processing", a Go duration of 10ms to 1m; "" is 1s
	Authorization bool           // the agent is asked with the Authorization header: some rule wants it
	Certificates  bool           // the agent is asked with the client's certificate
	Requests      int            // forms that one address may send to the portal in a minute; 0: any number
	Exempt        []netip.Prefix // who may send more
}

// Headers are the names of the identity headers. An empty name is not sent.
type Headers struct {
	User      string `yaml:"user"`
	Groups    string `yaml:"groups"`
	Name      string `yaml:"name"`
	Email     string `yaml:"email"`
	Assertion string `yaml:"assertion"` // a signed statement about the user; off by default
}

// DefaultHeaders are the names that applications know.
func DefaultHeaders() Headers {
	return Headers{User: "Remote-User", Groups: "Remote-Groups", Name: "Remote-Name", Email: "Remote-Email"}
}

// Files are the two files. In the Defaults form Config is loaded as it is, before one's
// own configuration. In the Block form it begins with the lines of the block, indented
// for a frontend, and ends with the sections that belong behind one's own.
type Files struct {
	SPOE   []byte // spoe.conf
	Config []byte // postern.cfg
}

// endOfBlock is the line that parts the two.
const endOfBlock = "    # ---- end of the block"

// Parts cuts Config of the Block form in two: the lines for a frontend, and the sections
// that belong behind one's own. In the Defaults form there are no such lines.
func (f Files) Parts() (frontend, behind []byte) {
	before, after, ok := bytes.Cut(f.Config, []byte(endOfBlock))
	if !ok {
		return nil, f.Config
	}
	_, after, _ = bytes.Cut(after, []byte("\n"))
	return before, after
}

// Generate writes both files. Its error joins every fault of the configuration.
func Generate(c Config, v Version, f Form) (Files, error) {
	if err := c.validate(v, f); err != nil {
		return Files{}, err
	}
	return c.render(v, f)
}
