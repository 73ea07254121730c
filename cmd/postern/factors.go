package main

import (
	"log/slog"

	"postern/cmd/postern/config"
	"postern/portal"
	"postern/portal/factor"
	"postern/store"
)

// newFactors is what people can prove besides a password: what the configuration leaves
// switched on, kept in db under the sealing key.
func newFactors(cfg *config.Config, k keys, db *store.Store, log *slog.Logger) (portal.Factors, error) {
	own, err := factor.NewKeys(k.seal)
	if err != nil {
		return portal.Factors{}, err
	}
	f := portal.Factors{
		Devices:  &factor.Devices{Keeper: db, Recovery: db},
		Recovery: &factor.Recovery{Keys: own, Keeper: db},
		Tokens:   &factor.Tokens{Keys: own, Spent: db},
		WebAuthn: map[string]*factor.WebAuthn{},
	}
	if !cfg.Factors.TOTP.Disable {
		f.TOTP = &factor.TOTP{Config: cfg.Factors.TOTP, Keys: own, Keeper: db, Spent: db}
	}
	if cfg.Mail.Enabled() {
		f.Mailed = &factor.Mailed{Keys: own, Keeper: db}
	}
	if cfg.Factors.WebAuthn.Disable {
		return f, nil
	}
	for _, d := range cfg.Domains {
		site, err := cfg.Factors.WebAuthn.Site(d.Portal)
		if err != nil {
			log.Warn("no passkeys on this portal", "portal", d.Portal, "reason", err.Error())
			continue
		}
		f.WebAuthn[d.Portal] = &factor.WebAuthn{Config: cfg.Factors.WebAuthn, Site: site, Keys: own, Keeper: db, Spent: db}
	}
	return f, nil
}
