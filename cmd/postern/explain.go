package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"postern/agent/policy"
	"postern/cmd/postern/config"
	"postern/portal/users"
)

func (t terminal) explainCommand() *cli.Command {
	return &cli.Command{
		Name:      "explain",
		Usage:     "say which rule decides about a URL, and why the ones before it do not",
		ArgsUsage: "URL",
		Flags: []cli.Flag{
			configFlag(), outputFlag(),
			&cli.StringFlag{Name: "user", Usage: "as `USER` of the users file"},
			&cli.StringFlag{Name: "groups", Usage: "as a member of `GROUPS`, with commas between; then the user need not exist"},
			&cli.IntFlag{Name: "level", Value: 1, Usage: "what --user has proved: 1 one factor, 2 two factors; 0 nothing"},
			&cli.StringFlag{Name: "factor", Usage: "that two factors were proved with `FACTOR`: totp, webauthn, recovery or certificate; totp when not said"},
			&cli.DurationFlag{Name: "age", Usage: "that what was proved was proved `DURATION` ago, for rules with max_age"},
			&cli.StringFlag{Name: "method", Value: "GET", Usage: "with `METHOD`"},
			&cli.StringFlag{Name: "ip", Usage: "from `ADDRESS`"},
		},
		Action: t.explain,
	}
}

// somebody is the user of --groups or --level alone: signed in, under a name that no rule has.
const somebody = "(somebody)"

// explanation is the answer as JSON.
type explanation struct {
	Policy  string `json:"policy"`
	Verdict string `json:"verdict"`
	Rule    string `json:"rule"`
	Level   int    `json:"level"`
	Reason  string `json:"reason"`
	Path    string `json:"path"`

	Credentials string `json:"credentials,omitempty"` // what the rule takes in place of a session
}

func (t terminal) explain(c *cli.Context) error {
	args, err := arguments(c, "URL")
	if err != nil {
		return err
	}
	if err := checkOutput(c); err != nil {
		return err
	}
	req, err := requestOf(args[0], c.String("method"), c.String("ip"))
	if err != nil {
		return err
	}
	cfg, err := loadConfig(c)
	if err != nil {
		return err
	}
	sub, err := t.subjectOf(c, cfg)
	if err != nil {
		return err
	}
	rules, err := policy.Compile(cfg.Domains, cfg.Access)
	if err != nil {
		return cfg.Check(err)
	}
	d, traces := rules.Explain(&req, &sub, time.Now())
	e := explanation{d.Policy.String(), d.Verdict.String(), ruleName(rules, d.Rule), int(sub.Level), string(d.Reason), d.Path, d.Credentials.String()}
	if e.Path == "" {
		e.Path = req.Path
	}
	return t.output(c, e, func() { t.showExplanation(req, sub, traces, e) })
}

