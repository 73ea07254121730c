package users

import (
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// maxName is the longest name of a user or group, in bytes of UTF-8.
const maxName = 128

// CheckName says whether a new user may have this name: printable characters and single
// spaces inside, no comma and no colon (they end a name in headers and in Basic
// authentication), at most 128 bytes.
func CheckName(name string) error { return checkName(norm.NFC.String(name), ",:") }

// checkGroup holds for names of groups: like CheckName, but a colon may stand in one.
func checkGroup(name string) error { return checkName(name, ",") }

// checkName holds for names of users and of groups, which differ in what they forbid.
func checkName(name, forbidden string) error {
	switch {
	case name == "":
		return errors.New("a name is empty")
	case len(name) > maxName:
		return fmt.Errorf("a name is longer than %d bytes", maxName)
	case !utf8.ValidString(name):
		return errors.New("a name is not UTF-8")
	case strings.TrimSpace(name) != name:
		return fmt.Errorf("the name %q begins or ends with a space", name)
	case strings.Contains(name, "  "):
		return fmt.Errorf("the name %q has two spaces in a row", name)
	}
	for _, r := range name {
		if !unicode.IsPrint(r) || strings.ContainsRune(forbidden, r) {
			return fmt.Errorf("the name %q holds %q, which no name may", name, r)
		}
	}
	return nil
}

// checkText holds for display names.
func checkText(s string) error {
	if len(s) > 256 {
		return errors.New("longer than 256 bytes")
	}
	if !utf8.ValidString(s) {
		return errors.New("not UTF-8")
	}
	for _, r := range s {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return fmt.Errorf("holds the control character %q", r)
		}
	}
	return nil
}

// checkEmail holds for mail addresses: one address, without a display name.
func checkEmail(s string) error {
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || a.Name != "" || len(s) > 254 || checkText(s) != nil || strings.ContainsAny(s, ", ") {
		return fmt.Errorf("%q is not a mail address", s)
	}
	return nil
}

// fold maps spellings of one name to one text: compatibility forms, case and outer
// spaces do not count. Two names of a file that fold to the same are a fault.
func fold(name string) string {
	s := strings.TrimSpace(norm.NFKC.String(name))
	return norm.NFKC.String(cases.Fold().String(s))
}

// typed is a name as it was typed, bounded and in the form that names have in the file.
func typed(name string) string {
	return norm.NFC.String(strings.TrimSpace(clip(name, 4*maxName)))
}

// clip cuts s to n bytes and replaces what is not UTF-8.
func clip(s string, n int) string {
	return strings.ToValidUTF8(s[:min(len(s), n)], "\uFFFD")
}
