package haproxy

import (
	"bytes"
	"embed"
	"fmt"
	"slices"
	"strings"
	"text/template"

	"postern/agent"
	"postern/agent/policy"
)

//go:embed text
var texts embed.FS

// vars is the scope and prefix of what the agent sets.
const vars = "txn." + agent.Prefix + "."

// place says of the hosts of one domain where they are reached: at a port that is not
// 443, or again at 443; over a plain connection, or again not.
type place struct{ Port, Plain, Hosts string }

// header is an identity header and the variable that fills it.
type header struct{ Header, Variable string }

// overrides are headers by which a client makes some applications see another path or
// method than the one that was decided on.
func overrides() []string {
	return []string{"X-Original-URL", "X-Original-URI", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "HTTP2-Settings"}
}

// escape turns a text into HTML, as a chain of HAProxy's converters inside double quotes.
const escape = `regsub('&','&amp;',g),regsub('<','&lt;',g),regsub('>','&gt;',g),regsub('\"','&quot;',g)`

// hosts is a condition that holds for the hosts of a domain.
func hosts(domain string) string {
	return "{ var(txn.postern_host) -m str " + domain + " } || { var(txn.postern_host) -m end ." + domain + " }"
}

// domains returns the domains, those inside of others behind them: rules that are applied
// in this order leave what the closest domain of a host says.
func (c Config) domains() []policy.Domain {
	return slices.SortedStableFunc(slices.Values(c.Domains), func(a, b policy.Domain) int {
		return strings.Count(a.Name, ".") - strings.Count(b.Name, ".")
	})
}

// inside says whether a domain lies in one of others.
func inside(d policy.Domain, others []policy.Domain) bool {
	return slices.ContainsFunc(others, func(o policy.Domain) bool { return strings.HasSuffix(d.Name, "."+o.Name) })
}

