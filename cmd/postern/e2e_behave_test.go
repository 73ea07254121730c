package main

import (
	"bufio"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"postern/haproxy/haproxytest"
)

// How it must behave, points 1 to 8: one test for each.

func TestE2E01Refusals(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		got := w.get(t, "", "https://app.example.com/report?year=2026&q=a%20b")
		expect(t, "GET", got, http.StatusFound)
		to, err := url.Parse(got.Header.Get("Location"))
		if err != nil || to.Host != "auth.example.com" || to.Query().Get("rd") != "https://app.example.com/report?year=2026&q=a%20b" || to.Query().Get("rm") != "GET" {
			t.Errorf("GET: sent to %q", got.Header.Get("Location"))
		}
		for _, row := range []struct {
			name, request string
			want          int
		}{
			{"HEAD", "HEAD /x HTTP/1.1\nHost: app.example.com\nAccept: text/html\n\n", 302},
			{"POST", "POST /x HTTP/1.1\nHost: app.example.com\nAccept: text/html\nContent-Length: 3\n\na=b", 303},
			{"fetch()", "GET /x HTTP/1.1\nHost: app.example.com\nAccept: */*\nSec-Fetch-Mode: cors\nSec-Fetch-Dest: empty\n\n", 401},
			{"XMLHttpRequest", "GET /x HTTP/1.1\nHost: app.example.com\nAccept: text/html\nX-Requested-With: XMLHttpRequest\n\n", 401},
			{"JSON", "GET /x HTTP/1.1\nHost: app.example.com\nAccept: application/json\n\n", 401},
			{"WebSocket", "GET /x HTTP/1.1\nHost: app.example.com\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n", 401},
			{"unknown host of the domain", "GET / HTTP/1.1\nHost: nobody.example.com\n\n", 403},
			{"unknown domain", "GET / HTTP/1.1\nHost: app.example.org\n\n", 403},
			{"no host", "GET / HTTP/1.0\n\n", 403},
			{"a rule of deny", "GET / HTTP/1.1\nHost: shut.example.com\nAccept: text/html\n\n", 403},
			{"a rule with a subject", "GET / HTTP/1.1\nHost: admin.example.com\nAccept: text/html\n\n", 302},
			{"two factors", "GET / HTTP/1.1\nHost: bank.example.com\nAccept: text/html\n\n", 302},
			{"a token that is junk", "GET / HTTP/1.1\nHost: app.example.com\nAccept: text/html\nCookie: __Secure-postern=junk\n\n", 302},
		} {
			expect(t, row.name, w.client.Raw(t, "app.example.com", row.request), row.want)
		}
		w.untouched(t)
		expect(t, "bypass", w.get(t, "", "https://public.example.com/"), 200)
	})
}

func TestE2E02SignIn(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		const target = "https://app.example.com/report?year=2026&q=a%20b&q=%C3%A4#top"
		sent, _, _ := strings.Cut(target, "#")
		location, token := w.signIn(t, "alice", w.get(t, "", sent).Header.Get("Location"))
		if location != sent {
			t.Errorf("sent to %q, want %q", location, sent)
		}
		expect(t, "signed in", w.get(t, token, sent), 200)
		seen := w.app.Last(t)
		for name, want := range map[string]string{"Remote-User": "alice", "Remote-Groups": "staff,users", "Remote-Name": "Alice Ä.", "Remote-Email": "alice@example.com"} {
			if seen.Value(name) != want {
				t.Errorf("%s is %q, want %q", name, seen.Value(name), want)
			}
		}
		if !strings.HasSuffix(seen.Target, "/report?year=2026&q=a%20b&q=%C3%A4") {
			t.Errorf("target %q", seen.Target)
		}
		// Signed in is not admin, and not two factors.
		got := w.get(t, token, "https://admin.example.com/")
		expect(t, "admin", got, 403)
		if !strings.Contains(got.Body, "<b>alice</b>") || !strings.Contains(got.Body, `href="https://auth.example.com/?rd=https%3A%2F%2Fadmin.example.com%2F&amp;rm=GET"`) {
			t.Errorf("the page names nobody:\n%s", got.Body)
		}
		expect(t, "bank", w.get(t, token, "https://bank.example.com/"), 302)
		expect(t, "admin as ada", w.get(t, w.session(t, "ada"), "https://admin.example.com/"), 200)
	})
}

