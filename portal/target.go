package portal

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"postern/agent/policy"
)

// maxTarget bounds rd, in bytes. HAProxy's own bound on a request line is about the same.
const maxTarget = 8000

// target is where a sign-in leads: rd and rm of the request that was stopped. The zero
// value is a sign-in without a target.
type target struct {
	URL     string // rd, byte for byte; empty when there is none or it was refused
	Method  string // rm; GET unless it is a method's name
	Host    string // lower-case, without port
	Path    string // percent-encoded
	Query   string // without the question mark
	Refused bool   // an rd was given that is not ours to go to
}

// parseTarget checks rd against the one cookie domain that this portal serves. What it
// accepts is read alike by every browser: https, a plain host of the domain, no user
// part, printable ASCII without backslash. Anything else is refused, not mended.
func parseTarget(rd, rm, domain string) target {
	t := target{Method: parseMethod(rm)}
	if rd == "" {
		return t
	}
	rest, ok := strings.CutPrefix(rd, "https://")
	if !ok || len(rd) > maxTarget || !urlBytes(rest) {
		t.Refused = true
		return t
	}
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	host, ok := parseAuthority(authority)
	if !ok || !within(host, domain) {
		t.Refused = true
		return t
	}
	tail, _, _ = strings.Cut(tail, "#")
	t.Path, t.Query, _ = strings.Cut(tail, "?")
	if t.Path == "" {
		t.Path = "/"
	}
	t.URL, t.Host = rd, host
	return t
}

// urlBytes says that s holds only bytes that no browser strips, folds or turns around.
func urlBytes(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '\\' || c == '"' || c == '<' || c == '>' {
			return false
		}
	}
	return true
}

// parseAuthority accepts a host name with an optional port, and returns the lower-case
// host. It refuses user parts, IP literals in brackets, escapes and trailing dots.
func parseAuthority(s string) (host string, ok bool) {
	host, port, hasPort := strings.Cut(s, ":")
	if hasPort {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port[0] == '+' {
			return "", false
		}
	}
	host = strings.ToLower(host)
	if len(host) > 253 {
		return "", false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return "", false
		}
		if strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return "", false
		}
	}
	return host, true
}

// within says whether host is domain or a name under it. Both are lower-case.
func within(host, domain string) bool {
	return host == domain || strings.HasSuffix(host, "."+domain)
}

// parseMethod returns rm when it is the name of a method, else GET.
func parseMethod(rm string) string {
	if rm == "" || len(rm) > 16 || strings.Trim(rm, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return "GET"
	}
	return rm
}

// request is the navigation that the target stands for, as the agent would see it.
func (t target) request(addr netip.Addr) policy.Request {
	return policy.Request{
		Method: t.Method, Host: t.Host, Path: t.Path, Query: t.Query, Addr: addr, TLS: true,
		Accept: "text/html", FetchMode: "navigate", FetchDest: "document",
	}
}

// Sends says that the stopped request carried something that a redirect will not repeat.
func (t target) Sends() bool {
	return t.URL != "" && t.Method != "GET" && t.Method != "HEAD"
}

// at returns path with the target in its query, so that the next page knows it.
func (t target) at(path string) string {
	if t.URL == "" {
		return path
	}
	return path + "?rd=" + url.QueryEscape(t.URL) + "&rm=" + url.QueryEscape(t.Method)
}
