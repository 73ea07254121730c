package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// hosts compiles domain and domain_regex; it says whether they ask who the user is.
func (c *compiler) hosts(in *Rule, out *rule) (personal bool) {
	if in.Domain == nil && in.DomainRegex == nil {
		c.faultAt(c.at, "names no host", "write domain or domain_regex")
	}
	for i, s := range in.Domain {
		personal = c.domain(entry("domain", i), s, out) || personal
	}
	for i, s := range in.DomainRegex {
		p := c.pattern(entry("domain_regex", i), s, true)
		if p == nil {
			continue
		}
		out.hosts = append(out.hosts, hostPattern{kind: hostRegex, re: p})
		c.named = append(c.named, p.host())
		personal = personal || p.personal()
	}
	return personal
}

// host says under which name the index keeps an expression: the whole host or the part
// of it, from a dot on, that every match ends with.
func (p *pattern) host() namedHost {
	if p.plain == plainExact && isHostname(p.prefix) {
		return namedHost{p.prefix, true}
	}
	i := strings.IndexByte(p.suffix, '.')
	if i < 0 || !isHostname(p.suffix[i+1:]) {
		return namedHost{}
	}
	return namedHost{p.suffix[i:], i == 0 && p.plain == plainSuffix}
}

// domain compiles one entry of domain.
func (c *compiler) domain(key, s string, out *rule) (personal bool) {
	const user, group = "{user}", "{group}"
	name := strings.TrimSuffix(lowerASCII(s), ".")
	switch {
	case strings.HasPrefix(name, user+"."), strings.HasPrefix(name, group+"."):
		h := hostPattern{kind: hostUser, suffix: name[strings.IndexByte(name, '.'):]}
		if strings.HasPrefix(name, group) {
			h.kind = hostGroup
		}
		if c.hostname(key, s, h.suffix[1:]) {
			out.hosts = append(out.hosts, h)
			c.named = append(c.named, namedHost{h.suffix, false})
		}
		return true
	case strings.HasPrefix(name, "*."):
		if c.hostname(key, s, name[2:]) {
			c.named = append(c.named, namedHost{name[1:], true})
		}
	case strings.HasPrefix(name, "*") && isHostname(name[1:]):
		// Authelia takes it and matches nothing useful; Warnings says so.
	case c.hostname(key, s, name):
		c.named = append(c.named, namedHost{name, true})
	}
	return false
}

// hostname notes a fault unless name, a part of what was written, is a hostname.
func (c *compiler) hostname(key, written, name string) bool {
	if isHostname(name) {
		return true
	}
	hint := "write www.example.com, *.example.com, {user}.example.com or {group}.example.com"
	switch {
	case strings.Contains(written, "://"), strings.Contains(written, "/"):
		hint = "write the host alone; paths go into resources"
	case strings.Contains(written, ":"):
		hint = "write the host without a port: rules hold for every port"
	case strings.ContainsFunc(written, func(r rune) bool { return r >= 0x80 }):
		hint = "write it as browsers send it, xn--…"
	case strings.Contains(written, "*"):
		hint = "a star stands for whole labels at the front only: *.example.com"
	}
	c.fault(key, fmt.Sprintf("%q is not a host", cut(written)), hint)
	return false
}

// knownMethods are the methods of RFC 9110, PATCH, and those of WebDAV, its extensions
// and QUERY.
const knownMethods = " GET HEAD POST PUT PATCH DELETE CONNECT OPTIONS TRACE QUERY" +
	" PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK" +
	" ACL BASELINE-CONTROL BIND CHECKIN CHECKOUT LABEL LINK MERGE MKACTIVITY MKCALENDAR" +
	" MKREDIRECTREF MKWORKSPACE ORDERPATCH REBIND REPORT SEARCH UNBIND UNCHECKOUT UNLINK UPDATE" +
	" UPDATEREDIRECTREF VERSION-CONTROL "

func (c *compiler) methods(in List, out *rule) {
	for i, s := range in {
		m := strings.ToUpper(s)
		if !isMethod(m) || !strings.Contains(knownMethods, " "+m+" ") {
			c.fault(entry("methods", i), fmt.Sprintf("%q is not a method", cut(s)), "write GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS or one of WebDAV's")
		}
		out.methods = append(out.methods, m)
	}
}

