package haproxy_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/agent/policy"
	"postern/haproxy"
	"postern/haproxy/haproxytest"
)

func TestParseVersion(t *testing.T) {
	for text, want := range map[string]string{
		"2.6":      "2.6",
		"3.0.11":   "3.0",
		"3.5-dev5": "3.5",
		"HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/\nStatus: long-term supported branch": "2.6",
		"HAProxy version 3.2.26-1 2026/10/14 - https://haproxy.org/\n":                                           "3.2",
		"HA-Proxy version 2.8.3 2023/09/07 - https://haproxy.org/":                                               "2.8",
		"10.0.1":                  "10.0",
		"2.5":                     "",
		"HA-Proxy version 1.8.27": "",
		"":                        "",
		"3":                       "",
		"v3.2":                    "",
		"3.2x":                    "",
		"3.2 ; rm":                "3.2",
		"nginx version: 1.27":     "",
		"99999.1":                 "",
	} {
		got, err := haproxy.ParseVersion(text)
		switch {
		case want == "" && !errors.Is(err, haproxy.ErrVersion):
			t.Errorf("%q: %v, %v; want ErrVersion", text, got, err)
		case want != "" && (err != nil || got.String() != want):
			t.Errorf("%q: %v, %v; want %s", text, got, err, want)
		}
	}
}

func TestGenerateRefuses(t *testing.T) {
	domain := func(d policy.Domain) func(*haproxy.Config) {
		return func(c *haproxy.Config) { c.Domains = []policy.Domain{d} }
	}
	rows := []struct {
		name   string
		change func(*haproxy.Config)
		want   string
	}{
		{"no domain", func(c *haproxy.Config) { c.Domains = nil }, "no domain"},
		{"a domain with a line break", domain(policy.Domain{Name: "a.b\n    http-request allow", Portal: "https://auth.a.b"}), "not a host name"},
		{"a domain with a brace", domain(policy.Domain{Name: "a.b }", Portal: "https://auth.a.b"}), "not a host name"},
		{"a domain in capitals", domain(policy.Domain{Name: "A.b", Portal: "https://auth.a.b"}), "not a host name"},
		{"a portal over http", domain(policy.Domain{Name: "a.b", Portal: "http://auth.a.b"}), "https://"},
		{"a portal with a path", domain(policy.Domain{Name: "a.b", Portal: "https://auth.a.b/login"}), "more than a host"},
		{"a portal with a user", domain(policy.Domain{Name: "a.b", Portal: "https://x@auth.a.b"}), "more than a host"},
		{"a portal with a bad port", domain(policy.Domain{Name: "a.b", Portal: "https://auth.a.b:99999"}), "port"},
		{"a portal with a bad host", domain(policy.Domain{Name: "a.b", Portal: "https://auth a.b"}), "portal"},
		{"tls of another kind", domain(policy.Domain{Name: "a.b", Portal: "https://auth.a.b", TLS: "off"}), "upstream"},
		{"a cookie with a dot", func(c *haproxy.Config) { c.Cookie = "a.b" }, "cookie name"},
		{"a cookie that closes a call", func(c *haproxy.Config) { c.Cookie = "a),bool(1" }, "cookie name"},
		{"no cookie", func(c *haproxy.Config) { c.Cookie = "" }, "cookie name"},
		{"a header with an underscore", func(c *haproxy.Config) { c.Headers.User = "Remote_User" }, "header name"},
		{"a header with a space", func(c *haproxy.Config) { c.Headers.Name = "Remote User" }, "header name"},
		{"a header twice", func(c *haproxy.Config) { c.Headers.Email = "remote-user" }, "twice"},
		{"a header that routes", func(c *haproxy.Config) { c.Headers.User = "Host" }, "meaning of its own"},
		{"an agent that is no address", func(c *haproxy.Config) { c.Agent = "agent" }, "address of the agent"},
		{"an agent on every address", func(c *haproxy.Config) { c.Agent = "0.0.0.0:9100" }, "no address to connect to"},
		{"a relative socket", func(c *haproxy.Config) { c.Agent = "unix:run/agent.sock" }, "absolute"},
		{"a socket with a space", func(c *haproxy.Config) { c.Portal = "unix:/run/a b" }, "absolute path"},
		{"a socket too long", func(c *haproxy.Config) { c.Portal = "unix:/" + strings.Repeat("a", 107) }, "107 bytes"},
		{"port 0", func(c *haproxy.Config) { c.Portal = "127.0.0.1:0" }, "port"},
		{"a portal's host with a bracket", func(c *haproxy.Config) { c.Portal = "a}b:80" }, "not a name"},
		{"a path of spoe.conf with quotes", func(c *haproxy.Config) { c.SPOE = `/etc/"x"` }, "path of spoe.conf"},
		{"a timeout that is none", func(c *haproxy.Config) { c.Timeout = "soon" }, "timeout"},
		{"a timeout too long", func(c *haproxy.Config) { c.Timeout = "2h" }, "timeout"},
	}
	for _, row := range rows {
		c := plain()
		row.change(&c)
		files, err := haproxy.Generate(c, haproxy.Version{Major: 3, Minor: 2}, haproxy.Defaults)
		if err == nil || !strings.Contains(err.Error(), row.want) || files.Config != nil {
			t.Errorf("%s: %v; want an error with %q and no file", row.name, err, row.want)
		}
	}
	if _, err := haproxy.Generate(plain(), haproxy.Version{Major: 2, Minor: 4}, haproxy.Defaults); !errors.Is(err, haproxy.ErrVersion) {
		t.Errorf("version 2.4: %v", err)
	}
	if _, err := haproxy.Generate(plain(), haproxy.Version{Major: 3, Minor: 2}, "listen"); err == nil {
		t.Error("form listen is taken")
	}
}

