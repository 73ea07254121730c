package mail

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	html "html/template"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	text "text/template"
)

//go:embed mail.html.tmpl mail.txt.tmpl
var ours embed.FS

// templates are the two forms of a mail.
type templates struct {
	html *html.Template
	text *text.Template
}

// body is a rendered message.
type body struct{ text, html string }

// view is what a template sees.
type view struct {
	Message
	Brand    Brand
	OnAccent string // #000000 or #ffffff, whichever can be read on Brand.Accent
	HasLogo  bool   // the picture is cid:logo
	Start    string // "left" or "right": where lines begin
}

// loadTemplates reads ours, or those of the operator's folder as far as it has them.
func loadTemplates(dir string) (*templates, error) {
	if dir != "" {
		if fi, err := os.Stat(dir); err != nil || !fi.IsDir() {
			return nil, fmt.Errorf("mail.templates: %s is not a folder", dir)
		}
	}
	source := func(name string) (string, error) {
		if dir != "" {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err == nil || !errors.Is(err, fs.ErrNotExist) {
				return string(b), err
			}
		}
		b, err := ours.ReadFile(name)
		return string(b), err
	}
	h, err := source("mail.html.tmpl")
	if err != nil {
		return nil, fmt.Errorf("mail.templates: %w", err)
	}
	x, err := source("mail.txt.tmpl")
	if err != nil {
		return nil, fmt.Errorf("mail.templates: %w", err)
	}
	var t templates
	if t.html, err = html.New("mail.html.tmpl").Option("missingkey=error").Parse(h); err != nil {
		return nil, fmt.Errorf("mail.templates: %w", err)
	}
	if t.text, err = text.New("mail.txt.tmpl").Option("missingkey=error").Parse(x); err != nil {
		return nil, fmt.Errorf("mail.templates: %w", err)
	}
	return &t, nil
}

// render makes both forms of a message.
func (t *templates) render(m Message, b Brand) (body, error) {
	if b.Accent == "" {
		b.Accent = DefaultAccent
	}
	v := view{Message: m.tidy(), Brand: b, OnAccent: onAccent(b.Accent), HasLogo: len(b.Logo) > 0, Start: "left"}
	if v.Dir == "rtl" {
		v.Start = "right"
	}
	var h, x bytes.Buffer
	if err := t.html.Execute(&h, v); err != nil {
		return body{}, err
	}
	if err := t.text.Execute(&x, v); err != nil {
		return body{}, err
	}
	return body{text: strings.TrimSpace(x.String()) + "\n", html: h.String()}, nil
}

// onAccent picks black or white by the relative luminance of WCAG 2.2: at 0.179 both have
// the same contrast. Linear light is near enough to x^2.2.
func onAccent(hex string) string {
	n, err := strconv.ParseUint(strings.TrimPrefix(hex, "#"), 16, 32)
	if err != nil {
		return "#ffffff"
	}
	linear := func(c uint64) float64 {
		x := float64(c&0xff) / 255
		return x * x * (0.8 + 0.2*x) // within 0.02 of the real curve
	}
	if 0.2126*linear(n>>16)+0.7152*linear(n>>8)+0.0722*linear(n) > 0.179 {
		return "#000000"
	}
	return "#ffffff"
}

// samples are what templates are tried on: everything, and as little as can be.
func samples() []Message {
	return []Message{
		{
			To: "sample@example.com", Name: "Sample", Subject: "Sample", Lang: "en", Greeting: "Hello Sample,",
			Paragraphs: []string{"One.", "Two."}, Code: "123456", Facts: []Fact{{"Browser", "Sample"}},
			Link: "https://auth.example.com/x?y=z", LinkText: "Go on", Undo: "https://auth.example.com/undo", UndoText: "It was not me", Footer: "Bye.",
		},
		{To: "sample@example.com", Subject: "Sample", Dir: "rtl"},
	}
}
