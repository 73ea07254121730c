package portal

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/agent/credential"
	"postern/agent/policy"
	"postern/portal/journal"
)

// madeSecret finds the secret on the page that shows it.
var madeSecret = regexp.MustCompile(`<code id="made">(p[st][sta]_[0-9A-Za-z]{49})</code>`)

// book is the house's own.
func (h *house) book() *credential.Book { return h.server.Factors.Programs.(*credential.Book) }

// make fills the form of a new credential and returns its secret.
func (b *browser) make(page string, fields ...string) string {
	b.t.Helper()
	a := b.send(b.get(auth+page), page, append([]string{"name", "Backup", "where", "any", "expires", "90"}, fields...)...)
	a.want(b.t, http.StatusOK, "only this once")
	m := madeSecret.FindStringSubmatch(a.Body)
	if m == nil {
		b.t.Fatalf("no secret on the page:\n%s", a.main())
	}
	return m[1]
}

// tokensOf are a user's credentials.
func (h *house) tokensOf(user string) []credential.Record {
	h.t.Helper()
	list, err := h.book().List(h.t.Context(), user)
	must(h.t, err)
	return list
}

func TestMakingAToken(t *testing.T) {
	h, clock := openTimedHouse(t)
	b := h.browser()
	b.signIn("", "bob", "builder").want(t, http.StatusSeeOther)
	b.get(auth+pageSettings).want(t, http.StatusOK, `<a href="/settings/tokens">Access for programs</a>`)
	page := b.get(auth + pageTokens)
	page.want(t, http.StatusOK, "Make one", "For scripts that can send a header.", "For apps that ask for a user name and a password.")
	page = b.get(auth + pageAddToken)
	page.want(t, http.StatusOK, "New token", `value="calendar.example.com"`, `value="wiki.example.com"`)

	a := b.send(page, pageAddToken, "name", " Nightly backup ", "where", "here", "host", "wiki.example.com", "may", "read",
		"expires", "7", "path", "/api/", "networks", "192.0.2.0/24, 2001:db8::1")
	a.want(t, http.StatusOK, "Your new token", "Nightly backup", "Authorization: Bearer …", `data-copy="#made"`)
	secret := madeSecret.FindStringSubmatch(a.Body)[1]
	list := h.tokensOf("bob")
	if len(list) != 1 {
		t.Fatalf("credentials %+v", list)
	}
	r := list[0]
	if r.Kind != credential.Token || r.Name != "Nightly backup" || r.Owner != "bob" || r.Level != policy.LevelOne || !r.Expires.Equal(clock.now().Add(7*24*time.Hour).Truncate(time.Second)) {
		t.Errorf("record %+v", r)
	}
	use := &credential.Use{Method: "GET", Host: "wiki.example.com", Path: "/api/x"}
	if _, why := h.book().Find([]byte(secret), credential.Token, use, clock.now()); why != credential.Scoped {
		t.Errorf("from nowhere: %q", why)
	}
	page = b.get(auth + pageTokens)
	page.want(t, http.StatusOK, "Nightly backup", "Token · wiki.example.com · read only · below /api · from 192.0.2.0/24, 2001:db8::1/128", "never used", "Make another")
	if strings.Contains(page.Body, secret) {
		t.Error("the secret is shown twice")
	}
	events := wantEvents(t, h, "bob", journal.TokenCreated, journal.SignIn)
	if events[0].Detail != "Nightly backup" || events[0].Session == "" {
		t.Errorf("event %+v", events[0])
	}
	b.get(auth+pageActivity).want(t, http.StatusOK, "Access for a program made", "<q>Nightly backup</q>")

	// Once it has been used the page says when, and when it has expired it says so.
	e, _ := h.book().Find([]byte(secret), credential.Token, use, clock.now())
	h.book().Note(e, clock.now())
	b.get(auth+pageTokens).want(t, http.StatusOK, "last used")
	clock.pass(8 * 24 * time.Hour)
	b = h.browser()
	b.signIn("", "bob", "builder")
	page = b.get(auth + pageTokens)
	page.want(t, http.StatusOK, `<span class="tag bad">Expired</span>`, "expired <time")
	b.send(page, pageTokens+"/revoke", "id", r.ID).wantRedirect(t, pageTokens)
	page = b.get(auth + pageTokens)
	page.want(t, http.StatusOK, "Revoked: it opens nothing any more.", "Make one")
	wantEvents(t, h, "bob", journal.TokenRevoked, journal.SignIn)
	b.send(page, pageTokens+"/revoke", "id", r.ID).want(t, http.StatusNotFound, "That one is not there any more.")
}

