package users

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/go-ldap/ldap/v3"
	"golang.org/x/text/unicode/norm"
)

// Bounds of one search.
const (
	maxFound  = 8    // entries that one name may find; one of them must be meant
	maxGroups = 1000 // groups of one user; Active Directory's page is as long
)

// errTooMany says that a user has more groups than are read. He cannot be decided about:
// a rule may forbid the group that was left out.
var errTooMany = fmt.Errorf("more than %d groups", maxGroups)

// lookup searches for the one user whom a name means, without his groups. Errors:
// ErrNotFound, also when the name means several; the directory's.
func (l *LDAP) lookup(c *ldapConn, input string) (*person, error) {
	s := l.config().LDAPSearch
	now := l.now()
	filter, err := s.usersFilter(input, now)
	if err != nil {
		return nil, &answer{fmt.Errorf("users_filter: %w", err)}
	}
	found, err := c.Search(&ldap.SearchRequest{
		BaseDN: s.usersBase(), Scope: ldap.ScopeWholeSubtree, DerefAliases: ldap.NeverDerefAliases,
		SizeLimit: maxFound, EnforceSizeLimit: true, TimeLimit: l.seconds(), Filter: filter, Attributes: l.config().wanted(),
	})
	if isResult(err, ldap.LDAPResultSizeLimitExceeded) || errors.Is(err, ldap.ErrSizeLimitExceeded) {
		l.log().Warn("a name means too many directory entries", "at_least", maxFound)
		return nil, &answer{ErrNotFound}
	}
	if err != nil {
		return nil, err
	}
	var people []*person
	for _, e := range found.Entries {
		p, err := s.person(e, now)
		if err != nil {
			l.log().Warn("directory entry cannot be used", "dn", tidy(e.DN, maxText), "error", err.Error())
			continue
		}
		people = append(people, p)
	}
	return l.pick(people, input)
}

// pick returns the person who is meant. A name means its own user before the one who
// wrote it down as his mail address.
func (l *LDAP) pick(people []*person, input string) (*person, error) {
	if len(people) > 1 {
		own := slices.Clone(people)
		own = slices.DeleteFunc(own, func(p *person) bool { return fold(p.Name) != fold(input) })
		if len(own) != 1 {
			l.log().Warn("a name means several directory entries", "dn", tidy(people[0].dn, maxText), "other", tidy(people[1].dn, maxText))
			return nil, &answer{ErrNotFound}
		}
		people = own
	}
	if len(people) == 0 {
		return nil, &answer{ErrNotFound}
	}
	return people[0], nil
}

// ask is lookup with the groups, on any connection of the service account. Whom the
// directory does not have costs a search for groups too.
func (l *LDAP) ask(ctx context.Context, input string) (p *person, err error) {
	err = l.pool().use(ctx, asService, false, func(c *ldapConn) error {
		if p, err = l.lookup(c, input); err == nil {
			return l.join(c, p)
		}
		if errors.Is(err, ErrNotFound) {
			nobody := &person{User: User{Name: nonce()}, dn: l.nobodysDN()}
			if err := l.join(c, nobody); isTransport(err) {
				return err
			}
		}
		return err
	})
	return p, l.unexpected(err)
}

// unexpected turns what a directory answers out of the ordinary into ErrUnavailable: it
// said nothing about the user.
func (l *LDAP) unexpected(err error) error {
	switch {
	case err == nil, errors.Is(err, ErrBusy), errors.Is(err, ErrUnavailable),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, ErrNotFound):
		return ErrNotFound
	case errors.Is(err, errTooMany):
		return fmt.Errorf("%w: %w", ErrUnavailable, errTooMany)
	case isResult(err, ldap.LDAPResultNoSuchObject):
		return fmt.Errorf("%w: base_dn, users_dn or groups_dn names nothing: %s", ErrUnavailable, reason(err))
	case isResult(err, ldap.LDAPResultInsufficientAccessRights), isResult(err, ldap.LDAPResultInappropriateAuthentication):
		return fmt.Errorf("%w: %w: %s", ErrUnavailable, ErrServiceAccount, reason(err))
	case isResult(err, ldap.LDAPResultReferral):
		return fmt.Errorf("%w: the directory refers to another one, which is not followed", ErrUnavailable)
	}
	return fmt.Errorf("%w: %s", ErrUnavailable, reason(err))
}