// nameNetworks compiles access_control.networks.
func (c *compiler) nameNetworks(in []Network) {
	c.networks = make(map[string][]netip.Prefix, len(in))
	for i, n := range in {
		at := fmt.Sprintf("access_control.networks[%d]", i)
		_, twice := c.networks[n.Name]
		if _, isNetwork := parseNetwork(n.Name); isNetwork || n.Name == "" {
			c.faultAt(at+".name", fmt.Sprintf("%q cannot be a name", cut(n.Name)), "write a word that is no address")
		} else if twice {
			c.faultAt(at+".name", fmt.Sprintf("%q is defined twice", cut(n.Name)), "")
		}
		if len(n.Networks) == 0 {
			c.faultAt(at+".networks", "is empty", "")
		}
		all := []netip.Prefix{}
		for j, s := range n.Networks {
			p, ok := parseNetwork(s)
			if !ok {
				c.faultAt(at+"."+entry("networks", j), fmt.Sprintf("%q is not a network", cut(s)), "write an address or a CIDR: 10.0.0.0/8, 2001:db8::/32")
			}
			all = append(all, p)
		}
		c.networks[n.Name] = all
	}
}

func (c *compiler) matchNetworks(in List, out *rule) {
	for i, s := range in {
		if all, ok := c.networks[s]; ok {
			out.networks = append(out.networks, all...)
			continue
		}
		p, ok := parseNetwork(s)
		if !ok {
			c.fault(entry("networks", i), fmt.Sprintf("%q is neither a network nor the name of one", cut(s)), "write an address, a CIDR, or a name from access_control.networks")
		}
		out.networks = append(out.networks, p)
	}
}

// parseNetwork reads an address or a CIDR. IPv4 in IPv6 means IPv4; bits of the host
// part are ignored.
func parseNetwork(s string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}

func (c *compiler) subjects(in Subjects, out *rule) {
	for i, all := range in {
		parts := []subject{}
		if len(all) == 0 {
			c.fault(entry("subject", i), "is empty", "it would hold for everybody")
		}
		for j, s := range all {
			kind, name, ok := strings.Cut(s, ":")
			comma := strings.Contains(name, ",")
			if !ok || name == "" || comma || kind != "user" && kind != "group" {
				hint := "write user:NAME or group:NAME"
				switch {
				case kind == "oauth2":
					hint = "OpenID clients do not pass through access_control; " + hint
				case comma:
					hint = "nobody has a name or a group with a comma, which ends one in headers; write several in a list"
				}
				key := entry("subject", i)
				if len(all) > 1 {
					key = entry(key, j)
				}
				c.fault(key, fmt.Sprintf("%q is not a subject", cut(s)), hint)
			}
			parts = append(parts, subject{group: kind == "group", name: name})
		}
		out.subjects = append(out.subjects, parts)
	}
}

func (c *compiler) resources(in List, out *rule) (personal bool) {
	for i, s := range in {
		if p := c.pattern(entry("resources", i), s, false); p != nil {
			out.resources = append(out.resources, p)
			personal = personal || p.personal()
		}
	}
	return personal
}

func (c *compiler) query(in Query, out *rule) {
	for i, all := range in {
		key := entry("query", i)
		if len(all) == 0 {
			c.fault(key, "is empty", "it would hold for every query")
		}
		items := []*queryItem{}
		for j, it := range all {
			at := key
			if len(all) > 1 {
				at = entry(key, j)
			}
			items = append(items, c.queryItem(at, it))
		}
		out.query = append(out.query, items)
	}
}

func (c *compiler) queryItem(key string, in QueryItem) *queryItem {
	out := &queryItem{key: in.Key, value: in.Value}
	hasValue := in.HasValue || in.Value != ""
	op := in.Operator
	if op == "" {
		op = "present"
		if hasValue {
			op = "equal"
		}
	}
	words := []string{"present", "absent", "equal", "not equal", "pattern", "not pattern"}
	k := slices.Index(words, op)
	switch {
	case in.Key == "":
		c.fault(key, "has no key", "")
	case k < 0:
		c.fault(key+".operator", fmt.Sprintf("%q is no operator", cut(op)), "write "+strings.Join(words, ", "))
	case k < 2 && hasValue:
		c.fault(key+".value", op+" takes no value", "take the value away, or write operator: equal")
	case k >= 2 && !hasValue:
		c.fault(key, op+" needs a value", "")
	}
	out.any = k == 0 || k == 1
	out.not = k == 1 || k == 3 || k == 5
	if k >= 4 && hasValue {
		out.re = c.pattern(key+".value", in.Value, false)
	}
	return out
}
