package portal

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/portal/journal"
	"postern/portal/mail"
)

const newPassword = "seven odd lanterns hum"

// linkTo finds the link to a page of the portal in the latest letter that has one.
func (h *house) linkTo(page string) string {
	h.t.Helper()
	all := h.letters()
	for i := len(all) - 1; i >= 0; i-- {
		if m := regexp.MustCompile(`https://\S+` + regexp.QuoteMeta(page) + `\?slip=\S+`).FindString(all[i]); m != "" {
			return m
		}
	}
	h.t.Fatalf("no letter has a link to %s: %q", page, all)
	return ""
}

// ask asks for a reset link.
func (b *browser) ask(name string) answer {
	b.t.Helper()
	got := b.send(b.get(auth+pageReset), pageReset, "username", name)
	if got.StatusCode == http.StatusSeeOther {
		return b.follow(got)
	}
	return got
}

// settled waits until what is done behind answers is done, and returns the letters.
func (h *house) settled(want int) []string {
	h.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		all := h.letters()
		if len(all) >= want {
			return all
		}
		select {
		case <-deadline:
			h.t.Fatalf("%d letters, want %d\n%s", len(all), want, h.log)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func TestResetByALink(t *testing.T) {
	h := openHouse(t)
	elsewhere := h.browser()
	elsewhere.signIn("", "alice", "wonderland").want(t, http.StatusSeeOther)

	b := h.browser()
	signin := b.get(auth + "/?rd=https://wiki.example.com/")
	signin.want(t, http.StatusOK, "Forgot your password?", `href="/reset?rd=https`)
	b.ask("alice").want(t, http.StatusOK, "Look into your mailbox", "If there is an account of that name")
	h.settled(2) // the sign-in's own, and the link
	link := h.linkTo(pageResetNew)
	if !strings.HasPrefix(link, "https://auth.example.com/reset/new?slip=") {
		t.Fatalf("the link is %s", link)
	}
	other := h.browser() // the mail is read in another browser
	page := other.get(link)
	page.want(t, http.StatusOK, "Set a new password", `autocomplete="new-password"`, `value="alice" autocomplete="username"`, "At least 12 characters")
	if page.Header.Get("Referrer-Policy") != "no-referrer" || page.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", page.Header)
	}
	other.get(link).want(t, http.StatusOK, "Set a new password") // opening it spends nothing
	other.send(page, pageResetNew, "new", "alice").want(t, http.StatusUnprocessableEntity, "Too short", "problem rules strength")
	other.send(page, pageResetNew, "new", "Alice Liddell alice@example.com").want(t, http.StatusUnprocessableEntity, "Too easy: it is made of your name")
	done := other.follow(other.send(page, pageResetNew, "new", newPassword))
	done.want(t, http.StatusOK, "Your new password is set")
	if other.session("auth.example.com") != "" {
		t.Error("the link signs in by itself")
	}
	other.send(page, pageResetNew, "new", "another one that is good").want(t, http.StatusGone, "This link no longer works")
	other.get(link).want(t, http.StatusGone, "This link no longer works", `href="/reset"`)

	elsewhere.get(auth+"/").want(t, http.StatusOK, `name="password"`) // signed out
	h.browser().signIn("", "alice", "wonderland").want(t, http.StatusUnauthorized)
	other.signIn("?rd=https://wiki.example.com/", "alice", newPassword).wantRedirect(t, "https://wiki.example.com/")
	if all := h.settled(3); !strings.Contains(all[2], "Subject: Your password for Postern was changed") {
		t.Errorf("the letter about the change: %q", all[2])
	}
	wantEvents(t, h, "alice", journal.SignIn, journal.SignInFailed, journal.Revoked, journal.PasswordReset, journal.ResetAsked, journal.SignIn)
}

// TestThreat34ResetTellsNothing: whoever asks cannot learn who exists, who is disabled and
// who has an address.
func TestThreat34ResetTellsNothing(t *testing.T) {
	var sent tally
	var h *house
	t.Run("pages", func(t *testing.T) {
		h = openHouse(t, func(s *Server) {
			s.Guesses.Config.Failures = 100
			sent.Letters, s.Letters = s.Letters, &sent
		})
		var first string
		for _, name := range []string{"alice", "nobody", "carol", "bob", "<script>", "alice@example.com", strings.Repeat("x", 256)} {
			got := h.browser().ask(name)
			got.want(t, http.StatusOK, "If there is an account of that name")
			said := hidden.ReplaceAllString(got.main(), "")
			if first == "" {
				first = said
			}
			if said != first {
				t.Errorf("%q: the page differs:\n%s\n%s", name, said, first)
			}
		}
	})
	// The portal has ended, and with it whatever it does behind its answers.
	if to := sent.to; len(to) != 1 || to[0] != "alice@example.com" {
		t.Errorf("letters to %q, want one to alice", to)
	}
	if strings.Contains(h.log.String(), "nobody") || strings.Contains(h.log.String(), "<script>") {
		t.Error("the log holds a name that nobody has; it may be a password")
	}
}

// tally remembers to whom letters go.
type tally struct {
	Letters
	mu sync.Mutex
	to []string
}

func (l *tally) Enqueue(m mail.Message) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.to = append(l.to, m.To)
	return l.Letters.Enqueue(m)
}

