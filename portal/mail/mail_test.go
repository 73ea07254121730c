package mail

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"io/fs"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run go test ./portal/mail -update and read the diff\ngot:\n%s", path, got)
	}
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// pixel is the smallest PNG.
func pixel(t *testing.T) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// reset is a message with a link, as the portal would write it.
func reset() Message {
	return Message{
		To: "alice@example.com", Name: "Alice Liddell", Subject: "Reset your password", Lang: "en", Dir: "ltr",
		Greeting:   "Hello Alice Liddell,",
		Paragraphs: []string{"somebody asked to reset the password of your account at Example. If it was you, choose a new one within 15 minutes.", "If not, there is nothing to do: your password stays as it is."},
		Link:       "https://auth.example.com/reset?token=3f9c&x=1", LinkText: "Choose a new password",
		Undo: "https://auth.example.com/undo?token=77ab", UndoText: "It was not me: lock this change",
		Footer: "You get this mail because an account at auth.example.com has your address.",
	}
}

// signIn is one with facts and a code, in another language.
func signIn() Message {
	return Message{
		To: "björn@example.com", Name: "Björn „Bär“", Subject: "Neue Anmeldung – war das nötig?", Lang: "de",
		Greeting: "Hallo Björn,", Paragraphs: []string{"dein Konto wurde mit einem Browser benutzt, den wir noch nicht kennen."},
		Code:  "4821-9930",
		Facts: []Fact{{"Browser", "Firefox 143 unter Linux"}, {"Adresse", "2001:db8::17"}, {"Zeit", "3. Mai 2025, 14:05 (UTC)"}},
		Undo:  "https://auth.example.com/undo?token=1", UndoText: "Das war ich nicht",
	}
}

// hostile is one in which every text wants to be something else.
func hostile() Message {
	const bad = "</td><script>alert(1)</script>\r\n\r\nFrom here: {{.To}} \u202Egnp.exe\u2028next"
	return Message{
		To: "a@example.com", Subject: "<b>Subject</b> {{.}}", Lang: "en", Greeting: bad, Paragraphs: []string{bad, "From the start"},
		Facts: []Fact{{bad, bad}}, Link: "https://auth.example.com/?a=1&b=2#x", LinkText: bad, Footer: bad,
	}
}

func rtl() Message {
	return Message{
		To: "a@example.com", Name: "دانا", Subject: "تسجيل دخول جديد", Lang: "ar", Dir: "rtl", Greeting: "مرحبا دانا،",
		Paragraphs: []string{"تم استخدام حسابك من متصفح جديد."}, Code: "482199",
		Link: "https://auth.example.com/settings", LinkText: "الإعدادات", Footer: "مثال",
	}
}

func TestRender(t *testing.T) {
	brand := Brand{Name: "Example <SSO>", Accent: "#0a7d4f"}
	tests := []struct {
		name  string
		msg   Message
		brand Brand
	}{
		{"reset", reset(), brand},
		{"reset-unbranded", reset(), Brand{}},
		{"reset-logo", reset(), Brand{Name: "Example", Accent: "#ffd400", Logo: pixel(t)}},
		{"signin", signIn(), brand},
		{"rtl", rtl(), brand},
		{"least", Message{To: "a@example.com", Subject: "Nothing"}, Brand{}},
	}
	templates, err := loadTemplates("")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.msg.check(); err != nil {
				t.Fatal(err)
			}
			b, err := templates.render(tt.msg, tt.brand)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, tt.name+".txt", b.text)
			golden(t, tt.name+".html", b.html)
		})
	}
}

