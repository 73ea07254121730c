package portal

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"postern/agent/credential"
	"postern/agent/policy"
	"postern/agent/session"
	"postern/portal/journal"
)

func TestSettings(t *testing.T) {
	h := openHouse(t)
	h.browser().get(auth+pageSettings).wantRedirect(t, "/?next=%2Fsettings")
	b := h.browser()
	b.signIn("?next=/settings", "alice", "wonderland").wantRedirect(t, pageSettings)
	page := b.get(auth + pageSettings)
	page.want(t, http.StatusOK, "Alice Liddell", "alice@example.com", "<span>staff</span>", "<span>admins</span>", "One factor proved", "Add a second factor",
		`<a href="/settings" aria-current="page">Profile</a>`, `href="/settings/factors"`, `href="/settings/password"`, `href="/settings/sessions"`, `href="/settings/activity"`)
	b.get(auth+"/").want(t, http.StatusOK, `<a class="other" href="/settings">Your account</a>`)
	// A person without address and groups is told so.
	other := h.browser()
	other.signIn("", "bob", "builder")
	other.get(auth+pageSettings).want(t, http.StatusOK, "Bob", "None", "<span>staff</span>")
	// The page knows the other language, and the language menu leads back to it.
	b.header.Set("Accept-Language", "de")
	page = b.get(auth + pageSessions)
	page.want(t, http.StatusOK, "Wo du angemeldet bist", `<input type="hidden" name="here" value="/settings/sessions">`)
	b.send(page, "/language", "lang", "en", "here", pageSessions).wantRedirect(t, pageSessions)
	b.get(auth+"/settings/nowhere").want(t, http.StatusNotFound)
}

// TestSettingsWithoutWhatTheyShow: a portal without journal and password change has no
// pages about them.
func TestSettingsWithoutWhatTheyShow(t *testing.T) {
	h := openHouse(t, func(s *Server) { s.Journal, s.Password, s.Factors = nil, nil, Factors{} })
	b := h.browser()
	b.signIn("", "bob", "builder")
	page := b.get(auth + pageSettings)
	page.want(t, http.StatusOK)
	if strings.Contains(page.Body, pageActivity) || strings.Contains(page.Body, pageFactors) || strings.Contains(page.Body, pagePassword) || strings.Contains(page.Body, pageTokens) {
		t.Error("the menu leads to what is not there")
	}
	for _, path := range []string{pageActivity, pageFactors, pageAddTOTP, pageAddKey, pageRecovery, pageTokens, pageAddToken, pageAddApp} {
		b.get(auth+path).want(t, http.StatusNotFound)
	}
}

// TestThreat66SettingsForms: no form of another site, browser or person, or of nobody's,
// changes anything.
func TestThreat66SettingsForms(t *testing.T) {
	h, _, app, _ := enrolled(t)
	b := h.browser()
	b.twoFactors(app)
	page := b.get(auth + pageFactors)
	id := ids(page)[0]
	before := len(sessionsOf(t, h, "bob"))
	h.give("bob", credential.Token)
	strange := h.browser()
	strange.signIn("", "alice", "wonderland")
	hers := strange.get(auth + pageSettings)
	for _, path := range settingsForms {
		for why, send := range map[string]func() answer{
			"no token":                  func() answer { return b.do("POST", auth+path, strings.NewReader("id="+id)) },
			"a token of somebody else":  func() answer { return b.send(hers, path, "id", id) },
			"a token of before sign-in": func() answer { return b.send(h.browser().get(auth+"/"), path, "id", id) },
			"from another site": func() answer {
				b.header.Set("Sec-Fetch-Site", "same-site")
				defer b.header.Del("Sec-Fetch-Site")
				return b.send(page, path, "id", id)
			},
			"in the query": func() answer { return b.do("POST", auth+path+"?csrf=x&id="+id, strings.NewReader("")) },
		} {
			if a := send(); a.StatusCode != http.StatusForbidden {
				t.Errorf("%s, %s: status %d", path, why, a.StatusCode)
			}
		}
	}
	list, err := h.server.Factors.Devices.List(t.Context(), "bob")
	if err != nil || len(list) != 1 || len(sessionsOf(t, h, "bob")) != before || len(h.tokensOf("bob")) != 1 {
		t.Errorf("something changed: %+v, %v", list, err)
	}
}