// places are the domains whose portals have a port of their own, and those inside of
// them; ports are these ports, each once.
func (c Config) places() (places []place, ports []string) {
	var odd []policy.Domain
	for _, d := range c.domains() {
		_, port, _ := portalOf(d.Portal) // validated
		if port == "" && !inside(d, odd) {
			continue
		}
		odd = append(odd, d)
		places = append(places, place{Port: port, Hosts: hosts(d.Name)})
		if port != "" && !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	return places, ports
}

// upstream are the domains whose TLS ends in front of HAProxy, and those inside of them;
// all says that it does so for every domain.
func (c Config) upstream() (places []place, all bool) {
	var odd []policy.Domain
	all = true
	for _, d := range c.domains() {
		ends := d.TLS != "upstream"
		all = all && !ends
		switch {
		case !ends:
			places = append(places, place{Plain: "unset-var(txn.postern_plain)", Hosts: hosts(d.Name)})
		case inside(d, odd):
			places = append(places, place{Plain: "set-var(txn.postern_plain) bool(true)", Hosts: hosts(d.Name)})
		default:
			continue
		}
		odd = append(odd, d)
	}
	return places, all
}

// portals are the hosts of the portals, each once.
func (c Config) portals() []string {
	var all []string
	for _, d := range c.Domains {
		if host, _, _ := portalOf(d.Portal); !slices.Contains(all, host) { // validated
			all = append(all, host)
		}
	}
	return all
}

// identity are the headers that only Postern may send: the ones it sends, and the ones
// that applications know.
func (c Config) identity() []string {
	var all []string
	for _, name := range append(c.Headers.names(), DefaultHeaders().names()...) {
		same := func(s string) bool { return strings.EqualFold(s, name) }
		if name != "" && !slices.ContainsFunc(all, same) {
			all = append(all, name)
		}
	}
	return all
}

func (c Config) set() []header {
	var all []header
	for _, h := range []header{
		{c.Headers.User, agent.VarUser}, {c.Headers.Groups, agent.VarGroups}, {c.Headers.Name, agent.VarName},
		{c.Headers.Email, agent.VarEmail}, {c.Headers.Assertion, agent.VarAssertion},
	} {
		if h.Header != "" {
			all = append(all, header{h.Header, vars + h.Variable})
		}
	}
	return all
}

// counted is the part of a condition that leaves out who may send any number of forms.
func (c Config) counted() string {
	var b strings.Builder
	for _, p := range c.Exempt {
		b.WriteString(" !{ src " + p.String() + " }")
	}
	return b.String()
}

// args are the arguments of message check: HAProxy's own samples, each datum once.
// req.fhdr gives a header's whole line; req.hdr would split it at commas.
func (c Config) args() string {
	all := []string{
		fmt.Sprintf("%s=int(%d)", agent.ArgVersion, agent.Contract),
		agent.ArgRequestID + "=unique-id",
		agent.ArgMethod + "=method",
		agent.ArgTLS + "=ssl_fc",
		agent.ArgHost + "=req.fhdr(host)",
		agent.ArgPath + "=path",
		agent.ArgQuery + "=query",
		agent.ArgSource + "=src",
		agent.ArgToken + "=req.cook(" + c.Cookie + ")",
		agent.ArgTokens + "=req.cook_cnt(" + c.Cookie + ")",
	}
	if c.Authorization {
		all = append(all, agent.ArgAuthorization+"=req.fhdr(authorization)")
	}
	all = append(all,
		agent.ArgAccept+"=req.fhdr(accept)",
		agent.ArgRequestedWith+"=req.fhdr(x-requested-with)",
		agent.ArgOrigin+"=req.fhdr(origin)",
		agent.ArgPreflight+"=req.fhdr(access-control-request-method)",
		agent.ArgFetchMode+"=req.fhdr(sec-fetch-mode)",
		agent.ArgFetchDest+"=req.fhdr(sec-fetch-dest)",
		agent.ArgUpgrade+"=req.fhdr(upgrade)")
	if c.Certificates {
		all = append(all, agent.ArgCertificateUsed+"=ssl_c_used", agent.ArgCertificateVerify+"=ssl_c_verify", agent.ArgCertificate+"=ssl_c_der")
	}
	return strings.Join(all, " ")
}

// render writes both files from a valid configuration.
func (c Config) render(v Version, f Form) (Files, error) {
	timeout, _ := c.timeout()              // validated
	agentAt, _ := serverAddress(c.Agent)   // validated
	portalAt, _ := serverAddress(c.Portal) // validated
	upstream, all := c.upstream()
	places, ports := c.places()
	portals := c.portals()
	data := map[string]any{
		"Version": v.String(), "V": vars, "Engine": agent.Engine, "Agent": agentAt, "Portal": portalAt,
		"Message": agent.Message, "Prefix": agent.Prefix, "Backend": agent.Backend, "Error": agent.VarError, "Time": agent.VarTime,
		"Group": "", "Retries": []string{"50ms", "250ms"}, "Pause": v.AtLeast(Version{3, 2}), "Trailers": v.AtLeast(Version{3, 2}),
		"SPOE": c.SPOE, "Cookie": c.Cookie, "CookieLines": []int{2, 3, 4}, "Timeout": timeout, "Args": c.args(),
		"Identity": c.identity(), "Overrides": overrides(), "Set": c.set(), "Escape": escape,
		"Places": places, "Ports": ports, "Portals": strings.Join(portals, " "), "PortalHost": portals[0], "PortalReason": string(policy.ReasonPortal),
		"HTTPS": !all, "Upstream": upstream, "Authorization": c.Authorization, "Certificates": c.Certificates,
		"Credential": vars + agent.VarCredential,
		"Public":     "txn.postern_host", "Authority": "txn.postern_host",
		"Requests": c.Requests, "Counted": c.counted(),
		"AgentMode": "tcp", "Balance": "roundrobin",
	}
	if len(places) > 0 {
		data["Public"] = "txn.postern_public"
	}
	if len(ports) > 0 {
		data["Authority"] = "txn.postern_authority"
	}
	if v.AtLeast(Version{3, 1}) {
		data["AgentMode"], data["Balance"] = "spop", "leastconn"
	}
	names := []string{"head.cfg", "base.cfg", "defaults.cfg", "rules.cfg", "sections.cfg", "end.cfg"}
	if f == Block {
		data["Group"] = agent.Group
		names = []string{"head.cfg", "block.cfg", "rules.cfg", "behind.cfg", "base.cfg", "sections.cfg", "end.cfg"}
	}
	for name, page := range pages() {
		data[name] = page
	}
	t, err := template.New("").Option("missingkey=error").ParseFS(texts, "text/*")
	if err != nil {
		return Files{}, err
	}
	var spoe, cfg bytes.Buffer
	if err := t.ExecuteTemplate(&spoe, "spoe.conf", data); err != nil {
		return Files{}, err
	}
	for _, name := range names {
		if err := t.ExecuteTemplate(&cfg, name, data); err != nil {
			return Files{}, err
		}
	}
	return Files{SPOE: spoe.Bytes(), Config: cfg.Bytes()}, nil
}
