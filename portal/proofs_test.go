package portal

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"postern/agent/policy"
	"postern/agent/session"
)

// watch is a clock that a test sets.
type watch struct {
	mu sync.Mutex
	at time.Time
}

func (w *watch) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

// pass lets time pass.
func (w *watch) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

// openTimedHouse is a house whose portal and sessions go by the test's own clock.
func openTimedHouse(t *testing.T, change ...func(*Server)) (*house, *watch) {
	t.Helper()
	clock := &watch{at: time.Now().Truncate(30 * time.Second)}
	h := openHouse(t, append(change, func(s *Server) {
		s.Now = clock.now
		s.Sessions.(*session.Table).Now = clock.now
	})...)
	return h, clock
}

// phone is an authenticator app. It shows a code once, as people wait for the next one.
type phone struct {
	t      *testing.T
	clock  *watch
	secret string
}

// secretText finds the secret on the page that sets up an app.
var secretText = regexp.MustCompile(`<p class="key"><code>([A-Z2-7 ]+)</code>`)

// scan reads the secret of a page.
func scan(t *testing.T, clock *watch, page answer) *phone {
	t.Helper()
	m := secretText.FindStringSubmatch(page.Body)
	if m == nil {
		t.Fatalf("no secret on the page:\n%s", page.main())
	}
	return &phone{t: t, clock: clock, secret: strings.ReplaceAll(m[1], " ", "")}
}

// shows is the code of this moment.
func (p *phone) shows() string {
	p.t.Helper()
	code, err := totp.GenerateCode(p.secret, p.clock.now())
	must(p.t, err)
	return code
}

// next waits for a code that was not shown yet.
func (p *phone) next() string {
	p.t.Helper()
	p.clock.pass(30 * time.Second)
	return p.shows()
}

// addApp sets up an app for the person who is signed in, and leaves the recovery codes be.
func (b *browser) addApp(clock *watch) *phone {
	b.t.Helper()
	page := b.get(auth + pageAddTOTP)
	page.want(b.t, http.StatusOK, "Set up an authenticator app")
	p := scan(b.t, clock, page)
	b.send(page, pageAddTOTP, "code", p.next(), "name", "My phone").want(b.t, http.StatusSeeOther)
	return p
}

// codeText finds the codes on the page that shows them.
var codeText = regexp.MustCompile(`<li><code>([0-9a-z-]+)</code></li>`)

// makeCodes makes recovery codes.
func (b *browser) makeCodes() []string {
	b.t.Helper()
	page := b.send(b.get(auth+pageRecovery), pageRecovery)
	page.want(b.t, http.StatusOK, "not shown again")
	var codes []string
	for _, m := range codeText.FindAllStringSubmatch(page.Body, -1) {
		codes = append(codes, m[1])
	}
	return codes
}

// twoFactors signs bob in with his password and the code of his app.
func (b *browser) twoFactors(p *phone) {
	b.t.Helper()
	b.signIn("?next=/settings", "bob", "builder").want(b.t, http.StatusSeeOther)
	b.prove("/prove?next=/settings", p.next()).wantRedirect(b.t, pageSettings)
}

// prove opens the page that asks for a proof and sends a code.
func (b *browser) prove(path, code string) answer {
	b.t.Helper()
	page := b.get(auth + path)
	page.want(b.t, http.StatusOK, "Confirm that it is you")
	return b.send(page, "/prove", "code", code)
}

// proveQuery is where somebody is sent who must prove something more for a target.
func proveQuery(rd string) string { return "/prove?rd=" + url.QueryEscape(rd) + "&rm=GET" }

// level is what the browser's session has proved.
func (h *house) level(b *browser) policy.Level {
	h.t.Helper()
	s, err := (&site{Server: h.server}).find(b.session("auth.example.com"), "example.com")
	must(h.t, err)
	if s == nil {
		return policy.Anonymous
	}
	return s.Level
}

// carry gives the browser a session cookie, and nothing in place of "".
func (b *browser) carry(token string) {
	b.jar.SetCookies(&url.URL{Scheme: "https", Host: "auth.example.com", Path: "/"}, []*http.Cookie{{
		Name: "__Secure-postern", Value: token, Domain: "example.com", Path: "/", Secure: true,
	}})
}

// ids finds what the forms of a page name.
func ids(page answer) []string {
	var list []string
	for _, m := range regexp.MustCompile(`name="id" value="([^"]+)"`).FindAllStringSubmatch(page.Body, -1) {
		if id := html.UnescapeString(m[1]); len(list) == 0 || list[len(list)-1] != id {
			list = append(list, id)
		}
	}
	return list
}