// TestRenderHostile: whatever the texts hold, no markup comes of it and no line of a text
// begins where one of ours would.
func TestRenderHostile(t *testing.T) {
	templates, err := loadTemplates("")
	if err != nil {
		t.Fatal(err)
	}
	b, err := templates.render(hostile(), Brand{Name: "<i>Brand</i>", Accent: "#000000"})
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script", "<b>", "<i>", "\u202e", "\u2028", "ZgotmplZ"} {
		if strings.Contains(b.html, bad) {
			t.Errorf("HTML holds %q:\n%s", bad, b.html)
		}
	}
	for line := range strings.Lines(b.text) {
		if strings.HasPrefix(line, "From here") {
			t.Errorf("a text broke out:\n%s", b.text)
		}
	}
	if strings.ContainsAny(b.text, "\r\u202e\u2028") {
		t.Errorf("text holds control characters: %q", b.text)
	}
}

// TestCompose compares a whole MIME message, headers and all.
func TestCompose(t *testing.T) {
	for _, tt := range []struct {
		name string
		msg  Message
		logo []byte
	}{{"signin", signIn(), nil}, {"reset-logo", reset(), pixel(t)}} {
		m := &Mailer{Brand: Brand{Name: "Example", Logo: tt.logo}}
		if err := m.Load(); err != nil {
			t.Fatal(err)
		}
		body, err := m.templates.render(tt.msg, m.Brand)
		if err != nil {
			t.Fatal(err)
		}
		l := letter{Message: tt.msg, body: body, logo: tt.logo, from: &mail.Address{Name: "Example", Address: "sso@example.com"},
			id: "abc", date: time.Date(2025, 5, 3, 14, 5, 0, 0, time.UTC)}
		out, err := l.compose()
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if _, err := out.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		raw := b.String()
		if _, err := mail.ReadMessage(strings.NewReader(raw)); err != nil {
			t.Fatal(err)
		}
		for i, boundary := range boundaries(raw) {
			raw = strings.ReplaceAll(raw, boundary, "boundary"+string(rune('A'+i)))
		}
		golden(t, tt.name+".eml", strings.ReplaceAll(raw, "\r\n", "\n"))
	}
}

func boundaries(raw string) []string {
	var out []string
	for _, part := range strings.Split(raw, `boundary=`)[1:] {
		b := strings.Fields(part)[0]
		out = append(out, strings.Trim(b, `";`))
	}
	return out
}

func TestMessageCheck(t *testing.T) {
	tests := []struct {
		why    string
		change func(*Message)
		ok     bool
	}{
		{"as it is", func(m *Message) {}, true},
		{"an address outside ASCII", func(m *Message) { m.To = "björn@example.com" }, true},
		{"no address", func(m *Message) { m.To = "" }, false},
		{"an address with a name", func(m *Message) { m.To = "A <a@example.com>" }, false},
		{"two addresses", func(m *Message) { m.To = "a@example.com, b@example.com" }, false},
		{"an address with a command", func(m *Message) { m.To = "a@example.com\r\nRCPT TO:<b@example.com>" }, false},
		{"a subject with a header", func(m *Message) { m.Subject = "Hi\r\nBcc: b@example.com" }, false},
		{"a subject with a bare line feed", func(m *Message) { m.Subject = "Hi\nBcc: b@example.com" }, false},
		{"a subject that turns around", func(m *Message) { m.Subject = "Hi \u202Eth" }, false},
		{"no subject", func(m *Message) { m.Subject = "" }, false},
		{"a name with a header", func(m *Message) { m.Name = "A\r\nBcc: b@example.com" }, false},
		{"a language with a header", func(m *Message) { m.Lang = "en\r\nBcc: b@example.com" }, false},
		{"a direction that is none", func(m *Message) { m.Dir = "up" }, false},
		{"a code with markup", func(m *Message) { m.Code = "<b>1</b>" }, false},
		{"a link that runs", func(m *Message) { m.Link = "javascript:alert(1)" }, false},
		{"a link without a host", func(m *Message) { m.Link = "/reset" }, false},
		{"a link with a user in front", func(m *Message) { m.Link = "https://auth.example.com@evil.example/" }, false},
		{"a link with a line feed", func(m *Message) { m.Link = "https://auth.example.com/\nx" }, false},
		{"a link without a text", func(m *Message) { m.LinkText = "" }, false},
		{"a text without its link", func(m *Message) { m.Undo = "" }, false},
		{"text that is not UTF-8", func(m *Message) { m.Footer = "\xff" }, false},
		{"a book", func(m *Message) { m.Paragraphs = []string{strings.Repeat("x", 64<<10)} }, false},
	}
	for _, tt := range tests {
		m := reset()
		tt.change(&m)
		if err := m.check(); (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrMessage) {
			t.Errorf("%s: %v", tt.why, err)
		}
	}
}