// TestThreat34ResetTakesNoTime: what depends on the user happens behind the answer. The
// post office of this test takes nothing until the answer has come.
func TestThreat34ResetTakesNoTime(t *testing.T) {
	slow := &shutCounter{open: make(chan struct{})}
	h := openHouse(t, func(s *Server) { slow.Letters, s.Letters = s.Letters, slow })
	h.browser().ask("alice").want(t, http.StatusOK, "Look into your mailbox")
	close(slow.open)
	h.settled(1)
}

// shutCounter takes letters once it is open.
type shutCounter struct {
	Letters
	open chan struct{}
}

func (s *shutCounter) Enqueue(m mail.Message) error {
	<-s.open
	return s.Letters.Enqueue(m)
}

func TestAskingForLinksIsBounded(t *testing.T) {
	h := openHouse(t, func(s *Server) { s.Guesses.Config.Failures = 3 })
	for n, name := range []string{"alice", "alice", "alice"} {
		h.from(n).ask(name).want(t, http.StatusOK)
	}
	got := h.from(9).ask("alice")
	got.want(t, http.StatusTooManyRequests, "Too many attempts", `value="alice"`)
	if got.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	h.from(10).ask("nobody").want(t, http.StatusOK)
	for _, name := range []string{"a", "b", "c"} {
		h.from(11).ask(name).want(t, http.StatusOK)
	}
	h.from(11).ask("d").want(t, http.StatusTooManyRequests)
	// It counts apart from guesses: nobody is kept from signing in.
	h.from(9).signIn("", "alice", "wonderland").want(t, http.StatusSeeOther)
}

func TestThreat45ResetLinks(t *testing.T) {
	h, clock := openTimedHouse(t)
	b := h.browser()
	b.header.Set("X-Forwarded-Host", "evil.test")
	b.header.Set("Forwarded", "host=evil.test")
	b.ask("alice").want(t, http.StatusOK)
	h.settled(1)
	link := h.linkTo(pageResetNew)
	if !strings.HasPrefix(link, auth+"/") {
		t.Errorf("the link leads to %s", link)
	}
	slip := link[strings.Index(link, "slip=")+5:]
	for _, bad := range []string{"", "x", slip[1:], slip + "a", slip[:len(slip)-4] + "AAAA", strings.Repeat("a", 9000)} {
		b.get(auth+pageResetNew+"?slip="+bad).want(t, http.StatusGone, "This link no longer works")
	}
	// A link for one thing is no link for another.
	b.signIn("", "alice", "wonderland")
	notMe := h.linkTo(pageNotMe)
	b.get(strings.Replace(notMe, pageNotMe, pageResetNew, 1)).want(t, http.StatusGone)
	b.get(strings.Replace(link, pageResetNew, pageNotMe, 1)).want(t, http.StatusGone)
	// The form names no user: the link alone says whose password it is.
	page := h.browser().get(link)
	page.want(t, http.StatusOK)
	first, again := h.browser(), h.browser()
	mine, theirs := first.get(link), again.get(link)
	first.follow(first.send(mine, pageResetNew, "new", newPassword, "username", "bob")).want(t, http.StatusOK)
	again.send(theirs, pageResetNew, "new", "another one that is good").want(t, http.StatusGone)
	h.browser().signIn("", "bob", "builder").want(t, http.StatusSeeOther)
	h.browser().signIn("", "alice", newPassword).want(t, http.StatusSeeOther)

	h.from(3).ask("alice").want(t, http.StatusOK)
	h.settled(5)
	late := h.linkTo(pageResetNew)
	clock.pass(15 * time.Minute)
	h.browser().get(late).want(t, http.StatusGone)

	h.from(4).ask("alice").want(t, http.StatusOK)
	h.settled(6)
	stale := h.linkTo(pageResetNew)
	must(t, h.users.SetPassword(t.Context(), "alice", "set by somebody else"))
	h.browser().get(stale).want(t, http.StatusGone)
	if strings.Contains(h.log.String(), slip[:40]) {
		t.Error("the log holds a link's secret")
	}
}