// TestThreat68OnlyWhatIsOnesOwn: ids of other people's devices and sessions are as good
// as ids that do not exist.
func TestThreat68OnlyWhatIsOnesOwn(t *testing.T) {
	h, clock, app, _ := enrolled(t)
	alice := h.browser()
	alice.signIn("", "alice", "wonderland")
	alice.confirmByMail(h, pageAddTOTP)
	alice.addApp(clock)
	hers := ids(alice.get(auth + pageFactors))[0]
	herSession := sessionsOf(t, h, "alice")[0]
	b := h.browser()
	b.twoFactors(app)
	page := b.get(auth + pageFactors)
	for _, id := range []string{hers, "nothing", "", strings.ReplaceAll(hers, "A", "a")} {
		b.send(page, pageFactors+"/rename", "id", id, "name", "mine").want(t, http.StatusNotFound, "That one is not there any more.")
		b.send(page, pageFactors+"/remove", "id", id).want(t, http.StatusNotFound, "That one is not there any more.")
	}
	b.send(page, pageFactors+"/remove", "id", strings.Repeat("x", 65)).want(t, http.StatusBadRequest)
	// For a session it makes no difference that could be seen; an empty id means no session, never all.
	for id, code := range map[string]int{herSession: http.StatusSeeOther, "nothing": http.StatusSeeOther, "": http.StatusBadRequest, strings.Repeat("x", 65): http.StatusBadRequest} {
		b.send(page, pageSessions+"/end", "id", id).want(t, code)
	}
	list, err := h.server.Factors.Devices.List(t.Context(), "alice")
	if err != nil || len(list) != 1 || list[0].Name != "My phone" || len(sessionsOf(t, h, "alice")) != 1 {
		t.Errorf("alice's: %+v, %v, sessions %v", list, err, sessionsOf(t, h, "alice"))
	}
	b.send(page, pageSessions+"/end-others").want(t, http.StatusSeeOther)
	if len(sessionsOf(t, h, "alice")) != 1 {
		t.Error("bob ended a session of alice's")
	}
	for _, path := range []string{pageFactors, pageSessions, pageActivity} {
		if a := b.get(auth + path); strings.Contains(a.Body, "alice") || strings.Contains(a.Body, hers) {
			t.Errorf("%s shows something of alice's", path)
		}
	}
}

func TestRemovingAFactor(t *testing.T) {
	h, clock, app, codes := enrolled(t)
	var others []*browser
	for range 2 {
		o := h.browser()
		o.signIn("", "bob", "builder")
		others = append(others, o)
	}
	b := h.browser()
	b.twoFactors(app)
	page := b.get(auth + pageFactors)
	page.want(t, http.StatusOK, "My phone", "last used", "10 of your codes are left.")
	b.send(page, pageFactors+"/rename", "id", ids(page)[0], "name", "\x00").want(t, http.StatusUnprocessableEntity, "Choose a name", "<details name=\"act-"+ids(page)[0]+"\" open>")
	second := b.addApp(clock)
	page = b.get(auth + pageFactors)
	list := ids(page)
	if len(list) != 2 {
		t.Fatalf("devices %v", list)
	}
	token := b.session("auth.example.com")
	b.send(page, pageFactors+"/remove", "id", list[0]).wantRedirect(t, pageFactors)
	page = b.get(auth + pageFactors)
	page.want(t, http.StatusOK, "Removed. You have been signed out everywhere else.", "It is the last one", "10 of your codes are left.")
	b.get(auth+pageFactors).want(t, http.StatusOK)
	if again := b.get(auth + pageFactors); strings.Contains(again.Body, "Removed.") {
		t.Error("what was done is said twice")
	}
	for _, o := range others {
		o.get(auth+pageSettings).wantRedirect(t, "/?next=%2Fsettings")
	}
	if b.session("auth.example.com") != token {
		t.Error("this session was ended too")
	}
	events := wantEvents(t, h, "bob", journal.Revoked, journal.Revoked, journal.Revoked, journal.FactorRemoved, journal.FactorAdded)
	if events[3].Detail != "My phone" || events[3].Factor != "totp" {
		t.Errorf("event %+v", events[3])
	}
	// What was removed proves nothing any more; what is left does.
	other := h.browser()
	other.signIn("?rd="+url.QueryEscape(bank), "bob", "builder")
	other.prove(proveQuery(bank), app.next()).want(t, http.StatusUnauthorized)
	other.prove(proveQuery(bank), second.next()).wantRedirect(t, bank)
	h.browser().signIn("", "bob", "builder")
	if codes[0] == "" {
		t.Error("no codes")
	}
}

// TestRemovedWhileAFormIsOut: the factor that a page asks for is gone when the form comes.
func TestRemovedWhileAFormIsOut(t *testing.T) {
	h, _, app, _ := enrolled(t)
	b := h.browser()
	b.signIn("?rd="+url.QueryEscape(bank), "bob", "builder")
	page := b.get(auth + proveQuery(bank))
	_, err := h.server.Factors.Devices.DeleteAll(t.Context(), "bob")
	must(t, err)
	b.send(page, "/prove", "code", app.next()).wantRedirect(t, "/?rd="+url.QueryEscape(bank)+"&rm=GET")
	b.get(auth+"/?rd="+url.QueryEscape(bank)).wantRedirect(t, "/settings/factors?rd="+url.QueryEscape(bank)+"&rm=GET")
}