func TestE2E03CookieStaysHome(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		token := w.session(t, "alice")
		for _, host := range []string{"app.example.com", "public.example.com"} {
			w.app.Forget()
			expect(t, host, w.get(t, token, "https://"+host+"/"), 200)
			if seen := w.app.Last(t); seen.Value("Cookie") != "theme=dark" || strings.Contains(seen.Head, token) {
				t.Errorf("%s received\n%s", host, seen.Head)
			}
		}
	})
}

func TestE2E04AgentKilledAndHung(t *testing.T) {
	eachWorld(t, worldOptions{timeout: "1s"}, func(t *testing.T, w *world) {
		token := w.session(t, "alice")
		ask := func() haproxytest.Reply { return w.get(t, token, "https://app.example.com/") }
		expect(t, "before", ask(), 200)

		w.postern.freeze(t)
		w.app.Forget()
		started := time.Now()
		expect(t, "hung", ask(), 503)
		t.Logf("a hung agent is noticed after %v", time.Since(started).Round(time.Millisecond))
		expect(t, "hung, bypass", w.get(t, "", "https://public.example.com/"), 503)
		w.untouched(t)
		w.postern.signal(t, syscall.SIGCONT)
		w.Await(t, "200 after SIGCONT", func() bool { return ask().Status == 200 })

		w.postern.kill()
		w.app.Forget()
		expect(t, "killed", ask(), 503)
		expect(t, "killed, bypass", w.get(t, "", "https://public.example.com/"), 503)
		expect(t, "killed, portal", w.get(t, "", "https://auth.example.com/"), 503)
		w.untouched(t)
		w.postern.start(t)
		w.Await(t, "200 after a new start", func() bool { return ask().Status == 200 })
	})
}

func TestE2E05RefusedAtTheNextRequest(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		ends := map[string]func(user, token string){
			"sign-out": func(_, token string) {
				c := w.browser(t)
				c.Jar.SetCookies(&url.URL{Scheme: "https", Host: "auth.example.com"}, []*http.Cookie{{Name: "__Secure-postern", Value: token, Secure: true}})
				page := haproxytest.Do(t, c, "GET", "https://auth.example.com/signout", http.Header{"Accept": {"text/html"}}, "")
				form := url.Values{}
				for _, m := range hidden.FindAllStringSubmatch(page.Body, -1) {
					if !form.Has(m[1]) {
						form.Set(m[1], m[2])
					}
				}
				form.Del("again")
				header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Origin": {"https://auth.example.com"}}
				expect(t, "POST /signout", haproxytest.Do(t, c, "POST", "https://auth.example.com/signout", header, form.Encode()), 303)
			},
			"user disable":          func(user, _ string) { w.run(t, "user", "disable", user) },
			"user delete":           func(user, _ string) { w.run(t, "user", "delete", user) },
			"session revoke --user": func(user, _ string) { w.run(t, "session", "revoke", "--user", user) },
		}
		i := 0
		for name, end := range ends {
			user := fmt.Sprintf("u%03d", i)
			i++
			token, other := w.session(t, user), w.session(t, "alice")
			expect(t, name+": before", w.get(t, token, "https://app.example.com/"), 200)
			w.app.Forget()
			end(user, token)
			expect(t, name+": after", w.get(t, token, "https://app.example.com/"), 302)
			w.untouched(t)
			expect(t, name+": somebody else", w.get(t, other, "https://app.example.com/"), 200)
		}
	})
}

func TestE2E06RestartKeepsPeopleSignedIn(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		token := w.session(t, "alice")
		w.postern.stop(t)
		w.postern.start(t)
		w.Await(t, "200 after the restart", func() bool { return w.get(t, token, "https://app.example.com/").Status == 200 })
		if seen := w.app.Last(t); seen.Value("Remote-User") != "alice" {
			t.Errorf("Remote-User is %q", seen.Value("Remote-User"))
		}
	})
}

