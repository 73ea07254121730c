package users

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// directory is what a file said at one moment; it never changes.
type directory struct {
	sum     [sha256.Size]byte // of the file
	epoch   uint64
	doc     *yaml.Node
	list    []*account // in the order of the file
	names   map[string]*account
	folded  map[string]*account
	emails  map[string]*account // folded
	search  Search
	dummy   *hashed // hashed for names that do not exist
	uneven  int     // hashes that take another time than the dummy
	content []byte
}

// newDirectory reads a users file; the error is a *Faults.
func newDirectory(path string, data []byte, search Search) (*directory, error) {
	list, doc, err := parse(path, data)
	if err != nil {
		return nil, err
	}
	d := &directory{
		sum: sha256.Sum256(data), content: data, doc: doc, list: list, search: search,
		names: map[string]*account{}, folded: map[string]*account{}, emails: map[string]*account{},
	}
	for _, a := range list {
		d.names[a.Name], d.folded[fold(a.Name)] = a, a
	}
	var faults []Fault
	for _, a := range list {
		for _, e := range a.Emails {
			b := d.emails[fold(e)]
			if b == nil {
				b = d.folded[fold(e)]
			}
			if b != nil && b != a && search.Email {
				faults = append(faults, Fault{a.key.Line, a.key.Column,
					fmt.Sprintf("the address %q of %q leads to %q in line %d too; one signs in by address, so it must be one person's", e, a.Name, b.Name, b.key.Line)})
			}
			d.emails[fold(e)] = a
		}
	}
	if faults != nil {
		return nil, &Faults{Path: path, List: faults}
	}
	return d, d.choose()
}

// choose picks the dummy: a hash of the kind that most users have. A real one does: what
// comes out of it is not looked at.
func (d *directory) choose() error {
	count := map[string]int{}
	for _, a := range d.list {
		count[a.hash.kind]++
		if d.dummy == nil || count[a.hash.kind] > count[d.dummy.kind] {
			d.dummy = a.hash
		}
	}
	if d.dummy == nil {
		h, err := parseHash(nobody)
		d.dummy = h
		return err
	}
	d.uneven = len(d.list) - count[d.dummy.kind]
	return nil
}

// find looks a name up as it was typed at the sign-in.
func (d *directory) find(name string) *account {
	name = typed(name)
	if a := d.names[name]; a != nil {
		return a
	}
	if d.search.CaseInsensitive {
		if a := d.folded[fold(name)]; a != nil {
			return a
		}
	}
	if d.search.Email {
		return d.emails[fold(name)]
	}
	return nil
}

// canonical is the name that failures of name count for. Spellings that only a more
// liberal search would accept count for the same user: nobody gets more guesses by them.
func (d *directory) canonical(name string) string {
	if a := d.find(name); a != nil {
		return a.Name
	}
	f := Folded(name)
	if a := d.folded[f]; a != nil {
		return a.Name
	}
	return f
}

// Folded is what a name counts as that nobody has, at most 128 bytes.
func Folded(name string) string {
	f := fold(typed(name))
	return strings.TrimSpace(strings.ToValidUTF8(f[:min(len(f), maxName)], "")) // a character that was cut goes
}

// user copies what the outside may see and change.
func (a *account) user() User {
	u := a.User
	u.Emails, u.Groups = slices.Clone(u.Emails), slices.Clone(u.Groups)
	return u
}
