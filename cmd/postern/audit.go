package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"postern/cmd/postern/config"
	"postern/portal/journal"
)

// maxAudit bounds a list, so that it fits into memory.
const maxAudit = 1_000_000

func (t terminal) auditCommand() *cli.Command {
	return &cli.Command{
		Name:      "audit",
		Usage:     "show what happened: sign-ins, refusals, changes, commands",
		ArgsUsage: "[FILE]",
		Flags: []cli.Flag{
			configFlag(),
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: "text", Usage: "`FORM` of the answer: text, json (an array) or jsonl (lines)"},
			&cli.StringFlag{Name: "since", Usage: "only from `TIME` on: 24h or 7d ago, 2026-11-01, 2026-11-01 15:04, or RFC 3339"},
			&cli.StringFlag{Name: "until", Usage: "only before `TIME`"},
			&cli.StringFlag{Name: "user", Usage: "only those of `USER`"},
			&cli.StringSliceFlag{Name: "kind", Usage: "only `KIND`; may be repeated"},
			&cli.StringFlag{Name: "addr", Usage: "only from `ADDRESS`, or a network like 2001:db8::/64"},
			&cli.IntFlag{Name: "limit", Value: 100, Usage: "at most `N`, the newest"},
			&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "go on as things happen"},
			&cli.BoolFlag{Name: "verify", Usage: "check that nothing was changed or cut, here and in FILE, which holds lines of the journal"},
		},
		Action: t.audit,
	}
}

func (t terminal) audit(c *cli.Context) error {
	args, err := arguments(c, "FILE?")
	if err != nil {
		return err
	}
	if c.Bool("verify") {
		return t.auditVerify(c, args[0])
	}
	if args[0] != "" {
		return usage("audit: a FILE goes with --verify only")
	}
	form := c.String("output")
	if !slices.Contains([]string{"text", "json", "jsonl"}, form) {
		return usage("--output %q is neither text, json nor jsonl", form)
	}
	if c.Bool("follow") && form == "json" {
		return usage("audit: an array has an end; use --output jsonl with --follow")
	}
	f, err := auditFilter(c, time.Now())
	if err != nil {
		return err
	}
	cfg, err := loadConfig(c)
	if err != nil {
		return err
	}
	if f.User, err = userMeant(c.Context, cfg, f.User); err != nil {
		return err
	}
	var list []journal.Record
	err = daemon{cfg.Control}.call(c.Context, "/journal/list", auditQuestion{Filter: f}, &list)
	if errors.Is(err, errNoDaemon) {
		if c.Bool("follow") {
			return fmt.Errorf("%w, so nothing happens that could be followed", err)
		}
		list, err = storedAudit(c.Context, cfg, f)
	}
	if err != nil {
		return err
	}
	slices.Reverse(list) // the newest is read last
	if !c.Bool("follow") {
		return t.auditList(form, list)
	}
	return t.auditFollow(c.Context, cfg, form, f, list)
}

// auditFilter reads the flags.
func auditFilter(c *cli.Context, now time.Time) (f journal.Filter, err error) {
	f = journal.Filter{User: c.String("user"), Limit: c.Int("limit")}
	if f.Limit < 1 || f.Limit > maxAudit {
		return f, usage("--limit %d is not between 1 and %d", f.Limit, maxAudit)
	}
	if f.Since, err = when("since", c.String("since"), now); err != nil {
		return f, err
	}
	if f.Until, err = when("until", c.String("until"), now); err != nil {
		return f, err
	}
	for _, k := range c.StringSlice("kind") {
		kind := journal.Kind(k)
		if !kind.Valid() {
			var names []string
			for _, one := range journal.Kinds() {
				names = append(names, string(one))
			}
			return f, usage("--kind %q is none; %s", k, hint(k, names))
		}
		f.Kinds = append(f.Kinds, kind)
	}
	if text := c.String("addr"); text != "" {
		if f.Addr, err = network(text); err != nil {
			return f, usage("--addr %q is neither an address nor a network", text)
		}
	}
	return f, nil
}

func network(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	return p.Masked(), err
}

// when reads a point in time, or how long ago it was.
func when(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	ago := text
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n < 100_000 {
			ago = fmt.Sprintf("%dh", 24*n)
		}
	}
	if d, err := time.ParseDuration(ago); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, form := range []string{"2006-01-02", "2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339Nano} {
		if at, err := time.ParseInLocation(form, text, now.Location()); err == nil {
			return at, nil
		}
	}
	return time.Time{}, usage("--%s %q is no time; write 24h, 7d, 2026-11-01, \"2026-11-01 15:04\" or 2026-11-01T15:04:05Z", flag, text)
}

// userMeant is the canonical name of a user. Who is in no backend any more goes by what
// was typed.
func userMeant(ctx context.Context, cfg *config.Config, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	p, err := usersIn(cfg)
	if err != nil {
		return name, nil // broken users hide nobody's past
	}
	return p.spelled(ctx, name)
}

// auditRow is one event as the table shows it.
func auditRow(r journal.Record) []string {
	return []string{
		r.At.Local().Format("2006-01-02 15:04:05"), string(r.Kind), r.User, r.Addr, r.Factor, r.Reason, r.By, r.Detail,
	}
}

// auditHeader names the cells of an auditRow.
const auditHeader = "TIME\tEVENT\tUSER\tADDRESS\tFACTOR\tREASON\tBY\tDETAIL"

