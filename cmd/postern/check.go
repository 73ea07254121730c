package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"strings"

	"github.com/urfave/cli/v2"

	"postern/agent/policy"
	"postern/cmd/postern/config"
	"postern/haproxy"
	"postern/portal/users"
)

func (t terminal) checkCommand() *cli.Command {
	return &cli.Command{
		Name:  "check",
		Usage: "check the configuration, and say what is risky in it",
		Flags: []cli.Flag{
			configFlag(), outputFlag(),
			&cli.BoolFlag{Name: "strict", Usage: "fail when anything is risky"},
			&cli.BoolFlag{Name: "offline", Usage: "connect to nothing: no directory of users, no mail server"},
			&cli.BoolFlag{Name: "schema", Usage: "print the JSON Schema of the configuration instead"},
		},
		Action: t.check,
	}
}

// finding is one warning as JSON.
type finding struct {
	Path    string `json:"path"`
	Line    int    `json:"line,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// report is the answer of check as JSON.
type report struct {
	OK       bool      `json:"ok"`
	Config   string    `json:"config"`
	Domains  int       `json:"domains"`
	Rules    int       `json:"rules"`
	Users    int       `json:"users"`
	Warnings []finding `json:"warnings"`
}

func (t terminal) check(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	if err := checkOutput(c); err != nil {
		return err
	}
	if c.Bool("schema") {
		_, err := t.Stdout.Write(config.Schema())
		return err
	}
	cfg, err := loadConfig(c)
	if err != nil {
		return err
	}
	rules, err := policy.Compile(cfg.Domains, cfg.Access)
	if err != nil {
		return cfg.Check(err)
	}
	risks := cfg.Risks()
	for _, w := range rules.Warnings() {
		risks = append(risks, w)
	}
	all := newUsers(cfg, slog.New(slog.DiscardHandler))
	more, err := lookAround(c.Context, cfg, all)
	if err != nil {
		return err
	}
	if !c.Bool("offline") {
		if err := cfg.Check(errors.Join(mailFault(c.Context, cfg), tryDirectories(c.Context, cfg, all))); err != nil {
			return err
		}
	}
	var warnings config.Faults
	errors.As(cfg.Check(errors.Join(append(risks, more...)...)), &warnings)
	r := report{true, cfg.File(), len(cfg.Domains), rules.Len(), 0, []finding{}}
	for _, f := range filesOf(all) {
		r.Users += len(f.List())
	}
	for _, w := range warnings {
		r.Warnings = append(r.Warnings, finding{w.Path, w.Line, w.Message, w.Hint})
	}
	r.OK = !c.Bool("strict") || len(warnings) == 0
	err = t.output(c, r, func() { t.sayChecked(r, warnings, cfg.Access.DefaultPolicy) })
	if err == nil && !r.OK {
		return silent(1)
	}
	return err
}

// sayChecked is the answer of check for people.
func (t terminal) sayChecked(r report, warnings config.Faults, otherwise policy.Policy) {
	for _, w := range warnings {
		fmt.Fprintln(t.Stdout, "warning:", w.Error())
	}
	fmt.Fprintf(t.Stdout, "%s: %s, %s, %s, default %s: %s\n", r.Config, count(r.Domains, "domain"), count(r.Rules, "rule"), count(r.Users, "user"),
		otherwise, map[bool]string{true: "ok", false: "refused by --strict"}[r.OK])
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// lookAround looks at what the configuration names on this machine: the users, the modes
// of the files, the group of the socket. A users file that is broken is an error.
func lookAround(ctx context.Context, cfg *config.Config, all *users.Backends) (risks []error, err error) {
	warn := func(format string, args ...any) { risks = append(risks, fmt.Errorf(format, args...)) }
	paths := []struct{ key, path string }{{"secret", cfg.Secret.File}, {"store", storeFile(cfg)}}
	for i, e := range all.List {
		file, ok := e.Backend.(*users.File)
		if !ok {
			continue
		}
		key := cfg.UsersKey(i) + ".file"
		paths = append(paths, struct{ key, path string }{key, file.Path})
		switch err := file.Load(); {
		case errors.Is(err, fs.ErrNotExist):
			warn("%s: does not exist yet; make it with: postern user add NAME", key)
		case err != nil:
			return nil, usageError{err}
		case len(file.List()) == 0 && len(all.List) == 1:
			warn("%s: has no users; add one with: postern user add NAME", key)
		}
		for _, name := range guessable(ctx, file) {
			warn("%s: the password of %s is %s; set another with: postern user passwd %s", key, name, name, name)
		}
	}
	for _, f := range paths {
		if info, err := os.Stat(f.path); err == nil && info.Mode().Perm()&0o077 != 0 {
			what := "can be read by others"
			if info.Mode().Perm()&0o022 != 0 {
				what = "can be changed by others"
			}
			warn("%s: %s has mode %#o and %s; run: chmod 600 %s", f.key, f.path, info.Mode().Perm(), what, f.path)
		}
	}
	if _, err := haproxy.Generate(haproxyConfig(cfg, "/etc/haproxy/spoe.conf"), haproxy.Oldest(), haproxy.Defaults); err != nil {
		for _, e := range split(err) {
			warn("postern haproxy cannot write HAProxy's files: %w", e)
		}
	}
	if g := cfg.Agent.Group; strings.HasPrefix(cfg.Agent.Listen, "unix:") && g != "" {
		if _, err := groupID(g); err != nil {
			warn("agent.group: %s; the agent's socket cannot be given to it", err)
		} else if !mayGive(g) {
			warn("agent.group: the user who runs this is not a member of %s; run postern as root or as a member", g)
		}
	}
	if info, err := os.Stat(cfg.File()); err == nil && info.Mode().Perm()&0o022 != 0 {
		warn("%s has mode %#o and can be changed by others; run: chmod go-w %s", cfg.File(), info.Mode().Perm(), cfg.File())
	}
	return risks, nil
}

// guessable are the users that programs which guess passwords try first, as far as their
// password is their name.
func guessable(ctx context.Context, file *users.File) []string {
	var names []string
	for _, name := range []string{"admin", "demo", "guest", "root", "test", "user"} {
		if u, known := file.Known(name); !known || u.Disabled {
			continue
		}
		if _, err := file.Authenticate(ctx, name, name); err == nil {
			names = append(names, name)
		}
	}
	return names
}

func storeFile(cfg *config.Config) string {
	path, _ := cfg.StorePath()
	return path
}

// mayGive says whether this process may give a file to a group.
func mayGive(group string) bool {
	gid, err := groupID(group)
	if err != nil || os.Geteuid() == 0 {
		return err == nil
	}
	gids, err := os.Getgroups()
	for _, g := range append(gids, os.Getegid()) {
		if g == gid {
			return true
		}
	}
	me, _ := user.Current()
	return err != nil || me == nil
}
