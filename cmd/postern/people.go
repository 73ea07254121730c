package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"postern/cmd/postern/config"
	"postern/portal/users"
)

// people are the users of a configuration as the commands see them.
type people struct {
	*users.Backends
	config *config.Config
}

// askTimeout bounds one question of a command to a directory.
const askTimeout = 15 * time.Second

// usersOf reads the users of the configuration. A file that does not exist yet has none.
func usersOf(c *cli.Context) (people, error) {
	cfg, err := loadConfig(c)
	if err != nil {
		return people{}, err
	}
	return usersIn(cfg)
}

func usersIn(cfg *config.Config) (people, error) {
	p := people{newUsers(cfg, slog.New(slog.DiscardHandler)), cfg}
	if err := loadUsers(p.Backends, true); err != nil {
		return people{}, usageError{err}
	}
	return p, nil
}

// files are the users files, in their order.
func (p people) files() []*users.File {
	var files []*users.File
	for _, e := range p.List {
		if f, ok := e.Backend.(*users.File); ok {
			files = append(files, f)
		}
	}
	return files
}

// find is the user whom a name means at the sign-in, and where he is: the files are looked
// at first, so that they can be changed while a directory is away.
func (p people) find(ctx context.Context, name string) (users.User, users.Named, error) {
	for _, e := range p.List {
		if f, ok := e.Backend.(*users.File); ok {
			if u, err := f.Find(ctx, name); err == nil {
				return u, e, nil
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	u, err := p.Find(ctx, name)
	if err != nil {
		return users.User{}, users.Named{}, p.fault(name, err)
	}
	at, err := p.Owner(ctx, name)
	return u, at, err
}

// spelled is the canonical name of a user, however the sign-in would let it be spelled.
// What nobody is called is left as it is.
func (p people) spelled(ctx context.Context, name string) (string, error) {
	u, _, err := p.find(ctx, name)
	switch {
	case err == nil:
		return u.Name, nil
	case errors.Is(err, users.ErrNotFound), errors.Is(err, users.ErrUnavailable):
		return name, nil // what is kept about him here can be dealt with all the same
	}
	return "", err
}

// owned is the file that has a user, and his canonical name there. A directory's users are
// changed in the directory.
func (p people) owned(ctx context.Context, name, command string) (*users.File, string, error) {
	u, at, err := p.find(ctx, name)
	if err != nil {
		return nil, "", err
	}
	f, ok := at.Backend.(*users.File)
	if !ok {
		return nil, "", fmt.Errorf("%s belongs to the directory (%s); %s there", u.Name, at.Name, command)
	}
	return f, u.Name, nil
}

// target is the file that a new user is written to.
func (p people) target(ctx context.Context, name string) (*users.File, error) {
	files := p.files()
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: people are kept in the directory (%s); add them there", name, p.List[0].Name)
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	at, err := p.Owner(ctx, name)
	_, inFile := at.Backend.(*users.File)
	switch {
	case err == nil && inFile:
		return nil, fmt.Errorf("%s: %w", name, users.ErrExists)
	case err == nil:
		return nil, fmt.Errorf("%s: %w, in the directory (%s)", name, users.ErrExists, at.Name)
	case errors.Is(err, users.ErrNotFound), errors.Is(err, users.ErrUnavailable): // one who can come in while it is away
		return files[0], nil
	}
	return nil, err
}

// fault says which user an error is about, and who may have been meant.
func (p people) fault(name string, err error) error {
	switch {
	case errors.Is(err, users.ErrNotFound):
		var names []string
		for _, f := range p.files() {
			for _, u := range f.List() {
				names = append(names, u.Name)
			}
		}
		if near := config.Nearest(name, names); near != "" {
			return fmt.Errorf("%s: %w; did you mean %q?", name, err, near)
		}
	case errors.Is(err, users.ErrPassword):
		return usageError{fmt.Errorf("%s: %w", name, err)}
	}
	return fmt.Errorf("%s: %w", name, err)
}

// userLine is one user as the list shows it.
type userLine struct {
	Name        string   `json:"name"`
	DisplayName string   `json:"display_name"`
	Emails      []string `json:"emails"`
	Groups      []string `json:"groups"`
	Disabled    bool     `json:"disabled"`
	Backend     string   `json:"backend"` // file or ldap
}

func (l *userLine) set(u users.User, backend string) {
	*l = userLine{u.Name, u.DisplayName, append([]string{}, u.Emails...), append([]string{}, u.Groups...), u.Disabled, backend}
}

// userList lists the users of the files, or the one who is named, wherever he is.
func (t terminal) userList(c *cli.Context) error {
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
	lines := []userLine{}
	add := func(u users.User, backend string) {
		lines = append(lines, userLine{})
		lines[len(lines)-1].set(u, backend)
	}
	if args[0] != "" {
		u, at, err := p.find(c.Context, args[0])
		if err != nil {
			return err
		}
		add(u, at.Name)
	}
	for _, e := range p.List {
		f, ok := e.Backend.(*users.File)
		switch {
		case args[0] != "":
		case !ok:
			fmt.Fprintf(t.Stderr, "postern: the users of %s are listed by the directory; for one of them: postern user list NAME\n", e.Name)
		default:
			for _, u := range f.List() {
				add(u, e.Name)
			}
		}
	}
	return t.output(c, lines, func() { t.userTable(lines, len(p.List) > 1) })
}

func (t terminal) userTable(lines []userLine, backends bool) {
	rows := make([][]string, len(lines))
	for i, l := range lines {
		state := "enabled"
		if l.Disabled {
			state = "disabled"
		}
		rows[i] = []string{l.Name, state, l.DisplayName, strings.Join(l.Groups, ","), strings.Join(l.Emails, ",")}
		if backends {
			rows[i] = append(rows[i], l.Backend)
		}
	}
	header := "NAME\tSTATE\tDISPLAY NAME\tGROUPS\tEMAIL"
	if backends {
		header += "\tBACKEND"
	}
	t.table(header, rows)
}