func TestOneResetOfManyAtOnce(t *testing.T) {
	h := openHouse(t)
	h.browser().ask("alice").want(t, http.StatusOK)
	h.settled(1)
	if won := h.race(h.linkTo(pageResetNew), 6); won != 1 {
		t.Errorf("%d of 6 set a password, want 1", won)
	}
}

// TestALinkOutlivesFaultsThatAreNotItsUsers: a link whose password could not be set, for
// no doing of the user's, sets it when the fault is over, and once then.
func TestALinkOutlivesFaultsThatAreNotItsUsers(t *testing.T) {
	h, r := abroad(t)
	h.browser().ask("alice").want(t, http.StatusOK)
	h.settled(1)
	link := h.linkTo(pageResetNew)
	b := h.browser()
	form := b.get(link)
	for _, fault := range []struct {
		name  string
		on    *atomic.Bool
		code  int
		words string
	}{
		{"too much to do", &r.busy, http.StatusTooManyRequests, "Too many people are signing in right now"},
		{"no directory", &r.away, http.StatusServiceUnavailable, ""},
		{"the directory's rules", &r.strict, http.StatusUnprocessableEntity, "does not accept this password"},
	} {
		fault.on.Store(true)
		for range 2 { // the form can be sent again
			b.send(form, pageResetNew, "new", newPassword).want(t, fault.code, fault.words)
		}
		fault.on.Store(false)
		if got := h.browser().get(link); got.StatusCode != http.StatusOK {
			t.Errorf("after %s: the link answers %d", fault.name, got.StatusCode)
		}
	}
	r.away.Store(true)
	r.empty.Store(true)
	h.browser().get(link).want(t, http.StatusServiceUnavailable) // not: the link no longer works
	r.away.Store(false)
	r.empty.Store(false)
	if won := h.race(link, 6); won != 1 {
		t.Errorf("then %d of 6 at once set a password, want 1", won)
	}
	h.browser().get(link).want(t, http.StatusGone)
}

// race sets a password by the same link from n browsers at once, and says how many did.
func (h *house) race(link string, n int) (won int) {
	h.t.Helper()
	codes := make([]int, n)
	var all sync.WaitGroup
	for i := range n {
		b := h.browser()
		page := b.get(link)
		all.Go(func() { codes[i] = b.send(page, pageResetNew, "new", newPassword).StatusCode })
	}
	all.Wait()
	for _, code := range codes {
		if code == http.StatusSeeOther {
			won++
		}
	}
	return won
}

