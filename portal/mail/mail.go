// Package mail writes to people: it renders a Message as text and HTML and hands it to an
// SMTP server, or, for trials, to a file.
//
// It does not know why somebody is written to and holds no sentence of its own (portal's
// catalogue has them), receives nothing, and keeps no mail over a restart.
package mail

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// What callers tell apart.
var (
	// ErrOff says that the configuration names no way to send mail.
	ErrOff = errors.New("mail is not configured")
	// ErrMessage says that a message cannot be sent as it is: an address that is none, a
	// control character in a header, a link that is not absolute. Trying again is no use.
	ErrMessage = errors.New("unusable message")
	// ErrRefused says that the server will not take this message, now or later.
	ErrRefused = errors.New("mail refused for good")
)

// Message is one mail to one person. Every text is plain; it is escaped where it goes.
type Message struct {
	To         string // mail address
	Name       string // of the person, for the To header
	Subject    string
	Lang       string // BCP 47, for screen readers and hyphenation
	Dir        string // "ltr" or "rtl"; "" is ltr
	Greeting   string
	Paragraphs []string
	Code       string // one-time code, shown large
	Facts      []Fact // what happened: browser, address, time
	Link       string // absolute http or https URL: the one thing to do
	LinkText   string
	Undo       string // absolute URL: "it wasn't me"
	UndoText   string
	Footer     string
}

// Fact is one line of a small table.
type Fact struct{ Label, Value string }

// Brand is the look of the mails.
type Brand struct {
	Name   string // product or company
	Accent string // #rrggbb; "" is DefaultAccent
	Logo   []byte // PNG or JPEG of at most 100 KiB, sent along; nil: Name as text
}

// DefaultAccent is the colour of the button when the brand has none.
const DefaultAccent = "#2456c8"

const (
	maxLogo = 100 << 10
	maxText = 32 << 10 // bytes of all texts of a message together
)

// Mailer renders and sends. Fill it and call Load once.
type Mailer struct {
	Config Config
	Brand  Brand
	Now    func() time.Time // nil means time.Now

	templates *templates
}

// Load reads the templates, tries them on a sample and checks the configuration and the
// brand. Nothing is sent; see Check.
func (m *Mailer) Load() error {
	if err := errors.Join(m.Config.Validate(), m.Brand.validate()); err != nil {
		return err
	}
	t, err := loadTemplates(m.Config.Templates)
	if err != nil {
		return err
	}
	for _, sample := range samples() {
		if _, err := t.render(sample, m.Brand); err != nil {
			return fmt.Errorf("mail: templates: %w", err)
		}
	}
	m.templates = t
	return nil
}

// Send renders a message and delivers it; it returns when the server has taken it.
// Errors: ErrOff, ErrMessage, ErrRefused; any other may be gone at the next try.
func (m *Mailer) Send(ctx context.Context, msg Message) error {
	return m.send(ctx, msg, messageID(), m.now())
}

// send is Send with what stays the same when a message is tried again.
func (m *Mailer) send(ctx context.Context, msg Message, id string, date time.Time) error {
	if !m.Config.Enabled() {
		return ErrOff
	}
	if err := msg.check(); err != nil {
		return err
	}
	if m.templates == nil {
		return errors.New("mail: Load was not called")
	}
	body, err := m.templates.render(msg, m.Brand)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMessage, err)
	}
	l := letter{Message: msg, body: body, logo: m.Brand.Logo, from: m.sender(), id: id, date: date}
	if m.Config.File != "" {
		return l.append(m.Config.File)
	}
	return m.Config.SMTP.deliver(ctx, l)
}

// Check tries what can be tried without sending anything: the server answers, TLS holds,
// it takes the password; or the file can be written.
func (m *Mailer) Check(ctx context.Context) error {
	switch {
	case !m.Config.Enabled():
		return ErrOff
	case m.Config.File != "":
		return checkFile(m.Config.File)
	}
	return m.Config.SMTP.check(ctx)
}

func (m *Mailer) now() time.Time {
	if m.Now == nil {
		return time.Now()
	}
	return m.Now()
}

// sender is who writes: as configured, else the brand at nowhere (a file only).
func (m *Mailer) sender() *mail.Address {
	from := &mail.Address{Address: "postern@localhost"}
	if m.Config.SMTP.Sender != "" {
		if a, err := mail.ParseAddress(m.Config.SMTP.Sender); err == nil { // Validate has seen it
			from = a
		}
	}
	if from.Name == "" {
		from.Name = m.Brand.Name
	}
	return from
}

