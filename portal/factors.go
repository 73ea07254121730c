package portal

import (
	"context"
	"errors"
	"net/http"

	"postern/agent/policy"
	"postern/portal/factor"
	"postern/portal/journal"
)

// maxDeviceID bounds the id of a device that a form names, in bytes.
const maxDeviceID = 64

// factorsBody is what /settings/factors shows.
type factorsBody struct {
	Devices []deviceRow
	Offers  []policy.Factor // what can be set up
	Codes   bool            // recovery codes can be had
	Left    int             // recovery codes that can still be used
	Waits   bool            // the target asks for a factor that is not there yet
	Say     sentence        // what went wrong; empty: nothing
}

// deviceRow is one device as the page shows it.
type deviceRow struct {
	factor.Device
	Elsewhere bool // it works on another portal only
	Last      bool // there is no other
	Renaming  bool // its name was refused
}

// Key says that the device is a passkey or security key.
func (d deviceRow) Key() bool { return d.Kind == factor.KindWebAuthn }

// showFactors is GET /settings/factors.
func (s *site) showFactors(v *visit) error {
	if ok, err := s.gate(v, pageFactors); !ok {
		return err
	}
	return s.factorsPage(v, http.StatusOK, "", "")
}

// factorsPage shows the devices; say is about the device named id, where one is.
func (s *site) factorsPage(v *visit, code int, say sentence, id string) error {
	if s.Factors.Devices == nil {
		return errNotFound
	}
	b, err := s.factorsBody(v, id)
	if err != nil {
		return err
	}
	b.Say = say
	return s.own(v, pageFactors, page{Name: "factors", Status: code, Title: "factors.title", Failed: say != "", Body: b})
}

func (s *site) factorsBody(v *visit, id string) (factorsBody, error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	list, err := s.Factors.Devices.List(ctx, v.session.User)
	if err != nil {
		return factorsBody{}, err
	}
	p, err := s.place(v)
	if err != nil {
		return factorsBody{}, err
	}
	b := factorsBody{Offers: p.Having.Enrol, Codes: s.Factors.Recovery != nil && p.Having.Any}
	if b.Codes {
		if b.Left, err = s.Factors.Recovery.Left(ctx, v.session.User); err != nil {
			return factorsBody{}, err
		}
	}
	rules, now := s.Rules(), s.now()
	if p.Target.URL != "" && reached(rules, p, p.Session, now) == policy.VerdictStepUp {
		if offers := enrols(rules, p, now); len(offers) > 0 {
			b.Offers, b.Waits = offers, true
		}
	}
	for _, d := range list {
		row := deviceRow{Device: d, Last: len(list) == 1, Renaming: d.ID == id}
		if key := s.Factors.WebAuthn[v.host.Portal]; d.Kind == factor.KindWebAuthn {
			row.Elsewhere = key == nil || key.Site.RPID != d.Site
		}
		b.Devices = append(b.Devices, row)
	}
	return b, nil
}

// takeRename is POST /settings/factors/rename.
func (s *site) takeRename(v *visit) error {
	if ok, err := s.change(v, pageFactors); !ok {
		return err
	}
	if s.Factors.Devices == nil {
		return errNotFound
	}
	id := v.field("id")
	if len(id) > maxDeviceID {
		return errForm
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	err := s.Factors.Devices.Rename(ctx, v.session.User, id, v.field("name"))
	switch {
	case errors.Is(err, factor.ErrName):
		return s.factorsPage(v, http.StatusUnprocessableEntity, "enrol.bad_name", id)
	case errors.Is(err, factor.ErrNotFound):
		return s.factorsPage(v, http.StatusNotFound, "factors.gone", "")
	case err != nil:
		return err
	}
	s.note(v, journal.Event{Kind: journal.FactorRenamed, User: v.session.User, Detail: v.field("name")})
	return v.leaveDone(v.goal(pageFactors), "factors.renamed")
}

// takeRemove is POST /settings/factors/remove. The device may have let somebody in who
// should not be there: every other session of the person ends with it.
func (s *site) takeRemove(v *visit) error {
	if ok, err := s.change(v, pageFactors); !ok {
		return err
	}
	if s.Factors.Devices == nil {
		return errNotFound
	}
	id := v.field("id")
	if len(id) > maxDeviceID {
		return errForm
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	d, err := s.Factors.Devices.Delete(ctx, v.session.User, id)
	if errors.Is(err, factor.ErrNotFound) {
		return s.factorsPage(v, http.StatusNotFound, "factors.gone", "")
	}
	if err != nil && d.ID == "" {
		return err
	}
	kind := d.Kind.Factor().String()
	s.log().Info("factor removed", "rid", v.id, "addr", v.addr.String(), "user", v.session.User, "session", v.session.ID, "factor", kind, "device", d.ID)
	s.note(v, journal.Event{Kind: journal.FactorRemoved, User: v.session.User, Factor: kind, Detail: d.Name})
	s.letterFactorRemoved(v, d)
	ended, ending := s.endOthers(v)
	s.noteEnded(v, ended)
	if err = errors.Join(err, ending); err != nil {
		return errors.Join(errNoSessions, err)
	}
	v.had = nil
	if h, err := s.having(v); err == nil && !h.Any {
		// Nothing is left that would open the page again without the password.
		return v.leaveDone(v.goal(pageSettings), "factors.removed")
	}
	return v.leaveDone(v.goal(pageFactors), "factors.removed")
}