func TestThreat66ResetForms(t *testing.T) {
	h := openHouse(t)
	h.browser().ask("alice").want(t, http.StatusOK)
	h.settled(1)
	link := h.linkTo(pageResetNew)
	for name, send := range map[string]func(b *browser, page answer, path string) answer{
		"without a token": func(b *browser, page answer, path string) answer {
			return b.send(page, path, "csrf", "", "new", newPassword)
		},
		"with the token of another": func(b *browser, page answer, path string) answer {
			return h.browser().send(page, path, "new", newPassword)
		},
		"from another site": func(b *browser, page answer, path string) answer {
			b.header.Set("Sec-Fetch-Site", "cross-site")
			return b.send(page, path, "new", newPassword)
		},
	} {
		for _, path := range []string{pageResetNew, pageReset} {
			b := h.browser()
			page := b.get(link)
			got := send(b, page, path)
			if got.StatusCode != http.StatusForbidden {
				t.Errorf("%s to %s: status %d, want 403", name, path, got.StatusCode)
			}
		}
	}
	h.browser().signIn("", "alice", "wonderland").want(t, http.StatusSeeOther)
	h.browser().get(link).want(t, http.StatusOK)
}

func TestSecondFactorAfterAReset(t *testing.T) {
	h, clock := openTimedHouse(t, func(s *Server) { s.Cookie.Lifetime = 100 * time.Hour })
	must(t, h.users.SetEmails(t.Context(), "bob", []string{"bob@example.com"}))
	_ = clock
	b := h.browser()
	b.ask("bob").want(t, http.StatusOK)
	h.settled(1)
	page := b.get(h.linkTo(pageResetNew))
	b.follow(b.send(page, pageResetNew, "new", newPassword)).want(t, http.StatusOK)
	to := "/?rd=" + url.QueryEscape(bank) + "&rm=GET"
	if got := b.signIn(to[1:], "bob", newPassword); got.Header.Get("Location") == bank {
		t.Errorf("a reset alone opens what asks for two factors: %v", got.Header)
	}
}

func TestAResetForgivesItsUserHisGuesses(t *testing.T) {
	h := openHouse(t, func(s *Server) { s.Guesses.Config.Failures = 2; s.Guesses.Config.Addresses = 100 })
	b := h.browser()
	for range 2 {
		b.signIn("", "alice", "forgotten").want(t, http.StatusUnauthorized)
	}
	b.signIn("", "alice", "wonderland").want(t, http.StatusTooManyRequests)
	b.ask("alice").want(t, http.StatusOK)
	h.settled(1)
	page := b.get(h.linkTo(pageResetNew))
	b.follow(b.send(page, pageResetNew, "new", newPassword)).want(t, http.StatusOK)
	b.signIn("", "alice", newPassword).want(t, http.StatusSeeOther)
}

func TestWithoutMailThereIsNoReset(t *testing.T) {
	h := openHouse(t, func(s *Server) { s.Letters = nil })
	b := h.browser()
	page := b.get(auth + "/")
	if strings.Contains(page.Body, "Forgot your password?") {
		t.Error("the sign-in page offers a reset that cannot be")
	}
	b.get(auth+pageReset).want(t, http.StatusNotFound)
	b.get(auth+pageResetNew+"?slip=x").want(t, http.StatusNotFound)
	b.send(page, pageReset, "username", "alice").want(t, http.StatusNotFound)
	b.send(page, pageResetNew, "slip", "x", "new", newPassword).want(t, http.StatusNotFound)
}

// TestTheLanguageOnALink: who changes the language on the page of a link stays there.
func TestTheLanguageOnALink(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	b.ask("alice").want(t, http.StatusOK)
	h.settled(1)
	link := h.linkTo(pageResetNew)
	page := b.get(link)
	here := regexp.MustCompile(`name="here" value="([^"]*)"`).FindStringSubmatch(page.Body)
	if here == nil {
		t.Fatal("no field here")
	}
	b.send(page, "/language", "lang", "de", "here", here[1]).wantRedirect(t, strings.TrimPrefix(link, auth))
	b.get(link).want(t, http.StatusOK, "Neues Passwort setzen")
	for _, bad := range []string{"/reset/new?slip=", "/reset/new?slip=a b", "/reset/new?slip=a&b=c", "/reset/new?slip=a%0d", "/elsewhere?slip=a"} {
		if got := herePath(bad); got != "/" {
			t.Errorf("%q: goes to %q", bad, got)
		}
	}
}
