package session

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Config is `session` of the configuration.
type Config struct {
	Cookie     string        `yaml:"cookie"`      // must start with __Secure-
	Lifetime   time.Duration `yaml:"lifetime"`    // absolute
	Inactivity time.Duration `yaml:"inactivity"`  // 0: no limit
	RememberMe time.Duration `yaml:"remember_me"` // absolute life with remember-me; 0: not offered
}

// DefaultConfig is what an absent `session` means.
func DefaultConfig() Config {
	return Config{Cookie: "__Secure-postern", Lifetime: 12 * time.Hour, Inactivity: time.Hour, RememberMe: 720 * time.Hour}
}

// Life is how long a session may live from its sign-in on, whatever its use. Remember
// counts only where remember-me is offered.
func (c Config) Life(remember bool) time.Duration {
	if remember && c.RememberMe > 0 {
		return c.RememberMe
	}
	return c.Lifetime
}

// lag is how much older a last use may be in the Keeper than in memory, in nanoseconds: a
// twelfth of the inactivity allowed, so much earlier a session may end if the process
// dies, and at most ten minutes.
func (c Config) lag() int64 {
	const most = 10 * time.Minute
	if c.Inactivity == 0 {
		return int64(most)
	}
	return int64(min(most, c.Inactivity/12))
}

// Validate joins every fault, each under its key.
func (c Config) Validate() error {
	return errors.Join(validateCookie(c.Cookie), c.validateLives())
}

func (c Config) validateLives() error {
	var faults []error
	if c.Lifetime <= 0 {
		faults = append(faults, fmt.Errorf("session.lifetime: %v is not positive", c.Lifetime))
	}
	if c.Inactivity < 0 {
		faults = append(faults, fmt.Errorf("session.inactivity: %v is negative; 0 means no limit", c.Inactivity))
	}
	switch {
	case c.RememberMe < 0:
		faults = append(faults, fmt.Errorf("session.remember_me: %v is negative; 0 means not offered", c.RememberMe))
	case c.RememberMe > 0 && c.RememberMe < c.Lifetime:
		faults = append(faults, fmt.Errorf("session.remember_me: %v is shorter than session.lifetime (%v)", c.RememberMe, c.Lifetime))
	}
	return errors.Join(faults...)
}

// cookiePrefix makes browsers refuse the cookie unless it came over TLS with Secure
// (RFC 6265bis 4.1.3.1). __Host- would be stricter, but forbids the Domain attribute by
// which one sign-in serves all hosts of a domain.
const cookiePrefix = "__Secure-"

// cookieNameMax bounds a cookie's name, in bytes.
const cookieNameMax = 64

func validateCookie(name string) error {
	switch {
	case strings.HasPrefix(name, "__Host-"):
		return fmt.Errorf("session.cookie: %q: __Host- cookies cannot serve a whole domain; use %s", name, cookiePrefix)
	case !strings.HasPrefix(name, cookiePrefix) || name == cookiePrefix:
		return fmt.Errorf("session.cookie: %q does not start with %s and a name", name, cookiePrefix)
	case len(name) > cookieNameMax:
		return fmt.Errorf("session.cookie: %q is longer than %d bytes", name, cookieNameMax)
	}
	for i := range len(name) {
		if !cookieChar(name[i]) {
			return fmt.Errorf("session.cookie: %q holds %q; letters, digits, - and _ are allowed", name, name[i])
		}
	}
	return nil
}

// cookieChar is narrower than RFC 6265's token: the name is written into HAProxy's
// configuration, too.
func cookieChar(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}
