package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"postern/cmd/postern/config"
	"postern/haproxy"
	"postern/portal/users"
)

// write fills the folder with what a site has: the configuration of Postern, its users,
// a certificate, and HAProxy's files.
func (d *demo) write(ctx context.Context) (*config.Config, error) {
	made, err := newCertificate([]string{demoDomain, "*." + demoDomain}, time.Now(), 30)
	if err != nil {
		return nil, err
	}
	portal := strings.TrimSuffix(d.url("auth"), "/")
	home := strings.TrimSuffix(d.url("public"), "/")
	err = errors.Join(
		writeAtomic(d.path("postern-ca.pem"), made.authority, 0o644),
		writeAtomic(d.path("postern.pem"), made.bundle, 0o600),
		writeAtomic(d.path("postern.yml"), fmt.Appendf(nil, demoConfig, portal, home), 0o600),
	)
	if err != nil {
		return nil, err
	}
	cfg, err := readConfig(d.path("postern.yml"))
	if err != nil {
		return nil, err
	}
	if err := d.writeUsers(ctx, cfg.Users[0].File); err != nil {
		return nil, err
	}
	return cfg, d.writeHAProxy(ctx, cfg)
}

const demoConfig = `# The demo's site. Each demo writes this file anew; users.yml stays.
domains:
  - domain: ` + demoDomain + `
    portal: %s
    home: %s
agent: {listen: "unix:agent.sock", mode: "0600", group: ""}
portal: {listen: "unix:portal.sock"}
users: {file: users.yml}
store: sqlite:postern.db
secret: {file: secret}
mail: {file: mail.txt}
log: {level: warn}
access_control:
  default_policy: deny
  rules:
    - {name: public, domain: public.` + demoDomain + `, policy: bypass}
    - {name: app, domain: app.` + demoDomain + `, policy: one_factor}
    - {name: secure, domain: secure.` + demoDomain + `, policy: two_factor}
    - {name: admin, domain: admin.` + demoDomain + `, subject: "group:admins", policy: one_factor}
`

// writeUsers makes the two users, unless a folder that stayed has users already.
func (d *demo) writeUsers(ctx context.Context, path string) error {
	if exists(path) {
		return nil
	}
	file := &users.File{Path: path}
	for _, u := range []users.User{
		{Name: "demo", DisplayName: "Demo User", Emails: []string{"demo@" + demoDomain}, Groups: []string{"users"}},
		{Name: "admin", DisplayName: "Ada Admin", Emails: []string{"admin@" + demoDomain}, Groups: []string{"admins", "users"}},
	} {
		if err := file.Add(ctx, u, u.Name); err != nil {
			return err
		}
	}
	return nil
}

// files are HAProxy's, in the order in which it reads them.
func (d *demo) files() []string {
	return []string{d.path("global.cfg"), d.path("postern.cfg"), d.path("site.cfg")}
}

func (d *demo) writeHAProxy(ctx context.Context, cfg *config.Config) error {
	v, err := haproxy.Installed(ctx, d.program)
	if err != nil {
		return err
	}
	generated, err := haproxy.Generate(haproxyConfig(cfg, d.path("spoe.conf")), v, d.form)
	if err != nil {
		return err
	}
	s := site{
		bind: d.listen + " ssl crt " + d.path("postern.pem") + " alpn h2,http/1.1",
		spoe: d.path("spoe.conf"), portal: "auth." + demoDomain, application: "unix@" + d.path("app.sock"),
	}
	postern, own := s.files(generated, d.form)
	return errors.Join(
		os.WriteFile(d.path("global.cfg"), []byte("global\n    maxconn 1000\n    log stdout format raw local0 notice\n"), 0o600),
		os.WriteFile(d.path("spoe.conf"), generated.SPOE, 0o600),
		os.WriteFile(d.path("postern.cfg"), postern, 0o600),
		os.WriteFile(d.path("site.cfg"), own, 0o600),
	)
}
