package main

import (
	"fmt"

	"postern/agent/policy"
	"postern/cmd/postern/config"
	"postern/haproxy"
)

// site is a small configuration of one's own around the generated files: what an operator
// adds to them.
type site struct {
	bind        string // arguments of bind
	spoe        string // path of spoe.conf
	portal      string // hosts of the portals, with blanks between
	application string // address of the application's server
}

// files returns postern.cfg and the site's own file, to be read in this order. In the
// block form the rules stand in the frontend of the second, and the first is empty.
func (s site) files(generated haproxy.Files, form haproxy.Form) (postern, own []byte) {
	frontend, base, block, sections := "www from postern", "sample from postern-base", "", []byte(nil)
	if form == haproxy.Block {
		var lines []byte
		lines, sections = generated.Parts()
		frontend, base, block = "www", "sample", string(lines)
		generated.Config = []byte("defaults\n    mode http\n    log global\n    timeout connect 5s\n    timeout client 1m\n    timeout server 1m\n")
	}
	own = fmt.Appendf(nil, `frontend %s
    bind %s
    filter spoe engine postern config %s
%s
    use_backend postern_portal if { hdr(host),lower,field(1,:) %s }
    default_backend sample

backend %s
    http-request deny deny_status 503 unless { var(txn.postern_passed) -m bool }
    server app %s
`, frontend, s.bind, s.spoe, block, s.portal, base, s.application)
	return generated.Config, append(own, sections...)
}

// haproxyConfig is what HAProxy's files take from the configuration.
func haproxyConfig(cfg *config.Config, spoe string) haproxy.Config {
	takes := taken(cfg)
	return haproxy.Config{
		Domains: cfg.Domains, Cookie: cfg.Session.Cookie, Agent: cfg.Agent.Listen, Portal: cfg.Portal.Listen,
		Headers: cfg.Headers, SPOE: spoe, Requests: cfg.Regulation.Requests, Exempt: cfg.Regulation.Networks(),
		Authorization: takes.Header(), Certificates: cfg.Certificates.On(),
	}
}

// taken is what some rule takes in place of a session; HAProxy sends nothing else.
func taken(cfg *config.Config) policy.Credentials {
	rules, err := policy.Compile(cfg.Domains, cfg.Access)
	if err != nil {
		return 0 // whoever reads the configuration has said so
	}
	return rules.Credentials()
}