func (t terminal) showExplanation(req policy.Request, sub policy.Subject, traces []policy.Trace, e explanation) {
	who := "somebody who is not signed in"
	if sub.User != "" {
		who = sub.User
		if len(sub.Groups) > 0 {
			who += " (" + strings.Join(sub.Groups, ", ") + ")"
		}
		who += fmt.Sprintf(" at level %d", sub.Level)
	}
	from := ""
	if req.Addr.IsValid() {
		from = " from " + req.Addr.String()
	}
	w := tabwriter.NewWriter(t.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s %s%s as %s%s\n\n", req.Method, req.Host, req.Path, who, from)
	for _, tr := range traces {
		made := "matches"
		switch {
		case tr.Criterion != "":
			made = fmt.Sprintf("misses: %s, with %s", tr.Criterion, printable(tr.Value))
		case tr.Maybe:
			made = "matches as far as one can tell before signing in"
		}
		fmt.Fprintf(w, "%s\t%s\n", printable(tr.Name), made)
	}
	if len(traces) > 0 {
		fmt.Fprintln(w)
	}
	for _, line := range [][2]string{{"rule", e.Rule}, {"policy", e.Policy}, {"verdict", e.Verdict}, {"reason", e.Reason}, {"path", e.Path}} {
		fmt.Fprintf(w, "%s\t%s\n", line[0], printable(line[1]))
	}
	if e.Credentials != "" {
		fmt.Fprintf(w, "credentials\t%s, in place of a session\n", e.Credentials)
	}
	w.Flush()
}

func ruleName(rules *policy.Rules, i int) string {
	switch i {
	case policy.DefaultRule:
		return "default_policy"
	case policy.BuiltinRule:
		return "built in"
	}
	return rules.RuleName(i)
}

// requestOf is a navigation of a browser to a URL, taken as it is written: a path that is
// not clean is the point of asking.
func requestOf(raw, method, ip string) (policy.Request, error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		scheme, rest = "https", raw
	}
	scheme = strings.ToLower(scheme)
	switch scheme {
	case "https", "http", "wss", "ws":
	default:
		return policy.Request{}, usage("explain: %q is not an address of a web site", raw)
	}
	rest, _, _ = strings.Cut(rest, "#")
	host, path := rest, "/"
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	if strings.HasPrefix(path, "?") {
		path = "/" + path
	}
	path, query, _ := strings.Cut(path, "?")
	if u, err := url.Parse("https://" + host); err != nil || u.Hostname() == "" || u.User != nil {
		return policy.Request{}, usage("explain: %q names no host", raw)
	}
	req := policy.Request{
		Method: method, Host: host, Path: path, Query: query, TLS: scheme == "https" || scheme == "wss",
		Accept: "text/html", FetchMode: "navigate", FetchDest: "document",
	}
	if strings.HasPrefix(scheme, "ws") {
		req.Upgrade, req.FetchMode, req.FetchDest = "websocket", "websocket", "websocket"
	}
	if ip != "" {
		addr, err := netip.ParseAddr(ip)
		if err != nil {
			return policy.Request{}, usage("explain: --ip %q is not an address", ip)
		}
		req.Addr = addr.Unmap()
	}
	return req, nil
}

// subjectOf is who --user, --groups and --level describe.
func (t terminal) subjectOf(c *cli.Context, cfg *config.Config) (policy.Subject, error) {
	name, level := c.String("user"), c.Int("level")
	switch {
	case level < 0 || level > 2:
		return policy.Subject{}, usage("explain: --level %d is none of 0, 1 and 2", level)
	case level == 0 || name == "" && !c.IsSet("groups") && !c.IsSet("level"):
		if c.IsSet("factor") || c.IsSet("age") {
			return policy.Subject{}, usage("explain: --factor and --age are about somebody who is signed in; add --user, --groups or --level")
		}
		return policy.Subject{}, nil
	}
	sub := policy.Subject{User: name, Level: policy.Level(level)}
	if name == "" {
		sub.User = somebody
	}
	if err := prove(&sub, c.String("factor"), c.Duration("age")); err != nil {
		return policy.Subject{}, err
	}
	if c.IsSet("groups") {
		for g := range strings.SplitSeq(c.String("groups"), ",") {
			if g = strings.TrimSpace(g); g != "" {
				sub.Groups = append(sub.Groups, g)
			}
		}
	}
	if c.IsSet("groups") || name == "" {
		return sub, nil
	}
	p, err := usersIn(cfg)
	if err != nil {
		return policy.Subject{}, err
	}
	u, _, err := p.find(context.Background(), name)
	switch {
	case errors.Is(err, users.ErrNotFound):
		return policy.Subject{}, usage("explain: %w; with --groups the user need not exist", err)
	case err != nil:
		return policy.Subject{}, err
	case u.Disabled:
		fmt.Fprintf(t.Stderr, "postern: %s is disabled, so nobody is signed in under that name\n", u.Name)
		return policy.Subject{}, nil
	}
	sub.User, sub.Groups = u.Name, u.Groups
	return sub, nil
}

// prove gives a subject the proofs of its level, some time ago.
func prove(sub *policy.Subject, second string, ago time.Duration) error {
	if ago < 0 {
		return usage("explain: --age %v is in the future", ago)
	}
	at := time.Now().Add(-ago).Unix()
	sub.Proofs[policy.Password] = at
	if sub.Level < policy.LevelTwo {
		if second != "" {
			return usage("explain: --factor says what the second factor was; it needs --level 2")
		}
		return nil
	}
	for _, f := range []policy.Factor{policy.TOTP, policy.WebAuthn, policy.Recovery, policy.Certificate} {
		if f.String() == second || second == "" {
			sub.Proofs[f] = at
			return nil
		}
	}
	return usage("explain: --factor %q is none of totp, webauthn, recovery and certificate", second)
}
