package haproxy_test

import (
	"net/netip"
	"strings"
	"testing"

	"postern/agent/policy"
	"postern/haproxy"
	"postern/haproxy/haproxytest"
)

// forms are both forms; every test that runs HAProxy runs for each.
func forms() []haproxy.Form { return []haproxy.Form{haproxy.Defaults, haproxy.Block} }

// plain is DESIGN 6's configuration as HAProxy's files see it.
func plain() haproxy.Config {
	return haproxy.Config{
		Domains:  []policy.Domain{{Name: "example.com", Portal: "https://auth.example.com", Home: "https://www.example.com"}},
		Cookie:   "__Secure-postern",
		Agent:    "unix:/run/postern/agent.sock",
		Portal:   "127.0.0.1:9080",
		Headers:  haproxy.DefaultHeaders(),
		SPOE:     "/etc/haproxy/spoe.conf",
		Requests: 120,
	}
}

// wide uses everything that a configuration can say.
func wide() haproxy.Config {
	return haproxy.Config{
		Domains: []policy.Domain{
			{Name: "example.com", Portal: "https://auth.example.com"},
			{Name: "example.org", Portal: "https://auth.example.org:8443"},
			{Name: "example.net", Portal: "https://sso.example.net:8443", TLS: "upstream"},
			{Name: "intern.example.net", Portal: "https://sso.intern.example.net:9443"},
		},
		Cookie: "sid", Agent: "[::1]:9100", Portal: "unix:/run/postern/portal.sock",
		Headers: haproxy.Headers{User: "X-Forwarded-User", Groups: "X-Forwarded-Groups", Assertion: "X-Assertion"},
		SPOE:    "/etc/haproxy/spoe.conf", Timeout: "1500ms", Requests: 7, Exempt: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}, Authorization: true, Certificates: true,
	}
}

// site puts the generated files into a whole configuration: the frontend with the three
// lines that the operator adds, and an application behind it. {{bind0}} speaks TLS,
// {{bind1}} does not. More are lines for the frontend, base for the defaults it has.
func site(t testing.TB, c haproxy.Config, v haproxy.Version, f haproxy.Form, cert, more, base, app string) []haproxytest.File {
	t.Helper()
	files, err := haproxy.Generate(c, v, f)
	if err != nil {
		t.Fatal(err)
	}
	config := strings.Replace(string(files.Config), "defaults postern-base\n", "defaults postern-base\n"+base, 1)
	var portals []string
	for _, d := range c.Domains {
		host, _, _ := strings.Cut(strings.TrimPrefix(d.Portal, "https://"), ":")
		portals = append(portals, host)
	}
	frontend := func(from string) string {
		return "frontend www" + from + "\n" +
			"    bind {{bind0}} ssl crt {{dir}}/site.pem alpn h2,http/1.1\n" +
			"    bind {{bind1}}\n" + more +
			"    filter spoe engine postern config {{dir}}/spoe.conf\n" +
			"    use_backend postern_portal if { hdr(host),lower,field(1,:) " + strings.Join(portals, " ") + " }\n" +
			"    default_backend app\n"
	}
	behind := "\nbackend app\n    http-request deny deny_status 503 unless { var(txn.postern_passed) -m bool }\n    server app " + app + "\n"
	all := []haproxytest.File{{Name: "site.pem", Text: cert}, {Name: "spoe.conf", Text: string(files.SPOE)}}
	if f == haproxy.Defaults {
		return append(all, haproxytest.File{Name: "10-postern.cfg", Text: config},
			haproxytest.File{Name: "20-site.cfg", Text: frontend(" from postern") + behind})
	}
	head := "defaults\n    mode http\n    log global\n    option httplog\n" + base + "    timeout connect 5s\n    timeout client 1m\n    timeout server 1m\n\n"
	// The block is made for a place before one's own use_backend; HAProxy says so when it
	// is not, hence the two parts of the frontend.
	top, tail, _ := strings.Cut(frontend(""), "    use_backend")
	block, sections := haproxy.Files{Config: []byte(config)}.Parts()
	if block == nil {
		t.Fatal("the block has no end")
	}
	return append(all, haproxytest.File{Name: "20-site.cfg", Text: head + top + string(block) + "\n    use_backend" + tail + behind + string(sections)})
}
