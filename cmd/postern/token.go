package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"postern/agent/credential"
	"postern/agent/policy"
	"postern/cmd/postern/config"
)

func (t terminal) tokenCommand() *cli.Command {
	return &cli.Command{
		Name:  "token",
		Usage: "let programs in: tokens and application passwords",
		Subcommands: []*cli.Command{{
			Name: "create", Usage: "make one for a user and print its secret, this once", Action: t.tokenCreate,
			Flags: []cli.Flag{configFlag(), outputFlag(),
				&cli.StringFlag{Name: "user", Usage: "`USER` it stands for"},
				&cli.StringFlag{Name: "name", Usage: "`NAME`: what it is for"},
				&cli.BoolFlag{Name: "app", Usage: "an application password, for programs that ask for a user name and a password"},
				&cli.StringSliceFlag{Name: "host", Usage: "only for `HOST`, or *.example.com; may be repeated"},
				&cli.StringSliceFlag{Name: "method", Usage: "only for `METHOD`; may be repeated"},
				&cli.StringFlag{Name: "path", Usage: "only for `PATH` and what lies under it"},
				&cli.StringSliceFlag{Name: "network", Usage: "only from `NETWORK`, an address or a CIDR; may be repeated"},
				&cli.StringFlag{Name: "expires", Value: "90d", Usage: "`WHEN` it ends: 90d, 12h, or never"},
				&cli.IntFlag{Name: "level", Value: 1, Usage: "how many factors it counts for, 1 or 2"},
			},
		}, {
			Name: "list", Usage: "list those of a user, or of all", Action: t.tokenList,
			Flags: []cli.Flag{configFlag(), outputFlag(), &cli.StringFlag{Name: "user", Usage: "only those of `USER`"}},
		}, {
			Name: "revoke", Usage: "end some by their ids, or all of a user", ArgsUsage: "[ID]…", Action: t.tokenRevoke,
			Flags: []cli.Flag{configFlag(), outputFlag(),
				&cli.StringFlag{Name: "user", Usage: "only those of `USER`"},
				&cli.BoolFlag{Name: "all", Usage: "all of --user"},
			},
		}},
	}
}

// tokenLine is one credential as commands show it.
type tokenLine struct {
	ID       string     `json:"id"`
	User     string     `json:"user"`
	Kind     string     `json:"kind"` // token or app
	Name     string     `json:"name"`
	Level    int        `json:"level"`
	Hosts    []string   `json:"hosts"` // empty: everywhere
	Methods  []string   `json:"methods"`
	Path     string     `json:"path,omitempty"`
	Networks []string   `json:"networks"`
	Created  time.Time  `json:"created"`
	Expires  *time.Time `json:"expires,omitempty"` // absent: never
	Used     *time.Time `json:"used,omitempty"`    // absent: never
	Secret   string     `json:"secret,omitempty"`  // when it was made just now
}

func lineOf(r credential.Record) tokenLine {
	list := func(s []string) []string { return append([]string{}, s...) }
	return tokenLine{
		ID: r.ID, User: r.Owner, Kind: string(r.Kind), Name: r.Name, Level: int(r.Level),
		Hosts: list(r.Scope.Hosts), Methods: list(r.Scope.Methods), Path: r.Scope.Path, Networks: list(r.Scope.Networks),
		Created: r.Created.UTC(), Expires: utcOr(r.Expires), Used: utcOr(r.Used),
	}
}

// limits says in one cell what a credential is good for.
func (l tokenLine) limits() string {
	var parts []string
	for _, p := range []string{strings.Join(l.Hosts, ","), strings.Join(l.Methods, ","), l.Path, strings.Join(l.Networks, ",")} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	if len(l.Hosts) == 0 {
		parts = append([]string{"everywhere"}, parts...)
	}
	return strings.Join(parts, " ")
}

// ends says when it expires.
func (l tokenLine) ends(now time.Time) string {
	switch {
	case l.Expires == nil:
		return "never"
	case !now.Before(*l.Expires):
		return "expired"
	}
	return clock(*l.Expires)
}

func (t terminal) tokenCreate(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	if err := checkOutput(c); err != nil {
		return err
	}
	d, err := tokenDraft(c)
	if err != nil {
		return err
	}
	p, err := usersOf(c)
	if err != nil {
		return err
	}
	u, _, err := p.find(c.Context, c.String("user"))
	if err != nil {
		return err
	}
	d.Owner = u.Name
	made, err := askTokens(c.Context, p.config, "/tokens/create", tokenQuestion{Draft: &d})
	if err != nil {
		return err
	}
	if made.Secret == "" || len(made.Records) != 1 {
		return errors.New("the running postern is another version; restart it")
	}
	l := lineOf(made.Records[0])
	l.Secret = made.Secret
	if wrong := t.output(c, l, func() { fmt.Fprintln(t.Stdout, l.Secret) }); wrong != nil {
		return wrong
	}
	fmt.Fprintf(t.Stderr, "%s %s for %s: %s; expires: %s\n", l.Kind, l.ID, l.User, l.limits(), l.ends(time.Now()))
	if warning := untaken(p.config, d.Kind); warning != "" {
		fmt.Fprintf(t.Stderr, "postern: %s\n", warning)
	}
	if u.Disabled {
		fmt.Fprintf(t.Stderr, "postern: %s is disabled: until he is enabled it opens nothing\n", u.Name)
	}
	t.sayUntold(made)
	return nil
}

// sayUntold says that something was done of which the journal does not know.
func (t terminal) sayUntold(a tokenAnswer) {
	if a.Untold != "" {
		fmt.Fprintf(t.Stderr, "postern: done, but the journal does not know: %s\n", a.Untold)
	}
}

