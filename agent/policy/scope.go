package policy

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Hostname says whether s is one, in lower case or not, without a port or a final dot.
func Hostname(s string) bool { return isHostname(s) }

// Method says whether s is a method that rules can name: of RFC 9110, PATCH or WebDAV's.
func Method(s string) bool {
	return isMethod(s) && strings.Contains(knownMethods, " "+s+" ")
}

// ParseNetwork reads an address or a CIDR as rules do.
func ParseNetwork(s string) (netip.Prefix, bool) { return parseNetwork(s) }

// HostMatches says whether a host as received (any case, port, one trailing dot) is the
// one that want names in lower case, or lies under it when want begins with "*.". It
// allocates nothing.
func HostMatches(host, want string) bool {
	host, ok := bareHost(host)
	if !ok {
		return false
	}
	if suffix, ok := strings.CutPrefix(want, "*"); ok {
		return len(host) > len(suffix) && equalFold(host[len(host)-len(suffix):], suffix)
	}
	return equalFold(host, want)
}

// CleanPath says whether s can be held against paths by Within: decoded, beginning with
// a slash and not ending with one, without anything that servers read in two ways.
func CleanPath(s string) bool {
	if len(s) < 2 || s[0] != '/' || !utf8.ValidString(s) || strings.ContainsAny(s, `%;\?#`) || strings.ContainsFunc(s, unicode.IsControl) {
		return false
	}
	for _, segment := range strings.Split(s[1:], "/") {
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
	}
	return true
}

// Within says whether a path, canonical as Decide leaves it, is prefix or lies under it,
// however a server may read it. It allocates nothing unless the path holds escapes or
// parameters.
func Within(path, prefix string) bool {
	if path == "" || path[0] != '/' {
		return false
	}
	if strings.IndexByte(path, '%') < 0 && strings.IndexByte(path, ';') < 0 {
		return under(path, prefix)
	}
	for _, text := range [...]string{decode(path, false), decode(path, true)} {
		if !under(text, prefix) || !under(withoutParams(text), prefix) {
			return false
		}
	}
	return true
}

func under(path, prefix string) bool {
	return strings.HasPrefix(path, prefix) && (len(path) == len(prefix) || path[len(prefix)] == '/')
}
