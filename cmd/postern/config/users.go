package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"postern/portal/users"
)

// readUsers reads `users`: a list of sources, or one without the list around it.
func (d *document) readUsers(n *yaml.Node, list *users.Config, path string) {
	items, at := []*yaml.Node{n}, func(int) string { return path }
	if n.Kind == yaml.SequenceNode {
		items, at = n.Content, func(i int) string { return fmt.Sprintf("%s[%d]", path, i) }
	}
	*list = make(users.Config, len(items))
	for i, item := range items {
		s := users.DefaultSource()
		d.value(item, reflect.ValueOf(&s).Elem(), at(i), "")
		(*list)[i] = s
	}
}

// written is a key path as the file has it: where one source of users stands without a
// list, what packages call users[0] is users.
func (d *document) written(path string) string {
	rest, first := strings.CutPrefix(path, "users[0]")
	if !first {
		return path
	}
	if p, ok := d.places["users"]; ok {
		n := p.value
		for n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		if n.Kind == yaml.SequenceNode {
			return path
		}
	}
	return "users" + rest
}

// resolveUsers makes the paths of the sources absolute.
func (c *Config) resolveUsers(dir string) {
	for i := range c.Users {
		s := &c.Users[i]
		paths := []*string{&s.File}
		if l := s.LDAP; l != nil {
			paths = append(paths, &l.TLS.CA, &l.TLS.Certificate, &l.TLS.Key)
		}
		for _, p := range paths {
			if *p != "" && !filepath.IsAbs(*p) {
				*p = filepath.Join(dir, *p)
			}
		}
	}
}

// UsersKey is the key path of the i-th source of users, as the file has it.
func (c *Config) UsersKey(i int) string { return c.doc.written(fmt.Sprintf("users[%d]", i)) }

// usersRisks are what is risky in where people are.
func (c *Config) usersRisks() []error {
	var errs []error
	for i, s := range c.Users {
		l := s.LDAP
		if l == nil {
			continue
		}
		at := c.UsersKey(i) + ".ldap"
		if l.Plaintext {
			errs = append(errs, fmt.Errorf("%s.plaintext: passwords cross the network unencrypted; whoever is between here and the directory reads them", at))
		}
		if l.TLS.SkipVerify {
			errs = append(errs, fmt.Errorf("%s.tls.skip_verify: whoever is between here and the directory can be the directory; name its authority in tls.ca", at))
		}
	}
	return errs
}
