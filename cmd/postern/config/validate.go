package config

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"postern/agent"
	"postern/haproxy"
)

// validateOwn checks what no other package owns.
func (c *Config) validateOwn() []error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if len(c.Domains) == 0 {
		add("domains: name at least one cookie domain with its portal")
	}
	switch scheme, rest, _ := strings.Cut(c.Store, ":"); {
	case scheme != "sqlite":
		add("store: %q is not a store; write sqlite:/path/of/the/file", c.Store)
	case rest == "":
		add("store: names no file; write sqlite:/path/of/the/file")
	}
	errs = append(errs, c.Secret.validate(), c.Log.validate(), c.validateSites())
	return append(errs, c.validateHeaders()...)
}

// validateSites holds factors.webauthn.rp_id against every portal.
func (c *Config) validateSites() error {
	if c.Factors.WebAuthn.RPID == "" {
		return nil
	}
	for _, d := range c.Domains {
		if _, err := c.Factors.WebAuthn.Site(d.Portal); err != nil && strings.HasPrefix(err.Error(), "factors.webauthn.rp_id: ") {
			return err // one is enough: the key is the same for all
		}
	}
	return nil
}

func (s Secret) validate() error {
	switch {
	case s.Value == "" && s.File == "":
		return errors.New("secret: is empty; write {file: /path}, and the file is made when it does not exist")
	case s.File == "" && len(s.Value) < 32:
		return errors.New("secret: is shorter than 32 characters")
	}
	return nil
}

func (l Log) validate() error {
	var errs []error
	if err := new(slog.LevelVar).UnmarshalText([]byte(l.Level)); err != nil {
		errs = append(errs, fmt.Errorf("log.level: %q is not a level; write debug, info, warn or error", l.Level))
	}
	if l.Format != "text" && l.Format != "json" {
		errs = append(errs, fmt.Errorf("log.format: %q is not a format; write text or json", l.Format))
	}
	switch l.Decisions {
	case agent.DecisionsNone, agent.DecisionsDenied, agent.DecisionsAll:
	default:
		errs = append(errs, fmt.Errorf("log.decisions: %q is not a choice; write none, denied or all", l.Decisions))
	}
	return errors.Join(errs...)
}

// validateHeaders checks each name as package haproxy does, and that none comes twice.
func (c *Config) validateHeaders() []error {
	var errs []error
	seen := map[string]string{}
	h := c.Headers
	for _, n := range []struct{ key, name string }{
		{"user", h.User}, {"groups", h.Groups}, {"name", h.Name}, {"email", h.Email}, {"assertion", h.Assertion},
	} {
		lower := strings.ToLower(n.name)
		if err := (haproxy.Headers{User: n.name}).Validate(); err != nil {
			errs = append(errs, fmt.Errorf("headers.%s: %w", n.key, err))
		} else if other := seen[lower]; other != "" && n.name != "" {
			errs = append(errs, fmt.Errorf("headers.%s: %s is the name of headers.%s already", n.key, n.name, other))
		}
		seen[lower] = n.key
	}
	return errs
}
