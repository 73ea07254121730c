// Package config reads postern.yml into the Config of every package: strictly, and with
// every fault of the file in one answer, each with its line and column.
//
// It does not open what the configuration names: no socket, no database, no users file.
// Only secrets that stand in a file of their own are read.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"postern/agent"
	"postern/agent/credential"
	"postern/agent/policy"
	"postern/agent/regulation"
	"postern/agent/session"
	"postern/haproxy"
	"postern/portal"
	"postern/portal/factor"
	"postern/portal/journal"
	"postern/portal/mail"
	"postern/portal/strength"
	"postern/portal/users"
)

// MaxSize is the largest configuration file that is read, in bytes.
const MaxSize = 4 << 20

// Config is one postern.yml. Paths in it are absolute.
type Config struct {
	Domains    []policy.Domain   `yaml:"domains"`
	Agent      agent.Config      `yaml:"agent"`
	Portal     portal.Config     `yaml:"portal"`
	Users      users.Config      `yaml:"users"`
	Passwords  strength.Config   `yaml:"passwords"`
	Factors    factor.Config     `yaml:"factors"`
	Mail       mail.Config       `yaml:"mail"`
	Regulation regulation.Config `yaml:"regulation"`
	Journal    journal.Config    `yaml:"journal"`
	Access     policy.Config     `yaml:"access_control"`
	Session    session.Config    `yaml:"session"`
	Headers    haproxy.Headers   `yaml:"headers"`

	Certificates credential.CertificateConfig `yaml:"certificates"`

	Store   string `yaml:"store"`   // sqlite:/path
	Secret  Secret `yaml:"secret"`  // what every key is derived from
	Control string `yaml:"control"` // path of the control socket; "" is control.sock beside the store
	Log     Log    `yaml:"log"`

	file string
	doc  *document
}

// Secret is a value, or the file that holds it.
type Secret struct {
	Value string `yaml:"value"`
	File  string `yaml:"file"`
}

// Log is `log` of the configuration.
type Log struct {
	Level     string `yaml:"level"`     // debug, info, warn, error
	Format    string `yaml:"format"`    // text or json
	Decisions string `yaml:"decisions"` // which of them get a line, whatever the level: none, denied, all
}

// Default is what an empty file means, before what must be written is missed.
func Default() Config {
	return Config{
		Agent:      agent.DefaultConfig(),
		Portal:     portal.DefaultConfig(),
		Users:      users.DefaultConfig(),
		Passwords:  strength.DefaultConfig(),
		Factors:    factor.DefaultConfig(),
		Mail:       mail.DefaultConfig(),
		Regulation: regulation.DefaultConfig(),
		Journal:    journal.DefaultConfig(),
		Session:    session.DefaultConfig(),
		Headers:    haproxy.DefaultHeaders(),
		Store:      "sqlite:/var/lib/postern/postern.db",
		Secret:     Secret{File: "/var/lib/postern/secret"},
		Log:        Log{Level: "info", Format: "text", Decisions: agent.DecisionsNone},
	}
}

// File is the path that the configuration was read from.
func (c *Config) File() string { return c.file }

// Load reads a file. Its error is Faults when the file could be read: every fault that
// it holds. lookup finds environment variables; os.LookupEnv is one.
func Load(path string, lookup func(string) (string, bool)) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, err
	}
	return Parse(path, data, lookup)
}

// Parse is Load for what stands in path already.
func Parse(path string, data []byte, lookup func(string) (string, bool)) (*Config, error) {
	d := &document{file: path, lookup: lookup, lines: strings.Split(string(data), "\n")}
	if len(data) > MaxSize {
		return nil, Faults{{File: path, Message: fmt.Sprintf("is larger than %d MiB", MaxSize>>20)}}
	}
	if bytes.IndexByte(data, 0) >= 0 {
		return nil, Faults{{File: path, Message: "is not text: it holds a NUL byte"}}
	}
	c := Default()
	c.file, c.doc = path, d
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	if d.read(data, &c) {
		c.resolve(dir)
		d.addFurther(c.validate())
	}
	if len(d.faults) > 0 {
		return nil, d.sorted()
	}
	return &c, nil
}

// Check reports an error that another package found in this configuration as the
// faults of the file that it stems from: an error that begins with a key path, or joins such.
func (c *Config) Check(err error) error {
	if err == nil {
		return nil
	}
	d := *c.doc
	d.faults = nil
	d.addError(err)
	return d.sorted()
}

// resolve makes every path relative to the file's folder.
func (c *Config) resolve(dir string) {
	rel := func(p *string) {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	after := func(p *string, scheme string) {
		if rest, ok := strings.CutPrefix(*p, scheme); ok && rest != "" && !filepath.IsAbs(rest) {
			*p = scheme + filepath.Join(dir, rest)
		}
	}
	c.resolveUsers(dir)
	rel(&c.Secret.File)
	if path, ok := c.StorePath(); c.Control == "" && ok && path != "" {
		c.Control = filepath.Join(filepath.Dir(path), "control.sock")
	}
	if c.Journal.File != journal.Stdout {
		rel(&c.Journal.File)
	}
	rel(&c.Portal.Brand.Logo)
	rel(&c.Portal.Brand.CSS)
	rel(&c.Mail.File)
	rel(&c.Mail.Templates)
	rel(&c.Mail.SMTP.TLS.CA)
	rel(&c.Control)
	after(&c.Store, "sqlite:")
	after(&c.Agent.Listen, "unix:")
	after(&c.Portal.Listen, "unix:")
}

// StorePath is the file of an SQLite store; ok is false for another engine.
func (c *Config) StorePath() (path string, ok bool) { return strings.CutPrefix(c.Store, "sqlite:") }

// validator is what a package's Config has when it can be wrong in itself.
type validator interface{ Validate() error }

// validate joins the faults of every part, each beginning with its key path.
func (c *Config) validate() error {
	var errs []error
	for _, part := range []any{c.Agent, c.Portal, c.Users, c.Passwords, c.Factors, c.Mail, c.Regulation, c.Journal, c.Session, c.Certificates} {
		if v, ok := part.(validator); ok {
			errs = append(errs, v.Validate())
		}
	}
	errs = append(errs, c.validateOwn()...)
	_, err := policy.Compile(c.Domains, c.Access)
	return errors.Join(append(errs, err)...)
}
