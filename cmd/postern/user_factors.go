package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"postern/cmd/postern/config"
)

func (t terminal) userFactorsCommand() *cli.Command {
	return &cli.Command{
		Name:  "factors",
		Usage: "what users prove besides their passwords",
		Subcommands: []*cli.Command{{
			Name: "list", Usage: "list the second factors of a user, or of all", ArgsUsage: "[NAME]",
			Flags: []cli.Flag{configFlag(), outputFlag()}, Action: t.userFactorsList,
		}, {
			Name: "delete", Usage: "remove one of them, or all with the recovery codes, and sign the user out everywhere", ArgsUsage: "NAME [ID]",
			Flags: []cli.Flag{configFlag(), &cli.BoolFlag{Name: "all", Usage: "remove them all"}}, Action: t.userFactorsDelete,
		}},
	}
}

// factorLine is one factor as the list shows it.
type factorLine struct {
	User   string     `json:"user"`
	ID     string     `json:"id,omitempty"` // none for recovery codes
	Kind   string     `json:"kind"`         // totp, webauthn or recovery
	Name   string     `json:"name,omitempty"`
	Site   string     `json:"site,omitempty"` // of a passkey
	Added  *time.Time `json:"added,omitempty"`
	Used   *time.Time `json:"used,omitempty"`
	Warned *time.Time `json:"warned,omitempty"` // it may have been copied
	Left   int        `json:"left,omitempty"`   // recovery codes
}

func (t terminal) userFactorsList(c *cli.Context) error {
	args, err := arguments(c, "NAME?")
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
	name := ""
	if args[0] != "" {
		if name, err = p.spelled(c.Context, args[0]); err != nil {
			return err
		}
	}
	found, err := askDesk(c.Context, p.config, "/factors/list", deskQuestion{User: name})
	if err != nil && !errors.Is(err, errNoStore) {
		return err
	}
	lines := factorLines(found)
	rows := make([][]string, len(lines))
	for i, l := range lines {
		name := l.Name
		if l.Kind == "recovery" {
			name = fmt.Sprintf("%d codes left", l.Left)
		}
		rows[i] = []string{l.User, l.ID, l.Kind, name, l.Site, clockOr(l.Added), clockOr(l.Used), clockOr(l.Warned)}
	}
	return t.output(c, lines, func() { t.table("USER\tID\tKIND\tNAME\tSITE\tADDED\tLAST USED\tWARNED", rows) })
}

// factorLines puts devices and codes in order of user: devices by age, then codes.
func factorLines(a deskAnswer) []factorLine {
	lines := []factorLine{}
	for _, d := range a.Devices {
		lines = append(lines, factorLine{User: d.User, ID: d.ID, Kind: string(d.Kind), Name: d.Name, Site: d.Site,
			Added: utcOr(d.Created), Used: utcOr(d.Used), Warned: utcOr(d.Warned)})
	}
	for user, left := range a.Left {
		if left > 0 {
			lines = append(lines, factorLine{User: user, Kind: "recovery", Left: left})
		}
	}
	slices.SortStableFunc(lines, func(x, y factorLine) int { return strings.Compare(x.User, y.User) })
	return lines
}

func utcOr(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func clockOr(t *time.Time) string {
	if t == nil {
		return ""
	}
	return clock(*t)
}

func (t terminal) userFactorsDelete(c *cli.Context) error {
	args, err := arguments(c, "NAME", "ID?")
	if err != nil {
		return err
	}
	if (args[1] == "") != c.Bool("all") {
		return usage("user factors delete: name an ID or --all (and not both)")
	}
	p, err := usersOf(c)
	if err != nil {
		return err
	}
	name, err := p.spelled(c.Context, args[0])
	if err != nil {
		return err
	}
	gone, err := askDesk(c.Context, p.config, "/factors/remove", deskQuestion{User: name, ID: args[1], All: c.Bool("all")})
	if err != nil && !errors.Is(err, errNoStore) {
		return err
	}
	if len(gone.Devices) == 0 && args[1] != "" {
		return fmt.Errorf("%s has no factor %s; try: postern user factors list %s", name, args[1], name)
	}
	for _, d := range gone.Devices {
		fmt.Fprintf(t.Stdout, "%s: %s removed\n", name, printable(d.Name))
	}
	if c.Bool("all") {
		fmt.Fprintf(t.Stdout, "%s has no second factor\n", name)
	}
	return nil
}

// forget removes everything that a user proved besides his password: one who gets the
// same name later must not find it.
func forget(ctx context.Context, cfg *config.Config, name string) error {
	_, err := askDesk(ctx, cfg, "/factors/remove", deskQuestion{User: name, All: true})
	if errors.Is(err, errNoStore) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s is deleted, but the second factors are not: %w; try: postern user factors delete %s --all", name, err, name)
	}
	return nil
}
