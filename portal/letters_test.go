package portal

import (
	"flag"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/agent/credential"
	"postern/agent/session"
	"postern/portal/factor"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// writer is a house's portal that writes letters by itself, without a request.
func (h *house) writer(tag string) (*site, *visit) {
	h.t.Helper()
	s, err := h.server.open()
	must(h.t, err)
	return s, &visit{
		words: s.words.speakers[tag], host: s.hosts["auth.example.com"], id: "rid", agent: firefox,
		addr: netip.MustParseAddr("192.0.2.7"), session: &session.Session{ID: "session-id", User: "alice"},
	}
}

const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

// slips are the parts of a letter that differ from one to the next.
var slips = regexp.MustCompile(`slip=[A-Za-z0-9_.-]+`)

// TestLetters holds every letter, in English and in German, as its reader sees it.
func TestLetters(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)
	device := factor.Device{ID: "device-id", User: "alice", Name: "Alice's telephone"}
	for _, tt := range []struct {
		name  string
		write func(*site, *visit)
	}{
		{"reset", func(s *site, v *visit) { must(t, s.letterReset(v, "alice")) }},
		{"code", func(s *site, v *visit) { must(t, s.letterCode(v, "4821 0937")) }},
		{"signin", func(s *site, v *visit) { s.letterSignIn(v) }},
		{"password", func(s *site, v *visit) { s.letterPassword(v, "alice") }},
		{"added", func(s *site, v *visit) { s.letterFactorAdded(v, device) }},
		{"removed", func(s *site, v *visit) { s.letterFactorRemoved(v, device) }},
		{"token", func(s *site, v *visit) { s.letterToken(v, credential.Record{Owner: "alice", Name: "Nightly backup"}) }},
		{"used", func(s *site, v *visit) { s.letterCodeUsed(v, 1) }},
	} {
		for _, tag := range []string{"en", "de"} {
			t.Run(tt.name+"."+tag, func(t *testing.T) {
				h := openHouse(t, func(s *Server) { s.Now = func() time.Time { return noon } })
				tt.write(h.writer(tag))
				all := h.letters()
				if len(all) != 1 {
					t.Fatalf("%d letters, want 1\n%s", len(all), h.log)
				}
				got := slips.ReplaceAllString(all[0], "slip=…")
				got = regexp.MustCompile(`(?m)^(Date|Message-ID): .*$`).ReplaceAllString(got, "$1: …")
				golden := filepath.Join("testdata", "letters", tt.name+"."+tag+".txt")
				if *update {
					must(t, os.MkdirAll(filepath.Dir(golden), 0o755))
					must(t, os.WriteFile(golden, []byte(got), 0o644))
				}
				want, err := os.ReadFile(golden)
				must(t, err)
				if got != string(want) {
					t.Errorf("%s differs; run go test ./portal -run Letters -update and read the diff\n%s", golden, got)
				}
			})
		}
	}
}

func TestLettersToNobody(t *testing.T) {
	h := openHouse(t)
	s, v := h.writer("en")
	for _, tt := range []struct{ name, user string }{
		{"a user without an address", "bob"}, {"a disabled user", "carol"}, {"nobody", "nobody"}, {"an empty name", ""},
	} {
		v.session.User = tt.user
		if err := s.letterReset(v, tt.user); err == nil {
			t.Errorf("%s: a reset link was sent", tt.name)
		}
		s.letterSignIn(v)
		s.letterPassword(v, tt.user)
		if err := s.letterCode(v, "1234 5678"); err == nil {
			t.Errorf("%s: a code was sent", tt.name)
		}
	}
	if all := h.letters(); len(all) != 0 {
		t.Errorf("letters to nobody: %q", all)
	}
}

func TestANewBrowserIsWorthALetter(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	b.signIn("", "alice", "wonderland").want(t, http.StatusSeeOther)
	if all := h.letters(); len(all) != 1 || !strings.Contains(all[0], "To: \"Alice Liddell\" <alice@example.com>\nSubject: New sign-in to Postern\n") {
		t.Fatalf("after the first sign-in: %q", all)
	}
	b.send(b.get(auth+"/"), "/signout")
	b.signIn("", "alice", "wonderland").want(t, http.StatusSeeOther)
	if all := h.letters(); len(all) != 1 {
		t.Errorf("a second one in the same browser: %d letters", len(all))
	}
	must(t, h.users.SetPassword(t.Context(), "alice", "another one altogether"))
	b.get(auth + "/signed-out")
	b.signIn("", "alice", "another one altogether").want(t, http.StatusSeeOther)
	if all := h.letters(); len(all) != 2 {
		t.Errorf("after the password changed every browser is new: %d letters", len(all))
	}
	for range 10 {
		h.browser().signIn("", "alice", "another one altogether")
	}
	if all := h.letters(); len(all) > 6 {
		t.Errorf("%d letters: whoever signs in again and again fills the mailbox", len(all))
	}
}

// TestThreat67NobodyWritesIntoALetter: what a browser says of itself and what it is asked
// for stand in no letter.
func TestThreat67NobodyWritesIntoALetter(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	b.header.Set("User-Agent", "Call 0900-1234 at once Firefox/1 Linux")
	b.header.Set("X-Forwarded-Host", "evil.test")
	b.signIn("?rd=https://evil.test/", "alice", "wonderland").want(t, http.StatusSeeOther)
	all := h.letters()
	if len(all) != 1 || !strings.Contains(all[0], "Browser: Firefox on Linux\n") || !strings.Contains(all[0], "https://auth.example.com/not-me?slip=") {
		t.Fatalf("letters: %q", all)
	}
	for _, bad := range []string{"0900", "evil"} {
		if strings.Contains(all[0], bad) {
			t.Errorf("the letter says %q:\n%s", bad, all[0])
		}
	}
}

func TestBrowserText(t *testing.T) {
	c, err := openCatalogue()
	must(t, err)
	for agent, want := range map[string]string{
		firefox: "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36":                         "Chrome on Windows",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0":           "Edge on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15":                   "Safari on macOS",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1": "Safari on iPhone",
		"Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Mobile Safari/537.36":                   "Chrome on Android",
		"curl/8.5.0": "curl", "": "Unknown browser", "<script>": "Unknown browser",
	} {
		if got := browserText(c.speakers["en"], agent); got != want {
			t.Errorf("%q: %q, want %q", agent, got, want)
		}
	}
}
