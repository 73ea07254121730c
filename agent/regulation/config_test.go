package regulation_test

import (
	"strings"
	"testing"
	"time"

	"postern/agent/regulation"
)

func TestConfigValidate(t *testing.T) {
	for _, tt := range []struct {
		why    string
		change func(*regulation.Config)
		want   string // the fault's beginning; empty: fine
	}{
		{"the default", func(*regulation.Config) {}, ""},
		{"no guesses", func(c *regulation.Config) { c.Failures = 0 }, "regulation.failures: "},
		{"guesses without end", func(c *regulation.Config) { c.Failures = 1001 }, "regulation.failures: "},
		{"fewer than none", func(c *regulation.Config) { c.Addresses = -1 }, "regulation.address_failures: "},
		{"no window", func(c *regulation.Config) { c.Window = 0 }, "regulation.window: "},
		{"hardly a wait", func(c *regulation.Config) { c.Wait = time.Millisecond }, "regulation.wait: "},
		{"a wait over the longest", func(c *regulation.Config) { c.Longest = time.Second }, "regulation.max_wait: "},
		{"fewer requests than none", func(c *regulation.Config) { c.Requests = -1 }, "regulation.requests: "},
		{"any number of requests", func(c *regulation.Config) { c.Requests = 0 }, ""},
		{"exempt networks", func(c *regulation.Config) { c.Exempt = []string{"10.0.0.0/8", "192.0.2.7", "2001:db8::/32"} }, ""},
		{"an exempt name", func(c *regulation.Config) { c.Exempt = []string{"::1", "office"} }, "regulation.exempt[1]: "},
		{"an exempt network that means less than it says", func(c *regulation.Config) { c.Exempt = []string{"10.1.2.3/8"} }, "regulation.exempt[0]: "},
	} {
		c := regulation.DefaultConfig()
		tt.change(&c)
		err := c.Validate()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.why, err, tt.want)
		}
	}
	err := regulation.Config{}.Validate()
	for _, key := range []string{"failures", "window", "wait"} {
		if err == nil || !strings.Contains(err.Error(), "regulation."+key+": ") {
			t.Errorf("%s is not among the faults: %v", key, err)
		}
	}
}

// FuzzParseNetwork: what is taken is masked, and means the same when it is written out.
func FuzzParseNetwork(f *testing.F) {
	for _, s := range []string{"192.0.2.7", "192.0.2.0/24", "::ffff:192.0.2.7", "::ffff:192.0.2.0/120", "fe80::1%eth0", "2001:db8::/33", "10.1.2.3/8", "0.0.0.0/0", "", "/", "1.2.3.4/033"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := regulation.ParseNetwork(s)
		if err != nil {
			return
		}
		if p != p.Masked() || p.Addr().Is4In6() || p.Addr().Zone() != "" {
			t.Fatalf("%q: %v", s, p)
		}
		if q, err := regulation.ParseNetwork(p.String()); err != nil || q != p {
			t.Fatalf("%q: %v, then %v, %v", s, p, q, err)
		}
		if p.IsSingleIP() {
			if q, err := regulation.ParseNetwork(p.Addr().String()); err != nil || q != p {
				t.Fatalf("%q: %v, then %v, %v", s, p, q, err)
			}
		}
	})
}
