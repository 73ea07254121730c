package portal

import (
	"embed"
	"encoding/json"
	"fmt"
	"sort"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
)

//go:embed locales/*.json
var localeFiles embed.FS

// sentence is the key of something that the portal says. Each is in every file of
// locales; a test compares them with those that templates and code use.
type sentence string

// catalogue is every sentence in every language.
type catalogue struct {
	tags     []language.Tag // English first: what is said when nothing else fits
	matcher  language.Matcher
	speakers map[string]*speaker
	choices  []choice
}

// speaker says sentences in one language.
type speaker struct {
	Tag   string // BCP 47
	Dir   string // "ltr" or "rtl"
	words *i18n.Localizer
}

// choice is a language as the footer offers it.
type choice struct{ Tag, Name string }

// openCatalogue reads the languages that are built in.
func openCatalogue() (*catalogue, error) {
	bundle := i18n.NewBundle(language.English)
	bundle.RegisterUnmarshalFunc("json", json.Unmarshal)
	files, err := localeFiles.ReadDir("locales")
	if err != nil {
		return nil, fmt.Errorf("portal: languages: %w", err)
	}
	for _, f := range files {
		if _, err := bundle.LoadMessageFileFS(localeFiles, "locales/"+f.Name()); err != nil {
			return nil, fmt.Errorf("portal: language %s: %w", f.Name(), err)
		}
	}
	c := &catalogue{speakers: map[string]*speaker{}}
	c.tags = append([]language.Tag{language.English}, without(bundle.LanguageTags(), language.English)...)
	c.matcher = language.NewMatcher(c.tags)
	for _, t := range c.tags {
		s := &speaker{Tag: t.String(), Dir: direction(t), words: i18n.NewLocalizer(bundle, t.String())}
		c.speakers[s.Tag] = s
		c.choices = append(c.choices, choice{s.Tag, s.say("language.name")})
	}
	sort.Slice(c.choices, func(i, j int) bool { return c.choices[i].Name < c.choices[j].Name })
	return c, nil
}

func without(tags []language.Tag, t language.Tag) []language.Tag {
	var out []language.Tag
	for _, x := range tags {
		if x != t {
			out = append(out, x)
		}
	}
	return out
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
	text, err := s.words.Localize(config)
	if err != nil && text == "" {
		return string(key)
	}
	return text
}
