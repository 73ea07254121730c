// Command postern is a single sign-on companion for HAProxy.
//
// Everything it does, packages below do; here is only the wiring, and what a terminal
// needs. What is asked for goes to stdout, everything else to stderr; the exit code is 0
// when it was done, 1 when it failed, and 2 when the command or the configuration is wrong.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second Ctrl-C ends it at once
	t := terminal{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	code := t.run(ctx, os.Args)
	stop()
	os.Exit(code)
}
