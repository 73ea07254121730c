package portal

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"postern/agent/regulation"
	"postern/portal/users"
)

// What handlers return for status and for the error page to tell apart.
var (
	errNotFound   = errors.New("no such page")
	errWrongHost  = errors.New("no portal of ours has that host")
	errOrigin     = errors.New("the form came from another site")
	errExpired    = errors.New("the form was made for another browser or user")
	errNoCookie   = errors.New("the browser sent no cookie with the form")
	errForm       = errors.New("the form is not what the page has")
	errNoSessions = errors.New("the sessions cannot be reached")
	errRules      = errors.New("the rules cannot be asked")
	errEnded      = errors.New("the session ended meanwhile")
)

// waitError says that there were too many wrong passwords.
type waitError struct{ Seconds int }

func (e waitError) Error() string { return fmt.Sprintf("too many attempts; wait %d s", e.Seconds) }

// status is the only place where an error becomes an HTTP status. What it does not name
// is logged in full and shown as a bare 500.
func status(err error) int {
	var wait waitError
	var raised *fiber.Error
	var ban *regulation.BanError
	switch {
	case errors.Is(err, users.ErrBadCredentials):
		return http.StatusUnauthorized
	case errors.Is(err, users.ErrBusy), errors.As(err, &wait):
		return http.StatusTooManyRequests
	case errors.Is(err, errOrigin), errors.Is(err, errExpired), errors.Is(err, errNoCookie), errors.Is(err, errEnded), errors.As(err, &ban):
		return http.StatusForbidden
	case errors.Is(err, errForm):
		return http.StatusBadRequest
	case errors.Is(err, errNotFound), errors.Is(err, users.ErrReadOnly):
		return http.StatusNotFound
	case errors.Is(err, errWrongHost):
		return http.StatusMisdirectedRequest
	case errors.Is(err, users.ErrUnavailable), errors.Is(err, errNoSessions), errors.Is(err, errRules), errors.Is(err, regulation.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable
	case errors.As(err, &raised):
		return raised.Code // the server's own: body or header too large, malformed, timed out
	}
	return http.StatusInternalServerError
}

// explain picks the sentence that the error page shows.
func explain(err error) sentence {
	if say := banSentence(err); say != "" {
		return say
	}
	switch {
	case errors.As(err, new(waitError)):
		return "error.too_many"
	case errors.Is(err, users.ErrBusy):
		return "error.busy"
	case errors.Is(err, users.ErrUnavailable) && !errors.Is(err, errNoSessions): // of a password, not of a session
		return "error.directory"
	case errors.Is(err, errOrigin):
		return "error.origin"
	case errors.Is(err, errExpired):
		return "error.expired"
	case errors.Is(err, errNoCookie):
		return "error.no_cookie"
	case errors.Is(err, errEnded):
		return "error.ended"
	}
	switch code := status(err); {
	case code == http.StatusNotFound:
		return "error.not_found"
	case code == http.StatusServiceUnavailable:
		return "error.unavailable"
	case code >= 500:
		return "error.internal"
	}
	return "error.bad_request"
}

// fail is the one error handler: it logs what is not the visitor's doing and answers
// with the error page, or with a line of text where no portal is asked.
func (s *site) fail(c *fiber.Ctx, err error) error {
	code := status(err)
	var wait waitError
	if errors.As(err, &wait) {
		c.Set(fiber.HeaderRetryAfter, strconv.Itoa(wait.Seconds))
	}
	v, _ := c.Locals(visitKey).(*visit)
	id := ""
	if v != nil {
		id = v.id
	}
	if code >= 500 {
		s.log().Error("portal request failed", "rid", id, "method", c.Method(), "path", c.Path(), "status", code, "error", err)
	} else {
		s.log().Info("portal request refused", "rid", id, "method", c.Method(), "path", c.Path(), "status", code, "reason", err)
	}
	if v == nil || v.words == nil {
		s.bareHeaders(c)
		c.Status(code)
		c.Set(fiber.HeaderContentType, "text/plain; charset=utf-8")
		return c.SendString(http.StatusText(code) + "\n")
	}
	return s.render(v, page{Name: "error", Status: code, Title: "error.title", Failed: true,
		Body: errorBody{Code: code, Text: explain(err)}})
}

// errorBody is what the error page shows.
type errorBody struct {
	Code int
	Text sentence
}
