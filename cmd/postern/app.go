package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"postern/cmd/postern/config"
)

// terminal is where a command is typed and answered.
type terminal struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// usageError is a command or a configuration that is wrong: exit code 2.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// silent is an exit code whose reason has been said already.
type silent int

func (e silent) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// run runs one command and returns its exit code: one error, said once.
func (t terminal) run(ctx context.Context, args []string) int {
	out := &answered{Writer: t.Stdout}
	t.Stdout = out
	app := t.newApp()
	err := app.RunContext(ctx, permute(app, args))
	if err == nil && out.err != nil {
		err = fmt.Errorf("the answer is lost: %w", out.err)
	}
	var code silent
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	}
	fmt.Fprintln(t.Stderr, message(err))
	if errors.As(err, new(usageError)) || errors.As(err, new(config.Faults)) {
		return 2
	}
	return 1
}

// answered is where answers go. A secret that is shown once must not get lost on a full
// disk without a word.
type answered struct {
	io.Writer
	err error // the first
}

// Write implements io.Writer.
func (a *answered) Write(b []byte) (int, error) {
	n, err := a.Writer.Write(b)
	if a.err == nil {
		a.err = err
	}
	return n, err
}

// message is what stderr gets; the faults of a configuration speak for themselves.
func message(err error) string {
	var faults config.Faults
	if errors.As(err, &faults) {
		return faults.Error()
	}
	return "postern: " + err.Error()
}

// newApp is the command line.
func (t terminal) newApp() *cli.App {
	app := &cli.App{
		Name:            "postern",
		Usage:           "single sign-on for HAProxy",
		HideVersion:     true,
		HideHelpCommand: true,
		Reader:          t.Stdin,
		Writer:          t.Stdout,
		ErrWriter:       t.Stderr,
		ExitErrHandler:  func(*cli.Context, error) {}, // run says it, and nobody exits but main
		Flags:           []cli.Flag{configFlag()},
		Commands: []*cli.Command{
			t.serveCommand(), t.reloadCommand(), t.demoCommand(), t.checkCommand(), t.explainCommand(), t.hashCommand(), t.certCommand(), t.haproxyCommand(), t.userCommand(), t.tokenCommand(), t.sessionCommand(), t.banCommand(), t.auditCommand(), t.statusCommand(), t.versionCommand(),
		},
	}
	app.Action = group
	app.OnUsageError = flagError
	for _, c := range app.Commands {
		prepare(c)
	}
	return app
}

// prepare gives every command what every command has.
func prepare(c *cli.Command) {
	c.HideHelpCommand = true
	c.OnUsageError = flagError
	for _, sub := range c.Subcommands {
		prepare(sub)
	}
	if len(c.Subcommands) > 0 {
		c.Action = group
		c.Flags = append(c.Flags, configFlag())
	}
}

func configFlag() cli.Flag {
	return &cli.StringFlag{Name: "config", Aliases: []string{"c"}, Usage: "configuration `FILE`; $POSTERN_CONFIG, else postern.yml here, else /etc/postern/postern.yml"}
}

// group answers for a command that only holds others.
func group(c *cli.Context) error {
	var names []string
	for _, sub := range c.Command.Subcommands {
		if !sub.Hidden {
			names = append(names, sub.Name)
		}
	}
	name := c.Args().First()
	prefix := strings.TrimSpace(strings.TrimPrefix(c.Command.HelpName, "postern"))
	if prefix != "" {
		prefix += " "
	}
	if name == "" {
		return usage("%sneeds a command: %s", prefix, strings.Join(names, ", "))
	}
	return usage("unknown command %q; %s", prefix+name, hint(name, names))
}

// flagError answers for a flag that does not exist or does not fit.
func flagError(c *cli.Context, err error, _ bool) error {
	text := err.Error()
	name, unknown := strings.CutPrefix(text, "flag provided but not defined: -")
	if !unknown {
		return usage("%s", text)
	}
	var names []string
	for _, f := range c.Command.VisibleFlags() {
		names = append(names, f.Names()[0])
	}
	flag := "--" + strings.TrimLeft(name, "-")
	return usage("unknown flag %s; %s", flag, hint(strings.TrimLeft(name, "-"), names))
}

func hint(word string, words []string) string {
	if near := config.Nearest(word, words); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(words) == 0 {
		return "there is none here"
	}
	return "there are " + strings.Join(words, ", ")
}

// arguments returns the words after the flags: as many as names, the last of which may
// be left out when it ends in a question mark.
func arguments(c *cli.Context, names ...string) ([]string, error) {
	args := c.Args().Slice()
	need := len(names)
	if need > 0 && strings.HasSuffix(names[need-1], "?") {
		need--
	}
	command := strings.TrimPrefix(c.Command.HelpName, "postern ")
	if len(args) < need {
		return nil, usage("%s: %s is missing; try: postern %s --help", command, names[len(args)], command)
	}
	if len(args) > len(names) {
		return nil, usage("%s: %q is one word too many", command, args[len(names)])
	}
	return append(args, make([]string, len(names)-len(args))...), nil
}

// configPath is the file of --config, wherever on the line it was written.
func configPath(c *cli.Context) string {
	for _, at := range c.Lineage() {
		if at.Command != nil && at.IsSet("config") {
			if path := at.String("config"); path != "" {
				return path
			}
		}
	}
	if path := os.Getenv("POSTERN_CONFIG"); path != "" {
		return path
	}
	if _, err := os.Stat("postern.yml"); err == nil {
		return "postern.yml"
	}
	return "/etc/postern/postern.yml"
}

// loadConfig reads the configuration of a command; that it cannot be read is wrong use.
func loadConfig(c *cli.Context) (*config.Config, error) { return readConfig(configPath(c)) }

func readConfig(path string) (*config.Config, error) {
	cfg, err := config.Load(path, os.LookupEnv)
	if errors.Is(err, os.ErrNotExist) && !errors.As(err, new(config.Faults)) {
		return nil, usage("there is no configuration %s; name one with --config or POSTERN_CONFIG", path)
	}
	if err != nil && !errors.As(err, new(config.Faults)) {
		return nil, usageError{err}
	}
	return cfg, err
}
