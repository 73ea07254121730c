package main

import (
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/agent"
	"postern/agent/spop/spoptest"
	"postern/portal/journal"
)

// away is the address that the portal is told of.
const away = "192.0.2.77"

// story is a postern that runs as a process of its own, whom people and operators visit.
type story struct {
	*daemonProcess
	t       *testing.T
	seen    int      // events so far
	secrets []string // what was typed or shown, and must be in no event
}

// visit is a person at the portal, as HAProxy would let him through.
func (s *story) visit() *visitor {
	c := person(s.t, &house{dir: s.dir})
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.Transport = &forwarded{c.Transport}
	return &visitor{t: s.t, http: c}
}

type forwarded struct{ http.RoundTripper }

func (f *forwarded) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Forwarded-For", away)
	r.Header.Set("X-Request-ID", "rid-of-"+strings.Trim(strings.ReplaceAll(r.URL.Path, "/", "-"), "-"))
	r.Header["User-Agent"] = []string{"Story's browser"}
	return f.RoundTripper.RoundTrip(r)
}

// postern runs a command; the error is what it said.
func (s *story) postern(stdin string, args ...string) string {
	s.t.Helper()
	code, stdout, stderr := typed(stdin, append([]string{"postern"}, append(args, "--config", filepath.Join(s.dir, "postern.yml"))...)...)
	if code != 0 || strings.Contains(stderr, "the journal does not know") {
		s.t.Fatalf("postern %s: exit %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// events are all there are, oldest first, from `postern audit -o json`.
func (s *story) events() []journal.Record {
	s.t.Helper()
	var all []journal.Record
	if err := json.Unmarshal([]byte(s.postern("", "audit", "-o", "json", "--limit", "100000")), &all); err != nil {
		s.t.Fatal(err)
	}
	return all
}

// expect waits until what came since it was asked last has these events, each written as
// "kind user reason".
func (s *story) expect(what string, want ...string) []journal.Record {
	s.t.Helper()
	var fresh []journal.Record
	var got []string
	until(s.t, what, func() bool {
		fresh, got = s.events()[s.seen:], nil
		for _, r := range fresh {
			got = append(got, strings.TrimSpace(strings.Join([]string{string(r.Kind), r.User, r.Reason}, " ")))
		}
		return len(got) >= len(want)
	})
	s.seen += len(fresh)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		s.t.Errorf("%s: the journal has\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	return fresh
}

func (s *story) secret(text string) string {
	if text == "" {
		s.t.Fatal("a secret is empty")
	}
	s.secrets = append(s.secrets, text)
	return text
}

func startStory(t *testing.T, more string) *story {
	t.Helper()
	dir := shortDir(t)
	writeMailSite(t, dir, more)
	path := filepath.Join(dir, "postern.yml")
	text := strings.Replace(readAll(t, path), "policy: one_factor}", "policy: one_factor, credentials: [token, basic]}", 1)
	text = strings.Replace(text, `group: ""}`, `group: "", timeout: 20s}`, 1) // a hash takes long on a machine that is busy
	write(t, dir, "postern.yml", text)
	s := &story{t: t, daemonProcess: startDaemon(t, dir, false)}
	return s
}

// TestEveryEventIsInTheJournal has each kind of event happen once, to a postern that runs
// as people run it, and reads it back as operators do.
func TestEveryEventIsInTheJournal(t *testing.T) {
	s := startStory(t, "journal: {file: audit.jsonl}\n")
	s.expect("a first start", "secret_made", "started")
	s.secret(strings.TrimSpace(readAll(t, filepath.Join(s.dir, "secret"))))

	people := s.people()
	s.recover(people)
	s.operator()
	s.restarts()

	all := s.events()
	var missing []journal.Kind
	for _, k := range journal.Kinds() {
		if !slices.ContainsFunc(all, func(r journal.Record) bool { return r.Kind == k }) {
			missing = append(missing, k)
		}
	}
	// What needs an authenticator that was copied, or a day, is caused by the tests of portal
	// and of pruning.
	elsewhere := []journal.Kind{journal.FactorSuspicious, journal.Pruned}
	if !slices.Equal(missing, elsewhere) {
		t.Errorf("never happened: %q, want %q", missing, elsewhere)
	}
	s.wantNoSecret(all)
	s.wantCopy(all)
}

// TestThreat32: neither list, nor table, nor file, nor log has what opens anything.
func (s *story) wantNoSecret(all []journal.Record) {
	s.t.Helper()
	for what, text := range map[string]string{
		"the list": s.postern("", "audit", "-o", "json", "--limit", "100000"), "the table": s.postern("", "audit", "--limit", "100000"),
		"the file": readAll(s.t, filepath.Join(s.dir, "audit.jsonl")), "the log": s.said.String(),
	} {
		for _, secret := range s.secrets {
			if strings.Contains(text, secret) {
				s.t.Errorf("%s has the secret %q", what, secret)
			}
		}
	}
	for _, r := range all {
		if r.Addr != "" && r.Addr != away || r.At.After(time.Now()) || time.Since(r.At) > time.Hour {
			s.t.Errorf("from where and when: %+v", r)
		}
		if by := r.Addr == ""; by && r.Request != "" || !by && (r.Browser != "Story's browser" && r.Request != "rid-of-agent" || !strings.HasPrefix(r.Request, "rid-of-")) {
			s.t.Errorf("in which browser and request: %+v", r)
		}
	}
}

// wantCopy checks that the file has the same events as the store, and that both hold.
func (s *story) wantCopy(all []journal.Record) {
	s.t.Helper()
	path := filepath.Join(s.dir, "audit.jsonl")
	until(s.t, "the file has all events", func() bool { return strings.Count(readAll(s.t, path), "\n") == len(all) })
	if lines := s.postern("", "audit", "-o", "jsonl", "--limit", "100000"); lines != readAll(s.t, path) {
		s.t.Errorf("the lines\n%s\nare not those of the file\n%s", lines, readAll(s.t, path))
	}
	if out := s.postern("", "audit", "--verify", path); strings.Count(out, "are as they were written") != 2 {
		s.t.Errorf("verified: %s", out)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		s.t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// people do what people do; it returns the page of recovery codes.
func (s *story) people() (codes string) {
	bob := s.visit()
	bob.open("https://auth.example.com/")
	bob.send("/", "username", "bob", "password", s.secret("a wrong password"))
	s.expect("a wrong password", "sign_in_failed bob wrong")
	bob.send("/", "username", s.secret("my password in the wrong field"), "password", "x")
	s.expect("a name that nobody has", "sign_in_failed  unknown")
	bob.send("/", "username", "bob", "password", s.secret("correct horse"))
	signedIn := s.expect("a sign-in", "sign_in bob")[0]
	if signedIn.Factor != "password" || signedIn.Session == "" || signedIn.By != "" {
		s.t.Errorf("a sign-in: %+v", signedIn)
	}
	s.secret(sessionToken(s.t, bob.http))

	bob.open("https://auth.example.com/settings/factors/app")
	secret := totpSecret.FindStringSubmatch(html.UnescapeString(bob.page.Body))
	if secret == nil {
		s.t.Fatalf("no secret on the page:\n%s", bob.page.Body)
	}
	now := time.Now()
	bob.send("/settings/factors/app", "code", appCode(s.t, s.secret(secret[1]), now), "name", "my phone")
	if e := s.expect("a factor", "factor_added bob")[0]; e.Detail != "my phone" || e.Factor != "totp" {
		s.t.Errorf("a factor: %+v", e)
	}
	bob.open("https://auth.example.com/settings/recovery")
	bob.send("/settings/recovery")
	codes = bob.page.Body
	s.expect("recovery codes", "codes_made bob")
	bob.open("https://auth.example.com/settings/factors")
	bob.send("/settings/factors/rename", "name", "the old phone")
	s.expect("a new name", "factor_renamed bob")
	bob.open("https://auth.example.com/settings/tokens/token")
	token := s.secret(anyToken.FindString(s.makeToken(bob)))
	s.expect("a token", "token_created bob")
	for range 3 {
		if got := s.ask("Bearer " + token).Str(agent.VarVerdict); got != "allow" {
			s.t.Errorf("a token: %s", got)
		}
	}
	s.expect("a token's first use in an hour", "token_used bob")
	basic := base64.StdEncoding.EncodeToString([]byte("bob:" + s.secret("a wrong password of a program")))
	if got := s.ask("Basic " + s.secret(basic)).Str(agent.VarVerdict); got != "challenge" {
		s.t.Errorf("a wrong password: %s", got)
	}
	s.expect("a wrong password in a header", "basic_failed bob wrong")
	bob.open("https://auth.example.com/settings/tokens")
	bob.send("/settings/tokens/revoke")
	s.expect("a token's end", "token_revoked bob")
	bob.open("https://auth.example.com/settings/password")
	bob.send("/settings/password", "password", "correct horse", "new", s.secret("a much better passphrase"))
	s.expect("a new password", "password_changed bob")
	bob.open("https://auth.example.com/")
	bob.send("/signout")
	s.expect("a sign-out", "sign_out bob")
	return codes
}

var anyToken = regexp.MustCompile(`pst_[0-9A-Za-z]+`)

// ask asks the agent for a page of the wiki, as HAProxy does.
func (s *story) ask(authorization string) spoptest.Ack {
	s.t.Helper()
	p, err := spoptest.Dial("unix", filepath.Join(s.dir, "agent.sock"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer p.Close()
	header := spoptest.Null(agent.ArgAuthorization)
	if authorization != "" {
		header = spoptest.Str(agent.ArgAuthorization, authorization)
	}
	a, err := p.Ask(spoptest.Message{Name: agent.Message, Args: []spoptest.Arg{
		spoptest.Int(agent.ArgVersion, agent.Contract), spoptest.Str(agent.ArgRequestID, "rid-of-agent"), spoptest.Str(agent.ArgMethod, "GET"),
		spoptest.Bool(agent.ArgTLS, true), spoptest.Str(agent.ArgHost, "wiki.example.com"), spoptest.Str(agent.ArgPath, "/page"),
		spoptest.Str(agent.ArgQuery, "key=hush"), spoptest.Addr(agent.ArgSource, netip.MustParseAddr(away)), header,
		spoptest.Str(agent.ArgFetchMode, "cors"),
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

// makeToken fills the form for a token, whatever it is called, and returns the page.
func (s *story) makeToken(p *visitor) string {
	s.t.Helper()
	action := regexp.MustCompile(`action="(/settings/tokens[^"]*)"`).FindStringSubmatch(p.page.Body)
	if action == nil {
		s.t.Fatalf("no form for a token:\n%s", p.page.Body)
	}
	return p.send(html.UnescapeString(action[1]), "name", "backup", "where", "any", "expires", "30").Body
}

// recover proves second factors, ends a session elsewhere, and loses a password.
func (s *story) recover(codes string) {
	code := regexp.MustCompile(`[0-9a-z]{5}-[0-9a-z]{5}-[0-9a-z]{5}`).FindString(codes)
	bob, other := s.visit(), s.visit()
	for _, p := range []*visitor{bob, other} {
		p.open("https://auth.example.com/")
		p.send("/", "username", "bob", "password", "a much better passphrase")
	}
	s.expect("two sign-ins", "sign_in bob", "sign_in bob")
	bob.open("https://auth.example.com/prove?next=/settings/factors&way=recovery")
	bob.send("/prove", "code", "00000-00000-00000", "way", "recovery")
	s.expect("a wrong code", "step_up_failed bob wrong")
	bob.send("/prove", "code", s.secret(code), "way", "recovery")
	s.expect("a code", "code_used bob", "step_up bob")
	bob.open("https://auth.example.com/settings/factors")
	bob.send("/settings/factors/remove")
	s.expect("a factor's end", "factor_removed bob", "session_revoked bob")
	other.open("https://auth.example.com/")
	other.send("/", "username", "bob", "password", "a much better passphrase")
	s.expect("a sign-in", "sign_in bob")
	bob.open("https://auth.example.com/settings/sessions")
	bob.send("/settings/sessions/end")
	s.expect("another session's end", "session_revoked bob")

	dora := s.visit()
	dora.open("https://auth.example.com/reset")
	dora.send("/reset", "username", "dora")
	s.expect("a question for a link", "reset_asked dora")
	dora.open(s.letter(`https://auth\.example\.com/reset/new\?slip=\S+`))
	dora.send("/reset/new", "new", s.secret("dora's own long words"))
	s.expect("a password by mail", "password_reset dora")
	dora.open(s.letter(`https://auth\.example\.com/not-me\?slip=\S+`))
	dora.send("/not-me")
	s.expect("it was not me", "not_me dora")
}

// letter waits for a mail with an address in it; its secret is in no event.
func (s *story) letter(pattern string) string {
	s.t.Helper()
	link := regexp.MustCompile(pattern)
	var found string
	until(s.t, "a mail", func() bool {
		data, err := os.ReadFile(filepath.Join(s.dir, "mail.txt"))
		found = link.FindString(string(data))
		return err == nil && found != ""
	})
	u, err := url.Parse(found)
	if err != nil {
		s.t.Fatal(err)
	}
	s.secret(u.Query().Get("slip"))
	return found
}

// operator gives every command that changes something.
func (s *story) operator() {
	me, err := user.Current()
	if err != nil {
		s.t.Fatal(err)
	}
	was := s.expect("nothing")
	if len(was) > 0 {
		s.t.Fatalf("%+v", was)
	}
	s.postern(s.secret("erin's long password")+"\n", "user", "add", "erin", "--password-stdin")
	s.postern(s.secret("erin's new password")+"\n", "user", "passwd", "erin", "--password-stdin")
	s.postern("", "user", "disable", "erin")
	erin := s.visit()
	erin.open("https://auth.example.com/")
	erin.send("/", "username", "erin", "password", "erin's new password")
	s.postern("", "user", "enable", "erin")
	s.expect("commands", "admin erin", "admin erin", "admin erin", "sign_in_failed erin disabled", "admin erin")
	erin.send("/", "username", "erin", "password", "erin's new password")
	s.postern("", "session", "revoke", "--user", "erin")
	s.expect("sessions", "sign_in erin", "session_revoked erin", "admin erin")
	s.secret(regexp.MustCompile(`[0-9a-z]{5}-[0-9a-z]{5}-[0-9a-z]{5}`).FindString(s.postern("", "user", "recovery", "erin")))
	s.postern("", "user", "factors", "delete", "erin", "--all")
	s.expect("factors", "codes_made erin", "admin erin", "admin erin")
	token := s.secret(anyToken.FindString(s.postern("", "token", "create", "--user", "erin", "--name", "ci", "--host", "www.example.com")))
	s.expect("a token", "token_created erin", "admin erin")
	if got := s.ask("Bearer " + token).Str(agent.VarVerdict); got != "challenge" {
		s.t.Errorf("a token for another host: %s", got)
	}
	s.expect("a token for another host", "token_refused erin scope")
	s.postern("", "token", "revoke", "--user", "erin", "--all")
	s.expect("tokens", "token_revoked erin", "admin erin")
	s.postern("", "ban", "add", "--user", "erin", "--reason", "trouble")
	again := s.visit()
	again.open("https://auth.example.com/")
	again.send("/", "username", "erin", "password", "erin's new password")
	s.postern("", "ban", "revoke", "--user", "erin")
	all := s.events()[s.seen:]
	s.seen += len(all)
	for _, k := range []journal.Kind{journal.Banned, journal.Unbanned, journal.SignInRefused} {
		if !slices.ContainsFunc(all, func(r journal.Record) bool { return r.Kind == k && r.User == "erin" }) {
			s.t.Errorf("a ban: no %s in %+v", k, all)
		}
	}
	s.postern("", "user", "delete", "erin")
	for _, r := range s.events() {
		if r.Kind == journal.Admin && r.By != "os:"+me.Username {
			s.t.Errorf("who gave the command: %+v, want os:%s", r, me.Username)
		}
	}
	s.seen = len(s.events())
}

// restarts changes the configuration, and stops and starts.
func (s *story) restarts() {
	path := filepath.Join(s.dir, "postern.yml")
	good := readAll(s.t, path)
	write(s.t, s.dir, "postern.yml", strings.Replace(good, "one_factor", "two_factor", 1)+"log: {level: debug}\nsession: {lifetime: 2h}\n")
	s.postern("", "reload")
	e := s.expect("a reload", "reloaded")[0]
	if e.Detail != "access_control.rules changed; session.lifetime changed; log.level changed; waiting for a restart: session" || !strings.HasPrefix(e.By, "os:") {
		s.t.Errorf("a reload: %+v", e)
	}
	write(s.t, s.dir, "postern.yml", strings.Replace(good, "one_factor", "three_factor", 1))
	s.signal(s.t, syscall.SIGHUP)
	until(s.t, "the refusal", func() bool { return strings.Contains(s.said.String(), "configuration refused") })
	write(s.t, s.dir, "postern.yml", good) // commands read it, too
	if e := s.expect("a refused reload", "reload_refused")[0]; !strings.Contains(e.Detail, "access_control.rules[0].policy") || e.By != "" {
		s.t.Errorf("a refused reload: %+v", e)
	}
	s.stop(s.t)
	s.expect("an end", "stopped") // read from the store: nobody runs
	s.start(s.t)
	s.expect("a start", "started")
}

func readAll(t testing.TB, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// sessionToken is the token in the jar of somebody who is past HAProxy.
func sessionToken(t *testing.T, c *http.Client) string {
	t.Helper()
	for _, cookie := range c.Jar.Cookies(&url.URL{Scheme: "https", Host: "auth.example.com"}) {
		if cookie.Name == "__Secure-postern" {
			return cookie.Value
		}
	}
	t.Fatal("no session")
	return ""
}