func TestMakingAnApplicationPassword(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	b.signIn("", "bob", "builder").want(t, http.StatusSeeOther)
	page := b.get(auth + pageAddApp)
	// Only one host takes them: it is chosen already.
	page.want(t, http.StatusOK, "New application password", `name="host" value="wiki.example.com" checked`)
	if strings.Contains(page.Body, "calendar.example.com") {
		t.Error("a host is offered that takes tokens only")
	}
	a := b.send(page, pageAddApp, "name", "Phone", "where", "here", "host", "wiki.example.com", "expires", "0", "two", "yes")
	a.want(t, http.StatusOK, "Your new application password", "<dd>bob</dd>")
	secret := madeSecret.FindStringSubmatch(a.Body)[1]
	if !strings.HasPrefix(secret, "psa_") {
		t.Errorf("secret of another kind: %.4s", secret)
	}
	list := h.tokensOf("bob")
	if len(list) != 1 || list[0].Kind != credential.App || list[0].Level != policy.LevelOne || !list[0].Expires.IsZero() {
		t.Errorf("records %+v", list)
	}
	b.get(auth+pageTokens).want(t, http.StatusOK, "Application password · wiki.example.com", "does not expire")
}

// TestFormOfATokenIsChecked: what a person got wrong is said beside what he wrote; what no
// page of ours sends is refused. Neither makes anything.
func TestFormOfATokenIsChecked(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	b.signIn("", "bob", "builder")
	page := b.get(auth + pageAddToken)
	for _, tt := range []struct {
		name, field, value string
		code               int
		say                string
	}{
		{"no name", "name", " ", 422, "Choose a name of 1 to 64 printable characters."},
		{"a name too long", "name", strings.Repeat("x", 65), 422, "Choose a name"},
		{"a name with a line in it", "name", "a\nb", 422, "Choose a name"},
		{"no host", "where", "here", 422, "Choose where the program may go."},
		{"a path without a slash", "path", "api", 422, "A path begins with a slash"},
		{"a path that climbs", "path", "/a/../b", 422, "A path begins with a slash"},
		{"a path that is none", "path", "/" + strings.Repeat("x", 256), 422, "A path begins with a slash"},
		{"a network that is none", "networks", "192.0.2.0/24, <b>here", 422, "<b>here is neither an address nor a network."},
		{"too many networks", "networks", strings.Repeat("192.0.2.1,", 17), 422, "is neither"},
		{"an expiry that is not offered", "expires", "3650", 400, ""},
		{"no expiry", "expires", "", 400, ""},
		{"a place that is not offered", "where", "", 400, ""},
		{"a permission that is not offered", "may", "DELETE", 400, ""},
	} {
		a := b.send(page, pageAddToken, append([]string{"name", "Backup", "where", "any", "expires", "30"}, tt.field, tt.value)...)
		a.want(t, tt.code, tt.say)
		if tt.code == 422 {
			a.want(t, tt.code, "<title>Error: New token", `aria-describedby="problem"`)
		}
		if strings.Contains(a.Body, "<b>here") {
			t.Errorf("%s: the form writes into the page", tt.name)
		}
	}
	// Only hosts that were offered can be named.
	for _, host := range []string{"admin.example.com", "evil.test", "", "*.example.com"} {
		b.send(page, pageAddToken, "name", "Backup", "where", "here", "expires", "30", "host", host).want(t, http.StatusBadRequest)
	}
	if list := h.tokensOf("bob"); len(list) != 0 {
		t.Errorf("made: %+v", list)
	}
}

