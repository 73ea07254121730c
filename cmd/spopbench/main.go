// Command spopbench measures Postern beside the limit of its kind: the same HAProxy with
// no filter, and with an agent that answers constants.
//
// It is a tool of the project, not of its users, and it does not judge: it prints ratios
// with their spread, as a table, as JSON and as charts.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newApp(os.Stdout, os.Stderr).RunContext(ctx, os.Args)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "spopbench:", err)
		os.Exit(1)
	}
}

// newApp is the command line: run measures everything; the others are its parts.
func newApp(stdout, stderr io.Writer) *cli.App {
	return &cli.App{
		Name:      "spopbench",
		Usage:     "measure Postern beside an agent that answers constants",
		Writer:    stdout,
		ErrWriter: stderr,
		Commands:  []*cli.Command{runCommand(), constantCommand(), loadCommand(), rateCommand()},
	}
}
