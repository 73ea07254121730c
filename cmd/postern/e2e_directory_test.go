package main

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"postern/haproxy/haproxytest"
)

// directoryConfig puts people of a slapd behind those of the file.
func directoryConfig(s *slapd, more string) func(string) string {
	return func(config string) string {
		return strings.Replace(config, "users: {file: users.yml}\n", fmt.Sprintf(`users:
  - {file: users.yml}
  - ldap:
      preset: openldap
      address: %s
      base_dn: dc=example,dc=com
      users_dn: ou=people
      groups_dn: ou=groups
      user: cn=postern,dc=example,dc=com
      password: service secret
%s`, s.ldap, more), 1)
	}
}

// try types a name and a password into the sign-in page.
func (w *world) try(t testing.TB, user, password string) haproxytest.Reply {
	t.Helper()
	c := w.browser(t)
	page := haproxytest.Do(t, c, "GET", "https://auth.example.com/", http.Header{"Accept": {"text/html"}}, "")
	return w.post(t, c, page, "/", url.Values{"username": {user}, "password": {password}})
}

// post sends a form of the portal's with its hidden fields.
func (w *world) post(t testing.TB, c *http.Client, page haproxytest.Reply, path string, form url.Values) haproxytest.Reply {
	t.Helper()
	for _, m := range hidden.FindAllStringSubmatch(page.Body, -1) {
		if !form.Has(m[1]) {
			form.Set(m[1], html.UnescapeString(m[2]))
		}
	}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Origin": {"https://auth.example.com"}, "Accept-Language": {"en"}}
	return haproxytest.Do(t, c, "POST", "https://auth.example.com"+path, header, form.Encode())
}

// sessionWith signs a user in with a password of his own, and returns the token.
func (w *world) sessionWith(t testing.TB, user, password string) (token string) {
	t.Helper()
	for _, c := range (&http.Response{Header: w.try(t, user, password).Header}).Cookies() {
		if c.Name == "__Secure-postern" {
			token = c.Value
		}
	}
	if token == "" {
		t.Fatalf("%s is not signed in", user)
	}
	return token
}

