package portal

import (
	"context"
	"html/template"
	"net/http"

	"postern/agent/policy"
	"postern/portal/factor"
	"postern/portal/journal"
)

// enrolBody is what the pages show that set up a second factor.
type enrolBody struct {
	Name    string // of the device, as typed
	Secret  string // TOTP, in groups of four
	URI     string // TOTP: otpauth://…
	QR      template.HTML
	Ticket  string
	Options string // WebAuthn, JSON
	Say     sentence
	First   bool // the user has no second factor yet
}

// showAddTOTP is GET /settings/factors/app: a new secret, as a picture and as text.
func (s *site) showAddTOTP(v *visit) error {
	if ok, err := s.gate(v, pageAddTOTP); !ok {
		return err
	}
	if s.Factors.TOTP == nil {
		return errNotFound
	}
	e, err := s.Factors.TOTP.Begin(v.session.User, v.session.ID, accountOf(v), s.now())
	if err != nil {
		return err
	}
	return s.totpForm(v, http.StatusOK, e, enrolBody{})
}

// accountOf is how an authenticator app names the account.
func accountOf(v *visit) string {
	if v.session.Email != "" {
		return v.session.Email
	}
	return v.session.User
}

func (s *site) totpForm(v *visit, code int, e factor.Enrolment, b enrolBody) error {
	h, err := s.having(v)
	if err != nil {
		return err
	}
	// The picture is made of numbers and fixed words: see factor.QR.
	b.Secret, b.URI, b.QR, b.Ticket, b.First = e.Secret, e.URI, template.HTML(e.QR.SVG()), e.Ticket, !h.Any
	return s.render(v, page{Name: "addapp", Status: code, Title: "addapp.title", Failed: b.Say != "", Body: b})
}

// takeAddTOTP is POST /settings/factors/app: a right code makes the device.
func (s *site) takeAddTOTP(v *visit) error {
	if ok, err := s.change(v, pageAddTOTP); !ok {
		return err
	}
	if s.Factors.TOTP == nil {
		return errNotFound
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	c := factor.Confirmation{User: v.session.User, Session: v.session.ID, Ticket: v.field("ticket"),
		Code: v.field("code"), Name: s.deviceName(v, "addapp.default_name"), Level: v.session.Level}
	device, err := s.confirm(ctx, v, c)
	if err == nil {
		return s.added(v, device, policy.TOTP)
	}
	b := enrolBody{Name: v.field("name"), Say: factorSentence(err)}
	if b.Say == "" {
		return err
	}
	e, again := s.Factors.TOTP.Resume(v.session.User, v.session.ID, accountOf(v), v.field("ticket"), s.now())
	if again != nil {
		if e, err = s.Factors.TOTP.Begin(v.session.User, v.session.ID, accountOf(v), s.now()); err != nil {
			return err
		}
	}
	return s.totpForm(v, http.StatusUnauthorized, e, b)
}

// confirm checks the first code of a new device.
func (s *site) confirm(ctx context.Context, v *visit, c factor.Confirmation) (factor.Device, error) {
	if len(c.Code) > maxCode {
		return factor.Device{}, factor.ErrWrong
	}
	return s.Factors.TOTP.Confirm(ctx, c, s.now())
}

// deviceName is what the user calls the device, or a fitting word when he says nothing.
func (s *site) deviceName(v *visit, fallback sentence) string {
	if name := v.field("name"); name != "" {
		return name
	}
	return v.words.say(fallback)
}

// added goes on after a device was added: what it proved counts at once, and the first
// device brings recovery codes.
func (s *site) added(v *visit, d factor.Device, f policy.Factor) error {
	had := v.hadOrNothing()
	if err := s.raise(v, f); err != nil {
		return err
	}
	s.note(v, journal.Event{Kind: journal.FactorAdded, User: v.session.User, Factor: f.String(), Detail: d.Name})
	s.letterFactorAdded(v, d)
	v.page = ""
	if s.Factors.Recovery != nil && !had.Any {
		return v.leave(v.goal(pageRecovery))
	}
	if v.target.URL != "" {
		return s.onward(v)
	}
	return v.leaveDone(pageFactors, "factors.added")
}

// showAddKey is GET /settings/factors/passkey.
func (s *site) showAddKey(v *visit) error {
	if ok, err := s.gate(v, pageAddKey); !ok {
		return err
	}
	return s.keyForm(v, http.StatusOK, enrolBody{})
}

func (s *site) keyForm(v *visit, code int, b enrolBody) error {
	key := s.Factors.WebAuthn[v.host.Portal]
	if key == nil || key.Config.Disable {
		return errNotFound
	}
	h, err := s.having(v)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	c, err := key.BeginRegistration(ctx, v.session.User, v.session.Name, v.token, s.now())
	if err != nil {
		return err
	}
	b.Options, b.Ticket, b.First = string(c.Options), c.Ticket, !h.Any
	return s.render(v, page{Name: "addkey", Status: code, Title: "addkey.title", Failed: b.Say != "", Body: b})
}

// takeAddKey is POST /settings/factors/passkey.
func (s *site) takeAddKey(v *visit) error {
	if ok, err := s.change(v, pageAddKey); !ok {
		return err
	}
	key := s.Factors.WebAuthn[v.host.Portal]
	if key == nil {
		return errNotFound
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	d, err := key.FinishRegistration(ctx, factor.Registration{
		User: v.session.User, Browser: v.token, Ticket: v.field("ticket"), Response: []byte(v.field("response")),
		Name: s.deviceName(v, "addkey.default_name"), Level: v.session.Level,
	}, s.now())
	if err == nil {
		return s.added(v, d, policy.WebAuthn)
	}
	b := enrolBody{Name: v.field("name"), Say: factorSentence(err)}
	if b.Say == "" {
		return err
	}
	s.log().Info("passkey refused", "rid", v.id, "user", v.session.User, "reason", err.Error())
	return s.keyForm(v, http.StatusUnauthorized, b)
}
