package portal

import (
	"net/url"

	"github.com/gofiber/fiber/v2"

	"postern/agent/policy"
)

// contentPolicy is the Content-Security-Policy of a domain's pages. A browser applies
// form-action to the redirect after a form as well, so it lists where a sign-in may lead;
// a bare host there means the default port only, hence the ":*".
func contentPolicy(d policy.Domain) string {
	forms := "'self' https://" + d.Name + ":* https://*." + d.Name + ":*"
	if home, err := url.Parse(d.Home); err == nil && home.Host != "" && home.Scheme == "https" {
		forms += " https://" + home.Host
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; " +
		"connect-src 'self'; manifest-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action " + forms
}

// pageHeaders are those of every page.
func (s *site) pageHeaders(v *visit) {
	s.commonHeaders(v.c)
	v.c.Set("Content-Security-Policy", v.host.csp)
	v.c.Set("Content-Language", v.words.Tag)
	v.c.Set(fiber.HeaderVary, "Accept-Language, Cookie")
}

// bareHeaders are those of an answer that is no page: nothing may be loaded by it.
func (s *site) bareHeaders(c *fiber.Ctx) {
	s.commonHeaders(c)
	c.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
}

func (s *site) commonHeaders(c *fiber.Ctx) {
	for _, h := range [][2]string{
		{"Referrer-Policy", "no-referrer"},
		{"Cache-Control", "no-store"},
		{"X-Content-Type-Options", "nosniff"},
		{"X-Frame-Options", "DENY"},
		{"X-Robots-Tag", "noindex, nofollow"},
		{"Cross-Origin-Opener-Policy", "same-origin"},
		{"Cross-Origin-Resource-Policy", "same-origin"},
		{"Permissions-Policy", "publickey-credentials-get=(self), publickey-credentials-create=(self), " +
			"camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()"},
	} {
		c.Set(h[0], h[1])
	}
}
