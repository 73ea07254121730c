package portal

import (
	"strings"
	"testing"
)

func TestConfigValidate(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Errorf("the default: %v", err)
	}
	for _, tt := range []struct {
		why    string
		change func(*Config)
		want   string // "" for none
	}{
		{"a unix socket", func(c *Config) { c.Listen = "unix:/run/postern/portal.sock" }, ""},
		{"every interface", func(c *Config) { c.Listen = ":9080" }, ""},
		{"no port", func(c *Config) { c.Listen = "localhost" }, "portal.listen: "},
		{"an empty port", func(c *Config) { c.Listen = "localhost:" }, "portal.listen: "},
		{"nothing to listen on", func(c *Config) { c.Listen = "" }, "portal.listen: "},
		{"no path", func(c *Config) { c.Listen = "unix:" }, "portal.listen: "},
		{"a mode that is none", func(c *Config) { c.Mode = "rw" }, "portal.mode: "},
		{"an address as a proxy", func(c *Config) { c.Proxies = []string{"192.0.2.1", "2001:db8::/32"} }, ""},
		{"a name as a proxy", func(c *Config) { c.Proxies = []string{"::1", "haproxy"} }, "portal.trusted_proxies[1]: "},
		{"no time", func(c *Config) { c.Timeout = 0 }, "portal.timeout: "},
		{"no name", func(c *Config) { c.Brand.Name = "" }, "portal.branding.name: "},
		{"a name of two lines", func(c *Config) { c.Brand.Name = "a\nb" }, "portal.branding.name: "},
		{"a colour by name", func(c *Config) { c.Brand.Accent = "green" }, "portal.branding.accent: "},
		{"a short colour", func(c *Config) { c.Brand.Accent = "#123" }, "portal.branding.accent: "},
		{"a colour that breaks out", func(c *Config) { c.Brand.Accent = "#12345;}" }, "portal.branding.accent: "},
		{"a signed colour", func(c *Config) { c.Brand.Accent = "#+12345" }, "portal.branding.accent: "},
		{"no colour", func(c *Config) { c.Brand.Accent = "" }, "portal.branding.accent: "},
		{"a logo that is no picture", func(c *Config) { c.Brand.Logo = "logo.exe" }, "portal.branding.logo: "},
		{"a picture", func(c *Config) { c.Brand.Logo = "Logo.PNG" }, ""},
		{"a link without text", func(c *Config) { c.Brand.Links = []Link{{URL: "https://example.com"}} }, "portal.branding.links[0].text: "},
		{"a script as a link", func(c *Config) { c.Brand.Links = []Link{{"x", "javascript:alert(1)"}} }, "portal.branding.links[0].url: "},
		{"a relative link", func(c *Config) { c.Brand.Links = []Link{{"x", "/imprint"}} }, "portal.branding.links[0].url: "},
		{"links", func(c *Config) { c.Brand.Links = []Link{{"x", "https://example.com"}, {"y", "mailto:a@example.com"}} }, ""},
	} {
		c := DefaultConfig()
		tt.change(&c)
		err := c.Validate()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.why, err, tt.want)
		}
	}
}

func TestConfigValidateNamesEveryFault(t *testing.T) {
	err := Config{}.Validate()
	for _, key := range []string{"listen", "timeout", "branding.name", "branding.accent"} {
		if err == nil || !strings.Contains(err.Error(), "portal."+key+": ") {
			t.Errorf("%s is not among the faults: %v", key, err)
		}
	}
}
