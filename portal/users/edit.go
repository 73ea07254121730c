package users

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"go.yaml.in/yaml/v3"
	"golang.org/x/text/unicode/norm"
)

// SetPassword replaces a user's password, by canonical name; the file is rewritten
// atomically and keeps comments and order. Errors: ErrNotFound, ErrPassword, ErrBusy.
func (f *File) SetPassword(ctx context.Context, name, password string) error {
	return f.setPassword(ctx, name, password, "")
}

// ReplacePassword is SetPassword for the holder of a Version: when the password has
// changed since, the answer is ErrChanged and nothing happens.
func (f *File) ReplacePassword(ctx context.Context, name, password, version string) error {
	if version == "" {
		return ErrChanged
	}
	return f.setPassword(ctx, name, password, version)
}

// setPassword replaces the password of a version, or whichever it is when version is "".
func (f *File) setPassword(ctx context.Context, name, password, version string) error {
	if err := checkPassword(password); err != nil {
		return err
	}
	if _, ok := f.Known(name); !ok {
		return ErrNotFound
	}
	hash, err := f.hash(ctx, password)
	if err != nil {
		return err
	}
	return f.change(ctx, name, func(a *account) (string, error) {
		if version != "" && a.version() != version {
			return "", ErrChanged
		}
		a.hash = hash
		old := get(a.value, "password")
		set(a.value, "password", scalar(hash.text, "!!str", old.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle)))
		return "password", nil
	})
}

// hash makes the hash of a new password, in turn with those that are checked.
func (f *File) hash(ctx context.Context, password string) (*hashed, error) {
	leave, err := f.turn(ctx, argonMemory)
	if err != nil {
		return nil, err
	}
	defer leave()
	do := Hash
	if f.cheap != nil {
		do = f.cheap
	}
	text, err := do(password)
	if err != nil {
		return nil, err
	}
	return parseHash(text)
}

// SetDisabled shuts a user out or lets him in again, by canonical name.
func (f *File) SetDisabled(ctx context.Context, name string, disabled bool) error {
	return f.change(ctx, name, func(a *account) (string, error) {
		if a.Disabled == disabled {
			return "", nil
		}
		a.Disabled = disabled
		set(a.value, "disabled", scalar(fmt.Sprint(disabled), "!!bool", 0))
		return "disabled", nil
	})
}

// SetGroups replaces the groups of a user, by canonical name.
func (f *File) SetGroups(ctx context.Context, name string, groups []string) error {
	return f.change(ctx, name, func(a *account) (string, error) {
		a.Groups = normal(groups)
		if err := each("group", a.Groups, checkGroup); err != nil {
			return "", err
		}
		set(a.value, "groups", sequence(a.Groups, get(a.value, "groups")))
		return "groups", nil
	})
}

// SetEmails replaces the mail addresses of a user, by canonical name.
func (f *File) SetEmails(ctx context.Context, name string, emails []string) error {
	return f.change(ctx, name, func(a *account) (string, error) {
		a.Emails = normal(emails)
		if err := each("email", a.Emails, checkEmail); err != nil {
			return "", err
		}
		set(a.value, "email", addresses(a.Emails, get(a.value, "email")))
		return "email", nil
	})
}

// SetDisplayName replaces the name that people read, by canonical name; "" means the
// name itself.
func (f *File) SetDisplayName(ctx context.Context, name, display string) error {
	return f.change(ctx, name, func(a *account) (string, error) {
		a.DisplayName = norm.NFC.String(display)
		if err := checkText(display); err != nil {
			return "", fmt.Errorf("users: display name: %w", err)
		}
		set(a.value, "displayname", scalar(a.DisplayName, "!!str", 0))
		if display == "" {
			a.DisplayName = a.Name
		}
		return "displayname", nil
	})
}

// Add writes a new user at the end of the file, which is created with mode 0600 when it
// does not exist. Errors: ErrExists, ErrPassword, ErrBusy.
func (f *File) Add(ctx context.Context, u User, password string) error {
	u.Name, u.DisplayName = norm.NFC.String(u.Name), norm.NFC.String(u.DisplayName)
	u.Emails, u.Groups = normal(u.Emails), normal(u.Groups)
	if u.DisplayName == "" {
		u.DisplayName = u.Name
	}
	if err := errors.Join(CheckName(u.Name), checkText(u.DisplayName),
		each("email", u.Emails, checkEmail), each("group", u.Groups, checkGroup)); err != nil {
		return err
	}
	hash, err := f.hash(ctx, password)
	if err != nil {
		return err
	}
	return f.edit(ctx, true, func(d *draft) error {
		if d.folded[fold(u.Name)] != nil || d.search.Email && d.emails[fold(u.Name)] != nil {
			return ErrExists
		}
		return d.add(&account{User: u, hash: hash})
	})
}

// Remove takes a user out of the file, by canonical name, with the comment that stands
// directly above him.
func (f *File) Remove(ctx context.Context, name string) error {
	return f.edit(ctx, false, func(d *draft) error {
		a := d.names[name]
		if a == nil {
			return ErrNotFound
		}
		return d.remove(a)
	})
}

// change edits one key of one user. do changes the account and its node alike, and says
// which key; "" means none.
func (f *File) change(ctx context.Context, name string, do func(*account) (key string, err error)) error {
	return f.edit(ctx, false, func(d *draft) error {
		a := d.names[name]
		if a == nil {
			return ErrNotFound
		}
		key, err := do(a)
		if err != nil || key == "" {
			return err
		}
		return d.rewrite(a, key)
	})
}

// edit reads the file, lets do make the new one, and puts it in place, under the lock.
// The users of the new file are in force when it returns.
func (f *File) edit(ctx context.Context, create bool, do func(*draft) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	path, err := filepath.EvalSymlinks(f.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && create:
		path = f.Path
	case err != nil:
		return fmt.Errorf("users: %w", err)
	}
	unlock, err := lock(ctx, path)
	if err != nil {
		return err
	}
	defer unlock()

	data, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) && create {
		data, err = []byte("users: {}\n"), nil
	}
	if err != nil {
		return err
	}
	old, err := newDirectory(f.Path, data, f.Search)
	if err != nil {
		return err
	}
	d := &draft{directory: old, data: data}
	if err := do(d); err != nil {
		return err
	}
	if !bytes.Equal(d.data, data) || create {
		if now, err := readFile(path); err == nil && !bytes.Equal(now, data) {
			return fmt.Errorf("users: %s: %w", f.Path, ErrChanged)
		}
		if err := replace(path, d.data); err != nil {
			return err
		}
	}
	return f.use(d.data)
}

// normal brings texts into the form that names have, and drops what comes twice.
func normal(list []string) []string {
	var out []string
	for _, s := range list {
		if s = norm.NFC.String(s); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// each checks every text of a list.
func each(what string, list []string, check func(string) error) error {
	for _, s := range list {
		if err := check(s); err != nil {
			return fmt.Errorf("users: %s: %w", what, err)
		}
	}
	return nil
}
