package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/urfave/cli/v2"

	"postern/agent/session"
	"postern/cmd/postern/config"
	"postern/portal/users"
)

func (t terminal) userCommand() *cli.Command {
	generate := &cli.BoolFlag{Name: "generate", Usage: "make a password and print it"}
	one := func(name, about, done string, edit func(context.Context, *users.File, string) error) *cli.Command {
		return &cli.Command{Name: name, Usage: about, ArgsUsage: "NAME", Flags: []cli.Flag{configFlag()}, Action: func(c *cli.Context) error {
			return t.userEdit(c, done, edit)
		}}
	}
	return &cli.Command{
		Name:  "user",
		Usage: "change who may sign in; a running postern follows at once",
		Subcommands: []*cli.Command{{
			Name: "add", Usage: "add a user", ArgsUsage: "NAME", Action: t.userAdd,
			Flags: []cli.Flag{configFlag(), passwordFlag(), generate,
				&cli.StringFlag{Name: "display-name", Usage: "`NAME` that people read"},
				&cli.StringSliceFlag{Name: "email", Usage: "mail `ADDRESS`; may be repeated"},
				&cli.StringSliceFlag{Name: "groups", Usage: "`GROUPS` with commas between"},
			},
		}, {
			Name: "passwd", Usage: "set a password, and sign the user out everywhere", ArgsUsage: "NAME", Action: t.userPasswd,
			Flags: []cli.Flag{configFlag(), passwordFlag(), generate},
		},
			one("disable", "shut a user out, from the next request on", "disabled", func(ctx context.Context, f *users.File, name string) error {
				return f.SetDisabled(ctx, name, true)
			}),
			one("enable", "let a disabled user in again", "enabled", func(ctx context.Context, f *users.File, name string) error {
				return f.SetDisabled(ctx, name, false)
			}),
			one("delete", "remove a user", "deleted", func(ctx context.Context, f *users.File, name string) error {
				return f.Remove(ctx, name)
			}),
			{Name: "list", Usage: "list the users of the files, or one of any backend", ArgsUsage: "[NAME]", Flags: []cli.Flag{configFlag(), outputFlag()}, Action: t.userList},
			t.userFactorsCommand(),
			t.userRecoveryCommand(),
		},
	}
}

func (t terminal) userAdd(c *cli.Context) error {
	args, err := arguments(c, "NAME")
	if err != nil {
		return err
	}
	u := users.User{Name: args[0], DisplayName: c.String("display-name"), Emails: c.StringSlice("email"), Groups: c.StringSlice("groups")}
	if err := users.CheckName(u.Name); err != nil {
		return usage("user add: %w", err)
	}
	p, err := usersOf(c)
	if err != nil {
		return err
	}
	file, err := p.target(c.Context, u.Name)
	if err != nil {
		return err
	}
	password, err := t.choosePassword(c, u.Name)
	if err != nil {
		return err
	}
	if err := file.Add(c.Context, u, password); err != nil {
		return p.fault(u.Name, err)
	}
	if err := follow(c.Context, p.config, "", u.Name); err != nil {
		return err
	}
	t.told(c, p.config, u.Name, "")
	t.said(c, u.Name, "added", password)
	return nil
}

func (t terminal) userPasswd(c *cli.Context) error {
	args, err := arguments(c, "NAME")
	if err != nil {
		return err
	}
	p, err := usersOf(c)
	if err != nil {
		return err
	}
	file, name, err := p.owned(c.Context, args[0], "set the password")
	if err != nil {
		return err
	}
	password, err := t.choosePassword(c, name)
	if err != nil {
		return err
	}
	if err := file.SetPassword(c.Context, name, password); err != nil {
		return p.fault(name, err)
	}
	if err := follow(c.Context, p.config, name, name); err != nil {
		return err
	}
	t.told(c, p.config, name, "")
	t.said(c, name, "has a new password", password)
	t.sayTokens(c, p.config, name)
	return nil
}

// said reports on stdout; a generated password is shown this once.
func (t terminal) said(c *cli.Context, name, what, password string) {
	fmt.Fprintf(t.Stdout, "%s %s\n", name, what)
	if c.Bool("generate") {
		fmt.Fprintf(t.Stdout, "password: %s\n", password)
	}
}

func (t terminal) choosePassword(c *cli.Context, name string) (string, error) {
	if c.Bool("generate") {
		if c.Bool("password-stdin") {
			return "", usage("--generate and --password-stdin exclude each other")
		}
		return newPassword(), nil
	}
	return t.readPassword(c.Bool("password-stdin"), "password for "+name)
}

// userEdit makes one change to one user; who is shut out loses every session.
func (t terminal) userEdit(c *cli.Context, done string, edit func(context.Context, *users.File, string) error) error {
	args, err := arguments(c, "NAME")
	if err != nil {
		return err
	}
	p, err := usersOf(c)
	if err != nil {
		return err
	}
	file, name, err := p.owned(c.Context, args[0], c.Command.Name+" the user")
	if err != nil {
		return err
	}
	if err := edit(c.Context, file, name); err != nil {
		return p.fault(name, err)
	}
	signOut := name
	if done == "enabled" {
		signOut = ""
	}
	if err := follow(c.Context, p.config, signOut, name); err != nil {
		return err
	}
	if done == "deleted" {
		if err := errors.Join(forget(c.Context, p.config, name), forgetTokens(c.Context, p.config, name)); err != nil {
			return err
		}
	}
	t.told(c, p.config, name, "")
	fmt.Fprintf(t.Stdout, "%s %s\n", name, done)
	return nil
}

// follow makes a running postern read the users at once, and ends the sessions of signOut
// when that is a name. It returns nil when that is done, or nobody runs and the store is
// up to date.
func follow(ctx context.Context, cfg *config.Config, signOut, name string) error {
	d := daemon{cfg.Control}
	err := d.call(ctx, "/users/reload", nil, nil)
	switch {
	case errors.Is(err, errNoDaemon):
		return signOutStored(ctx, cfg, signOut)
	case err != nil:
		return fmt.Errorf("the users file is changed for %s, but the running postern does not follow: %w", name, err)
	case signOut == "":
		return nil
	}
	return d.call(ctx, "/sessions/revoke", session.Filter{User: signOut}, nil)
}

// signOutStored ends sessions in the store of a postern that does not run.
func signOutStored(ctx context.Context, cfg *config.Config, user string) error {
	if user == "" {
		return nil
	}
	_, err := storedSessions(ctx, cfg, "/sessions/revoke", session.Filter{User: user})
	return err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
