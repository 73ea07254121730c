package portal

import (
	"context"
	"errors"
	"net/http"
	"time"

	"postern/agent/credential"
	"postern/agent/policy"
	"postern/portal/journal"
)

// newTokenBody is what the form shows that makes a credential.
type newTokenBody struct {
	tokenForm
	App   bool   // it is an application password
	Post  string // where the form goes
	Hosts []hostChoice
	Days  []int // that can be chosen, of the expiry
	Offer bool  // the session has proved two factors, and so may the credential
	Say   sentence
	Value string // what Say is about
	At    string // the field that Say is about
}

// hostChoice is one host of the form.
type hostChoice struct {
	Name   string
	Chosen bool
}

// Wrong says that a field was refused.
func (b newTokenBody) Wrong(field string) bool { return b.Say != "" && b.At == field }

// More says that the rarer fields have something in them.
func (b newTokenBody) More() bool { return b.Path != "" || b.Networks != "" }

// newTokenPage is where a credential of a kind is made.
func newTokenPage(k credential.Kind) string {
	if k == credential.App {
		return pageAddApp
	}
	return pageAddToken
}

// showNewToken is GET /settings/tokens/token and /settings/tokens/password.
func (s *site) showNewToken(kind credential.Kind) func(*visit) error {
	return func(v *visit) error {
		if !s.hasTokens() {
			return errNotFound
		}
		if ok, err := s.gate(v, newTokenPage(kind)); !ok {
			return err
		}
		taken := s.taken(v, kind)
		if !taken.Any {
			return v.leave(pageTokens)
		}
		form := tokenForm{Where: whereHere, Expires: defaultDays}
		if len(taken.Hosts) == 0 {
			form.Where = whereAny
		} else if len(taken.Hosts) == 1 {
			form.Chosen = taken.Hosts
		}
		return s.newTokenForm(v, http.StatusOK, kind, form, tokenFault{})
	}
}

func (s *site) newTokenForm(v *visit, code int, kind credential.Kind, form tokenForm, f tokenFault) error {
	taken := s.taken(v, kind)
	b := newTokenBody{
		tokenForm: form, App: kind == credential.App, Post: newTokenPage(kind), Days: dayChoices[:],
		Offer: taken.Two, Say: f.Say, Value: f.Value, At: f.Field,
	}
	for _, h := range taken.Hosts {
		b.Hosts = append(b.Hosts, hostChoice{Name: h, Chosen: form.chose(h)})
	}
	title := sentence("newtoken.title_token")
	if b.App {
		title = "newtoken.title_app"
	}
	return s.render(v, page{Name: "newtoken", Status: code, Title: title, Failed: f.Say != "", Body: b})
}

// madeTokenBody is what the page shows on which a secret can be seen, this once.
type madeTokenBody struct {
	credential.Record
	App    bool
	Secret string
}

// takeNewToken is POST /settings/tokens/token and /settings/tokens/password: it makes a
// credential that can do no more than its owner, and shows its secret.
func (s *site) takeNewToken(kind credential.Kind) func(*visit) error {
	return func(v *visit) error {
		if ok, err := s.changeTokens(v, newTokenPage(kind)); !ok {
			return err
		}
		taken := s.taken(v, kind)
		if !taken.Any {
			return v.leave(pageTokens)
		}
		form := readTokenForm(v)
		draft, fault, err := form.draft(taken.Hosts, s.now())
		if err != nil {
			return err
		}
		if fault.Say != "" {
			return s.newTokenForm(v, http.StatusUnprocessableEntity, kind, form, fault)
		}
		draft.Kind, draft.Owner, draft.Level = kind, v.session.User, policy.LevelOne
		if form.Two && taken.Two {
			draft.Level = policy.LevelTwo
		}
		return s.makeToken(v, draft)
	}
}

func (s *site) makeToken(v *visit, draft credential.Draft) error {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	if err := s.once(v); errors.Is(err, errTwice) {
		return v.leaveDone(pageTokens, "settings.again")
	} else if err != nil {
		return err
	}
	secret, r, err := s.Factors.Programs.Create(ctx, draft)
	switch {
	case errors.Is(err, credential.ErrTooMany):
		return s.tokensPage(v, http.StatusConflict, "tokens.full")
	case errors.Is(err, credential.ErrDraft):
		return errors.Join(errForm, err)
	case err != nil:
		return err
	}
	s.log().Info("credential made", "rid", v.id, "addr", v.addr.String(), "user", r.Owner, "session", v.session.ID, "kind", string(r.Kind), "credential", r.ID, "level", int(r.Level))
	s.note(v, journal.Event{Kind: journal.TokenCreated, User: r.Owner, Detail: r.Name})
	s.letterToken(v, r)
	title := sentence("newtoken.made_token")
	if r.Kind == credential.App {
		title = "newtoken.made_app"
	}
	return s.render(v, page{Name: "madetoken", Status: http.StatusOK, Title: title, Body: madeTokenBody{Record: r, App: r.Kind == credential.App, Secret: secret}})
}

// expiry is when a credential ends that is made now; zero: never.
func expiry(days int, now time.Time) time.Time {
	if days == 0 {
		return time.Time{}
	}
	return now.Add(time.Duration(days) * 24 * time.Hour)
}
