package main

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// permute moves flags in front of the words of their command, since the flag parser stops
// at the first word: "explain URL --user bob" means "explain --user bob URL". What
// follows "--" is left alone.
func permute(app *cli.App, args []string) []string {
	if len(args) == 0 {
		return args
	}
	out := []string{args[0]}
	flags, commands := app.Flags, app.Commands
	var words []string
	for i := 1; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			return append(append(append(out, "--"), words...), args[i+1:]...)
		case strings.HasPrefix(arg, "-") && arg != "-":
			out = append(out, arg)
			if takesValue(flags, arg) && i+1 < len(args) {
				i++
				out = append(out, args[i])
			}
		default:
			if c := find(commands, arg); c != nil && len(words) == 0 {
				out = append(out, arg)
				flags, commands = c.Flags, c.Subcommands
				continue
			}
			words = append(words, arg)
		}
	}
	return append(out, words...)
}

func find(commands []*cli.Command, name string) *cli.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

// takesValue says whether the flag arg is followed by its value as a word of its own.
func takesValue(flags []cli.Flag, arg string) bool {
	name := strings.TrimLeft(arg, "-")
	for _, f := range flags {
		for _, n := range f.Names() {
			if n == name {
				_, isBool := f.(*cli.BoolFlag)
				return !isBool
			}
		}
	}
	return false
}
