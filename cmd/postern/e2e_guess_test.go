package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"postern/agent/regulation"
)

// bans are what the command lists, as kind and whom.
func (w *world) bans(t testing.TB) (list []string) {
	t.Helper()
	var all []regulation.Ban
	if err := json.Unmarshal([]byte(w.run(t, "ban", "list", "-o", "json")), &all); err != nil {
		t.Fatal(err)
	}
	for _, b := range all {
		list = append(list, strings.TrimSpace(string(b.Kind)+" "+b.Whom()))
	}
	slices.Sort(list)
	return list
}

// guesses are many at once, each from a browser and a forged address of its own.
func (w *world) guesses(t testing.TB, user string, n int) (answers map[int]int) {
	t.Helper()
	answers = map[int]int{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			got := w.guess(t, user, fmt.Sprintf("X-Forwarded-For: 198.51.100.%d", i))
			mu.Lock()
			defer mu.Unlock()
			answers[got.Status]++
		})
	}
	all.Wait()
	return answers
}

// TestThreat36GuessesThroughHAProxy: of many guesses at once five look at the password,
// and neither a kill of the daemon nor another door forgets them; an operator does.
func TestThreat36GuessesThroughHAProxy(t *testing.T) {
	eachWorld(t, worldOptions{config: longWaits, one: true}, func(t *testing.T, w *world) {
		signed := w.session(t, "alice")
		if got := w.guesses(t, "alice", 24); got[http.StatusUnauthorized] != 5 || got[http.StatusTooManyRequests] != 19 {
			t.Errorf("answers %v, want five 401 and nineteen 429", got)
		}
		want := []string{"password 127.0.0.1", "password user alice"}
		if got := w.bans(t); !slices.Equal(got, want) {
			t.Errorf("bans %q, want %q", got, want)
		}
		w.postern.kill()
		w.postern.start(t)
		w.ServerUp(t, "postern_portal", "postern", true)
		if got := w.guesses(t, "alice", 1); got[http.StatusTooManyRequests] != 1 {
			t.Errorf("after a kill: answers %v", got)
		}
		// Who is signed in stays so, and a program with the right password goes its way.
		w.ServerUp(t, "postern_agent", "postern", true)
		expect(t, "a session", w.get(t, signed, "https://app.example.com/"), 200)
		expect(t, "a program", w.script(t, "dav.example.com", basicHeader("alice", password)), 200)
		for range 5 {
			expect(t, "a wrong program", w.script(t, "dav.example.com", basicHeader("ada", "wrong")), 401)
		}
		expect(t, "one too many", w.script(t, "dav.example.com", basicHeader("ada", password)), 401, 429)
		want = []string{"basic 127.0.0.1", "basic user ada", "password 127.0.0.1", "password user alice"}
		if got := w.bans(t); !slices.Equal(got, want) {
			t.Errorf("bans %q, want %q", got, want)
		}
		if said := w.run(t, "ban", "revoke", "--address", "127.0.0.1"); !strings.Contains(said, "2 lifted") {
			t.Errorf("revoking the address: %s", said)
		}
		if said := w.run(t, "ban", "revoke", "--all"); !strings.Contains(said, "2 lifted") {
			t.Errorf("revoking all: %s", said)
		}
		w.session(t, "alice")
		expect(t, "the program that waited", w.script(t, "dav.example.com", basicHeader("ada", password)), 200)
	})
}

// TestE2EBans: whom an operator bans is refused at every door, and says so; sessions end
// when it is asked for.
func TestE2EBans(t *testing.T) {
	eachWorld(t, worldOptions{config: machineRules, one: true}, func(t *testing.T, w *world) {
		signed, other := w.session(t, "alice"), w.session(t, "ada")
		token := "Bearer " + w.token(t, "--user", "alice")
		app := basicHeader("alice", w.token(t, "--user", "alice", "--app"))
		expect(t, "a token", w.script(t, "hook.example.com", token), 200)
		expect(t, "a password", w.script(t, "dav.example.com", basicHeader("alice", password)), 200) // remembered for a minute

		w.run(t, "ban", "add", "--user", "alice", "--reason", "left")
		expect(t, "a token of the banned", w.script(t, "hook.example.com", token), 401, 403, 429)
		expect(t, "an application password of the banned", w.script(t, "dav.example.com", app), 401, 403, 429)
		expect(t, "a remembered password of the banned", w.script(t, "dav.example.com", basicHeader("alice", password)), 401, 403, 429)
		expect(t, "a sign-in of the banned", w.try(t, "alice", password), 403)
		expect(t, "a guess at the banned", w.try(t, "alice", "wrong"), 401)
		expect(t, "a session of the banned", w.get(t, signed, "https://app.example.com/"), 200)
		expect(t, "somebody else", w.get(t, other, "https://app.example.com/"), 200)
		if said := w.run(t, "ban", "add", "--user", "alice", "--sign-out"); !strings.Contains(said, "1 sessions ended") {
			t.Errorf("signing out: %s", said)
		}
		expect(t, "a session that was ended", w.get(t, signed, "https://app.example.com/"), 302)

		w.run(t, "ban", "add", "--address", "127.0.0.0/8")
		expect(t, "a sign-in from a banned network", w.try(t, "ada", password), 403)
		expect(t, "a password from a banned network", w.script(t, "dav.example.com", basicHeader("ada", password)), 401, 403, 429)
		expect(t, "a session in a banned network", w.get(t, other, "https://app.example.com/"), 200)
		w.run(t, "ban", "revoke", "--all")
		if got := w.bans(t); len(got) != 0 {
			t.Errorf("bans %q after revoking all", got)
		}
		expect(t, "the token", w.script(t, "hook.example.com", token), 200)
		w.session(t, "alice")
	})
}
