package portal

import (
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
)

// Names of the cookies that concern the portal alone. The prefix keeps every other host
// from setting them (RFC 6265bis 4.1.3.2).
const (
	cookieBrowser  = "__Host-postern-csrf"   // names the browser; see csrf.go
	cookieLanguage = "__Host-postern-lang"   // the language that was chosen
	cookieBounce   = "__Host-postern-bounce" // see bounce.go
)

// cookies are those of one request, in the order received. Every occurrence counts:
// a name that comes twice may have been planted by a neighbouring host.
type cookies []cookie

type cookie struct{ name, value string }

// readCookies parses the Cookie header itself, because the server's own parser keeps one
// value of each name.
func readCookies(c *fiber.Ctx) cookies {
	var out cookies
	for _, line := range c.Request().Header.PeekAll(fiber.HeaderCookie) {
		for pair := range strings.SplitSeq(string(line), ";") {
			name, value, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
			out = append(out, cookie{name, value})
		}
	}
	return out
}

// get returns the value of a cookie that came exactly once, and how often it came.
func (cs cookies) get(name string) (value string, times int) {
	for _, c := range cs {
		if c.name == name {
			value = c.value
			times++
		}
	}
	if times != 1 {
		return "", times
	}
	return value, 1
}

// setCookie adds a Set-Cookie line. domain "" makes it host-only; life 0 makes it last
// as long as the browser runs, and a negative life removes it.
func setCookie(c *fiber.Ctx, name, value, domain, path string, life time.Duration) {
	// Add, not Set: several lines may concern one name.
	c.Response().Header.Add(fiber.HeaderSetCookie, cookieLine(name, value, domain, path, life))
}

func cookieLine(name, value, domain, path string, life time.Duration) string {
	var b strings.Builder
	b.WriteString(name + "=" + value + "; Path=" + path)
	if domain != "" {
		b.WriteString("; Domain=" + domain)
	}
	if life > 0 {
		b.WriteString("; Max-Age=" + strconv.FormatInt(int64(life/time.Second), 10))
	}
	if life < 0 {
		b.WriteString("; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
	}
	b.WriteString("; Secure; HttpOnly; SameSite=Lax")
	return b.String()
}

// setSession gives the browser a session's token.
func (v *visit) setSession(name, token string, life time.Duration) {
	setCookie(v.c, name, token, v.host.Name, "/", life)
}

// expire removes every variant of the session cookie that this host may set: host-only
// and for each domain from the host up to the cookie domain, on "/" and on the folders
// above the target.
func (v *visit) expire(name string) {
	domains := []string{""}
	for d := v.host.hostname; within(d, v.host.Name); {
		domains = append(domains, d)
		_, parent, ok := strings.Cut(d, ".")
		if !ok {
			break
		}
		d = parent
	}
	room := maxExpiry
	for _, path := range folders(v.target.Path) {
		for _, d := range domains {
			line := cookieLine(name, "", d, path, -1)
			if room -= len(line); room < 0 {
				return
			}
			v.c.Response().Header.Add(fiber.HeaderSetCookie, line)
		}
	}
}

// Bounds of what one answer says about cookies. A proxy in front has room for the headers
// of an answer in one buffer, of 16 KiB in HAProxy.
const (
	maxFolders = 8       // paths
	maxExpiry  = 4 << 10 // bytes, of all lines that remove the session cookie
)

// folders returns "/" and what a cookie of path could have as its Path: each folder with
// and without its final slash.
func folders(path string) []string {
	out := []string{"/"}
	for i := 1; i < len(path) && len(out) < maxFolders; i++ {
		if path[i] == '/' && safePath(path[:i]) {
			out = append(out, path[:i], path[:i+1])
		}
	}
	if n := len(path); n > 1 && path[n-1] != '/' && safePath(path) && len(out) < maxFolders {
		out = append(out, path)
	}
	return out
}

// safePath says that path can stand in a Set-Cookie line.
func safePath(path string) bool { return !strings.ContainsAny(path, ";, \t\r\n") }