// TestGenerateNamesEveryFault: one run shows all that is wrong.
func TestGenerateNamesEveryFault(t *testing.T) {
	_, err := haproxy.Generate(haproxy.Config{Headers: haproxy.Headers{User: "a b"}}, haproxy.Version{}, "x")
	for _, want := range []string{"0.0", `"x"`, "cookie name", "spoe.conf", "the agent", "the portal", "no domain", "a b"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}

// TestVersionsDiffer: what a version knows is used, what it refuses is not written.
func TestVersionsDiffer(t *testing.T) {
	for text, want := range map[string]string{"2.6": "mode tcp", "3.0": "mode tcp", "3.1": "mode spop", "3.2": "mode spop", "3.5": "mode spop", "4.0": "mode spop"} {
		v, err := haproxy.ParseVersion(text)
		if err != nil {
			t.Fatal(err)
		}
		files, err := haproxy.Generate(plain(), v, haproxy.Block)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(files.Config), "    "+want+"\n") {
			t.Errorf("%s: no %q", text, want)
		}
		if pauses := strings.Contains(string(files.Config), "http-request pause"); pauses != v.AtLeast(haproxy.Version{Major: 3, Minor: 2}) {
			t.Errorf("%s: http-request pause: %v", text, pauses)
		}
	}
}

func TestCheckShowsHAProxysWords(t *testing.T) {
	for _, in := range haproxytest.Installed(t) {
		bad := filepath.Join(t.TempDir(), "bad.cfg")
		if err := os.WriteFile(bad, []byte("frontend x\n    no such word\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := haproxy.Check(context.Background(), in.Path, bad)
		var refused *haproxy.CheckError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), "bad.cfg:2") {
			t.Errorf("%v: %v", in, err)
		}
	}
	if _, err := haproxy.Check(context.Background(), "/nowhere/haproxy", "x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing program: %v", err)
	}
	if _, err := haproxy.Installed(context.Background(), "/nowhere/haproxy"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing program: %v", err)
	}
}

// FuzzGenerate: nothing that a configuration says adds a line to a file or closes a quote:
// what is accepted gives files of the same shape as a harmless configuration.
func FuzzGenerate(f *testing.F) {
	f.Add("example.com", "https://auth.example.com", "sid", "unix:/a", "127.0.0.1:1", "Remote-User", "/spoe", "1s")
	f.Add("a\n.b", "https://auth.b }", "a)", "unix:/a b", "[::1]:1", "X Y", "/a#b", "1h")
	f.Add("a.b", "https://a.b:8443/", "__Secure-x", "a.b:1", "unix:/x$HOME", "X-%[src]", `/a"b`, "15ms")
	lines := func(b []byte) int { return strings.Count(string(b), "\n") }
	quotes := func(b []byte) int { return strings.Count(string(b), `"`) + strings.Count(string(b), "'") }
	want, err := haproxy.Generate(plain(), haproxy.Oldest(), haproxy.Block)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, domain, portal, cookie, agent, at, header, spoe, timeout string) {
		c := haproxy.Config{
			Domains: []policy.Domain{{Name: domain, Portal: portal}}, Cookie: cookie, Agent: agent, Portal: at,
			Headers: haproxy.Headers{User: header, Groups: "Remote-Groups", Name: "Remote-Name", Email: "Remote-Email"}, SPOE: spoe, Timeout: timeout,
			Requests: plain().Requests,
		}
		if header != "Remote-User" && !strings.EqualFold(header, "Remote-User") {
			c.Headers.User = "Remote-User"
			c.Headers.Email = header
		}
		got, err := haproxy.Generate(c, haproxy.Oldest(), haproxy.Block)
		if err != nil {
			return
		}
		extra, moreQuotes := 0, 0
		if !strings.EqualFold(c.Headers.Email, "Remote-Email") && header != "" {
			extra = 1 // one more name to delete
		}
		if header == "" {
			extra = -1 // none to set
		}
		if strings.Contains(string(got.Config), "postern_public) \"") {
			extra, moreQuotes = extra+4, 2 // the portal has a port
		}
		if lines(got.Config) != lines(want.Config)+extra || lines(got.SPOE) != lines(want.SPOE) {
			t.Errorf("%d and %d lines, want %d and %d\n%+v", lines(got.Config), lines(got.SPOE), lines(want.Config)+extra, lines(want.SPOE), c)
		}
		if quotes(got.Config) != quotes(want.Config)+moreQuotes {
			t.Errorf("%d quotes, want %d\n%+v", quotes(got.Config), quotes(want.Config)+moreQuotes, c)
		}
	})
}
