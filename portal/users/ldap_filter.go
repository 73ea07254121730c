package users

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// windowsEpoch is where Active Directory counts 100 ns from: 1601, in seconds before 1970.
const windowsEpoch = 11_644_473_600

// expand puts values in the place of the placeholders of a filter, every one escaped, and
// refuses a filter that is then none. allowed are the placeholders that values has.
func (c LDAPSearch) expand(filter string, now time.Time, values map[string]string) (string, error) {
	var b strings.Builder
	rest := filter
	for {
		before, after, open := strings.Cut(rest, "{")
		if strings.Contains(before, "}") {
			return "", errors.New(`a "}" without its "{"; as a character it is written \7d`)
		}
		b.WriteString(before)
		if !open {
			break
		}
		name, next, closed := strings.Cut(after, "}")
		if !closed {
			return "", errors.New(`a "{" without its "}"; as a character it is written \7b`)
		}
		value, err := c.placeholder(name, now, values)
		if err != nil {
			return "", err
		}
		b.WriteString(value)
		rest = next
	}
	out := b.String()
	if _, err := ldap.CompileFilter(out); err != nil {
		return "", fmt.Errorf("is not a filter: %s", reason(err))
	}
	return out, nil
}

func (c LDAPSearch) placeholder(name string, now time.Time, values map[string]string) (string, error) {
	if v, ok := values[name]; ok {
		return ldap.EscapeFilter(v), nil
	}
	switch name {
	case "username_attribute":
		return c.Attributes.Username, nil
	case "mail_attribute":
		return c.Attributes.Mail, nil
	case "display_name_attribute":
		return c.Attributes.DisplayName, nil
	case "member_of_attribute":
		return c.Attributes.MemberOf, nil
	case "group_name_attribute":
		return c.Attributes.GroupName, nil
	case "date-time:generalized":
		return now.UTC().Format("20060102150405Z"), nil
	case "date-time:unix":
		return strconv.FormatInt(now.Unix(), 10), nil
	case "date-time:microsoft-nt":
		return strconv.FormatInt((now.Unix()+windowsEpoch)*10_000_000, 10), nil
	}
	known := make([]string, 0, len(values))
	for k := range values {
		known = append(known, "{"+k+"}")
	}
	slices.Sort(known)
	return "", fmt.Errorf("unknown placeholder {%s}; here one may write %s, {…_attribute} and {date-time:…}", name, strings.Join(known, ", "))
}

// usersFilter finds the users whom a name means.
func (c LDAPSearch) usersFilter(input string, now time.Time) (string, error) {
	return c.expand(c.UsersFilter, now, map[string]string{"input": input})
}

// groupsFilter finds the groups of a user.
func (c LDAPSearch) groupsFilter(p *person, now time.Time) (string, error) {
	mail := ""
	if len(p.Emails) > 0 {
		mail = p.Emails[0]
	}
	return c.expand(c.GroupsFilter, now, map[string]string{"dn": p.dn, "username": p.Name, "mail": mail})
}

func (c LDAPSearch) checkUsersFilter() error {
	if c.UsersFilter == "" {
		return errors.New("missing; write (&(uid={input})(objectClass=person)) for one, or name a preset")
	}
	if !strings.Contains(c.UsersFilter, "{input}") {
		return errors.New("does not hold {input}, so that every name would find the same entries")
	}
	if strings.Contains(c.UsersFilter, "{input}*") || strings.Contains(c.UsersFilter, "*{input}") {
		return errors.New("holds a * beside {input}, so that a part of a name would find its user")
	}
	_, err := c.usersFilter("x", time.Now())
	return err
}

func (c LDAPSearch) checkGroupsFilter() error {
	if c.GroupSearch == groupsMemberOf {
		return nil // not used
	}
	if c.GroupsFilter == "" {
		return errors.New("missing; write (member={dn}) for one, or group_search: memberof")
	}
	if strings.Contains(c.GroupsFilter, "{input}") {
		return errors.New("holds {input}, which may be spelled in many ways; write {username}, {dn} or {mail}")
	}
	if !strings.Contains(c.GroupsFilter, "{dn}") && !strings.Contains(c.GroupsFilter, "{username}") && !strings.Contains(c.GroupsFilter, "{mail}") {
		return errors.New("holds none of {dn}, {username}, {mail}, so that everybody would be in the same groups")
	}
	_, err := c.groupsFilter(&person{User: User{Name: "x", Emails: []string{"x"}}, dn: "uid=x"}, time.Now())
	return err
}

// reason is the text of an error of the library, without what it says of itself; the name
// of the result where the directory had nothing to add.
func reason(err error) string {
	text := err.Error()
	var e *ldap.Error
	if errors.As(err, &e) {
		text = ""
		if e.Err != nil {
			text = tidy(strings.TrimRight(e.Err.Error(), "\x00"), maxText) // Active Directory ends it as C does
		}
		if text == "" {
			text = ldap.LDAPResultCodeMap[e.ResultCode]
		}
	}
	return strings.TrimPrefix(tidy(text, maxText), "ldap: ")
}
