package portal

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"postern/agent/credential"
	"postern/agent/policy"
)

// Limits of one request, in bytes. HAProxy's default buffer is 16 KiB: no request of
// ours is larger than these.
const (
	maxHeader = 32 << 10
	maxBody   = 64 << 10
)

// site is a Server with everything read that it serves.
type site struct {
	*Server
	hosts   map[string]*host // by host name
	proxies []netip.Prefix
	assets  *assets
	brand   *brand
	words   *catalogue
	pages   *templates
	judges  chan struct{} // see judge
	behind  *behind
}

// host is one portal: the host it answers on and the cookie domain it signs in for.
type host struct {
	policy.Domain
	hostname string // lower-case, without port
	origin   string // "https://auth.example.com:8443"
	csp      string
}

// openHosts reads the portal of every domain.
func openHosts(domains []policy.Domain) (map[string]*host, error) {
	hosts := map[string]*host{}
	for _, d := range domains {
		u, err := url.Parse(d.Portal)
		if err != nil {
			return nil, err
		}
		d.Name = strings.ToLower(d.Name)
		h := &host{Domain: d, hostname: strings.ToLower(u.Hostname()), origin: "https://" + strings.TrimSuffix(strings.ToLower(u.Host), ":443")} // as browsers write it
		h.csp = contentPolicy(d)
		hosts[h.hostname] = h
	}
	return hosts, nil
}

// hostOf finds the portal that a Host header names.
func (s *site) hostOf(header string) *host {
	name := strings.ToLower(header)
	if h, _, err := net.SplitHostPort(name); err == nil {
		name = h
	}
	return s.hosts[strings.TrimSuffix(name, ".")]
}

// app builds the Fiber application: routes and nothing else.
func (s *site) app() *fiber.App {
	app := fiber.New(fiber.Config{
		DisableStartupMessage: true,
		Immutable:             true, // strings outlive the request's buffers
		CaseSensitive:         true,
		StrictRouting:         true,
		ReadBufferSize:        maxHeader,
		BodyLimit:             maxBody,
		ReadTimeout:           s.Config.Timeout,
		WriteTimeout:          s.Config.Timeout + 10*time.Second,
		IdleTimeout:           time.Minute,
		Concurrency:           8192,
		ErrorHandler:          s.fail,
	})
	app.Get("/healthz", func(c *fiber.Ctx) error {
		s.bareHeaders(c)
		return c.SendString("ok\n")
	})
	app.Get("/assets/:hash/:name", s.asset)
	app.Get("/favicon.ico", func(c *fiber.Ctx) error { return c.Redirect(s.assets.path("icon.svg"), http.StatusFound) })

	app.Get("/", s.page(s.showSignIn))
	app.Post("/", s.form(s.takeSignIn))
	app.Post("/passkey", s.form(s.takePasskey))
	for _, only := range []string{"/passkey", "/language", "/reset-cookies"} {
		app.Get(only, s.back("/"))
	}
	app.Get("/prove", s.page(s.showProve))
	app.Post("/prove", s.form(s.takeProve))
	s.ownPages(app)
	app.Post("/password-strength", s.form(s.takeStrength))
	app.Get("/.well-known/change-password", s.page(s.wellKnown))
	app.Get(pageReset, s.page(s.showReset))
	app.Post(pageReset, s.form(s.takeResetAsk))
	app.Get(pageResetNew, s.page(s.showResetNew))
	app.Post(pageResetNew, s.form(s.takeResetNew))
	app.Get(pageNotMe, s.page(s.showNotMe))
	app.Post(pageNotMe, s.form(s.takeNotMe))
	app.Get(pageDone, s.page(s.showDone))
	app.Get("/signout", s.page(s.showSignOut))
	app.Post("/signout", s.form(s.takeSignOut))
	app.Get("/signed-out", s.page(s.showSignedOut))
	app.Post("/language", s.form(s.takeLanguage))
	app.Post("/reset-cookies", s.form(s.takeReset))
	app.Use(s.page(func(*visit) error { return errNotFound }))
	return app
}

// ownPages are the routes of a person's own pages.
func (s *site) ownPages(app *fiber.App) {
	app.Get(pageSettings, s.page(s.showSettings))
	app.Get(pageFactors, s.page(s.showFactors))
	app.Post(pageFactors+"/rename", s.form(s.takeRename))
	app.Post(pageFactors+"/remove", s.form(s.takeRemove))
	app.Get(pageSessions, s.page(s.showSessions))
	app.Post(pageSessions+"/end", s.form(s.takeEnd))
	app.Post(pageSessions+"/end-others", s.form(s.takeEndOthers))
	app.Get(pageActivity, s.page(s.showActivity))
	app.Get(pageAddTOTP, s.page(s.showAddTOTP))
	app.Post(pageAddTOTP, s.form(s.takeAddTOTP))
	app.Get(pageAddKey, s.page(s.showAddKey))
	app.Post(pageAddKey, s.form(s.takeAddKey))
	app.Get(pageRecovery, s.page(s.showRecovery))
	app.Post(pageRecovery, s.form(s.takeRecovery))
	app.Get(pagePassword, s.page(s.showPassword))
	app.Post(pagePassword, s.form(s.takePassword))
	app.Get(pageTokens, s.page(s.showTokens))
	app.Post(pageTokens+"/revoke", s.form(s.takeRevoke))
	app.Post(pageTokens+"/revoke-all", s.form(s.takeRevokeAll))
	for _, kind := range []credential.Kind{credential.Token, credential.App} {
		app.Get(newTokenPage(kind), s.page(s.showNewToken(kind)))
		app.Post(newTokenPage(kind), s.form(s.takeNewToken(kind)))
	}
	for page, forms := range map[string][]string{
		pageFactors: {"/rename", "/remove"}, pageSessions: {"/end", "/end-others"}, pageTokens: {"/revoke", "/revoke-all"},
	} {
		for _, form := range forms {
			app.Get(page+form, s.back(page))
		}
	}
}

// back leads from the address of a form, which the browser shows when the form was
// refused, to the page that it stands on.
func (s *site) back(page string) fiber.Handler {
	return s.page(func(v *visit) error { return v.leave(v.goal(page)) })
}
