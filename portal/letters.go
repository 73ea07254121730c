package portal

import (
	"context"
	"errors"
	"strings"
	"time"

	"postern/agent/credential"
	"postern/portal/factor"
	"postern/portal/mail"
)

// errNoMail says that there is nobody to write to: mail is off, or the user has no address.
var errNoMail = errors.New("no mail can be sent to this user")

// letter begins a message to a user, in the visitor's language. ok is false when there
// is nobody to write to. Links in it lead to the portal as it is configured, whatever
// host the request named.
func (s *site) letter(v *visit, user string, subject, text sentence, args ...any) (m mail.Message, ok bool) {
	if s.Letters == nil {
		return mail.Message{}, false
	}
	u, err := s.person(context.Background(), user)
	if err != nil || u.Disabled || len(u.Emails) == 0 {
		return mail.Message{}, false
	}
	say := v.words.say
	args = append(args, "Site", s.brand.Name, "Host", v.host.hostname)
	return mail.Message{
		To: u.Emails[0], Name: u.DisplayName, Lang: v.words.Tag, Dir: v.words.Dir,
		Subject: say(subject, args...), Greeting: say("mail.greeting", "Name", u.DisplayName),
		Paragraphs: []string{say(text, args...)},
		Footer:     say("mail.footer", "Host", v.host.hostname),
	}, true
}

// post hands a letter over. That it cannot be taken is logged: what it is about has
// happened all the same.
func (s *site) post(v *visit, user string, m mail.Message) error {
	err := s.Letters.Enqueue(m)
	if err != nil {
		s.log().Error("letter not taken", "rid", v.id, "user", user, "error", err.Error())
	}
	return err
}

// facts says when, where and in which browser something happened.
func (s *site) facts(v *visit, m *mail.Message) {
	say := v.words.say
	m.Facts = append(m.Facts,
		mail.Fact{Label: say("mail.when"), Value: s.now().UTC().Format("2006-01-02 15:04 UTC")},
		mail.Fact{Label: say("mail.browser"), Value: browserText(v.words, v.agent)})
	if v.addr.IsValid() {
		m.Facts = append(m.Facts, mail.Fact{Label: say("mail.address"), Value: v.addr.String()})
	}
}

// event sends a letter about something that has happened, with a link for a user who did
// not do it himself.
func (s *site) event(v *visit, m mail.Message, e factor.Event) {
	s.facts(v, &m)
	if s.Factors.Tokens != nil {
		e.At = s.now().UTC().Truncate(time.Second)
		e.Browser = browserText(v.words, v.agent)
		slip, err := s.Factors.Tokens.NotMe(e, s.now())
		if err != nil {
			s.log().Error("letter without its link", "rid", v.id, "user", e.User, "error", err.Error())
		} else {
			m.Undo, m.UndoText = v.host.origin+pageNotMe+"?slip="+slip, v.words.say("mail.undo")
		}
	}
	_ = s.post(v, e.User, m)
}

// letterReset sends the link by which a user sets a new password.
func (s *site) letterReset(v *visit, user string) error {
	version, known := s.passwordVersion(user)
	m, ok := s.letter(v, user, "mail.reset_subject", "mail.reset_text")
	if !known || !ok {
		return errNoMail
	}
	minutes := int(factor.ResetLife / time.Minute)
	m.Paragraphs = append(m.Paragraphs, v.words.say("mail.reset_life", "Count", minutes), v.words.say("mail.reset_ignore"))
	m.Link = v.host.origin + pageResetNew + "?slip=" + s.Factors.Tokens.Reset(user, version, s.now())
	m.LinkText = v.words.say("mail.reset_link")
	s.facts(v, &m)
	return s.post(v, user, m)
}

// letterCode mails a one-time code to the visitor.
func (s *site) letterCode(v *visit, code string) error {
	m, ok := s.letter(v, v.session.User, "mail.code_subject", "mail.code_text")
	if !ok {
		return errNoMail
	}
	m.Code = strings.ReplaceAll(code, " ", "-") // either can be typed
	minutes := int(factor.MailLife / time.Minute)
	m.Paragraphs = append(m.Paragraphs, v.words.say("mail.code_life", "Count", minutes))
	s.facts(v, &m)
	return s.post(v, v.session.User, m)
}

// letterSignIn tells a user that somebody signed in as him in a browser that he had not
// used before.
func (s *site) letterSignIn(v *visit) {
	user := v.session.User
	if m, ok := s.letter(v, user, "mail.signin_subject", "mail.signin_text"); ok {
		s.event(v, m, factor.Event{User: user, What: notMeSignIn, Session: v.session.ID})
	}
}

// letterPassword tells a user that his password was changed.
func (s *site) letterPassword(v *visit, user string) {
	if m, ok := s.letter(v, user, "mail.password_subject", "mail.password_text"); ok {
		s.event(v, m, factor.Event{User: user, What: notMePassword})
	}
}

// letterFactorAdded tells the visitor that a device was added to his account.
func (s *site) letterFactorAdded(v *visit, d factor.Device) {
	if m, ok := s.letter(v, d.User, "mail.added_subject", "mail.added_text"); ok {
		m.Facts = []mail.Fact{{Label: v.words.say("mail.device"), Value: d.Name}}
		s.event(v, m, factor.Event{User: d.User, What: notMeAdded, Device: d.ID})
	}
}

// letterFactorRemoved tells the visitor that a device was removed from his account.
func (s *site) letterFactorRemoved(v *visit, d factor.Device) {
	if m, ok := s.letter(v, d.User, "mail.removed_subject", "mail.removed_text"); ok {
		m.Facts = []mail.Fact{{Label: v.words.say("mail.device"), Value: d.Name}}
		s.event(v, m, factor.Event{User: d.User, What: notMeRemoved})
	}
}

// letterToken tells the visitor that a program was let in as him.
func (s *site) letterToken(v *visit, r credential.Record) {
	if m, ok := s.letter(v, r.Owner, "mail.token_subject", "mail.token_text"); ok {
		m.Facts = []mail.Fact{{Label: v.words.say("mail.token_name"), Value: r.Name}}
		s.event(v, m, factor.Event{User: r.Owner, What: notMeToken})
	}
}

// letterCodeUsed tells the visitor that one of his recovery codes was used.
func (s *site) letterCodeUsed(v *visit, left int) {
	user := v.session.User
	m, ok := s.letter(v, user, "mail.used_subject", "mail.used_text")
	if !ok {
		return
	}
	m.Paragraphs = append(m.Paragraphs, v.words.say("mail.used_left", "Count", left))
	s.event(v, m, factor.Event{User: user, What: notMeCode, Session: v.session.ID})
}
