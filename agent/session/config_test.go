package session

import (
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Config)
		faults []string // each the beginning of a line
	}{
		{"the defaults are right", func(*Config) {}, nil},
		{"no inactivity limit and no remember-me are right", func(c *Config) { c.Inactivity, c.RememberMe = 0, 0 }, nil},
		{"a cookie without prefix", func(c *Config) { c.Cookie = "postern" }, []string{`session.cookie: "postern" does not start with __Secure-`}},
		{"a cookie that is all prefix", func(c *Config) { c.Cookie = "__Secure-" }, []string{"session.cookie: "}},
		{"a prefix that browsers do not know", func(c *Config) { c.Cookie = "__secure-postern" }, []string{"session.cookie: "}},
		{"a cookie for one host", func(c *Config) { c.Cookie = "__Host-postern" }, []string{`session.cookie: "__Host-postern": __Host- cookies cannot`}},
		{"no cookie", func(c *Config) { c.Cookie = "" }, []string{"session.cookie: "}},
		{"a cookie with a semicolon", func(c *Config) { c.Cookie = "__Secure-a;b" }, []string{`session.cookie: "__Secure-a;b" holds ';'`}},
		{"a cookie with a line break", func(c *Config) { c.Cookie = "__Secure-a\nb" }, []string{"session.cookie: "}},
		{"a cookie that is not ASCII", func(c *Config) { c.Cookie = "__Secure-ü" }, []string{"session.cookie: "}},
		{"a long cookie", func(c *Config) { c.Cookie = "__Secure-" + strings.Repeat("a", 56) }, []string{"session.cookie: "}},
		{"no lifetime", func(c *Config) { c.Lifetime = 0 }, []string{"session.lifetime: 0s is not positive"}},
		{"a negative inactivity", func(c *Config) { c.Inactivity = -time.Second }, []string{"session.inactivity: -1s is negative"}},
		{"a negative remember-me", func(c *Config) { c.RememberMe = -1 }, []string{"session.remember_me: -1ns is negative"}},
		{"remember-me shorter than a session", func(c *Config) { c.RememberMe = time.Hour }, []string{"session.remember_me: 1h0m0s is shorter than session.lifetime (12h0m0s)"}},
		{"all at once", func(c *Config) { *c = Config{Inactivity: -1, RememberMe: -1} },
			[]string{"session.cookie: ", "session.lifetime: ", "session.inactivity: ", "session.remember_me: "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := DefaultConfig()
			tt.change(&c)
			var got []string
			if err := c.Validate(); err != nil {
				got = strings.Split(err.Error(), "\n")
			}
			if len(got) != len(tt.faults) {
				t.Fatalf("faults %q, want %q", got, tt.faults)
			}
			for i := range got {
				if !strings.HasPrefix(got[i], tt.faults[i]) {
					t.Errorf("fault %q, want %q", got[i], tt.faults[i])
				}
			}
		})
	}
}

func TestLife(t *testing.T) {
	c := Config{Lifetime: time.Hour, RememberMe: 24 * time.Hour}
	if got := c.Life(true); got != 24*time.Hour {
		t.Errorf("with remember-me %v, want 24h", got)
	}
	if got := c.Life(false); got != time.Hour {
		t.Errorf("without remember-me %v, want 1h", got)
	}
	c.RememberMe = 0
	if got := c.Life(true); got != time.Hour {
		t.Errorf("with remember-me that is not offered %v, want 1h", got)
	}
}
