package portal

import (
	"context"
	"fmt"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"postern/agent/session"
)

// visitKey is where a request keeps its visit.
const visitKey = "visit"

// storeTimeout bounds what a request may wait for the session store.
const storeTimeout = 5 * time.Second

// visit is one request to a portal: what every handler needs to know of it.
type visit struct {
	c          *fiber.Ctx
	host       *host
	addr       netip.Addr // the client's; invalid when unknown
	agent      string     // User-Agent, clipped
	id         string     // of the request, for logs and the error page
	cookies    cookies
	token      string           // of the session cookie, when it came once
	doubled    bool             // the session cookie came more than once
	session    *session.Session // nil: nobody is signed in
	browser    string           // names the browser; see csrf.go
	newBrowser bool             // browser was made for this answer
	target     target
	page       string  // of the person's own, on the way to target; field next
	had        *having // see having; nil: not asked yet
	words      *speaker
}

// page is a handler for a request that changes nothing.
func (s *site) page(handle func(*visit) error) fiber.Handler {
	return func(c *fiber.Ctx) (err error) {
		defer func() {
			// One visitor's fault must not end the service for all.
			if r := recover(); r != nil {
				err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
			}
		}()
		v, err := s.visit(c)
		if err != nil {
			return err
		}
		return handle(v)
	}
}

// form is a handler for a POST: what came from another site never reaches it, nor more
// than one address may send in a minute. The token
// is checked by the handler, which knows for whom the page may have been made.
func (s *site) form(handle func(*visit) error) fiber.Handler {
	return s.page(func(v *visit) error {
		if err := s.pass(v); err != nil {
			return err
		}
		if !sameOrigin(v.c, v.host.origin) {
			return errOrigin
		}
		kind, _, _ := strings.Cut(string(v.c.Request().Header.ContentType()), ";")
		if !strings.EqualFold(strings.TrimSpace(kind), fiber.MIMEApplicationForm) {
			return errForm
		}
		return handle(v)
	})
}

// visit reads what is common to all requests.
func (s *site) visit(c *fiber.Ctx) (*visit, error) {
	v := &visit{c: c}
	var trusted bool
	v.addr, trusted = s.clientOf(c)
	v.id, v.agent = requestID(c, trusted), clip(c.Get(fiber.HeaderUserAgent), maxBrowser)
	c.Locals(visitKey, v)
	if v.host = s.hostOf(string(c.Request().Host())); v.host == nil {
		return nil, errWrongHost
	}
	v.cookies = readCookies(c)
	chosen, _ := v.cookies.get(cookieLanguage)
	v.words = s.words.choose(chosen, string(c.Request().Header.Peek(fiber.HeaderAcceptLanguage)))
	v.target = parseTarget(v.form("rd"), v.form("rm"), v.host.Name)
	v.page = parsePage(v.form("next"))
	if v.browser, _ = v.cookies.get(cookieBrowser); !browserName(v.browser) {
		v.browser, v.newBrowser = newBrowser(), true
		setCookie(c, cookieBrowser, v.browser, "", "/", 0)
	}
	token, times := v.cookies.get(s.Cookie.Cookie)
	v.token, v.doubled = token, times > 1
	var err error
	v.session, err = s.find(v.token, v.host.Name)
	return v, err
}

// find returns the live session of a token, nil when there is none.
func (s *site) find(token, domain string) (*session.Session, error) {
	if token == "" {
		return nil, nil
	}
	e, result := s.Sessions.Find([]byte(token), domain, s.now())
	if result == session.Miss {
		ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
		defer cancel()
		var err error
		if e, result, err = s.Sessions.Load(ctx, []byte(token), domain); err != nil {
			return nil, fmt.Errorf("%w: %w", errNoSessions, err)
		}
	}
	if result != session.Hit || e == nil {
		return nil, nil
	}
	copied := e.Session
	return &copied, nil
}

// form returns a field of the form, or of the query when the form has none of that name.
func (v *visit) form(name string) string {
	if b := v.c.Request().PostArgs().Peek(name); b != nil {
		return string(b)
	}
	return string(v.c.Request().URI().QueryArgs().Peek(name))
}

// field returns a field of the form alone: secrets have no place in a query.
func (v *visit) field(name string) string { return string(v.c.Request().PostArgs().Peek(name)) }

// user is who is signed in, "" for nobody.
func (v *visit) user() string {
	if v.session == nil {
		return ""
	}
	return v.session.User
}