// TestThreat68TokensGiveNoMoreThanTheirOwnerHas: hosts of other people's groups are not
// offered, and the level is at most what the session has proved.
func TestThreat68TokensGiveNoMoreThanTheirOwnerHas(t *testing.T) {
	h, _, app, _ := enrolled(t)
	alice := h.browser()
	alice.signIn("", "alice", "wonderland")
	alice.confirmByMail(h, pageAddToken)
	page := alice.get(auth + pageAddToken)
	page.want(t, http.StatusOK, `value="admin.example.com"`)
	if strings.Contains(page.Body, `name="two"`) || strings.Contains(page.Body, "bank.example.com") {
		t.Error("two factors are offered to somebody who has proved one")
	}
	alice.make(pageAddToken, "two", "yes")
	if r := h.tokensOf("alice")[0]; r.Level != policy.LevelOne {
		t.Errorf("level %d", r.Level)
	}
	b := h.browser()
	b.twoFactors(app)
	page = b.get(auth + pageAddToken)
	page.want(t, http.StatusOK, `value="bank.example.com"`, "Also where two factors are asked for")
	if strings.Contains(page.Body, "admin.example.com") {
		t.Error("a host of others is shown")
	}
	b.make(pageAddToken)
	b.make(pageAddToken, "two", "yes")
	list := h.tokensOf("bob")
	if list[0].Level+list[1].Level != policy.LevelOne+policy.LevelTwo {
		t.Errorf("levels %d, %d", list[0].Level, list[1].Level)
	}
	b.get(auth+pageTokens).want(t, http.StatusOK, "Token · everywhere · counts as two factors")
}

// TestThreat68NobodyRevokesATokenOfOthers: another user's id is as good as one that does
// not exist, whoever asks and however it is spelled.
func TestThreat68NobodyRevokesATokenOfOthers(t *testing.T) {
	h := openHouse(t)
	_, hers, err := h.book().Create(t.Context(), credential.Draft{Kind: credential.Token, Name: "Alice's", Owner: "alice"})
	must(t, err)
	b := h.browser()
	b.signIn("", "bob", "builder")
	b.make(pageAddToken)
	page := b.get(auth + pageTokens)
	if strings.Contains(page.Body, hers.ID) || strings.Contains(page.Body, "Alice's") {
		t.Error("the page shows something of alice's")
	}
	for _, id := range []string{hers.ID, strings.ToLower(hers.ID), "nothing", "", "%"} {
		b.send(page, pageTokens+"/revoke", "id", id).want(t, http.StatusNotFound, "That one is not there any more.")
	}
	b.send(page, pageTokens+"/revoke", "id", strings.Repeat("x", 65)).want(t, http.StatusBadRequest)
	b.send(page, pageTokens+"/revoke-all", "user", "alice", "owner", "alice").wantRedirect(t, pageTokens)
	b.get(auth+pageTokens).want(t, http.StatusOK, "All revoked: they open nothing any more.")
	if len(h.tokensOf("alice")) != 1 || len(h.tokensOf("bob")) != 0 {
		t.Errorf("alice has %d, bob %d", len(h.tokensOf("alice")), len(h.tokensOf("bob")))
	}
}

// TestThreat41TokensWantAFreshProof: a session left open makes and revokes nothing, nor
// does one that has proved one factor of two.
func TestThreat41TokensWantAFreshProof(t *testing.T) {
	h, clock, app, _ := enrolled(t)
	one := h.browser()
	one.signIn("", "bob", "builder")
	b := h.browser()
	b.twoFactors(app)
	b.make(pageAddToken)
	page := b.get(auth + pageAddToken)
	id := h.tokensOf("bob")[0].ID
	clock.pass(freshFor + time.Second)
	for name, who := range map[string]*browser{"one factor of two": one, "two factors, too long ago": b} {
		for _, path := range []string{pageTokens, pageAddToken, pageAddApp} {
			who.get(auth+path).wantRedirect(t, "/prove?next="+url.QueryEscape(path))
		}
		form := page
		if who == one {
			form = one.get(auth + "/signout")
		}
		for path, next := range map[string]string{pageAddToken: pageAddToken, pageAddApp: pageAddApp, pageTokens + "/revoke": pageTokens, pageTokens + "/revoke-all": pageTokens} {
			who.send(form, path, "id", id, "name", "Backup", "where", "any", "expires", "30").wantRedirect(t, "/prove?next="+url.QueryEscape(next))
		}
		if list := h.tokensOf("bob"); len(list) != 1 || list[0].ID != id {
			t.Errorf("%s: something changed: %+v", name, list)
		}
	}
	h.browser().get(auth+pageTokens).wantRedirect(t, "/?next="+url.QueryEscape(pageTokens))
}

