package portal

import (
	"embed"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"sync"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
)

//go:embed locales/*.json
var localeFiles embed.FS

// sentence is the key of something that the portal says. Each is in every file of
// locales; a test compares them with those that templates and code use.
type sentence string

// catalogue is every sentence in every language. A language is read when it is first
// spoken: most portals speak few of them.
type catalogue struct {
	tags     []language.Tag // English first: what is said when nothing else fits
	matcher  language.Matcher
	speakers map[string]*speaker
	choices  func() []choice // for the footer, by name
}

// speaker says sentences in one language.
type speaker struct {
	Tag   string // BCP 47
	Dir   string // "ltr" or "rtl"
	words func() *i18n.Localizer
}

// choice is a language as the footer offers it.
type choice struct{ Tag, Name string }

// openCatalogue finds the languages that are built in. They are files of the program; a
// test reads each of them.
func openCatalogue() (*catalogue, error) {
	files, err := localeFiles.ReadDir("locales")
	if err != nil {
		return nil, fmt.Errorf("portal: languages: %w", err)
	}
	c := &catalogue{tags: []language.Tag{language.English}, speakers: map[string]*speaker{}}
	for _, f := range files {
		t, err := language.Parse(strings.TrimSuffix(f.Name(), ".json"))
		if err != nil {
			return nil, fmt.Errorf("portal: language %s: %w", f.Name(), err)
		}
		if t != language.English {
			c.tags = append(c.tags, t)
		}
	}
	c.matcher = language.NewMatcher(c.tags)
	for _, t := range c.tags {
		c.speakers[t.String()] = &speaker{Tag: t.String(), Dir: direction(t), words: sync.OnceValue(func() *i18n.Localizer { return learn(t) })}
	}
	c.choices = sync.OnceValue(c.offer)
	return c, nil
}

// localeFile is the name of a language's file.
func localeFile(tag string) string { return "locales/" + tag + ".json" }

// learn reads a language, with English behind it for what it lacks. What cannot be read
// is said by its key.
func learn(t language.Tag) *i18n.Localizer {
	bundle := i18n.NewBundle(language.English)
	bundle.RegisterUnmarshalFunc("json", json.Unmarshal)
	_, _ = bundle.LoadMessageFileFS(localeFiles, localeFile(language.English.String()))
	if t != language.English {
		_, _ = bundle.LoadMessageFileFS(localeFiles, localeFile(t.String()))
	}
	return i18n.NewLocalizer(bundle, t.String())
}

// offer reads what each language calls itself.
func (c *catalogue) offer() []choice {
	var list []choice
	for _, t := range c.tags {
		var file struct {
			Name struct {
				Other string `json:"other"`
			} `json:"language.name"`
		}
		data, _ := localeFiles.ReadFile(localeFile(t.String()))
		if json.Unmarshal(data, &file) != nil || file.Name.Other == "" {
			file.Name.Other = t.String()
		}
		list = append(list, choice{t.String(), file.Name.Other})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list
}

// direction is how a language's script runs.
func direction(t language.Tag) string {
	switch script, _ := t.Script(); script.String() {
	case "Arab", "Hebr", "Thaa", "Syrc", "Nkoo", "Adlm":
		return "rtl"
	}
	return "ltr"
}

// choose returns the speaker for a language that was chosen, else the best one for an
// Accept-Language header.
func (c *catalogue) choose(chosen, accept string) *speaker {
	if s, ok := c.speakers[chosen]; ok {
		return s
	}
	if len(accept) > 1000 {
		accept = ""
	}
	wanted, _, err := language.ParseAcceptLanguage(accept)
	if err != nil {
		wanted = nil
	}
	// Each by itself: a language that merely resembles one of ours (Ukrainian, Russian) must
	// not go before the English that was asked for as well.
	for _, w := range wanted {
		_, i, sure := c.matcher.Match(w)
		ours, _ := c.tags[i].Base()
		theirs, _ := w.Base()
		if sure >= language.High || sure > language.No && ours == theirs {
			return c.speakers[c.tags[i].String()]
		}
	}
	return c.speakers[c.tags[0].String()]
}

// say returns a sentence. args are names and values for its placeholders; the value of
// "Count" also picks its plural form. A key that no language has comes back as it is.
func (s *speaker) say(key sentence, args ...any) string {
	config := &i18n.LocalizeConfig{MessageID: string(key)}
	if len(args) > 0 {
		data := map[string]any{}
		for i := 0; i+1 < len(args); i += 2 {
			if name, ok := args[i].(string); ok {
				data[name] = args[i+1]
			}
		}
		config.TemplateData, config.PluralCount = data, data["Count"]
	}
	text, err := s.words().Localize(config)
	if err != nil && text == "" {
		return string(key)
	}
	return text
}
