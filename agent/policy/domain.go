package policy

import (
	"fmt"
	"net/url"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// checkDomains checks the cookie domains and returns them in canonical form.
func (c *compiler) checkDomains(in []Domain) []Domain {
	out := make([]Domain, len(in))
	seen := map[string]int{}
	for i, d := range in {
		c.at = fmt.Sprintf("domains[%d]", i)
		d.Name = strings.TrimSuffix(lowerASCII(d.Name), ".")
		first, twice := seen[d.Name]
		switch suffix, _ := publicsuffix.PublicSuffix(d.Name); {
		case !isHostname(d.Name):
			c.fault("domain", fmt.Sprintf("%q is not a domain", cut(d.Name)), "write example.com")
		case !strings.Contains(d.Name, "."), isNumber(d.Name[strings.LastIndexByte(d.Name, '.')+1:]):
			c.fault("domain", d.Name+" can have no cookies for its hosts", "write a domain of two labels or more, no address")
		case suffix == d.Name:
			c.fault("domain", d.Name+" is a public suffix: browsers refuse its cookies", "write a domain under it")
		case twice:
			c.fault("domain", fmt.Sprintf("%s is domains[%d] already", d.Name, first), "")
		}
		seen[d.Name] = i
		if d.TLS != "" && d.TLS != tlsUpstream {
			c.fault("tls", fmt.Sprintf("%q is not known", cut(d.TLS)), "write upstream where TLS ends in front of HAProxy, else leave it out")
		}
		if u, err := url.Parse(d.Home); d.Home != "" && (err != nil || u.Scheme != "https" || u.User != nil || !isHostname(u.Hostname())) {
			c.fault("home", fmt.Sprintf("%q is not an https address", cut(d.Home)), "write https://www."+d.Name)
		}
		d.EncodedSlashes = append(List(nil), d.EncodedSlashes...)
		out[i] = d
	}
	for i := range out {
		c.at = fmt.Sprintf("domains[%d]", i)
		c.nested(out, i)
		for j, h := range out[i].EncodedSlashes {
			h = strings.TrimSuffix(lowerASCII(h), ".")
			if !isHostname(h) || domainOf(out, h) != &out[i] {
				c.fault(entry("encoded_slashes", j), fmt.Sprintf("%q is not a host of %s", cut(h), out[i].Name), "write the host in full")
			}
			out[i].EncodedSlashes[j] = h
		}
	}
	c.domains = out
	return out
}

// nested refuses a domain under another one: browsers send the cookies of both to its
// hosts, under one name, and a session cookie that comes twice counts as none.
func (c *compiler) nested(domains []Domain, i int) {
	for j := range domains {
		if d := domains[j].Name; domains[i].Name != d && inDomain(domains[i].Name, d) && isHostname(d) {
			c.fault("domain", fmt.Sprintf("%s is under %s (domains[%d]): browsers would send the session cookies of both, and neither could be told from the other", domains[i].Name, d, j),
				"take it away: "+d+" serves its hosts, too")
		}
	}
}

// portal checks the address of a portal and returns its host and its ":port".
func (c *compiler) portal(i int, d *Domain) (host, port string) {
	c.at = fmt.Sprintf("domains[%d]", i)
	hint := "write https://auth." + d.Name
	u, err := url.Parse(d.Portal)
	if err != nil || u.Scheme != "https" || u.User != nil || u.Opaque != "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		c.fault("portal", fmt.Sprintf("%q is not the https address of a host", cut(d.Portal)), hint)
		return "", ""
	}
	host, ok := canonicalHost(u.Host)
	switch {
	case !ok:
		c.fault("portal", fmt.Sprintf("%q is not a host", cut(u.Host)), hint)
	case domainOf(c.domains, host) != d:
		c.fault("portal", host+" cannot set cookies for "+d.Name, hint)
	}
	if u.Port() != "" && u.Port() != "443" {
		port = ":" + u.Port()
	}
	d.Portal = "https://" + host + port
	return host, port
}

// domainOf returns the longest domain that a canonical host is, or is under.
func domainOf(domains []Domain, host string) *Domain {
	var best *Domain
	for i := range domains {
		d := &domains[i]
		if inDomain(host, d.Name) && (best == nil || len(d.Name) > len(best.Name)) {
			best = d
		}
	}
	return best
}

// inDomain says whether host is domain or is under it.
func inDomain(host, domain string) bool {
	rest, ok := strings.CutSuffix(host, domain)
	return ok && (rest == "" || rest[len(rest)-1] == '.')
}

func isNumber(s string) bool { return strings.Trim(s, "0123456789") == "" }
