package portal

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"postern/agent/policy"
	"postern/agent/regulation"
	"postern/portal/factor"
	"postern/portal/journal"
	"postern/portal/users"
)

// maxCode bounds what is typed as a code, in bytes; spaces are allowed.
const maxCode = 64

// proveBody is what the page shows that asks for one more proof.
type proveBody struct {
	Way      policy.Factor
	Others   []policy.Factor // other ways, as links
	Username string
	To       string // where a code was mailed, half hidden; empty: none was
	Ceremony *ceremony
	Say      sentence // what went wrong; empty: nothing
	Wait     int      // seconds; with "second.wait"
}

// ceremony is what the browser needs for navigator.credentials.
type ceremony struct {
	Options string // JSON
	Ticket  string
}

// Is lets a template compare by name.
func (b proveBody) Is(name string) bool { return b.Way.String() == name }

// showProve is GET /prove: it asks for the proof that brings the visitor nearer to where
// he is going.
func (s *site) showProve(v *visit) error {
	way, list, err := s.way(v)
	if err != nil || list == nil {
		return s.elsewhere(v, err)
	}
	return s.proveForm(v, http.StatusOK, list, proveBody{Way: way})
}

// elsewhere goes to whatever step is due when it is not a proof.
func (s *site) elsewhere(v *visit, err error) error {
	if err != nil {
		return err
	}
	return s.onward(v)
}

// way picks the proof of this request among those that help. list is nil when the next
// step is another one.
func (s *site) way(v *visit) (way policy.Factor, list []policy.Factor, err error) {
	p, err := s.place(v)
	if err != nil || v.session == nil || v.doubled {
		return 0, nil, err
	}
	rules, now := s.Rules(), s.now()
	if next(rules, p, now) != stepProve {
		return 0, nil, nil
	}
	list = ways(rules, p, now)
	way = list[0]
	for _, f := range list {
		if f.String() == v.form("way") {
			way = f
		}
	}
	return way, list, nil
}

// proveForm shows the form of b.Way.
func (s *site) proveForm(v *visit, code int, list []policy.Factor, b proveBody) error {
	b.Username = v.session.User
	b.Others = slices.DeleteFunc(slices.Clone(list), func(f policy.Factor) bool { return f == b.Way })
	switch b.Way {
	case policy.WebAuthn:
		ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
		defer cancel()
		c, err := s.Factors.WebAuthn[v.host.Portal].BeginLogin(ctx, v.session.User, v.token, s.now())
		if err != nil {
			return err
		}
		b.Ceremony = &ceremony{Options: string(c.Options), Ticket: c.Ticket}
	case policy.Mail:
		// Whoever got something wrong about a code has one to type.
		if s.codeSent(v) || b.Say != "" && b.Say != "prove.no_mail" && b.Say != "prove.gone" {
			b.To = masked(v.session.Email)
		}
	}
	return s.render(v, page{Name: "prove", Status: code, Title: "prove.title", Failed: b.Say != "", Body: b})
}

// masked hides most of a mail address from whoever looks over a shoulder.
func masked(address string) string {
	local, host, ok := strings.Cut(address, "@")
	if !ok || local == "" {
		return "…"
	}
	return initialOf(local) + "…@" + host
}

func initialOf(s string) string {
	for _, r := range s {
		return string(r)
	}
	return ""
}

// takeProve is POST /prove.
func (s *site) takeProve(v *visit) error {
	if v.session == nil {
		return v.leave(v.goal("/"))
	}
	if !v.checkToken(s.Server, v.user()) {
		return errExpired
	}
	way, list, err := s.way(v)
	if err != nil || list == nil {
		return s.elsewhere(v, err)
	}
	if err := s.banned(v, v.session.User); err != nil {
		return err
	}
	if asked := v.field("way"); asked != "" && asked != way.String() {
		// What was typed is no guess at another factor.
		return s.proveForm(v, http.StatusUnauthorized, list, proveBody{Way: way, Say: "prove.gone"})
	}
	if way == policy.Mail && v.field("send") != "" {
		return s.sendCode(v, list)
	}
	if err := s.check(v, way); err != nil {
		return s.refuseProof(v, way, list, err)
	}
	if err := s.raise(v, way); err != nil {
		return err
	}
	if way != policy.Password && way != policy.Mail {
		s.note(v, journal.Event{Kind: journal.StepUp, User: v.session.User, Factor: way.String()})
	}
	return s.onward(v)
}

// check has the visitor prove one factor, within the bounds of the limiter. Every factor
// is counted by itself, and a right password forgives no wrong code.
func (s *site) check(v *visit, way policy.Factor) error {
	ctx, cancel := context.WithTimeout(context.Background(), guessTimeout)
	defer cancel()
	if way == policy.Password {
		_, err := s.prove(v, v.session.User, v.field("password"))
		return err
	}
	k := kindOf(way)
	try, err := s.attempt(ctx, regulation.User(k, v.session.User), regulation.Address(k, v.addr))
	if err != nil {
		return err
	}
	defer func() { try.Fail(s.now()) }() // a panic; else it is settled by then
	err = s.checkFactor(ctx, v, way)
	switch {
	case err == nil:
		try.Succeed()
	case guess(err):
		try.Fail(s.now())
	default:
		try.Release()
	}
	return err
}