// TestThreat32TheSecretOfATokenIsSeenOnce: it stands on one page, and in no log, address,
// event, letter or later page.
func TestThreat32TheSecretOfATokenIsSeenOnce(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	b.signIn("", "alice", "wonderland")
	b.confirmByMail(h, pageAddToken)
	form := b.get(auth + pageAddToken)
	a := b.send(form, pageAddToken, "name", "Backup", "where", "any", "expires", "30")
	secret := madeSecret.FindStringSubmatch(a.Body)[1]
	if strings.Count(a.Body, secret) != 1 || a.Request.URL.RawQuery != "" || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("%d times on the page, at %s, headers %v", strings.Count(a.Body, secret), a.Request.URL, a.Header)
	}
	seen := []string{h.log.String(), strings.Join(h.letters(), "\n")}
	events, err := h.db.ListEvents(t.Context(), journal.Filter{})
	must(t, err)
	for _, e := range events {
		seen = append(seen, e.Detail+e.Reason+e.Browser+e.Session)
	}
	for _, path := range []string{pageTokens, pageActivity, pageSettings, pageAddToken} {
		seen = append(seen, b.get(auth+path).Body)
	}
	for _, text := range seen {
		if strings.Contains(text, secret) || strings.Contains(text, secret[:20]) {
			t.Errorf("the secret is in %.300q", text)
		}
	}
	if !strings.Contains(h.log.String(), `msg="credential made"`) {
		t.Error("that a credential was made is not in the log")
	}
	last := h.letters()
	if text := last[len(last)-1]; !strings.Contains(text, "Subject: A program was given access at Postern") || !strings.Contains(text, "Name: Backup") || !strings.Contains(text, pageNotMe) {
		t.Errorf("the last letter is %q", text)
	}
}

// TestTokensAreNotOfferedWhereNobodyTakesThem: without a rule that takes any, there is
// neither page nor entry in the menu, and no form does anything.
func TestTokensAreNotOfferedWhereNobodyTakesThem(t *testing.T) {
	h := openHouse(t, func(s *Server) {
		cfg := houseRules()
		for i := range cfg.Rules {
			cfg.Rules[i].Credentials = nil
		}
		rules, err := policy.Compile(houseDomains(), cfg)
		must(t, err)
		s.Rules = func() *policy.Rules { return rules }
	})
	b := h.browser()
	b.signIn("", "bob", "builder")
	page := b.get(auth + pageSettings)
	page.want(t, http.StatusOK)
	if strings.Contains(page.Body, pageTokens) {
		t.Error("the menu leads to what is not there")
	}
	for _, path := range []string{pageTokens, pageAddToken, pageAddApp} {
		b.get(auth+path).want(t, http.StatusNotFound)
	}
	page = b.get(auth + "/signout")
	for _, path := range []string{pageAddToken, pageAddApp, pageTokens + "/revoke", pageTokens + "/revoke-all"} {
		b.send(page, path, "name", "x", "where", "any", "expires", "30", "id", "x").want(t, http.StatusNotFound)
	}
	if list := h.tokensOf("bob"); len(list) != 0 {
		t.Errorf("made: %+v", list)
	}
}

// TestTokensOfSomebodyWhoMayUseNone: the page is there, and offers nothing.
func TestTokensOfSomebodyWhoMayUseNone(t *testing.T) {
	h := openHouse(t, func(s *Server) {
		rules, err := policy.Compile(houseDomains(), policy.Config{Rules: []policy.Rule{
			{Domain: policy.List{"admin.example.com"}, Policy: policy.OneFactor, Subject: policy.Subjects{{"group:admins"}}, Credentials: policy.List{"token"}},
		}})
		must(t, err)
		s.Rules = func() *policy.Rules { return rules }
	})
	b := h.browser()
	b.signIn("", "bob", "builder")
	page := b.get(auth + pageTokens)
	page.want(t, http.StatusOK, "There is no application that you could use them for.")
	b.get(auth+pageAddToken).wantRedirect(t, pageTokens)
	b.send(page, pageAddToken, "name", "x", "where", "any", "expires", "30").wantRedirect(t, pageTokens)
	if list := h.tokensOf("bob"); len(list) != 0 {
		t.Errorf("made: %+v", list)
	}
}

func TestTooManyTokens(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	b.signIn("", "bob", "builder")
	form := b.get(auth + pageAddToken)
	for range credential.MaxPerOwner {
		_, _, err := h.book().Create(t.Context(), credential.Draft{Kind: credential.Token, Name: "one of many", Owner: "bob"})
		must(t, err)
	}
	b.send(form, pageAddToken, "name", "x", "where", "any", "expires", "30").want(t, http.StatusConflict, "and that is the most")
	page := b.get(auth + pageTokens)
	page.want(t, http.StatusOK, "You have 100, and that is the most.", "Revoke all 100")
	if strings.Contains(page.Body, `href="/settings/tokens/token"`) {
		t.Error("more can be made")
	}
}