// TestThreat21NoMixUp is point 7: answers never go to the wrong stream.
func TestThreat21NoMixUp(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		tokens := make([]string, 100)
		for i := range tokens {
			tokens[i] = w.session(t, fmt.Sprintf("u%03d", i))
		}
		check := func(i int, got haproxytest.Reply, proto string) {
			switch {
			case got.Status != 200:
				t.Errorf("%s, user %d: status %d", proto, i, got.Status)
			case !strings.Contains(got.Body, fmt.Sprintf("\r\nremote-user: u%03d\r\n", i)), !strings.Contains(got.Body, fmt.Sprintf("GET /%d ", i)):
				t.Errorf("%s, user %d received\n%s", proto, i, got.Body)
			}
		}
		two := w.client.HTTP(t, true)
		for range 5 {
			var all sync.WaitGroup
			for i, token := range tokens {
				all.Go(func() {
					header := http.Header{"Cookie": {"__Secure-postern=" + token}}
					check(i, haproxytest.Do(t, two, "GET", fmt.Sprintf("https://app.example.com/%d", i), header, ""), "HTTP/2")
				})
			}
			all.Wait()
		}
		var all sync.WaitGroup
		for k := range 8 {
			all.Go(func() {
				nc := w.client.Dial(t, "app.example.com")
				br := bufio.NewReader(nc)
				for n := range 50 {
					i := (n*7 + k*13) % len(tokens)
					got, err := haproxytest.Exchange(nc, br, fmt.Sprintf("GET /%d HTTP/1.1\nHost: app.example.com\nCookie: __Secure-postern=%s\n\n", i, tokens[i]))
					if err != nil {
						t.Error(err)
						return
					}
					check(i, got, "keep-alive")
					got, err = haproxytest.Exchange(nc, br, "GET /nobody HTTP/1.1\nHost: app.example.com\nAccept: text/html\n\n")
					if err != nil || got.Status != 302 {
						t.Errorf("nobody, behind user %d: status %d, %v", i, got.Status, err)
					}
				}
			})
		}
		all.Wait()
		w.postern.stop(t)
	})
}

// TestE2E08Extremes: an answer or a refusal, never a 200 by accident.
func TestE2E08Extremes(t *testing.T) {
	everyByte := make([]byte, 0, 256)
	for b := range 256 {
		everyByte = append(everyByte, byte(b))
	}
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		refused := func(name, request string) {
			t.Helper()
			nc := w.client.Dial(t, "app.example.com")
			defer nc.Close()
			got, err := haproxytest.Exchange(nc, bufio.NewReader(nc), request)
			if err == nil && got.Status < 300 {
				t.Errorf("%s: status %d", name, got.Status)
			}
		}
		host := "Host: app.example.com\n"
		refused("a cookie of 60 KiB", "GET / HTTP/1.1\n"+host+"Cookie: a="+strings.Repeat("x", 60<<10)+"\n\n")
		refused("a cookie of 60 KiB in many headers", "GET / HTTP/1.1\n"+host+strings.Repeat("Cookie: a="+strings.Repeat("x", 1000)+"\n", 60)+"\n")
		refused("a cookie of 14 KiB", "GET / HTTP/1.1\n"+host+"Cookie: __Secure-postern="+strings.Repeat("x", 14<<10)+"\n\n")
		refused("a path of 16 KiB", "GET /"+strings.Repeat("x", 16<<10)+" HTTP/1.1\n"+host+"\n")
		refused("a path of 14 KiB", "GET /"+strings.Repeat("x", 14<<10)+" HTTP/1.1\n"+host+"\n")
		refused("a query of 14 KiB", "GET /?"+strings.Repeat("x", 14<<10)+" HTTP/1.1\n"+host+"\n")
		refused("a host of 14 KiB", "GET / HTTP/1.1\nHost: "+strings.Repeat("x", 14<<10)+".example.com\n\n")
		for _, name := range []string{"Accept", "X-Requested-With", "Origin", "Access-Control-Request-Method", "Sec-Fetch-Mode", "Sec-Fetch-Dest", "Upgrade", "Cookie", "Authorization"} {
			for _, value := range []string{string(everyByte[128:]), "\x01\x02\x7f", "\xff\xfe\x00", strings.Repeat("é", 3000), string(everyByte)} {
				refused(fmt.Sprintf("%s: %.20q", name, value), "GET / HTTP/1.1\n"+host+name+": "+value+"\n\n")
			}
		}
		for _, value := range []string{string(everyByte[128:]), "\x7f", "app.example.com\xff", "app.example.com\x01", "app example.com", "app.example.com/../x", "app.example.com@x"} {
			refused(fmt.Sprintf("host %.20q", value), "GET / HTTP/1.1\nHost: "+value+"\n\n")
			refused(fmt.Sprintf("path %.20q", value), "GET /"+value+" HTTP/1.1\n"+host+"\n")
			refused(fmt.Sprintf("query %.20q", value), "GET /?"+value+" HTTP/1.1\n"+host+"\n")
			refused(fmt.Sprintf("token %.20q", value), "GET / HTTP/1.1\n"+host+"Cookie: __Secure-postern="+value+"\n\n")
			refused(fmt.Sprintf("method %.20q", value), "G"+value+" / HTTP/1.1\n"+host+"\n")
		}
		w.untouched(t)
		expect(t, "and the next", w.get(t, w.session(t, "alice"), "https://app.example.com/"), 200)
	})
}

