package portal

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"postern/agent/credential"
	"postern/agent/policy"
	"postern/portal/journal"
)

// Credentials are the tokens and application passwords of people. credential.Book is one.
type Credentials interface {
	Create(ctx context.Context, d credential.Draft) (secret string, r credential.Record, err error)
	List(ctx context.Context, owner string) ([]credential.Record, error)
	Revoke(ctx context.Context, owner, id string) error
	RevokeAll(ctx context.Context, owner string) ([]credential.Record, error)
}

// maxTokenID bounds the id of a credential that a form names, in bytes.
const maxTokenID = 64

// tokensBody is what /settings/tokens shows.
type tokensBody struct {
	Rows    []tokenRow
	Offers  []credential.Kind // what can be made
	Full    bool              // there can be no more
	Nowhere bool              // no rule takes any from this person
	Say     sentence          // what went wrong; empty: nothing
}

// Count is how many there are.
func (b tokensBody) Count() int { return len(b.Rows) }

// tokenRow is one credential as the page shows it.
type tokenRow struct {
	credential.Record
	Limits  []string // see limits
	Expired bool
}

// App says that it is an application password.
func (r tokenRow) App() bool { return r.Kind == credential.App }

// limits says in the visitor's words what a credential is good for.
func limits(v *visit, r credential.Record) []string {
	say := v.words.say
	list := []string{strings.Join(r.Scope.Hosts, ", ")}
	if len(r.Scope.Hosts) == 0 {
		list[0] = say("tokens.everywhere")
	}
	switch methods := strings.Join(r.Scope.Methods, ", "); methods {
	case "":
	case methodsRead:
		list = append(list, say("tokens.reading"))
	case methodsSend:
		list = append(list, say("tokens.sending"))
	default:
		list = append(list, methods)
	}
	if r.Scope.Path != "" {
		list = append(list, say("tokens.below", "Path", r.Scope.Path))
	}
	if len(r.Scope.Networks) > 0 {
		list = append(list, say("tokens.from", "Networks", strings.Join(r.Scope.Networks, ", ")))
	}
	if r.Level >= policy.LevelTwo {
		list = append(list, say("tokens.two"))
	}
	return list
}

// hasTokens says whether programs can come in at all: without a rule that takes tokens or
// application passwords there are no pages about them.
func (s *site) hasTokens() bool {
	return s.Factors.Programs != nil && s.Rules().Credentials().Header()
}

// showTokens is GET /settings/tokens.
func (s *site) showTokens(v *visit) error {
	if !s.hasTokens() {
		return errNotFound
	}
	if ok, err := s.gate(v, pageTokens); !ok {
		return err
	}
	return s.tokensPage(v, http.StatusOK, "")
}

func (s *site) tokensPage(v *visit, code int, say sentence) error {
	list, err := s.tokensOf(v.session.User)
	if err != nil {
		return err
	}
	b := tokensBody{Say: say, Full: len(list) >= credential.MaxPerOwner}
	for _, kind := range []credential.Kind{credential.Token, credential.App} {
		if s.taken(v, kind).Any && !b.Full {
			b.Offers = append(b.Offers, kind)
		}
	}
	b.Nowhere = !b.Full && len(b.Offers) == 0
	now := s.now()
	for _, r := range list {
		b.Rows = append(b.Rows, tokenRow{Record: r, Limits: limits(v, r), Expired: !r.Expires.IsZero() && !now.Before(r.Expires)})
	}
	slices.Reverse(b.Rows) // the newest first
	return s.own(v, pageTokens, page{Name: "tokens", Status: code, Title: "tokens.title", Failed: say != "", Body: b})
}

// taken is where rules take a kind of credential from the visitor.
func (s *site) taken(v *visit, kind credential.Kind) policy.Taken {
	subject, c := subjectOf(v.session), policy.CredentialToken
	if kind == credential.App {
		c = policy.CredentialBasic
	}
	return s.Rules().Taken(c, &subject)
}

// tokensOf are a user's credentials, the oldest first.
func (s *site) tokensOf(user string) ([]credential.Record, error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	return s.Factors.Programs.List(ctx, user)
}

// changeTokens is what the forms of the page have in common. ok is false when the answer
// has been given.
func (s *site) changeTokens(v *visit, page string) (ok bool, err error) {
	if !s.hasTokens() {
		return false, errNotFound
	}
	return s.change(v, page)
}

// takeRevoke is POST /settings/tokens/revoke.
func (s *site) takeRevoke(v *visit) error {
	if ok, err := s.changeTokens(v, pageTokens); !ok {
		return err
	}
	id, user := v.field("id"), v.session.User
	if len(id) > maxTokenID {
		return errForm
	}
	list, err := s.tokensOf(user)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	err = s.Factors.Programs.Revoke(ctx, user, id)
	if errors.Is(err, credential.ErrNotFound) {
		return s.tokensPage(v, http.StatusNotFound, "factors.gone")
	}
	if err != nil {
		return err
	}
	for _, r := range list {
		if r.ID == id {
			s.noteRevoked(v, "", r)
		}
	}
	return v.leaveDone(pageTokens, "tokens.revoked")
}

// takeRevokeAll is POST /settings/tokens/revoke-all.
func (s *site) takeRevokeAll(v *visit) error {
	if ok, err := s.changeTokens(v, pageTokens); !ok {
		return err
	}
	if err := s.revokeTokens(v, v.session.User, ""); err != nil {
		return err
	}
	return v.leaveDone(pageTokens, "tokens.revoked_all")
}

// revokeTokens ends all credentials of a user; why is a word for the journal.
func (s *site) revokeTokens(v *visit, user, why string) error {
	if s.Factors.Programs == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	gone, err := s.Factors.Programs.RevokeAll(ctx, user)
	s.noteRevoked(v, why, gone...)
	return err
}

// revokeAsked ends the credentials of a user who sets a password, when the form says so.
func (s *site) revokeAsked(v *visit, user string) error {
	if v.field("tokens") != "yes" {
		return nil
	}
	return s.revokeTokens(v, user, "password")
}

// countTokens is how many credentials a user's programs have; 0 when it cannot be told,
// which must not keep anybody from setting a password.
func (s *site) countTokens(v *visit, user string) int {
	if s.Factors.Programs == nil || user == "" {
		return 0
	}
	list, err := s.tokensOf(user)
	if err != nil {
		s.log().Error("credentials not counted", "rid", v.id, "user", user, "error", err.Error())
	}
	return len(list)
}

func (s *site) noteRevoked(v *visit, why string, gone ...credential.Record) {
	for _, r := range gone {
		s.log().Info("credential revoked", "rid", v.id, "addr", v.addr.String(), "user", r.Owner, "kind", string(r.Kind), "credential", r.ID)
		s.note(v, journal.Event{Kind: journal.TokenRevoked, User: r.Owner, Detail: r.Name, Reason: why})
	}
}
