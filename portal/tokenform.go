package portal

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"postern/agent/credential"
	"postern/agent/policy"
)

// What the form of a new credential can say.
const (
	whereAny  = "any"
	whereHere = "here"

	mayAll  = ""
	mayRead = "read"
	maySend = "send"

	maxTokenNetworks = 16
	maxTokenHosts    = 32
	maxTokenPath     = 256 // bytes
)

// dayChoices are the lifetimes that people choose from, in days; 365 is called a year,
// and 0 means no end.
var dayChoices = [...]int{7, 30, 90, 365, 0}

// defaultDays is the lifetime that is chosen when the form opens.
const defaultDays = 90

// The methods of mayRead and maySend.
const (
	methodsRead = "GET, HEAD"
	methodsSend = "POST"
)

// tokenForm is the form of a new credential as it was filled in.
type tokenForm struct {
	Name     string
	Where    string   // whereAny or whereHere
	Chosen   []string // hosts
	May      string   // mayAll, mayRead or maySend
	Expires  int      // days; -1: none of the choices
	Path     string
	Networks string
	Two      bool // it shall count as two factors
}

// tokenFault says what is wrong with a form; the zero value: nothing.
type tokenFault struct {
	Field string
	Say   sentence
	Value string
}

func readTokenForm(v *visit) tokenForm {
	f := tokenForm{
		Name: strings.TrimSpace(v.field("name")), Where: v.field("where"), May: v.field("may"), Expires: -1,
		Path: strings.TrimSpace(v.field("path")), Networks: strings.TrimSpace(v.field("networks")), Two: v.field("two") == "yes",
	}
	for _, b := range v.c.Request().PostArgs().PeekMulti("host") {
		f.Chosen = append(f.Chosen, string(b))
	}
	if days, err := strconv.Atoi(v.field("expires")); err == nil && slices.Contains(dayChoices[:], days) {
		f.Expires = days
	}
	return f
}

func (f tokenForm) chose(host string) bool { return slices.Contains(f.Chosen, host) }

// draft reads the form. hosts are those that were offered. The fault is one that the
// person can mend; the error is errForm for what the page cannot have sent.
func (f tokenForm) draft(hosts []string, now time.Time) (d credential.Draft, fault tokenFault, err error) {
	d = credential.Draft{Name: f.Name, Expires: expiry(f.Expires, now)}
	if f.Expires < 0 || len(f.Chosen) > maxTokenHosts {
		return d, tokenFault{}, errForm
	}
	if utf8.RuneCountInString(f.Name) > credential.MaxName || f.Name == "" || !utf8.ValidString(f.Name) || !printable(f.Name) {
		return d, tokenFault{Field: "name", Say: "enrol.bad_name"}, nil
	}
	switch f.May {
	case mayAll:
	case mayRead:
		d.Scope.Methods = strings.Split(methodsRead, ", ")
	case maySend:
		d.Scope.Methods = []string{methodsSend}
	default:
		return d, tokenFault{}, errForm
	}
	switch f.Where {
	case whereAny:
	case whereHere:
		for _, h := range f.Chosen {
			if !slices.Contains(hosts, h) {
				return d, tokenFault{}, errForm
			}
		}
		if d.Scope.Hosts = f.Chosen; len(f.Chosen) == 0 {
			return d, tokenFault{Field: "where", Say: "newtoken.no_host"}, nil
		}
	default:
		return d, tokenFault{}, errForm
	}
	d.Scope.Path = strings.TrimRight(f.Path, "/")
	if len(f.Path) > maxTokenPath || d.Scope.Path != "" && !policy.CleanPath(d.Scope.Path) {
		return d, tokenFault{Field: "path", Say: "newtoken.bad_path"}, nil
	}
	d.Scope.Networks, fault = readNetworks(f.Networks)
	return d, fault, nil
}

// readNetworks reads addresses and networks with commas or spaces between them.
func readNetworks(text string) ([]string, tokenFault) {
	list := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == ';' })
	for i, n := range list {
		if _, ok := policy.ParseNetwork(n); !ok || i >= maxTokenNetworks {
			return nil, tokenFault{Field: "networks", Say: "newtoken.bad_network", Value: clip(n, 64)}
		}
	}
	return list, tokenFault{}
}
