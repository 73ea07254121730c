package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"postern/portal/users"
)

func (t terminal) userRecoveryCommand() *cli.Command {
	return &cli.Command{
		Name: "recovery", ArgsUsage: "NAME", Flags: []cli.Flag{configFlag(), outputFlag()}, Action: t.userRecovery,
		Usage: "make new recovery codes for a user who has lost his second factors, and print them",
	}
}

// userRecovery prints the codes: this is the only time they can be seen.
func (t terminal) userRecovery(c *cli.Context) error {
	args, err := arguments(c, "NAME")
	if err != nil {
		return err
	}
	if err := checkOutput(c); err != nil {
		return err
	}
	cfg, file, err := usersFile(c)
	if err != nil {
		return err
	}
	name := spelled(file, args[0])
	if _, known := file.Known(name); !known {
		return userError(file, name, users.ErrNotFound)
	}
	made, err := askDesk(c.Context, cfg, "/factors/recovery", deskQuestion{User: name})
	if err != nil {
		return err
	}
	return t.output(c, made.Codes, func() { fmt.Fprintln(t.Stdout, strings.Join(made.Codes, "\n")) })
}
