package agent

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"postern/agent/session"
	"postern/agent/spop"
)

// Bounds of identity values, in bytes. With them an ACK fits the frame of every HAProxy
// with a default buffer, and the headers fit the request that they are added to.
const (
	maxUser   = 256
	maxName   = 256
	maxEmail  = 320
	maxGroups = 4 << 10 // all groups with their commas
)

// Prepare encodes the identity actions of a session once; it is the table's Prepare. It
// returns nil for an identity that must not be passed on: a user name that is empty, too
// long, or that an application could read as another one (control characters, outer
// spaces), or groups that do not fit. Such a session counts as "cannot tell".
//
// The other values are made fit: control characters in the display name become spaces,
// an e-mail address with some is left out, and so is a group whose name holds a comma, a
// control character or outer spaces, since the groups travel as one list with commas.
func Prepare(s *session.Session) []byte {
	if s.User == "" || len(s.User) > maxUser || !passable(s.User) {
		return nil
	}
	groups, ok := joinGroups(s.Groups)
	if !ok {
		return nil
	}
	b := spop.AppendSetString(nil, spop.Transaction, VarUser, s.User)
	if groups != "" {
		b = spop.AppendSetString(b, spop.Transaction, VarGroups, groups)
	}
	if name := cleanName(s.Name); name != "" {
		b = spop.AppendSetString(b, spop.Transaction, VarName, name)
	}
	if s.Email != "" && len(s.Email) <= maxEmail && passable(s.Email) {
		b = spop.AppendSetString(b, spop.Transaction, VarEmail, s.Email)
	}
	b = spop.AppendSetInt(b, spop.Transaction, VarLevel, int64(s.Level))
	if s.ID != "" && printable(s.ID) && len(s.ID) <= maxRequestID {
		b = spop.AppendSetString(b, spop.Transaction, VarSession, s.ID)
	}
	return b
}

func joinGroups(groups []string) (string, bool) {
	var b strings.Builder
	for _, g := range groups {
		if g == "" || strings.Contains(g, ",") || !passable(g) {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		if b.Len()+len(g) > maxGroups {
			return "", false
		}
		b.WriteString(g)
	}
	return b.String(), true
}

// cleanName is a display name without control characters, cut to maxName.
func cleanName(s string) string {
	if len(s) > maxName {
		s = s[:maxName]
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	return strings.TrimSpace(s)
}

// passable says that s reaches an application as it is: valid UTF-8, no control
// character, and no white space around it, which HTTP takes away.
func passable(s string) bool {
	return utf8.ValidString(s) && strings.TrimSpace(s) == s && !strings.ContainsFunc(s, unicode.IsControl)
}

// printable says that s consists of printable ASCII characters.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