// TestE2EDirectory: people of a directory sign in; a group that is taken away there turns
// 200 into 403; while the directory is away, who is signed in stays so for the grace, over
// a restart too, and afterwards is refused without being signed out.
func TestE2EDirectory(t *testing.T) {
	s := startSlapd(t)
	eachWorld(t, worldOptions{one: true, config: directoryConfig(s, "      refresh: 10s\n      grace: 25s\n")}, func(t *testing.T, w *world) {
		const app, admin = "https://app.example.com/", "https://admin.example.com/"
		status := func(token, target string) int { return w.get(t, token, target).Status }
		lewis, dora := w.session(t, "lewis@example.com"), w.session(t, "dora")
		expect(t, "an admin of the directory", w.get(t, lewis, admin), 200)
		head := w.app.Seen()[0].Head
		for _, want := range []string{"Remote-User: lewis\r\n", "Remote-Groups: admins,staff\r\n", "Remote-Name: Lewis Carroll\r\n", "Remote-Email: lewis@example.com\r\n"} {
			if !strings.Contains(strings.ToLower(head), strings.ToLower(want)) {
				t.Errorf("the application did not receive %q:\n%s", want, head)
			}
		}
		t.Run("a name in the file hides the directory's", func(t *testing.T) {
			expect(t, "the directory's alice", w.try(t, "another.alice@example.com", "looking glass"), 401)
			expect(t, "with the directory's password", w.try(t, "alice", "looking glass"), 401)
			expect(t, "the file's alice", w.try(t, "alice", password), 303)
		})

		t.Run("a password is changed in the directory", func(t *testing.T) {
			const another = "seven odd lanterns hum"
			c := w.browser(t)
			c.Jar.SetCookies(&url.URL{Scheme: "https", Host: "auth.example.com"}, []*http.Cookie{{Name: "__Secure-postern", Value: w.session(t, "dora"), Secure: true}})
			page := haproxytest.Do(t, c, "GET", "https://auth.example.com/settings/password", http.Header{"Accept": {"text/html"}}, "")
			expect(t, "the page", page, 200)
			done := w.post(t, c, page, "/settings/password", url.Values{"password": {password}, "new": {another}})
			expect(t, "the change", done, 303)
			done = haproxytest.Do(t, c, "GET", "https://auth.example.com"+done.Header.Get("Location"), http.Header{"Accept": {"text/html"}, "Accept-Language": {"en"}}, "")
			expect(t, "what it did", done, 200)
			if !strings.Contains(done.Body, "Your password is changed") {
				t.Errorf("the page says\n%s", done.Body)
			}
			expect(t, "the new one", w.try(t, "dora", another), 303)
			expect(t, "the old one", w.try(t, "dora", password), 401)
			expect(t, "who was signed in", w.get(t, dora, app), 302)
			dora = w.sessionWith(t, "dora", another)
		})

		t.Run("a group taken away, a user deleted", func(t *testing.T) {
			s.leave(t, slapdAdmins, slapdLewis)
			s.remove(t, slapdDora)
			until(t, "200 becomes 403", func() bool { return status(lewis, admin) == 403 })
			until(t, "the deleted user is signed out", func() bool { return status(dora, app) == 302 })
			expect(t, "he is signed in as before", w.get(t, lewis, app), 200)
		})

		t.Run("the directory is away", func(t *testing.T) {
			s.stop()
			expect(t, "who is signed in", w.get(t, lewis, app), 200)
			refused := w.try(t, "dora", password)
			expect(t, "who is not", refused, 503)
			if !strings.Contains(refused.Body, "The directory of users cannot be reached right now") || !strings.Contains(refused.Body, `value="dora"`) {
				t.Errorf("the page does not say it:\n%s", refused.Body)
			}
			expect(t, "somebody of the file", w.try(t, "ada", password), 303)
			expect(t, "nobody's name", w.try(t, "nobody", password), 503)
		})

		t.Run("and Postern restarts", func(t *testing.T) {
			w.postern.stop(t)
			w.postern.start(t)
			w.ServerUp(t, "postern_agent", "postern", true)
			expect(t, "within the grace", w.get(t, lewis, app), 200)
			expect(t, "with the groups of before, not those of the sign-in", w.get(t, lewis, admin), 403)
			until(t, "after the grace", func() bool { return status(lewis, app) == 503 })
			if err := s.start(); err != nil {
				t.Fatal(err)
			}
			until(t, "the directory is back", func() bool { return status(lewis, app) == 200 })
			expect(t, "with what it says", w.get(t, lewis, admin), 403)
		})
	})
}

// TestE2EHugeAndBinaryNames: what is typed is bounded before anybody is asked about it.
func TestE2EHugeAndBinaryNames(t *testing.T) {
	s := startSlapd(t)
	eachWorld(t, worldOptions{one: true, config: directoryConfig(s, "      password_change: off\n")}, func(t *testing.T, w *world) {
		lewis := w.session(t, "lewis")
		expect(t, "no page sets passwords of a directory that is only read", w.get(t, lewis, "https://auth.example.com/settings/password"), 404)
		for _, tt := range []struct {
			about, name, password string
			want                  []int
		}{
			{"a name of 300 characters", strings.Repeat("n", 300), password, []int{401}},
			{"a name of 10,000 characters", strings.Repeat("n", 10_000), password, []int{401, 413}},
			{"a name with NUL and bytes that are no text", "le\x00wis\xff", password, []int{401}},
			{"a name that is a filter", "*)(uid=lewis", password, []int{401}},
			{"a name that matches everybody", "*", password, []int{401}},
			{"a name in Cyrillic letters", "lеwis", password, []int{401}},
			{"a password of 1,100 bytes", "lewis", strings.Repeat("p", 1100), []int{401}},
			{"a password of a megabyte", "lewis", strings.Repeat("p", 1<<20), []int{413, 431}},
			{"a password that is not text", "lewis", "a\x00\xff", []int{401}},
			{"no password", "lewis", "", []int{401}},
		} {
			expect(t, tt.about, w.try(t, tt.name, tt.password), tt.want...)
		}
		expect(t, "who is signed in goes on", w.get(t, lewis, "https://app.example.com/"), 200)
		expect(t, "the page is there for the next one", w.get(t, "", "https://auth.example.com/"), 200)
		if said := w.postern.said.String(); strings.Contains(said, "panic") {
			t.Errorf("postern:\n%s", said)
		}
	})
}
