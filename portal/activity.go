package portal

import (
	"context"

	"postern/agent/policy"
	"postern/portal/journal"
)

// maxActivity is how many events the page shows.
const maxActivity = 100

// eventRow is one event as the page shows it.
type eventRow struct {
	journal.Event
	What  sentence
	How   sentence // the factor; empty: none
	About string   // a device's name
	Bad   bool     // it deserves a look
}

// activityBody is what /settings/activity shows.
type activityBody struct{ Rows []eventRow }

// showActivity is GET /settings/activity: what happened to the account, newest first. Why
// an attempt was refused is the operator's to know, as are attempts that were not looked at.
func (s *site) showActivity(v *visit) error {
	if ok, err := s.gate(v, pageActivity); !ok {
		return err
	}
	if s.Journal == nil {
		return errNotFound
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	events, err := s.Journal.ListEvents(ctx, journal.Filter{User: v.session.User, Kinds: journal.Personal(), Limit: maxActivity})
	if err != nil {
		return err
	}
	var b activityBody
	for _, e := range events {
		row := eventRow{Event: e, How: factorName(e.Factor)}
		row.What, row.Bad = happened(e.Kind)
		switch e.Kind {
		case journal.FactorAdded, journal.FactorRemoved, journal.FactorRenamed, journal.FactorSuspicious, journal.TokenCreated, journal.TokenRevoked:
			row.About = e.Detail
		case journal.CodesMade, journal.CodeUsed:
			row.How = "" // What says it
		}
		b.Rows = append(b.Rows, row)
	}
	return s.own(v, pageActivity, page{Name: "activity", Title: "activity.title", Body: b})
}

// happened says what an event was, and whether it deserves a look.
func happened(k journal.Kind) (what sentence, bad bool) {
	switch k {
	case journal.SignIn:
		return "activity.sign_in", false
	case journal.SignInFailed:
		return "activity.sign_in_failed", true
	case journal.StepUp:
		return "activity.step_up", false
	case journal.StepUpFailed:
		return "activity.step_up_failed", true
	case journal.SignOut:
		return "activity.sign_out", false
	case journal.Revoked:
		return "activity.revoked", false
	case journal.PasswordChanged:
		return "activity.password_changed", false
	case journal.PasswordReset:
		return "activity.password_reset", false
	case journal.ResetAsked:
		return "activity.reset_asked", false
	case journal.FactorAdded:
		return "activity.factor_added", false
	case journal.FactorRemoved:
		return "activity.factor_removed", false
	case journal.FactorRenamed:
		return "activity.factor_renamed", false
	case journal.FactorSuspicious:
		return "activity.factor_suspicious", true
	case journal.CodesMade:
		return "activity.codes_made", false
	case journal.CodeUsed:
		return "activity.code_used", false
	case journal.TokenCreated:
		return "activity.token_created", false
	case journal.TokenRevoked:
		return "activity.token_revoked", false
	case journal.NotMe:
		return "activity.not_me", true
	case journal.Admin:
		return "activity.admin", false
	}
	return "activity.other", false
}

// factorName is what a factor is called beside a device or an event.
func factorName(f string) sentence {
	switch f {
	case policy.Password.String():
		return "factors.name_password"
	case policy.TOTP.String():
		return "factors.name_app"
	case policy.WebAuthn.String():
		return "factors.name_passkey"
	case policy.Recovery.String():
		return "factors.name_recovery"
	case policy.Mail.String():
		return "factors.name_mail"
	}
	return ""
}