// tokenDraft reads the flags of a credential that is to be made, all but its owner.
func tokenDraft(c *cli.Context) (credential.Draft, error) {
	d := credential.Draft{
		Kind: credential.Token, Name: c.String("name"), Owner: "somebody", Level: policy.LevelOne,
		Scope: credential.Scope{Hosts: c.StringSlice("host"), Methods: c.StringSlice("method"), Path: c.String("path"), Networks: c.StringSlice("network")},
	}
	if c.Bool("app") {
		d.Kind = credential.App
	}
	for _, need := range []string{"user", "name"} {
		if c.String(need) == "" {
			return d, usage("token create: --%s is missing; try: postern token create --help", need)
		}
	}
	switch c.Int("level") {
	case 1:
	case 2:
		d.Level = policy.LevelTwo
	default:
		return d, usage("token create: --level %d is neither 1 nor 2", c.Int("level"))
	}
	var err error
	if d.Expires, err = parseExpiry(c.String("expires"), time.Now()); err != nil {
		return d, err
	}
	if err := d.Check(); err != nil {
		return d, usage("token create: %w", err)
	}
	return d, nil
}

// maxExpiry is the longest life of a credential that is not for ever.
const maxExpiry = 100 * 365 * 24 * time.Hour

// parseExpiry reads 90d, a duration of Go's, or never, which is the zero time.
func parseExpiry(s string, now time.Time) (time.Time, error) {
	if s == "never" {
		return time.Time{}, nil
	}
	var life time.Duration
	var err error
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n uint64
		n, err = strconv.ParseUint(days, 10, 16)
		life = time.Duration(n) * 24 * time.Hour
	} else {
		life, err = time.ParseDuration(s)
	}
	if err != nil || life < time.Minute || life > maxExpiry {
		return time.Time{}, usage("--expires %q is no time from now; write 90d, 12h or never", s)
	}
	return now.Add(life), nil
}

// untaken warns of a credential that no rule takes; "" when one does.
func untaken(cfg *config.Config, kind credential.Kind) string {
	rules, err := policy.Compile(cfg.Domains, cfg.Access)
	if err != nil {
		return ""
	}
	c := policy.CredentialToken
	if kind == credential.App {
		c = policy.CredentialBasic
	}
	if rules.Credentials().Has(c) {
		return ""
	}
	return fmt.Sprintf("no rule takes it yet; write credentials: %s into one", c)
}

func (t terminal) tokenList(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	if err := checkOutput(c); err != nil {
		return err
	}
	p, err := usersOf(c)
	if err != nil {
		return err
	}
	q, err := tokensOf(c.Context, p, c.String("user"))
	if err != nil {
		return err
	}
	found, err := askTokens(c.Context, p.config, "/tokens/list", q)
	if err != nil && !errors.Is(err, errNoStore) {
		return err
	}
	lines, rows, now := []tokenLine{}, [][]string{}, time.Now()
	for _, r := range found.Records {
		l := lineOf(r)
		lines = append(lines, l)
		rows = append(rows, []string{l.ID, l.User, l.Kind, l.Name, strconv.Itoa(l.Level), l.limits(), clock(l.Created), l.ends(now), clockOr(l.Used)})
	}
	return t.output(c, lines, func() { t.table("ID\tUSER\tKIND\tNAME\tLEVEL\tLIMITS\tMADE\tEXPIRES\tLAST USED", rows) })
}

// tokensOf asks for those of a user, however his name is spelled; "" is everybody.
func tokensOf(ctx context.Context, p people, user string) (tokenQuestion, error) {
	if user == "" {
		return tokenQuestion{}, nil
	}
	name, err := p.spelled(ctx, user)
	return tokenQuestion{User: name}, err
}

func (t terminal) tokenRevoke(c *cli.Context) error {
	ids := c.Args().Slice()
	if (len(ids) == 0) != c.Bool("all") || c.Bool("all") && c.String("user") == "" {
		return usage("token revoke: name IDs, or --user with --all (and not both)")
	}
	if err := checkOutput(c); err != nil {
		return err
	}
	p, err := usersOf(c)
	if err != nil {
		return err
	}
	q, err := tokensOf(c.Context, p, c.String("user"))
	if err != nil {
		return err
	}
	q.IDs, q.All = ids, c.Bool("all")
	if q.All {
		q.IDs = nil
	}
	gone, err := askTokens(c.Context, p.config, "/tokens/revoke", q)
	if errors.Is(err, errNoStore) && q.All {
		err = nil
	}
	if err != nil {
		return err
	}
	lines := []tokenLine{}
	for _, r := range gone.Records {
		lines = append(lines, lineOf(r))
	}
	t.sayUntold(gone)
	return t.output(c, lines, func() { fmt.Fprintf(t.Stdout, "%d revoked\n", len(lines)) })
}

// forgetTokens ends the credentials of a user who is deleted: one who gets the same name
// later must not find them.
func forgetTokens(ctx context.Context, cfg *config.Config, name string) error {
	_, err := askTokens(ctx, cfg, "/tokens/revoke", tokenQuestion{User: name, All: true})
	if err == nil || errors.Is(err, errNoStore) {
		return nil
	}
	return fmt.Errorf("%s is deleted, but his tokens are not: %w; try: postern token revoke --user %s --all", name, err, name)
}

// sayTokens says that a user whose password was set has programs that still come in.
func (t terminal) sayTokens(c *cli.Context, cfg *config.Config, name string) {
	left, err := askTokens(c.Context, cfg, "/tokens/list", tokenQuestion{User: name})
	if err == nil && len(left.Records) > 0 {
		fmt.Fprintf(t.Stderr, "postern: %d tokens of %s still work; to end them: postern token revoke --user %s --all\n", len(left.Records), name, name)
	}
}
