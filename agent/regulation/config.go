package regulation

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Config is `regulation` of the configuration.
type Config struct {
	Failures  int           `yaml:"failures"`         // wrong guesses at a user, of one kind of secret, within window, that bring a wait
	Addresses int           `yaml:"address_failures"` // the same from one address (IPv6: its /64); 0: as failures
	Window    time.Duration `yaml:"window"`           // how long a wrong guess counts
	Wait      time.Duration `yaml:"wait"`             // the first wait; it doubles with each further failure
	Longest   time.Duration `yaml:"max_wait"`         // the longest wait
	Requests  int           `yaml:"requests"`         // forms that one address may send to the portal in a minute; 0: any number
	Exempt    []string      `yaml:"exempt"`           // addresses and networks that are never banned
}

// DefaultConfig is what an absent `regulation` means.
func DefaultConfig() Config {
	return Config{Failures: 5, Window: 2 * time.Minute, Wait: 30 * time.Second, Longest: 15 * time.Minute, Requests: 120}
}

// Bounds of numbers: what is kept of one subject, and what is a bound at all.
const (
	maxFailures = 1000
	maxRequests = 100000
)

// Validate joins every fault of c; each starts with the key it is about.
func (c Config) Validate() error {
	var faults []error
	if c.Failures < 1 || c.Failures > maxFailures {
		faults = append(faults, fmt.Errorf("regulation.failures: %d is not between 1 and %d", c.Failures, maxFailures))
	}
	if c.Addresses < 0 || c.Addresses > maxFailures {
		faults = append(faults, fmt.Errorf("regulation.address_failures: %d is not between 0 and %d", c.Addresses, maxFailures))
	}
	if c.Window <= 0 {
		faults = append(faults, fmt.Errorf("regulation.window: %v is not positive", c.Window))
	}
	if c.Wait < time.Second {
		faults = append(faults, fmt.Errorf("regulation.wait: %v is less than a second", c.Wait))
	}
	if c.Longest < c.Wait {
		faults = append(faults, fmt.Errorf("regulation.max_wait: %v is less than regulation.wait", c.Longest))
	}
	if c.Requests < 0 || c.Requests > maxRequests {
		faults = append(faults, fmt.Errorf("regulation.requests: %d is not between 0 and %d", c.Requests, maxRequests))
	}
	for i, s := range c.Exempt {
		if _, err := ParseNetwork(s); err != nil {
			faults = append(faults, fmt.Errorf("regulation.exempt[%d]: %w", i, err))
		}
	}
	return errors.Join(faults...)
}

// Networks are those that are exempt.
func (c Config) Networks() []netip.Prefix {
	list := make([]netip.Prefix, 0, len(c.Exempt))
	for _, s := range c.Exempt {
		if p, err := ParseNetwork(s); err == nil { // Validate has refused the others
			list = append(list, p)
		}
	}
	return list
}

// ParseNetwork reads an address or a network. The bits behind its length must be zero, so
// that nobody bans more than he sees.
func ParseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return a.Prefix(a.BitLen())
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return p, fmt.Errorf("%q is neither an address nor a network", s)
	case p.Addr().Is4In6():
		return p, fmt.Errorf("%q is IPv4 written as IPv6; write it as IPv4", s)
	case p != p.Masked():
		return p, fmt.Errorf("%q has bits behind its length; did you mean %s?", s, p.Masked())
	}
	return p, nil
}