// TestE2E10HalfClose: facts/spoe.md 0.2 with the real agent, which is stopped so that the
// close comes first.
func TestE2E10HalfClose(t *testing.T) {
	upstream := func(c string) string { return strings.Replace(c, "portal: https", "tls: upstream, portal: https", 1) }
	eachWorld(t, worldOptions{base: "    option abortonclose\n", timeout: "1s", config: upstream}, func(t *testing.T, w *world) {
		w.postern.freeze(t)
		for _, c := range []haproxytest.Client{w.plain, w.client} {
			nc := c.Dial(t, "app.example.com")
			fmt.Fprint(nc, "POST /transfer HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 5\r\n\r\nhello")
			if err := nc.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if res, err := http.ReadResponse(bufio.NewReader(nc), nil); err == nil && res.StatusCode < 400 {
				t.Errorf("status %d", res.StatusCode)
			}
			nc.Close()
		}
		w.untouched(t)
		w.postern.signal(t, syscall.SIGCONT)
		w.Await(t, "302 after SIGCONT", func() bool { return w.get(t, "", "https://app.example.com/").Status == 302 })
		w.untouched(t)
	})
}

// TestE2E11OversizeHurtsNobodyElse: facts/spoe.md 0.3.
func TestE2E11OversizeHurtsNobodyElse(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		token := w.session(t, "alice")
		stop := make(chan struct{})
		var big sync.WaitGroup
		sent := 0
		big.Go(func() {
			request := "GET /?" + strings.Repeat("q", 14000) + " HTTP/1.1\nHost: app.example.com\nAccept: text/html\nConnection: close\n\n"
			for tick := time.Tick(10 * time.Millisecond); ; <-tick {
				select {
				case <-stop:
					return
				default:
				}
				nc := w.client.Dial(t, "app.example.com")
				if got, err := haproxytest.Exchange(nc, bufio.NewReader(nc), request); err == nil && got.Status < 300 {
					t.Errorf("a request of 14 KB: status %d", got.Status)
				}
				nc.Close()
				sent++
			}
		})
		client := w.client.HTTP(t, false)
		for i := range 200 {
			header := http.Header{"Cookie": {"__Secure-postern=" + token}}
			expect(t, fmt.Sprintf("request %d", i), haproxytest.Do(t, client, "GET", "https://app.example.com/", header, ""), 200)
		}
		close(stop)
		big.Wait()
		t.Logf("beside %d requests of 14 KB", sent)
	})
}

// TestE2E12AbsentAgent: HAProxy without postern refuses, and does not spin.
func TestE2E12AbsentAgent(t *testing.T) {
	eachWorld(t, worldOptions{absent: true}, func(t *testing.T, w *world) {
		for range 20 {
			expect(t, "absent", w.get(t, "", "https://public.example.com/"), 503)
		}
		w.untouched(t)
		before := w.CPU(t)
		for range 20 {
			expect(t, "absent", w.get(t, "", "https://public.example.com/"), 503)
			time.Sleep(50 * time.Millisecond) // what is measured is a second of HAProxy's time
		}
		if used := w.CPU(t) - before; used > 900*time.Millisecond {
			t.Errorf("HAProxy used %v of processor time in a second", used)
		}
	})
}
