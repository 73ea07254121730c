package portal

import (
	"net/http"
	"time"
)

// pageDone tells what a form has done. The form itself is answered by a redirect to it, so
// that reloading the page sends no password again.
const pageDone = "/done"

// cookieOutcome says which outcome pageDone tells. A query could be written by anybody who
// makes a link.
const (
	cookieOutcome = "__Host-postern-outcome"
	outcomeLife   = 10 * time.Minute
)

// outcome is what a form has done: the word that the cookie holds.
type outcome string

// The outcomes that are told on a page of their own.
const (
	didAskReset       outcome = "reset"
	didSetPassword    outcome = "set"
	didChangePassword outcome = "changed"
	didEndSessions    outcome = "out"
	didLock           outcome = "locked"        // and an operator must help
	didLockAndMail    outcome = "locked-mailed" // and a link for a new password is on its way
)

// notice is what the page says of an outcome; its Title is empty for a word that is none.
func (o outcome) notice(v *visit) notice {
	switch o {
	case didAskReset:
		return notice{Title: "reset.sent_title", Text: "reset.sent_text", More: "reset.sent_more", Link: v.goal("/"), LinkText: "reset.back"}
	case didSetPassword:
		return notice{Title: "resetnew.done_title", Text: "resetnew.done_text", Link: "/", LinkText: "signin.submit"}
	case didChangePassword:
		return notice{Title: "password.done_title", Text: "password.done_text", Link: pageSettings, LinkText: "password.done_link"}
	}
	n := notice{Text: "notme.done_text", Link: "/", LinkText: "signedout.again"}
	switch o {
	case didEndSessions:
		n.Title, n.More = "notme.out_title", "notme.done_help"
	case didLock:
		n.Title, n.More = "notme.done_title", "notme.done_admin"
	case didLockAndMail:
		n.Title, n.More = "notme.done_title", "notme.done_mail"
	}
	return n
}

// leaveOutcome goes to the page that tells an outcome.
func (v *visit) leaveOutcome(o outcome) error {
	setCookie(v.c, cookieOutcome, string(o), "", "/", outcomeLife)
	return v.leave(v.goal(pageDone))
}

// showDone is GET /done.
func (s *site) showDone(v *visit) error {
	word, _ := v.cookies.get(cookieOutcome)
	n := outcome(word).notice(v)
	if n.Title == "" {
		return v.leave(v.goal("/"))
	}
	return s.notice(v, n)
}

// notice is a page that says something and leads on.
type notice struct {
	Status   int // 0: 200
	Title    sentence
	Text     sentence
	More     sentence // may be empty
	Link     string
	LinkText sentence
}

func (s *site) notice(v *visit, n notice) error {
	if n.Status == 0 {
		n.Status = http.StatusOK
	}
	return s.render(v, page{Name: "notice", Status: n.Status, Title: n.Title, Failed: n.Status >= 400, Body: n})
}
