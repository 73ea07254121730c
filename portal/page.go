package portal

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"path"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"postern/agent/policy"
)

//go:embed templates/*.html
var templateFiles embed.FS

// templates are the pages, by name; each is the layout with one content, and is parsed
// when it is first shown.
type templates struct {
	byName map[string]func() (*template.Template, error)
}

// openTemplates finds the pages. They are files of the program; a test parses each.
func openTemplates() (*templates, error) {
	files, err := templateFiles.ReadDir("templates")
	if err != nil {
		return nil, fmt.Errorf("portal: templates: %w", err)
	}
	t := &templates{byName: map[string]func() (*template.Template, error){}}
	for _, f := range files {
		if name := strings.TrimSuffix(f.Name(), path.Ext(f.Name())); name != "layout" {
			t.byName[name] = sync.OnceValues(func() (*template.Template, error) {
				return template.New("layout.html").Funcs(template.FuncMap{"initial": initial}).ParseFS(templateFiles, "templates/layout.html", "templates/"+f.Name())
			})
		}
	}
	return t, nil
}

// page is one answer to a person.
type page struct {
	Name   string // of the template
	Status int
	Title  sentence
	Failed bool // the title begins with "Error:"
	Body   any  // what the template of that name shows

	site  *site
	visit *visit
	own   string   // see own
	done  sentence // see own
}

// render answers with a page.
func (s *site) render(v *visit, p page) error {
	open := s.pages.byName[p.Name]
	if open == nil {
		return fmt.Errorf("no template %q", p.Name)
	}
	t, err := open()
	if err != nil {
		return fmt.Errorf("template %s: %w", p.Name, err)
	}
	p.site, p.visit = s, v
	var b bytes.Buffer
	if err := t.Execute(&b, p); err != nil {
		return fmt.Errorf("page %s: %w", p.Name, err)
	}
	s.pageHeaders(v)
	v.c.Set(fiber.HeaderContentType, "text/html; charset=utf-8")
	return v.c.Status(p.Status).Send(b.Bytes())
}

// What follows is what templates ask of a page.

// T says a sentence in the visitor's language.
func (p page) T(key sentence, args ...any) string { return p.visit.words.say(key, args...) }

// Lang and Dir are for the html element.
func (p page) Lang() string { return p.visit.words.Tag }

// Dir is the direction of the language's script.
func (p page) Dir() string { return p.visit.words.Dir }

// Asset is the address of an asset.
func (p page) Asset(name string) string { return p.site.assets.path(name) }

// Brand is what the operator set.
func (p page) Brand() *brand { return p.site.brand }

// CSRF is the token of every form on the page.
func (p page) CSRF() string { return p.visit.pageToken(p.site.Server) }

// Target is where the sign-in leads.
func (p page) Target() target { return p.visit.target }

// Next is the page of the person's own that comes before Target.
func (p page) Next() string { return p.visit.page }

// To is path with everything that says where the person is going.
func (p page) To(path string) string { return p.visit.goal(path) }

// Way is the page that asks for another proof.
func (p page) Way(f policy.Factor) string {
	return with(p.visit.goal("/prove"), "way="+f.String())
}

// WayName is what a proof is called on a link.
func (p page) WayName(f policy.Factor) sentence {
	switch f {
	case policy.WebAuthn:
		return "prove.use_passkey"
	case policy.TOTP:
		return "prove.use_app"
	case policy.Recovery:
		return "prove.use_recovery"
	case policy.Mail:
		return "prove.use_mail"
	}
	return "prove.use_password"
}

// Passkeys says whether the page may run a ceremony.
func (p page) Passkeys() bool { return p.Name == "signin" || p.Name == "prove" || p.Name == "addkey" }

// AppLink lets an otpauth address through, which opens the authenticator app.
func (p page) AppLink(uri string) template.URL {
	if !strings.HasPrefix(uri, "otpauth://totp/") {
		return ""
	}
	return template.URL(uri)
}

// Here is the page's own path, for the forms that come back to it; where a link from a
// mail leads, with its slip.
func (p page) Here() string {
	path := p.visit.c.Path()
	if path == pageResetNew || path == pageNotMe {
		path += "?slip=" + p.visit.form("slip")
	}
	return herePath(path)
}

// Resets says whether a forgotten password can be set by a link from a mail.
func (p page) Resets() bool { return p.site.resets() }

// RequestID names the request in logs.
func (p page) RequestID() string { return p.visit.id }

// Languages are those that can be chosen.
func (p page) Languages() []choice { return p.site.words.choices() }

// Back is the way out of an error: the sign-in, with what is known of its target.
func (p page) Back() string { return p.visit.target.at("/") }

// initial is the first letter of a name, for the small picture beside it.
func initial(name string) string {
	r, _ := utf8.DecodeRuneInString(name)
	if r == utf8.RuneError {
		return ""
	}
	return string(unicode.ToUpper(r))
}

// printable says that s has no control characters.
func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}
