package credential

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"postern/agent/policy"
)

// Bounds of a draft.
const (
	// MaxPerOwner is how many credentials one user can have.
	MaxPerOwner = 100
	// MaxName is the longest name of a credential, in characters.
	MaxName = 64

	maxScope = 32  // entries of one list of a scope
	maxPath  = 256 // bytes
	maxOwner = 256 // bytes
)

// fault is an ErrDraft that says what is wrong.
func fault(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDraft, fmt.Sprintf(format, args...))
}

// Check returns what Create would have against d, an ErrDraft, or nil.
func (d Draft) Check() error {
	_, err := d.clean()
	return err
}

// clean checks a draft and brings it into canonical form: hosts in lower case, methods in
// capitals, networks as CIDRs.
func (d Draft) clean() (Draft, error) {
	d.Name = strings.TrimSpace(d.Name)
	bad := func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }
	switch {
	case d.Kind != Token && d.Kind != App:
		return d, fault("%q is no kind; write token or app", d.Kind)
	case d.Owner == "" || len(d.Owner) > maxOwner:
		return d, fault("it needs an owner")
	case d.Name == "":
		return d, fault("it needs a name")
	case utf8.RuneCountInString(d.Name) > MaxName || !utf8.ValidString(d.Name) || strings.ContainsFunc(d.Name, bad):
		return d, fault("its name is longer than %d characters or holds control characters", MaxName)
	case d.Level > policy.LevelTwo:
		return d, fault("there is no level %d", d.Level)
	case d.Level == policy.LevelTwo && d.Kind == App:
		return d, fault("an application password proves one factor")
	}
	d.Level = max(d.Level, policy.LevelOne)
	var err error
	d.Scope, err = d.Scope.clean()
	return d, err
}

func (s Scope) clean() (Scope, error) {
	if len(s.Hosts) > maxScope || len(s.Methods) > maxScope || len(s.Networks) > maxScope {
		return s, fault("a scope has at most %d hosts, methods or networks", maxScope)
	}
	out := Scope{Path: strings.TrimSuffix(s.Path, "/")}
	for _, h := range s.Hosts {
		host := strings.ToLower(strings.TrimSuffix(h, "."))
		if !policy.Hostname(strings.TrimPrefix(host, "*.")) {
			return s, fault("%q is no host; write www.example.com or *.example.com", h)
		}
		out.Hosts = append(out.Hosts, host)
	}
	for _, m := range s.Methods {
		method := strings.ToUpper(m)
		if !policy.Method(method) {
			return s, fault("%q is no method", m)
		}
		out.Methods = append(out.Methods, method)
	}
	for _, n := range s.Networks {
		p, ok := policy.ParseNetwork(n)
		if !ok {
			return s, fault("%q is no network; write an address or a CIDR", n)
		}
		out.Networks = append(out.Networks, p.String())
	}
	if out.Path != "" && (len(out.Path) > maxPath || !policy.CleanPath(out.Path)) {
		return s, fault("%q is no path; write one like /api, as it stands in a URL, decoded", s.Path)
	}
	return out, nil
}

// Use is what a scope is held against.
type Use struct {
	Method, Host string // as HAProxy sampled them
	Path         string // canonical, percent-encoded
	Addr         netip.Addr
}

// networks parses those of a scope. One that cannot be read matches nothing: the slice is
// then not nil and holds no network.
func (s Scope) networks() []netip.Prefix {
	if len(s.Networks) == 0 {
		return nil
	}
	out := []netip.Prefix{}
	for _, n := range s.Networks {
		if p, ok := policy.ParseNetwork(n); ok {
			out = append(out, p)
		}
	}
	return out
}

// covers says whether u lies within the scope, whose networks were parsed before. It
// allocates nothing unless the path has to be decoded.
func (s *Scope) covers(u *Use, networks []netip.Prefix) bool {
	if len(s.Methods) > 0 && !slices.Contains(s.Methods, u.Method) {
		return false
	}
	if len(s.Hosts) > 0 && !s.coversHost(u.Host) {
		return false
	}
	if networks != nil && !coversAddr(networks, u.Addr) {
		return false
	}
	return s.Path == "" || policy.Within(u.Path, s.Path)
}

func (s *Scope) coversHost(host string) bool {
	for _, h := range s.Hosts {
		if policy.HostMatches(host, h) {
			return true
		}
	}
	return false
}

func coversAddr(networks []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, p := range networks {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
