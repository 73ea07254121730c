package haproxy

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// What may stand in a configuration file unquoted. HAProxy gives a meaning to quotes,
// backslashes, spaces, #, $, %, braces and commas; none of them is let in.
// They are compiled by whoever asks first: a daemon never does.
var (
	cookieName = pattern(`^[A-Za-z0-9_-]{1,64}$`)
	headerName = pattern(`^[A-Za-z][A-Za-z0-9-]{0,63}$`)
	hostName   = pattern(`^[a-z0-9_][a-z0-9_-]{0,62}(\.[a-z0-9_][a-z0-9_-]{0,62})*$`)
	filePath   = pattern(`^[A-Za-z0-9_./@:+-]+$`)
)

func pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

// reserved are headers that mean something else than who the user is.
var reserved = pattern(`(?i)^(host|cookie|set-cookie|connection|upgrade|content-.*|transfer-encoding|te|trailer|expect|authorization|location|x-forwarded-(for|proto|host|port)|forwarded|sec-.*|accept.*|origin|referer)$`)

// socketPath is the longest path of a unix socket, in bytes: sun_path less its NUL.
const socketPath = 107

// validate joins every fault of the configuration.
func (c Config) validate(v Version, f Form) error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !v.AtLeast(Oldest()) {
		fault("%w: %v is older than %v", ErrVersion, v, Oldest())
	}
	if f != Defaults && f != Block {
		fault("form %q is neither %q nor %q", string(f), Defaults, Block)
	}
	if !cookieName().MatchString(c.Cookie) {
		fault("cookie name %q: only letters, digits, - and _ can be told to HAProxy", c.Cookie)
	}
	if !filePath().MatchString(c.SPOE) {
		fault("path of spoe.conf %q: only letters, digits and _./@:+- can be told to HAProxy", c.SPOE)
	}
	if _, err := c.timeout(); err != nil {
		errs = append(errs, err)
	}
	for _, a := range []struct{ of, address string }{{"agent", c.Agent}, {"portal", c.Portal}} {
		if _, err := serverAddress(a.address); err != nil {
			fault("address of the %s: %w", a.of, err)
		}
	}
	if c.Requests < 0 {
		fault("%d forms a minute: cannot be fewer than none", c.Requests)
	}
	for _, p := range c.Exempt {
		if !p.IsValid() {
			fault("an exempt network is none")
		}
	}
	if len(c.Domains) == 0 {
		fault("no domain: HAProxy would not know where the portal is")
	}
	for _, d := range c.Domains {
		if !hostName().MatchString(d.Name) || len(d.Name) > 253 {
			fault("domain %q is not a host name in lower case", d.Name)
		}
		if _, _, err := portalOf(d.Portal); err != nil {
			errs = append(errs, err)
		}
		if d.TLS != "" && d.TLS != "upstream" {
			fault("domain %s: tls is %q; it is \"upstream\" or absent", d.Name, d.TLS)
		}
	}
	return errors.Join(append(errs, c.Headers.Validate())...)
}

// Validate checks the names: each a header name of letters, digits and hyphens, none
// twice, none that means something else.
func (h Headers) Validate() error {
	var errs []error
	seen := map[string]bool{}
	for _, name := range h.names() {
		key := strings.ToLower(name)
		switch {
		case name == "":
			continue
		case !headerName().MatchString(name):
			errs = append(errs, fmt.Errorf("header name %q: it starts with a letter and has only letters, digits and hyphens", name))
		case reserved().MatchString(name):
			errs = append(errs, fmt.Errorf("header name %q has a meaning of its own", name))
		case seen[key]:
			errs = append(errs, fmt.Errorf("header name %q is used twice", name))
		}
		seen[key] = true
	}
	return errors.Join(errs...)
}

func (h Headers) names() []string { return []string{h.User, h.Groups, h.Name, h.Email, h.Assertion} }

// timeout is "timeout processing" in HAProxy's spelling.
func (c Config) timeout() (string, error) {
	if c.Timeout == "" {
		return "1s", nil
	}
	d, err := time.ParseDuration(c.Timeout)
	if err != nil {
		return "", fmt.Errorf("timeout %q: %w", c.Timeout, err)
	}
	if d < 10*time.Millisecond || d > time.Minute {
		return "", fmt.Errorf("timeout %v is not within 10ms and 1m", d)
	}
	return strconv.FormatInt(d.Milliseconds(), 10) + "ms", nil
}

// portalOf returns the host of a portal's URL, and its port when it is not 443.
func portalOf(raw string) (host, port string, err error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", "", fmt.Errorf("portal: %w", err)
	}
	host, port = u.Hostname(), u.Port()
	number, numErr := strconv.ParseUint(port, 10, 16)
	switch {
	case u.Scheme != "https":
		return "", "", fmt.Errorf("portal %q does not begin with https://", raw)
	case !hostName().MatchString(host) || len(host) > 253:
		return "", "", fmt.Errorf("portal %q: its host is not a host name in lower case", raw)
	case port != "" && (numErr != nil || number == 0):
		return "", "", fmt.Errorf("portal %q: its port is not a number of 1 to 65535", raw)
	case u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return "", "", fmt.Errorf("portal %q has more than a host and a port", raw)
	}
	if number == 443 || port == "" {
		return host, "", nil
	}
	return host, strconv.FormatUint(number, 10), nil
}

// serverAddress is an address in HAProxy's spelling.
func serverAddress(s string) (string, error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		switch {
		case !filePath().MatchString(path) || path[0] != '/':
			return "", fmt.Errorf("%q: a socket has an absolute path of letters, digits and _./@:+-", s)
		case len(path) > socketPath:
			return "", fmt.Errorf("%q: a socket's path has at most %d bytes", s, socketPath)
		}
		return "unix@" + path, nil
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", fmt.Errorf("%q is neither unix:/path nor host:port", s)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("%q: the port is not a number of 1 to 65535", s)
	}
	ip := net.ParseIP(host)
	switch {
	case ip != nil && ip.IsUnspecified():
		return "", fmt.Errorf("%q is no address to connect to", s)
	case ip != nil && ip.To4() == nil:
		return "ipv6@[" + ip.String() + "]:" + port, nil
	case ip == nil && !hostName().MatchString(strings.ToLower(host)):
		return "", fmt.Errorf("%q: the host is not a name or an address", s)
	}
	return strings.ToLower(host) + ":" + port, nil
}
