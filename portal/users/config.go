package users

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Config is `users` of the configuration: where people are, in the order in which they are
// looked for. One source may stand there without the list around it.
type Config []Source

// Source is one place where people are: a file or a directory server.
type Source struct {
	File    string      `yaml:"file"`    // path of a users_database.yml
	Search  Search      `yaml:"search"`  // how freely a name in the file may be spelled
	Hashing Hashing     `yaml:"hashing"` // bounds of the file's password hashing
	LDAP    *LDAPConfig `yaml:"ldap"`    // a directory server in place of a file
}

// DefaultSource is what an empty source means; it names neither.
func DefaultSource() Source { return Source{Hashing: DefaultHashing()} }

// DefaultConfig is what an absent `users` means.
func DefaultConfig() Config { return Config{DefaultSource()} }

// Names are what the sources are called, for people: file, ldap, and a number where there is
// more than one of a kind.
func (c Config) Names() []string {
	names, count := make([]string, len(c)), map[string]int{}
	for i, s := range c {
		kind := "file"
		if s.LDAP != nil {
			kind = "ldap"
		}
		if count[kind]++; count[kind] > 1 {
			kind = fmt.Sprintf("%s%d", kind, count[kind])
		}
		names[i] = kind
	}
	return names
}

// Grace is how long people stay signed in whose directory is away: the longest of all.
func (c Config) Grace() time.Duration {
	var grace time.Duration
	for _, s := range c {
		if s.LDAP != nil {
			grace = max(grace, s.LDAP.filled().Grace)
		}
	}
	return grace
}

// Writable says whether somebody's password can be set from here.
func (c Config) Writable() bool {
	return slices.ContainsFunc(c, func(s Source) bool {
		return s.LDAP == nil || s.LDAP.PasswordChange != changeOff && s.LDAP.User != ""
	})
}

// Validate returns every fault at once, each under its key.
func (c Config) Validate() error {
	if len(c) == 0 {
		return errors.New("users: is empty; name a file or a directory server")
	}
	var errs []error
	files := map[string]int{}
	for i, s := range c {
		at := fmt.Sprintf("users[%d]", i)
		errs = append(errs, s.validate(at))
		if first, twice := files[s.File]; twice && s.File != "" {
			errs = append(errs, fmt.Errorf("%s.file: is users[%d] already", at, first))
		}
		files[s.File] = i
	}
	return errors.Join(errs...)
}

func (s Source) validate(at string) error {
	switch {
	case s.LDAP == nil && s.File == "":
		return errors.Join(fmt.Errorf("%s.file: missing; name a users_database.yml", at), s.Hashing.validate(at))
	case s.LDAP == nil:
		return s.Hashing.validate(at)
	case s.File != "":
		return fmt.Errorf("%s.ldap: stands beside file; write a list with one entry for each", at)
	}
	errs := []error{s.LDAP.Validate(at + ".ldap")}
	if s.Search != (Search{}) {
		errs = append(errs, fmt.Errorf("%s.search: is for a file; a directory is searched by ldap.users_filter", at))
	}
	if s.Hashing != (Hashing{}) && s.Hashing != DefaultHashing() {
		errs = append(errs, fmt.Errorf("%s.hashing: is for a file; a directory checks passwords itself", at))
	}
	return errors.Join(errs...)
}

func (h Hashing) validate(at string) error {
	var errs []error
	for _, b := range []struct {
		key        string
		value, max int
	}{
		{"parallel", h.Parallel, 1024},
		{"memory", h.Memory, 1 << 20},
		{"queue", h.Queue, 1 << 16},
	} {
		if b.value < 0 || b.value > b.max {
			errs = append(errs, fmt.Errorf("%s.hashing.%s: %d is not between 0 and %d", at, b.key, b.value, b.max))
		}
	}
	if h.Wait < 0 || h.Wait > time.Minute {
		errs = append(errs, fmt.Errorf("%s.hashing.wait: %v is not between 0s and 1m", at, h.Wait))
	}
	return errors.Join(errs...)
}
