package portal

import (
	"context"
	"errors"
	"net/http"
	"time"

	"postern/agent/policy"
	"postern/agent/session"
	"postern/portal/journal"
)

// signedInBody is what a signed-in person sees who goes nowhere.
type signedInBody struct {
	Session      *session.Session
	Home         string
	Applications []policy.Application
}

// showSignedIn is the page of a signed-in person without a target.
func (s *site) showSignedIn(v *visit) error {
	subject := subjectOf(v.session)
	return s.render(v, page{Name: "signedin", Status: http.StatusOK, Title: "signedin.title", Body: signedInBody{
		Session: v.session, Home: v.host.Home,
		Applications: s.Rules().Applications(&subject, s.now()),
	}})
}

// showSignOut is GET /signout, for links in applications: it asks, because a GET must
// not change anything.
func (s *site) showSignOut(v *visit) error {
	if v.session == nil && !v.doubled {
		return v.leave("/signed-out")
	}
	return s.render(v, page{Name: "signout", Status: http.StatusOK, Title: "signout.title", Body: v.session})
}

// takeSignOut is POST /signout: it ends the session and goes to rd, or with the field
// "again" to the sign-in form for the same target. Where nobody is signed in it only
// removes the cookie.
func (s *site) takeSignOut(v *visit) error {
	if v.session != nil {
		if !v.checkToken(s.Server, v.user()) {
			return errExpired
		}
		ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
		defer cancel()
		if _, err := s.Sessions.Revoke(ctx, session.Filter{ID: v.session.ID}); err != nil {
			return errors.Join(errNoSessions, err)
		}
		s.note(v, journal.Event{Kind: journal.SignOut, User: v.session.User})
		s.log().Info("signed out", "rid", v.id, "user", v.session.User, "session", v.session.ID)
	}
	if v.doubled {
		v.expire(s.Cookie.Cookie)
	} else {
		v.setSession(s.Cookie.Cookie, "", -1)
	}
	switch {
	case v.field("again") != "":
		return v.leave(v.target.at("/"))
	case v.target.URL != "":
		return v.leave(v.target.URL)
	}
	return v.leave("/signed-out")
}

// showSignedOut is where a sign-out without a target ends.
func (s *site) showSignedOut(v *visit) error {
	if v.session != nil {
		return v.leave("/")
	}
	return s.render(v, page{Name: "signedout", Status: http.StatusOK, Title: "signedout.title"})
}

// takeReset is POST /reset-cookies: it removes every session cookie that this host can
// remove, then starts the sign-in over.
func (s *site) takeReset(v *visit) error {
	if !v.checkToken(s.Server, "", v.user()) {
		return errExpired
	}
	if v.session != nil {
		ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
		defer cancel()
		if _, err := s.Sessions.Revoke(ctx, session.Filter{ID: v.session.ID}); err != nil {
			return errors.Join(errNoSessions, err)
		}
		s.note(v, journal.Event{Kind: journal.SignOut, User: v.session.User})
	}
	v.expire(s.Cookie.Cookie)
	setCookie(v.c, cookieBounce, "", "", "/", -1)
	return v.leave(v.target.at("/"))
}

// takeLanguage is POST /language: it keeps the choice in a cookie and goes back.
func (s *site) takeLanguage(v *visit) error {
	if !v.checkToken(s.Server, "", v.user()) {
		return errExpired
	}
	tag := v.field("lang")
	if _, ok := s.words.speakers[tag]; !ok {
		return errForm
	}
	setCookie(v.c, cookieLanguage, tag, "", "/", 365*24*time.Hour)
	return v.leave(v.goal(herePath(v.field("here"))))
}