func (t terminal) auditList(form string, list []journal.Record) error {
	enc := json.NewEncoder(t.Stdout)
	switch form {
	case "json":
		return enc.Encode(append([]journal.Record{}, list...))
	case "jsonl":
		for _, r := range list {
			if err := enc.Encode(r); err != nil {
				return err
			}
		}
	default:
		rows := make([][]string, len(list))
		for i, r := range list {
			rows[i] = auditRow(r)
		}
		t.table(auditHeader, rows)
	}
	return nil
}

// errStopped says that what was followed has ended.
var errStopped = errors.New("postern has stopped")

// auditFollow shows events as they come, until ctx ends or the daemon stops.
func (t terminal) auditFollow(ctx context.Context, cfg *config.Config, form string, f journal.Filter, seen []journal.Record) error {
	f.Oldest, f.Limit = true, 0
	if form != "jsonl" {
		t.auditLine(strings.Split(auditHeader, "\t"))
	}
	if err := t.auditMore(form, seen); err != nil {
		return err
	}
	if len(seen) > 0 {
		f.After = seen[len(seen)-1].Seq
	}
	for ctx.Err() == nil {
		var list []journal.Record
		if err := (daemon{cfg.Control}).call(ctx, "/journal/list", auditQuestion{Filter: f, Wait: true}, &list); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			for _, end := range []error{errNoDaemon, io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
				if errors.Is(err, end) {
					return errStopped
				}
			}
			return err
		}
		if len(list) == 0 {
			continue
		}
		f.After = list[len(list)-1].Seq
		if err := t.auditMore(form, list); err != nil {
			return err
		}
	}
	return nil
}

// auditMore shows events in columns whose widths are known before the events are.
func (t terminal) auditMore(form string, list []journal.Record) error {
	if form == "jsonl" {
		return t.auditList(form, list)
	}
	for _, r := range list {
		t.auditLine(auditRow(r))
	}
	return nil
}

func (t terminal) auditLine(cells []string) {
	widths := []int{19, 17, 14, 24, 9, 9, 12}
	for i, w := range widths {
		fmt.Fprintf(t.Stdout, "%-*s  ", w, printable(cells[i]))
	}
	fmt.Fprintln(t.Stdout, printable(cells[len(widths)]))
}

// auditVerify checks the chain in the store, and in a file of lines.
func (t terminal) auditVerify(c *cli.Context, path string) error {
	if err := checkOutput(c); err != nil {
		return err
	}
	cfg, err := loadConfig(c)
	if err != nil {
		return err
	}
	reports, names := map[string]journal.Report{}, []string{"store"}
	if path != "" { // first: the store may only have more
		if reports["file"], err = verifyFile(cfg, path); err != nil {
			return err
		}
		names = append(names, "file")
	}
	r, err := verifyStore(c.Context, cfg)
	if err != nil {
		return err
	}
	cut, err := cutBehind(c.Context, cfg, reports["file"], r)
	if err != nil {
		return err
	}
	r.Faults = append(r.Faults, cut...)
	reports["store"] = r
	faults := 0
	for _, name := range names {
		faults += len(reports[name].Faults)
	}
	if err := t.output(c, reports, func() { t.auditReport(names, reports) }); err != nil {
		return err
	}
	if faults > 0 {
		return silent(1)
	}
	return nil
}

// cutBehind says whether the store has the last event of a file, and as it is there. That
// the newest were cut, and others added since, its chain alone does not tell.
func cutBehind(ctx context.Context, cfg *config.Config, file, stored journal.Report) (faults []string, err error) {
	switch {
	case file.Last == 0, file.Last < stored.First: // there is no file, or it was pruned since
		return nil, nil
	case file.Last > stored.Last:
		return []string{fmt.Sprintf("events %d to %d are missing: the file has them", stored.Last+1, file.Last)}, nil
	}
	f := journal.Filter{After: file.Last - 1, Oldest: true, Limit: 1}
	var list []journal.Record
	err = daemon{cfg.Control}.call(ctx, "/journal/list", auditQuestion{Filter: f}, &list)
	if errors.Is(err, errNoDaemon) {
		list, err = storedAudit(ctx, cfg, f)
	}
	for _, r := range list {
		if r.Seq == file.Last && fmt.Sprintf("%x", r.Sum) != file.Sum {
			faults = append(faults, fmt.Sprintf("event %d is another one than in the file: the newest were cut, and others written", r.Seq))
		}
	}
	return faults, err
}

func (t terminal) auditReport(names []string, reports map[string]journal.Report) {
	for _, name := range names {
		r := reports[name]
		for _, fault := range r.Faults {
			fmt.Fprintf(t.Stdout, "%s: %s\n", name, printable(fault))
		}
		switch {
		case len(r.Faults) > 0:
		case r.First == 0:
			fmt.Fprintf(t.Stdout, "%s: no events\n", name)
		default:
			fmt.Fprintf(t.Stdout, "%s: events %d to %d are as they were written; the last sum is %s\n", name, r.First, r.Last, r.Sum)
		}
	}
}

func verifyStore(ctx context.Context, cfg *config.Config) (r journal.Report, err error) {
	err = daemon{cfg.Control}.call(ctx, "/journal/verify", nil, &r)
	if errors.Is(err, errNoDaemon) {
		err = withRecord(ctx, cfg, func(rec *record) (err error) {
			r, err = rec.Verify(ctx)
			return err
		})
	}
	return r, err
}

func verifyFile(cfg *config.Config, path string) (journal.Report, error) {
	k, err := keysOf(cfg)
	if err != nil {
		return journal.Report{}, err
	}
	f, err := os.Open(path)
	if err != nil {
		return journal.Report{}, err
	}
	defer f.Close()
	r, err := journal.VerifyCopy(f, k.journal)
	if err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}
