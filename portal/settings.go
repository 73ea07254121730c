package portal

import (
	"context"
	"net/http"
	"time"

	"postern/agent/policy"
	"postern/agent/session"
)

// entry is one of a person's own pages in their menu.
type entry struct {
	Page string
	Name sentence
	Here bool
}

// Wide says that the page is one of the person's own and shows their menu.
func (p page) Wide() bool { return p.Menu() != nil }

// Menu is the way from one of the person's own pages to the others; nil on other pages.
func (p page) Menu() []entry {
	if p.own == "" {
		return nil
	}
	list := []entry{{Page: pageSettings, Name: "settings.profile"}}
	if p.site.Factors.Devices != nil {
		list = append(list, entry{Page: pageFactors, Name: "settings.factors"})
	}
	if ok, _ := p.site.changes(p.visit.user()); ok {
		list = append(list, entry{Page: pagePassword, Name: "settings.password"})
	}
	if p.site.hasTokens() {
		list = append(list, entry{Page: pageTokens, Name: "settings.tokens"})
	}
	list = append(list, entry{Page: pageSessions, Name: "settings.sessions"})
	if p.site.Journal != nil {
		list = append(list, entry{Page: pageActivity, Name: "settings.activity"})
	}
	found := false
	for i := range list {
		list[i].Here = list[i].Page == p.own
		found = found || list[i].Here
	}
	if !found {
		return nil
	}
	return list
}

// Me is who is signed in.
func (p page) Me() *session.Session { return p.visit.session }

// Done is what the page before has to say; empty: nothing.
func (p page) Done() sentence { return p.done }

// own renders one of the person's own pages, with what the page before has to say.
func (s *site) own(v *visit, path string, p page) error {
	p.own, p.done = path, v.takeDone()
	if p.Status == 0 {
		p.Status = http.StatusOK
	}
	return s.render(v, p)
}

// cookieDone carries what a form has done to the page after it. A query could be written
// by anybody who makes a link.
const (
	cookieDone = "__Host-postern-done"
	doneLife   = time.Minute
)

// doneSentences are all that cookieDone can say.
var doneSentences = [...]sentence{"factors.removed", "factors.renamed", "factors.added", "sessions.ended", "sessions.ended_others", "tokens.revoked", "tokens.revoked_all", "settings.again"}

// leaveDone goes to a page that says once what has been done.
func (v *visit) leaveDone(to string, what sentence) error {
	setCookie(v.c, cookieDone, string(what), "", "/", doneLife)
	return v.leave(to)
}

// takeDone reads what has been done and forgets it.
func (v *visit) takeDone() sentence {
	value, times := v.cookies.get(cookieDone)
	if times == 0 {
		return ""
	}
	setCookie(v.c, cookieDone, "", "", "/", -1)
	for _, s := range doneSentences {
		if string(s) == value {
			return s
		}
	}
	return ""
}

// profileBody is what /settings shows.
type profileBody struct {
	Session *session.Session
	Emails  []string
	Two     bool // this session has proved two factors
	Lacks   bool // the person could set up a second factor and has none
}

// showSettings is GET /settings: who the person is, and the way to the other pages.
func (s *site) showSettings(v *visit) error {
	if ok, err := s.gate(v, pageSettings); !ok {
		return err
	}
	h, err := s.having(v)
	if err != nil {
		return err
	}
	b := profileBody{Session: v.session, Two: v.session.Level >= policy.LevelTwo, Lacks: !h.Any && len(h.Enrol) > 0}
	if user, err := s.person(context.Background(), v.session.User); err == nil {
		b.Emails = user.Emails
	}
	return s.own(v, pageSettings, page{Name: "settings", Title: "settings.title", Body: b})
}

// change is what the forms of the person's own pages have in common: somebody is signed
// in, the form was made for him, and the page is open to him. ok is false when the answer
// has been given.
func (s *site) change(v *visit, page string) (ok bool, err error) {
	if v.session == nil {
		v.page = page // where the form stands, after a sign-in
		return false, v.leave(v.goal("/"))
	}
	if !v.checkToken(s.Server, v.user()) {
		return false, errExpired
	}
	return s.gate(v, page)
}

// endOthers ends every other session of the visitor.
func (s *site) endOthers(v *visit) ([]session.Session, error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	return s.Sessions.Revoke(ctx, session.Filter{User: v.session.User, Except: v.session.ID})
}

// Browser says in plain words which browser a User-Agent stands for.
func (p page) Browser(agent string) string { return browserText(p.visit.words, agent) }
