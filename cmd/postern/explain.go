package main

import "github.com/urfave/cli/v2"

func (t terminal) explainCommand() *cli.Command {
	return &cli.Command{Name: "explain", Usage: "say which rule decides about a URL, and why", Action: func(*cli.Context) error { return nil }}
}
