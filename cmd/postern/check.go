package main

import "github.com/urfave/cli/v2"

func (t terminal) checkCommand() *cli.Command {
	return &cli.Command{Name: "check", Usage: "check the configuration, and say what is risky in it", Flags: []cli.Flag{configFlag(), outputFlag()}, Action: func(*cli.Context) error { return nil }}
}
