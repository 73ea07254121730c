package portal

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/text/language"
)

// message is an entry of a file in locales.
type message map[string]string

// locale reads a file of locales.
func locale(t *testing.T, name string) map[string]message {
	t.Helper()
	raw, err := localeFiles.ReadFile("locales/" + name)
	must(t, err)
	out := map[string]message{}
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return out
}

// spoken finds every key that templates and code use, with a place.
func spoken(t *testing.T, known map[string]message) map[string]string {
	t.Helper()
	prefixes := map[string]bool{}
	for key := range known {
		prefix, _, _ := strings.Cut(key, ".")
		prefixes[prefix] = true
	}
	used := map[string]string{}
	templates, err := templateFiles.ReadDir("templates")
	must(t, err)
	call := regexp.MustCompile(`\.T "([^"]+)"`)
	for _, f := range templates {
		body, err := templateFiles.ReadFile("templates/" + f.Name())
		must(t, err)
		for _, m := range call.FindAllStringSubmatch(string(body), -1) {
			used[m[1]] = f.Name()
		}
	}
	shape := regexp.MustCompile(`^([a-z]+)\.[a-z_]+$`)
	files, err := os.ReadDir(".")
	must(t, err)
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, 0)
		must(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			text, _ := strconv.Unquote(lit.Value)
			if m := shape.FindStringSubmatch(text); m != nil && prefixes[m[1]] {
				used[text] = f.Name()
			}
			return true
		})
	}
	return used
}

func TestEverySentenceIsInEveryLanguage(t *testing.T) {
	english := locale(t, "en.json")
	used := spoken(t, english)
	for key, where := range used {
		if english[key] == nil {
			t.Errorf("%s says %q, which en.json does not have", where, key)
		}
	}
	for key := range english {
		if used[key] == "" {
			t.Errorf("en.json has %q, which nothing says", key)
		}
	}
	files, err := localeFiles.ReadDir("locales")
	must(t, err)
	for _, f := range files {
		other := locale(t, f.Name())
		for key, m := range english {
			if other[key] == nil {
				t.Errorf("%s lacks %q: %s", f.Name(), key, m["description"])
				continue
			}
			compare(t, f.Name(), key, m, other[key])
		}
		for key := range other {
			if english[key] == nil {
				t.Errorf("%s has %q, which en.json does not", f.Name(), key)
			}
		}
	}
}

var placeholder = regexp.MustCompile(`{{[^}]*}}`)

// compare holds a translation against the English sentence: described, not empty, and
// with the same placeholders in every plural form.
func compare(t *testing.T, file, key string, english, other message) {
	t.Helper()
	if english["description"] == "" || other["other"] == "" {
		t.Errorf("%s: %q has no description or no text", file, key)
	}
	sorted := func(s string) []string {
		found := placeholder.FindAllString(s, -1)
		slices.Sort(found)
		return found
	}
	want := sorted(english["other"])
	for form, text := range other {
		if form != "description" && !slices.Equal(sorted(text), want) {
			t.Errorf("%s: %q (%s): placeholders %q, want %q", file, key, form, sorted(text), want)
		}
	}
}

func TestLanguageOfThePage(t *testing.T) {
	h := openHouse(t)
	for accept, want := range map[string]string{
		"": "en", "uk,en;q=0.9": "en", "uk": "en", "uk,pl;q=0.5": "pl", "zh-TW": "zh", "pt-BR,en;q=0.5": "pt", "de": "de", "de-AT,en;q=0.5": "de", "en;q=0.5,de;q=0.9": "de", "tlh": "en", "*": "en",
		"xx-invalid-;;;": "en", strings.Repeat("de,", 500): "en",
	} {
		b := h.browser()
		b.header.Set("Accept-Language", accept)
		page := b.get(auth + "/")
		page.want(t, http.StatusOK, `<html lang="`+want+`" dir="ltr">`)
		if page.Header.Get("Content-Language") != want || !strings.Contains(page.Header.Get("Vary"), "Accept-Language") {
			t.Errorf("%q: headers %v", accept, page.Header)
		}
	}
}