// checkFactor asks the factor itself.
func (s *site) checkFactor(ctx context.Context, v *visit, way policy.Factor) error {
	user, code, now := v.session.User, v.field("code"), s.now()
	if len(code) > maxCode {
		return factor.ErrWrong
	}
	switch way {
	case policy.TOTP:
		_, err := s.Factors.TOTP.Verify(ctx, user, code, now)
		return err
	case policy.Recovery:
		left, err := s.Factors.Recovery.Use(ctx, user, code, now)
		if err == nil {
			s.codeUsed(v, left)
		}
		return err
	case policy.Mail:
		return s.Factors.Mailed.Check(ctx, user, v.session.ID, factor.PurposeStepUp, code, now)
	case policy.WebAuthn:
		_, err := s.Factors.WebAuthn[v.host.Portal].FinishLogin(ctx, factor.Assertion{
			User: user, Browser: v.token, Ticket: v.field("ticket"), Response: []byte(v.field("response")),
		}, now)
		s.suspect(v, err)
		return err
	}
	return errForm
}

// guess says whether an error was a wrong proof, and so counts.
func guess(err error) bool {
	for _, e := range []error{factor.ErrWrong, factor.ErrSpent, factor.ErrRefused, factor.ErrUnknownCredential, factor.ErrInvalid} {
		if errors.Is(err, e) {
			return true
		}
	}
	var copied *factor.CounterError
	return errors.As(err, &copied)
}

// suspect reports a passkey that may have been copied.
func (s *site) suspect(v *visit, err error) {
	var copied *factor.CounterError
	if !errors.As(err, &copied) {
		return
	}
	s.log().Warn("a passkey's counter went backwards; it may have been copied", "rid", v.id, "user", copied.Device.User, "device", copied.Device.ID)
	s.note(v, journal.Event{Kind: journal.FactorSuspicious, User: copied.Device.User, Factor: policy.WebAuthn.String(), Detail: copied.Device.Name})
}

// refuseProof shows the form again, with a sentence for what went wrong.
func (s *site) refuseProof(v *visit, way policy.Factor, list []policy.Factor, err error) error {
	b := proveBody{Way: way}
	code := http.StatusUnauthorized
	var wait waitError
	switch {
	case errors.As(err, &wait):
		b.Say, b.Wait, code = "signin.wait", wait.Seconds, http.StatusTooManyRequests
		v.c.Set(fiber.HeaderRetryAfter, strconv.Itoa(wait.Seconds))
	case errors.Is(err, users.ErrBusy):
		b.Say, code = "signin.busy", http.StatusTooManyRequests
		v.c.Set(fiber.HeaderRetryAfter, "2")
	case errors.Is(err, users.ErrBadCredentials):
		b.Say = "prove.wrong_password"
	default:
		b.Say = factorSentence(err)
	}
	if b.Say == "" {
		return err
	}
	s.log().Info("proof refused", "rid", v.id, "addr", v.addr.String(), "user", v.session.User, "factor", way.String(), "reason", err.Error())
	s.noteRefused(v, refused{Kind: journal.StepUpFailed, User: v.session.User, Factor: way}, err)
	return s.proveForm(v, code, list, b)
}

// factorSentence is what a person is told of a factor's error; empty for a fault of ours.
func factorSentence(err error) sentence {
	var copied *factor.CounterError
	switch {
	case errors.Is(err, factor.ErrWrong):
		return "prove.wrong_code"
	case errors.Is(err, factor.ErrSpent):
		return "prove.spent"
	case errors.Is(err, factor.ErrExpired), errors.Is(err, factor.ErrInvalid):
		return "prove.expired"
	case errors.Is(err, factor.ErrOrigin):
		return "passkey.wrong_site"
	case errors.Is(err, factor.ErrUnknownCredential):
		return "passkey.unknown"
	case errors.Is(err, factor.ErrNotVerified):
		return "passkey.not_verified"
	case errors.Is(err, factor.ErrNotAllowed):
		return "passkey.not_allowed"
	case errors.Is(err, factor.ErrExists):
		return "passkey.exists"
	case errors.As(err, &copied):
		return "passkey.copied"
	case errors.Is(err, factor.ErrRefused):
		return "passkey.refused"
	case errors.Is(err, factor.ErrTooMany):
		return "enrol.too_many"
	case errors.Is(err, factor.ErrName):
		return "enrol.bad_name"
	case errors.Is(err, factor.ErrNeedsProof):
		return "enrol.needs_proof"
	case errors.Is(err, factor.ErrDisabled), errors.Is(err, factor.ErrNotFound):
		return "prove.gone"
	}
	return ""
}
