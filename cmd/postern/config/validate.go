package config

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
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
	errs = append(errs, c.Secret.validate(), c.Log.validate())
	return append(errs, c.validateHeaders()...)
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
	return errors.Join(errs...)
}

// validateHeaders refuses names that are no header names, that come twice, or that
// HAProxy or HTTP itself need: the rules delete them from what clients send.
func (c *Config) validateHeaders() []error {
	var errs []error
	seen := map[string]string{}
	for _, h := range []struct{ key, name string }{
		{"user", c.Headers.User}, {"groups", c.Headers.Groups}, {"name", c.Headers.Name}, {"email", c.Headers.Email},
	} {
		if h.name == "" {
			continue
		}
		lower := strings.ToLower(h.name)
		switch {
		case strings.Trim(lower, headerRunes) != "":
			errs = append(errs, fmt.Errorf("headers.%s: %q is not a header name; write letters, digits and hyphens", h.key, h.name))
		case reserved[lower]:
			errs = append(errs, fmt.Errorf("headers.%s: %s carries something else; choose a name of its own", h.key, h.name))
		case seen[lower] != "":
			errs = append(errs, fmt.Errorf("headers.%s: %s is the name of headers.%s already", h.key, h.name, seen[lower]))
		}
		seen[lower] = h.key
	}
	return errs
}

const headerRunes = "abcdefghijklmnopqrstuvwxyz0123456789-"

var reserved = map[string]bool{
	"accept": true, "authorization": true, "connection": true, "content-length": true, "content-type": true,
	"cookie": true, "expect": true, "host": true, "keep-alive": true, "origin": true, "proxy-authorization": true,
	"referer": true, "set-cookie": true, "te": true, "trailer": true, "transfer-encoding": true, "upgrade": true,
	"user-agent": true, "via": true,
}