func TestSwitchingTheLanguage(t *testing.T) {
	h := openHouse(t)
	const rd = "https://wiki.example.com/a?b=c"
	b := h.browser()
	b.header.Set("Accept-Language", "en")
	page := b.get(auth + "/?rd=" + url.QueryEscape(rd) + "&rm=GET")
	page.want(t, http.StatusOK, `<button name="lang" value="de" lang="de">Deutsch</button>`)
	b.send(page, "/language", "lang", "de", "here", "/").wantRedirect(t, "/?rd="+url.QueryEscape(rd)+"&rm=GET")
	again := b.get(auth + "/?rd=" + url.QueryEscape(rd))
	again.want(t, http.StatusOK, "um fortzufahren zu", `lang="de" aria-current="true"`)
	b.send(again, "/", "username", "bob", "password", "falsch").want(t, http.StatusUnauthorized, "Benutzername oder Passwort stimmt nicht.", "<title>Fehler: Anmelden")
	for here, want := range map[string]string{
		"/signed-out": "/signed-out", "//evil.test": "/", "/\\evil.test": "/", "https://evil.test": "/", "": "/",
	} {
		b.send(b.get(auth+"/"), "/language", "lang", "en", "here", here).wantRedirect(t, want)
	}
	b.send(b.get(auth+"/"), "/language", "lang", "../x").want(t, http.StatusBadRequest)
}

func TestPlurals(t *testing.T) {
	c, err := openCatalogue()
	must(t, err)
	for _, tt := range []struct {
		tag  string
		n    int
		want string
	}{
		{"en", 1, "Too many attempts. Try again in 1 second."}, {"en", 30, "Too many attempts. Try again in 30 seconds."},
		{"de", 1, "Zu viele Versuche. Versuche es in 1 Sekunde wieder."}, {"de", 2, "Zu viele Versuche. Versuche es in 2 Sekunden wieder."},
	} {
		if got := c.speakers[tt.tag].say("signin.wait", "Count", tt.n); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
	if got := c.speakers["de"].say("no.such_sentence"); got != "no.such_sentence" {
		t.Errorf("a key that is none: %q", got)
	}
}

// TestEveryLanguageIsRead: files are read when a language is first spoken, where nobody
// sees what is wrong with one.
func TestEveryLanguageIsRead(t *testing.T) {
	c, err := openCatalogue()
	must(t, err)
	names := map[string]string{}
	for _, one := range c.choices() {
		names[one.Tag] = one.Name
	}
	if len(names) != 10 || len(c.tags) != 10 || c.tags[0] != language.English {
		t.Errorf("languages %v, choices %v", c.tags, names)
	}
	seen := map[string]string{}
	for tag, s := range c.speakers {
		name := s.say("language.name")
		if name == "language.name" || name != names[tag] || seen[name] != "" {
			t.Errorf("%s calls itself %q, is offered as %q; %s calls itself so", tag, name, names[tag], seen[name])
		}
		seen[name] = tag
	}
}

// TestEveryPageIsParsed: so are pages, when they are first shown.
func TestEveryPageIsParsed(t *testing.T) {
	pages, err := openTemplates()
	must(t, err)
	if len(pages.byName) < 20 {
		t.Errorf("%d pages", len(pages.byName))
	}
	for name, open := range pages.byName {
		if page, err := open(); err != nil || page.Lookup("layout.html") == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDirection(t *testing.T) {
	for tag, want := range map[string]string{"en": "ltr", "ar": "rtl", "he": "rtl", "fa-IR": "rtl", "ur": "rtl", "ja": "ltr", "ru": "ltr"} {
		if got := direction(language.MustParse(tag)); got != want {
			t.Errorf("%s: %s, want %s", tag, got, want)
		}
	}
}