// check refuses what could break out of its place in the mail.
func (m Message) check() error {
	a, err := mail.ParseAddress(m.To)
	if err != nil || a.Address != m.To || a.Name != "" || hasControl(m.To) {
		return fmt.Errorf("%w: %q is not a mail address", ErrMessage, m.To)
	}
	size := 0
	for _, s := range m.texts() {
		if !utf8.ValidString(s) {
			return fmt.Errorf("%w: a text is not UTF-8", ErrMessage)
		}
		size += len(s)
	}
	switch {
	case size > maxText:
		return fmt.Errorf("%w: longer than %d KiB", ErrMessage, maxText>>10)
	case m.Subject == "" || hasControl(m.Subject) || len(m.Subject) > 500:
		return fmt.Errorf("%w: the subject is empty, very long or holds control characters", ErrMessage)
	case hasControl(m.Name) || len(m.Name) > 500:
		return fmt.Errorf("%w: the name is very long or holds control characters", ErrMessage)
	case !language.MatchString(m.Lang):
		return fmt.Errorf("%w: %q is not a language", ErrMessage, m.Lang)
	case m.Dir != "" && m.Dir != "ltr" && m.Dir != "rtl":
		return fmt.Errorf("%w: %q is not a direction", ErrMessage, m.Dir)
	case !code.MatchString(m.Code):
		return fmt.Errorf("%w: the code has other characters than letters, digits and hyphens", ErrMessage)
	}
	for _, l := range []struct{ url, text string }{{m.Link, m.LinkText}, {m.Undo, m.UndoText}} {
		u, err := url.Parse(l.url)
		if l.url != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || hasControl(l.url) || strings.ContainsAny(l.url, " <>\"'")) {
			return fmt.Errorf("%w: a link is not an absolute http or https URL", ErrMessage)
		}
		if (l.url == "") != (l.text == "") {
			return fmt.Errorf("%w: a link without its text, or the other way round", ErrMessage)
		}
	}
	return nil
}

var (
	language = regexp.MustCompile(`^([A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*)?$`)
	code     = regexp.MustCompile(`^[A-Za-z0-9-]{0,64}$`)
	colour   = regexp.MustCompile(`^(#[0-9a-fA-F]{6})?$`)
)

// texts are all texts of a message.
func (m Message) texts() []string {
	out := append([]string{m.To, m.Name, m.Subject, m.Lang, m.Dir, m.Greeting, m.Code, m.Link, m.LinkText, m.Undo, m.UndoText, m.Footer}, m.Paragraphs...)
	for _, f := range m.Facts {
		out = append(out, f.Label, f.Value)
	}
	return out
}

// tidy returns the message with its free texts on one line each: a name or a browser
// that somebody made up cannot look like a paragraph of ours.
func (m Message) tidy() Message {
	m.Greeting, m.LinkText, m.UndoText, m.Footer = oneLine(m.Greeting), oneLine(m.LinkText), oneLine(m.UndoText), oneLine(m.Footer)
	m.Paragraphs = append([]string(nil), m.Paragraphs...)
	for i, p := range m.Paragraphs {
		m.Paragraphs[i] = oneLine(p)
	}
	m.Facts = append([]Fact(nil), m.Facts...)
	for i, f := range m.Facts {
		m.Facts[i] = Fact{oneLine(f.Label), oneLine(f.Value)}
	}
	if m.Dir == "" {
		m.Dir = "ltr"
	}
	return m
}

// oneLine makes one line of s and drops what would turn the text around.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) && r != '\u00a0' && r != '\u202f' || unicode.IsControl(r) ||
			r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e'
	}), " ")
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e'
	})
}

func (b Brand) validate() error {
	var errs []error
	if hasControl(b.Name) || len(b.Name) > 200 {
		errs = append(errs, errors.New("mail: the name of the brand is very long or holds control characters"))
	}
	if !colour.MatchString(b.Accent) {
		errs = append(errs, fmt.Errorf("mail: the accent %q is not of the form #rrggbb", b.Accent))
	}
	if len(b.Logo) > maxLogo {
		errs = append(errs, fmt.Errorf("mail: the logo is larger than %d KiB", maxLogo>>10))
	}
	if kind, _ := logoType(b.Logo); len(b.Logo) > 0 && kind == "" {
		errs = append(errs, errors.New("mail: the logo is neither PNG nor JPEG"))
	}
	return errors.Join(errs...)
}
