package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"postern/cmd/postern/config"
	"postern/portal/mail"
)

// mailTry bounds the check of the mail server.
const mailTry = 20 * time.Second

// newOutbox makes the outbox that the configuration asks for, nil when mail is off.
func newOutbox(cfg *config.Config, log *slog.Logger) (*mail.Outbox, error) {
	if !cfg.Mail.Enabled() {
		return nil, nil
	}
	brand, err := mailBrand(cfg)
	if err != nil {
		return nil, err
	}
	m := &mail.Mailer{Config: cfg.Mail, Brand: brand}
	if err := m.Load(); err != nil {
		return nil, err
	}
	return &mail.Outbox{Mailer: m, Log: log}, nil
}

// maxMailLogo is the largest logo that is sent along, in bytes; a larger one, and one that
// mail programs do not show, gives way to the name.
const maxMailLogo = 100 << 10

// mailBrand is the portal's branding as far as a mail can show it.
func mailBrand(cfg *config.Config) (mail.Brand, error) {
	b := cfg.Portal.Brand
	brand := mail.Brand{Name: b.Name, Accent: b.Accent}
	switch strings.ToLower(filepath.Ext(b.Logo)) {
	case ".png", ".jpg", ".jpeg":
	default:
		return brand, nil
	}
	f, err := os.Open(b.Logo)
	if err != nil {
		return brand, fmt.Errorf("portal.branding.logo: %w", err)
	}
	defer f.Close()
	logo, err := io.ReadAll(io.LimitReader(f, maxMailLogo+1))
	if err != nil {
		return brand, fmt.Errorf("portal.branding.logo: %w", err)
	}
	if len(logo) <= maxMailLogo {
		brand.Logo = logo
	}
	return brand, nil
}

// tryMail says in the log when the mail server cannot be used. Nobody is kept waiting:
// people sign in without it.
func (m *Main) tryMail(ctx context.Context) {
	if m.outbox == nil {
		m.Log.Info("mail is not set up: passwords cannot be reset, and nobody is told of changes")
		return
	}
	if err := checkMail(ctx, m.outbox.Mailer); err != nil && ctx.Err() == nil {
		m.Log.Warn("mail cannot be sent as things are", "error", err.Error())
	}
}

func checkMail(ctx context.Context, m *mail.Mailer) error {
	ctx, cancel := context.WithTimeout(ctx, mailTry)
	defer cancel()
	return m.Check(ctx)
}

// mailFault is what `postern check` finds wrong with mail, nil when it is off.
func mailFault(ctx context.Context, cfg *config.Config) error {
	o, err := newOutbox(cfg, slog.New(slog.DiscardHandler))
	if o == nil || err != nil {
		return err
	}
	key := "mail.smtp.address"
	if cfg.Mail.File != "" {
		key = "mail.file"
	}
	if err := checkMail(ctx, o.Mailer); err != nil {
		text := strings.TrimPrefix(err.Error(), "mail: ")
		if rest, ok := strings.CutPrefix(text, "mail."); ok { // it names its key itself
			return errors.New("mail." + rest)
		}
		return fmt.Errorf("%s: %s", key, text)
	}
	return nil
}
