package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
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
	p, err := usersOf(c)
	if err != nil {
		return err
	}
	u, _, err := p.find(c.Context, args[0])
	if err != nil {
		return err
	}
	made, err := askDesk(c.Context, p.config, "/factors/recovery", deskQuestion{User: u.Name})
	if err != nil {
		return err
	}
	return t.output(c, made.Codes, func() { fmt.Fprintln(t.Stdout, strings.Join(made.Codes, "\n")) })
}