// join reads the groups of a person.
func (l *LDAP) join(c *ldapConn, p *person) error {
	s := l.config().LDAPSearch
	var groups []string
	var err error
	if s.GroupSearch == groupsMemberOf {
		groups, err = l.listed(c, p)
	} else {
		groups, err = l.searched(c, p)
	}
	if err != nil {
		return err
	}
	p.Groups = nil
	for _, g := range groups {
		g = norm.NFC.String(g)
		if err := checkGroup(g); err != nil {
			if l.unusable.first(g) {
				l.log().Warn("group left out", "group", tidy(g, maxText), "user", p.Name, "error", err.Error())
			}
			continue
		}
		p.Groups = append(p.Groups, g)
	}
	slices.Sort(p.Groups)
	p.Groups = slices.Compact(p.Groups)
	return nil
}

// searched finds groups by the filter.
func (l *LDAP) searched(c *ldapConn, p *person) ([]string, error) {
	s := l.config().LDAPSearch
	filter, err := s.groupsFilter(p, l.now())
	if err != nil {
		return nil, &answer{fmt.Errorf("groups_filter: %w", err)}
	}
	found, err := c.Search(&ldap.SearchRequest{
		BaseDN: s.groupsBase(), Scope: ldap.ScopeWholeSubtree, DerefAliases: ldap.NeverDerefAliases,
		SizeLimit: maxGroups, EnforceSizeLimit: true, TimeLimit: l.seconds(),
		Filter: filter, Attributes: []string{s.Attributes.GroupName},
	})
	if isResult(err, ldap.LDAPResultSizeLimitExceeded) || errors.Is(err, ldap.ErrSizeLimitExceeded) {
		return nil, &answer{errTooMany}
	}
	if err != nil {
		return nil, err
	}
	var groups []string
	for _, e := range found.Entries {
		groups = append(groups, named(e, s.Attributes.GroupName)...)
	}
	return groups, nil
}

// listed names the groups that the user's entry lists: by their DN when that holds the
// name, else by asking for it. What is not below groups_dn is no group of ours.
func (l *LDAP) listed(c *ldapConn, p *person) ([]string, error) {
	s := l.config().LDAPSearch
	if p.partial || len(p.memberOf) > maxGroups {
		return nil, &answer{errTooMany}
	}
	base, err := ldap.ParseDN(s.groupsBase())
	if err != nil {
		return nil, &answer{fmt.Errorf("groups_dn: %w", err)}
	}
	var groups []string
	for _, text := range p.memberOf {
		dn, err := ldap.ParseDN(text)
		if err != nil || len(dn.RDNs) == 0 || !base.AncestorOfFold(dn) {
			continue
		}
		first := dn.RDNs[0].Attributes
		if at := slices.IndexFunc(first, func(a *ldap.AttributeTypeAndValue) bool {
			return strings.EqualFold(a.Type, s.Attributes.GroupName)
		}); at >= 0 {
			groups = append(groups, first[at].Value)
			continue
		}
		found, err := c.Search(&ldap.SearchRequest{
			BaseDN: text, Scope: ldap.ScopeBaseObject, DerefAliases: ldap.NeverDerefAliases, SizeLimit: 1, EnforceSizeLimit: true,
			TimeLimit: l.seconds(), Filter: "(objectClass=*)", Attributes: []string{s.Attributes.GroupName},
		})
		switch {
		case isResult(err, ldap.LDAPResultNoSuchObject):
		case err != nil:
			return nil, err
		case len(found.Entries) == 1:
			groups = append(groups, named(found.Entries[0], s.Attributes.GroupName)...)
		}
	}
	return groups, nil
}

// maxSaid bounds what is remembered to have been said.
const maxSaid = 1024

// saidOnce keeps the log from saying the same for each person again.
type saidOnce struct {
	mu   sync.Mutex
	said map[string]bool
}

// first says whether a text comes for the first time; of very many only some do.
func (s *saidOnce) first(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.said[text] || len(s.said) >= maxSaid {
		return false
	}
	if s.said == nil {
		s.said = map[string]bool{}
	}
	s.said[text] = true
	return true
}

// nobodysDN names an entry that there is not.
func (l *LDAP) nobodysDN() string {
	return "uid=" + nonce() + "," + l.config().usersBase()
}

// seconds is the time that a directory may take for a search.
func (l *LDAP) seconds() int { return max(1, int(l.config().Timeout.Seconds())) }