func TestSessionsPage(t *testing.T) {
	h, clock := openTimedHouse(t)
	open := func(agent, addr string) *browser {
		b := h.browser()
		b.header.Set("User-Agent", agent)
		b.header.Set(testClient, addr)
		b.signIn("", "bob", "builder").want(t, http.StatusSeeOther)
		clock.pass(time.Minute)
		return b
	}
	b := open("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "198.51.100.1")
	phone := open("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1", "198.51.100.2")
	script := open("<script>alert(1)</script>", "2001:db8::1")
	page := b.get(auth + pageSessions)
	page.want(t, http.StatusOK, "Firefox on Linux", "This browser", "Safari on iPhone", "198.51.100.2", "2001:db8::1", "End all 2 other sessions")
	if strings.Contains(page.Body, "<script>alert") {
		t.Error("a User-Agent writes into the page")
	}
	if n := strings.Count(page.Body, "This browser"); n != 1 {
		t.Errorf("%d sessions are this one", n)
	}
	here := strings.Index(page.Body, "This browser")
	if strings.Index(page.Body, "Safari on iPhone") < here {
		t.Error("this session does not stand first")
	}
	records, err := h.db.ListSessions(t.Context(), session.Filter{User: "bob"})
	must(t, err)
	var its, mine string
	for _, r := range records {
		if r.Addr == "198.51.100.2" {
			its = r.ID
		}
		if r.Addr == "198.51.100.1" {
			mine = r.ID
		}
	}
	b.send(page, pageSessions+"/end", "id", its).wantRedirect(t, pageSessions)
	b.get(auth+pageSessions).want(t, http.StatusOK, "That session has ended.")
	phone.get(auth+"/").want(t, http.StatusOK, "<title>Sign in")
	script.get(auth+"/").want(t, http.StatusOK, "<title>You are signed in")
	wantEvents(t, h, "bob", journal.Revoked)
	// One's own ends by signing out.
	b.send(page, pageSessions+"/end", "id", mine).wantRedirect(t, "/signout")
	b.send(page, pageSessions+"/end-others").wantRedirect(t, pageSessions)
	b.get(auth+pageSessions).want(t, http.StatusOK, "You are signed out everywhere else.", "You are signed in nowhere else.")
	script.get(auth+"/").want(t, http.StatusOK, "<title>Sign in")
}

func TestActivityPage(t *testing.T) {
	h, clock, app, _ := enrolled(t)
	b := h.browser()
	b.signIn("?next=/settings/activity", "bob", "builder")
	b.prove("/prove?next=/settings/activity", "000000").want(t, http.StatusUnauthorized)
	b.prove("/prove?next=/settings/activity", app.next()).wantRedirect(t, pageActivity)
	page := b.get(auth + pageActivity)
	page.want(t, http.StatusOK, "Signed in", "Confirmation refused", "Second factor added", "<q>My phone</q>", "New recovery codes", "127.0.0.1")
	if strings.Index(page.Body, "Confirmation refused") > strings.Index(page.Body, "Second factor added") {
		t.Error("the newest does not stand first")
	}
	for n := range maxActivity + 5 {
		must(t, h.server.Journal.AddEvent(t.Context(), journal.Event{At: clock.now(), Kind: journal.SignInRefused, User: "bob", Addr: strings.Repeat("x", n), Reason: journal.Wait}))
	}
	page = b.get(auth + pageActivity)
	page.want(t, http.StatusOK, "Second factor added") // what is the operator's pushes nothing out
	if strings.Contains(page.Body, "Something else") || strings.Contains(page.Body, journal.Wait) {
		t.Error("the page shows what is the operator's")
	}
	for range maxActivity + 5 {
		must(t, h.server.Journal.AddEvent(t.Context(), journal.Event{At: clock.now(), Kind: journal.SignOut, User: "bob", Browser: "x"}))
	}
	page = b.get(auth + pageActivity)
	if n := strings.Count(page.Body, "<li"); n > maxActivity+12 {
		t.Errorf("%d rows", n)
	}
	for _, k := range journal.Personal() {
		if what, _ := happened(k); what == "activity.other" {
			t.Errorf("%s has no sentence", k)
		}
	}
	for f := policy.Password; f < policy.Certificate; f++ {
		if factorName(f.String()) == "" {
			t.Errorf("%s has no name", f)
		}
	}
}

// TestDoneSaysOnlyWhatItMay: the cookie that carries what was done cannot say anything else.
func TestDoneSaysOnlyWhatItMay(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	b.signIn("", "bob", "builder")
	for _, value := range []string{"signin.title", "x", "", strings.Repeat("y", 3000)} {
		b.jar.SetCookies(&url.URL{Scheme: "https", Host: "auth.example.com", Path: "/"}, []*http.Cookie{{Name: cookieDone, Value: value, Path: "/", Secure: true}})
		if page := b.get(auth + pageSessions); strings.Contains(page.Body, `class="done"`) {
			t.Errorf("%.20q is said", value)
		}
	}
}
