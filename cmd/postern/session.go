package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"postern/agent/session"
	"postern/cmd/postern/config"
)

func (t terminal) sessionCommand() *cli.Command {
	filter := []cli.Flag{
		configFlag(), outputFlag(),
		&cli.StringFlag{Name: "user", Usage: "only those of `USER`"},
		&cli.StringFlag{Name: "domain", Usage: "only those for the cookie domain `DOMAIN`"},
	}
	return &cli.Command{
		Name:  "session",
		Usage: "list and end sessions",
		Subcommands: []*cli.Command{{
			Name:   "list",
			Usage:  "list who is signed in",
			Flags:  filter,
			Action: t.sessionList,
		}, {
			Name:      "revoke",
			Usage:     "end sessions: one by its id, those of a user or a domain, or all",
			ArgsUsage: "[ID]",
			Flags:     append(slices.Clone(filter), &cli.BoolFlag{Name: "all", Usage: "end every session"}),
			Action:    t.sessionRevoke,
		}},
	}
}

func (t terminal) sessionList(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	return t.sessions(c, "/sessions/list", session.Filter{User: c.String("user"), Domain: c.String("domain")})
}

func (t terminal) sessionRevoke(c *cli.Context) error {
	args, err := arguments(c, "ID?")
	if err != nil {
		return err
	}
	f := session.Filter{ID: args[0], User: c.String("user"), Domain: c.String("domain")}
	if f.IsZero() != c.Bool("all") {
		return usage("session revoke: name an ID, --user, --domain, or --all (and nothing else)")
	}
	return t.sessions(c, "/sessions/revoke", f)
}

// sessionLine is one session as the list shows it.
type sessionLine struct {
	ID       string    `json:"id"`
	User     string    `json:"user"`
	Domain   string    `json:"domain"`
	Level    int       `json:"level"`
	Remember bool      `json:"remember"`
	Created  time.Time `json:"created"`
	Seen     time.Time `json:"seen"`
	Expires  time.Time `json:"expires"`
	Addr     string    `json:"addr"`
	Browser  string    `json:"browser"`
}

// sessions asks the daemon or, when none runs, the store itself, and shows the answer.
func (t terminal) sessions(c *cli.Context, path string, f session.Filter) error {
	if err := checkOutput(c); err != nil {
		return err
	}
	cfg, err := loadConfig(c)
	if err != nil {
		return err
	}
	if f.User, err = userMeant(c.Context, cfg, f.User); err != nil {
		return err
	}
	var found []session.Session
	err = daemon{cfg.Control}.call(c.Context, path, f, &found)
	if errors.Is(err, errNoDaemon) {
		found, err = storedSessions(c.Context, cfg, path, f)
	}
	if err != nil {
		return err
	}
	if path == "/sessions/revoke" && f.ID != "" && len(found) == 0 {
		return fmt.Errorf("there is no session %s", f.ID)
	}
	if path == "/sessions/revoke" {
		t.toldRevoked(c, cfg, f, len(found))
	}
	lines := make([]sessionLine, len(found))
	rows := make([][]string, len(found))
	for i, s := range found {
		lines[i] = sessionLine{s.ID, s.User, s.Domain, int(s.Level), s.Remember, s.Created.UTC(), s.Seen.UTC(), s.Expires.UTC(), s.Addr, s.Browser}
		rows[i] = []string{s.ID, s.User, s.Domain, strconv.Itoa(int(s.Level)), clock(s.Created), clock(s.Seen), clock(s.Expires), s.Addr, s.Browser}
	}
	return t.output(c, lines, func() {
		if path == "/sessions/revoke" {
			fmt.Fprintf(t.Stdout, "%d ended\n", len(found))
			return
		}
		t.table("ID\tUSER\tDOMAIN\tLEVEL\tSIGNED IN\tLAST USED\tENDS\tADDRESS\tBROWSER", rows)
	})
}

// toldRevoked tells the journal which sessions were meant, and how many there were.
func (t terminal) toldRevoked(c *cli.Context, cfg *config.Config, f session.Filter, ended int) {
	meant := "--all"
	if !f.IsZero() {
		meant = strings.TrimSpace(f.ID + " " + f.Domain)
	}
	t.told(c, cfg, f.User, strings.TrimSpace(fmt.Sprintf("%s (%d ended)", meant, ended)))
}

func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }

// storedSessions works on the store while no daemon holds it. A store that does not exist
// is not made: it would belong to whoever asked.
func storedSessions(ctx context.Context, cfg *config.Config, path string, f session.Filter) (found []session.Session, err error) {
	if path, ok := cfg.StorePath(); ok && !exists(path) {
		return nil, nil
	}
	s, err := openStore(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	work := s.ListSessions
	if path == "/sessions/revoke" {
		work = s.DeleteSessions
	}
	records, err := work(ctx, f)
	for _, r := range records {
		found = append(found, r.Session)
	}
	if path == "/sessions/revoke" && len(found) > 0 && err == nil {
		k, err := keysOf(cfg)
		if err != nil {
			return found, nil // what the journal lacks, told says
		}
		localRecord(s, k).revoked(ctx, slog.New(slog.DiscardHandler), found)
	}
	return found, err
}