func TestBrandIsChecked(t *testing.T) {
	for why, b := range map[string]Brand{
		"a colour that is a word":     {Accent: "red"},
		"a colour that is a style":    {Accent: "#fff;background:url(x)"},
		"a name with a header":        {Name: "A\r\nBcc: b"},
		"a picture that is SVG":       {Logo: []byte("<svg/>")},
		"a picture of half a megabye": {Logo: append(pixel(t), make([]byte, 500<<10)...)},
	} {
		if err := (&Mailer{Brand: b}).Load(); err == nil {
			t.Errorf("%s was accepted", why)
		}
	}
}

func TestOnAccent(t *testing.T) {
	for accent, want := range map[string]string{
		"#000000": "#ffffff", "#ffffff": "#000000", "#ffd400": "#000000", DefaultAccent: "#ffffff",
		"#c00000": "#ffffff", "#00c000": "#000000", "#767676": "#000000", "#6b6b6b": "#ffffff",
	} {
		if got := onAccent(accent); got != want {
			t.Errorf("on %s: %s, want %s", accent, got, want)
		}
	}
}

func TestTemplatesOfTheOperator(t *testing.T) {
	tests := []struct{ why, name, content, want string }{
		{"one that holds", "mail.html.tmpl", "<p>{{.Greeting}}", ""},
		{"a field that does not exist", "mail.html.tmpl", "{{.Salutation}}", "Salutation"},
		{"one that does not parse", "mail.txt.tmpl", "{{if}}", "mail.txt.tmpl:1"},
		{"one that fails on a short message", "mail.txt.tmpl", "{{index .Paragraphs 1}}", "out of range"},
	}
	for _, tt := range tests {
		t.Run(tt.why, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, tt.name), []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			m := &Mailer{Config: Config{Templates: dir}}
			err := m.Load()
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				b, err := m.templates.render(hostile(), Brand{})
				if err != nil || !strings.HasPrefix(b.html, "<p>&lt;/td&gt;") || !strings.Contains(b.text, "auth.example.com") {
					t.Errorf("%v\n%s\n%s", err, b.html, b.text)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
	if err := (&Mailer{Config: Config{Templates: "/nowhere"}}).Load(); err == nil {
		t.Error("a folder that does not exist was accepted")
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mail.txt")
	m := &Mailer{Config: Config{File: path}, Brand: Brand{Name: "Example"}, Now: func() time.Time { return time.Date(2025, 5, 3, 14, 5, 0, 0, time.UTC) }}
	if err := m.Load(); err != nil {
		t.Fatal(err)
	}
	if err := m.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) { // it would be that of whoever ran the check
		t.Errorf("Check leaves a file: %v", err)
	}
	for _, msg := range []Message{reset(), signIn(), hostile()} {
		if err := m.send(t.Context(), msg, "abc", m.now()); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "file.mbox", string(b))
	if fi, _ := os.Stat(path); fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", fi.Mode())
	}
	if n := strings.Count("\n"+string(b), "\nFrom "); n != 3 {
		t.Errorf("%d messages as others count them, want 3", n)
	}
	if err := m.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if again, err := os.ReadFile(path); err != nil || !bytes.Equal(again, b) {
		t.Errorf("Check changes the file: %v", err)
	}
	m.Config.File = filepath.Join(path, "x")
	if err := m.Check(t.Context()); err == nil {
		t.Error("a file that cannot be made passes the check")
	}
}

func TestOff(t *testing.T) {
	m := &Mailer{}
	if err := m.Load(); err != nil {
		t.Fatal(err)
	}
	if err := m.Send(t.Context(), reset()); !errors.Is(err, ErrOff) {
		t.Errorf("Send: %v", err)
	}
	if err := m.Check(t.Context()); !errors.Is(err, ErrOff) {
		t.Errorf("Check: %v", err)
	}
	if err := (&Outbox{Mailer: m}).Enqueue(reset()); !errors.Is(err, ErrOff) {
		t.Errorf("Enqueue: %v", err)
	}
}

func TestConfig(t *testing.T) {
	with := func(change func(*SMTP)) Config {
		c := Config{SMTP: SMTP{Address: "submission://mail.example.com", Sender: "Example <sso@example.com>", Username: "u", Password: "p"}}
		change(&c.SMTP)
		return c
	}
	tests := []struct {
		why  string
		c    Config
		want string // in the error; "" for none
	}{
		{"nothing", DefaultConfig(), ""},
		{"the usual", with(func(*SMTP) {}), ""},
		{"without a scheme", with(func(s *SMTP) { s.Address = "mail.example.com:2525" }), ""},
		{"IPv6", with(func(s *SMTP) { s.Address = "smtp://[2001:db8::1]:25" }), ""},
		{"a relay beside us, in the clear", with(func(s *SMTP) { s.Username, s.Password, s.TLS.Mode = "", "", "off" }), ""},
		{"both ways", Config{File: "x", SMTP: SMTP{Address: "h", Sender: "a@example.com"}}, "mail.file"},
		{"a sender without a server", Config{SMTP: SMTP{Sender: "a@example.com"}}, "mail.smtp.address: missing"},
		{"a scheme of the web", with(func(s *SMTP) { s.Address = "https://mail.example.com" }), "none of smtp"},
		{"a port that is none", with(func(s *SMTP) { s.Address = "smtp://mail.example.com:0" }), "not a port"},
		{"an address with a user", with(func(s *SMTP) { s.Address = "smtp://u:p@mail.example.com" }), "mail.smtp.address"},
		{"an address with a command", with(func(s *SMTP) { s.Address = "smtp://mail\r\nx" }), "mail.smtp.address"},
		{"no sender", with(func(s *SMTP) { s.Sender = "" }), "mail.smtp.sender"},
		{"a sender with a header", with(func(s *SMTP) { s.Sender = "a@example.com\r\nBcc: b@example.com" }), "mail.smtp.sender"},
		{"a password in the clear", with(func(s *SMTP) { s.TLS.Mode = "off" }), "in the clear"},
		{"a password perhaps in the clear", with(func(s *SMTP) { s.TLS.Mode = "opportunistic" }), "in the clear"},
		{"a mode that is none", with(func(s *SMTP) { s.TLS.Mode = "maybe" }), "none of required"},
		{"TLS at once, but off", with(func(s *SMTP) { s.Address, s.TLS.Mode = "submissions://h", "off" }), "first byte"},
		{"a user without a password", with(func(s *SMTP) { s.Password = "" }), "go together"},
		{"an hour", with(func(s *SMTP) { s.Timeout = time.Hour }), "mail.smtp.timeout"},
		{"a name with a command", with(func(s *SMTP) { s.Identifier = "x\r\nMAIL" }), "mail.smtp.identifier"},
	}
	for _, tt := range tests {
		err := tt.c.Validate()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.why, err, tt.want)
		}
	}
	if err := with(func(s *SMTP) { s.Address, s.Sender, s.Timeout = "x://", "", -1 }).Validate(); strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("not every fault at once: %v", err)
	}
}

// FuzzOneLine: what comes out is one line of text that reads in one direction, and does
// not change when it goes through again.
func FuzzOneLine(f *testing.F) {
	f.Add("a\r\nb\u2028c\u202Ed")
	f.Add("\x00 \u00a0 x")
	f.Fuzz(func(t *testing.T, s string) {
		out := oneLine(strings.ToValidUTF8(s, ""))
		if hasControl(out) || oneLine(out) != out {
			t.Fatalf("%q became %q", s, out)
		}
	})
}
