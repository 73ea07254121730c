package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"postern/agent/regulation"
)

func (t terminal) banCommand() *cli.Command {
	whom := []cli.Flag{
		configFlag(),
		&cli.StringFlag{Name: "user", Usage: "the user `USER`"},
		&cli.StringFlag{Name: "address", Usage: "an `ADDRESS` or a network such as 192.0.2.0/24; one IPv6 address means its /64"},
	}
	return &cli.Command{
		Name:  "ban",
		Usage: "list, make and lift bans",
		Subcommands: []*cli.Command{{
			Name:   "list",
			Usage:  "list who may not try, after failures or by an operator's word",
			Flags:  []cli.Flag{configFlag(), outputFlag()},
			Action: t.banList,
		}, {
			Name:  "add",
			Usage: "ban a user or a network: no sign-in, no token, no password in a header",
			Flags: append([]cli.Flag{
				outputFlag(),
				&cli.DurationFlag{Name: "for", Usage: "for `DURATION`, such as 1h; else until it is revoked"},
				&cli.StringFlag{Name: "reason", Usage: "`TEXT` for the list and the journal"},
				&cli.BoolFlag{Name: "sign-out", Usage: "end the sessions, too: of the user, or that began in the network"},
			}, whom...),
			Action: t.banAdd,
		}, {
			Name:      "revoke",
			Usage:     "lift bans, and forget the failures behind them",
			ArgsUsage: "[ID…]",
			Flags:     append([]cli.Flag{outputFlag(), &cli.BoolFlag{Name: "all", Usage: "lift every ban"}}, whom...),
			Action:    t.banRevoke,
		}},
	}
}

func (t terminal) banList(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	if err := checkOutput(c); err != nil {
		return err
	}
	cfg, err := loadConfig(c)
	if err != nil {
		return err
	}
	list, err := askWarden(c.Context, cfg, "/bans/list", struct{}{}, (*warden).bans)
	if err != nil && !errors.Is(err, errNoStore) {
		return err
	}
	return t.output(c, bansUTC(list), func() {
		rows := make([][]string, len(list))
		for i, b := range list {
			rows[i] = []string{b.ID, b.Whom(), reasonOf(b), clock(b.Since), endOf(b), b.By}
		}
		t.table("ID\tWHO\tWHY\tSINCE\tUNTIL\tBY", rows)
	})
}

// bansUTC is a list for programs.
func bansUTC(list []regulation.Ban) []regulation.Ban {
	out := make([]regulation.Ban, len(list))
	for i, b := range list {
		b.Since, b.Until = b.Since.UTC(), b.Until.UTC()
		out[i] = b
	}
	return out
}

// reasonOf says why somebody is banned.
func reasonOf(b regulation.Ban) string {
	if b.Kind == "" {
		return b.Reason
	}
	text := fmt.Sprintf("%d failures: %s", b.Failures, b.Kind)
	if b.Kind == regulation.Reset {
		text = fmt.Sprintf("%d requests for reset links", b.Failures)
	}
	if b.Browser {
		text += ", in a browser of his own"
	}
	return text
}

func endOf(b regulation.Ban) string {
	if b.Until.IsZero() {
		return "revoked"
	}
	return b.Until.Local().Format("2006-01-02 15:04:05")
}

func (t terminal) banAdd(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	if err := checkOutput(c); err != nil {
		return err
	}
	q := banQuestion{User: c.String("user"), For: c.Duration("for"), Reason: c.String("reason"), SignOut: c.Bool("sign-out")}
	if (q.User == "") == (c.String("address") == "") {
		return usage("ban add: name --user or --address")
	}
	if c.IsSet("for") && q.For < time.Second {
		return usage("ban add: --for %v is less than a second", q.For)
	}
	var err error
	if a := c.String("address"); a != "" {
		if q.Network, err = regulation.ParseNetwork(a); err != nil {
			return usage("ban add: --address: %v", err)
		}
	}
	cfg, err := loadConfig(c)
	if err != nil {
		return err
	}
	a, err := askWarden(c.Context, cfg, "/bans/add", q, (*warden).add)
	if err != nil {
		return err
	}
	return t.output(c, bansUTC([]regulation.Ban{a.Ban})[0], func() {
		fmt.Fprintf(t.Stdout, "%s\t%s\n", a.Ban.ID, printable(a.Ban.Whom()))
		if q.SignOut {
			fmt.Fprintf(t.Stdout, "%d sessions ended\n", a.Ended)
		}
	})
}

func (t terminal) banRevoke(c *cli.Context) error {
	if err := checkOutput(c); err != nil {
		return err
	}
	w := regulation.Which{IDs: c.Args().Slice(), User: c.String("user"), All: c.Bool("all")}
	named := 0
	for _, is := range []bool{len(w.IDs) > 0, w.User != "", c.String("address") != "", w.All} {
		if is {
			named++
		}
	}
	if named != 1 {
		return usage("ban revoke: name IDs, --user, --address or --all, and one of them only")
	}
	var err error
	if a := c.String("address"); a != "" {
		if w.Network, err = regulation.ParseNetwork(a); err != nil {
			return usage("ban revoke: --address: %v", err)
		}
	}
	cfg, err := loadConfig(c)
	if err != nil {
		return err
	}
	lifted, err := askWarden(c.Context, cfg, "/bans/revoke", w, (*warden).revoke)
	if err != nil {
		return err
	}
	return t.output(c, bansUTC(lifted), func() { fmt.Fprintf(t.Stdout, "%d lifted\n", len(lifted)) })
}
