package haproxy

import (
	"bytes"
	"embed"
	"fmt"
	"slices"
	"strings"
	"text/template"

	"postern/agent"
)

//go:embed text
var texts embed.FS

// vars is the scope and prefix of what the agent sets.
const vars = "txn." + agent.Prefix + "."

// port is a port that is not 443 where hosts of some domains are reached.
type port struct{ Port, Hosts, HostsWithPort string }

// header is an identity header and the variable that fills it.
type header struct{ Header, Variable string }

// overrides are headers by which a client makes some applications see another path or
// method than the one that was decided on.
func overrides() []string {
	return []string{"X-Original-URL", "X-Original-URI", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "HTTP2-Settings"}
}

// escape turns a text into HTML, as a chain of HAProxy's converters inside double quotes.
const escape = `regsub('&','&amp;',g),regsub('<','&lt;',g),regsub('>','&gt;',g),regsub('\"','&quot;',g)`

// hosts are a condition that holds for the hosts of domains. A condition of HAProxy is
// a disjunction of conjunctions, so what else must hold goes into each part.
func hosts(domains []string, and string) string {
	exact := "{ var(txn.postern_host) -m str " + strings.Join(domains, " ") + " }"
	below := "{ var(txn.postern_host) -m end ." + strings.Join(domains, " .") + " }"
	return exact + and + " || " + below + and
}

// ports groups the domains by the port of their portals, 443 left out.
func (c Config) ports() []port {
	domains := map[string][]string{}
	var order []string
	for _, d := range c.Domains {
		_, p, _ := portalOf(d.Portal) // validated
		if p == "" {
			continue
		}
		if domains[p] == nil {
			order = append(order, p)
		}
		domains[p] = append(domains[p], d.Name)
	}
	var all []port
	for _, p := range order {
		all = append(all, port{p, hosts(domains[p], ""), hosts(domains[p], " { req.fhdr(host),port_only "+p+" }")})
	}
	return all
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

// upstream are two conditions of which one holds for hosts whose TLS ends in front of
// HAProxy; none when there are no such hosts.
func (c Config) upstream() (conditions []string, all bool) {
	var names []string
	for _, d := range c.Domains {
		if d.TLS == "upstream" {
			names = append(names, d.Name)
		}
	}
	if len(names) == 0 {
		return nil, false
	}
	return strings.Split(hosts(names, ""), " || "), len(names) == len(c.Domains)
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
	return strings.Join(append(all,
		agent.ArgAccept+"=req.fhdr(accept)",
		agent.ArgRequestedWith+"=req.fhdr(x-requested-with)",
		agent.ArgOrigin+"=req.fhdr(origin)",
		agent.ArgPreflight+"=req.fhdr(access-control-request-method)",
		agent.ArgFetchMode+"=req.fhdr(sec-fetch-mode)",
		agent.ArgFetchDest+"=req.fhdr(sec-fetch-dest)",
		agent.ArgUpgrade+"=req.fhdr(upgrade)"), " ")
}

// render writes both files from a valid configuration.
func (c Config) render(v Version, f Form) (Files, error) {
	timeout, _ := c.timeout()              // validated
	agentAt, _ := serverAddress(c.Agent)   // validated
	portalAt, _ := serverAddress(c.Portal) // validated
	upstream, all := c.upstream()
	portals := c.portals()
	data := map[string]any{
		"Version": v.String(), "V": vars, "Engine": agent.Engine, "Agent": agentAt, "Portal": portalAt,
		"Message": agent.Message, "Prefix": agent.Prefix, "Backend": agent.Backend, "Error": agent.VarError, "Time": agent.VarTime,
		"Group": "", "Retries": []string{"50ms", "250ms"}, "Pause": v.AtLeast(Version{3, 2}),
		"SPOE": c.SPOE, "Cookie": c.Cookie, "CookieLines": []int{2, 3, 4}, "Timeout": timeout, "Args": c.args(),
		"Identity": c.identity(), "Overrides": overrides(), "Set": c.set(), "Escape": escape,
		"Ports": c.ports(), "Portals": strings.Join(portals, " "), "PortalHost": portals[0],
		"HTTPS": !all, "Upstream": upstream,
		"AgentMode": "tcp", "Balance": "roundrobin",
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
