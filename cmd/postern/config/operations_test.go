package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestOperationsDirectories reads every configuration that docs/operations.md shows of a
// directory.
func TestOperationsDirectories(t *testing.T) {
	page, err := os.ReadFile("../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## People in a directory\n")
	section, _, _ = strings.Cut(section, "\n## ")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ldap-password"), []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(section, -1)
	if len(blocks) < 5 {
		t.Fatalf("%d configurations are shown, want one for each preset", len(blocks))
	}
	shown := map[string]bool{}
	for _, b := range blocks {
		text := "domains: [{domain: example.com, portal: https://auth.example.com}]\n" +
			"access_control: {default_policy: one_factor}\n" + b[1]
		c, err := Parse(filepath.Join(dir, "postern.yml"), []byte(text), func(string) (string, bool) { return "", false })
		if err != nil {
			t.Errorf("%s\n%v", b[1], err)
			continue
		}
		for _, s := range c.Users {
			if s.LDAP == nil {
				continue
			}
			shown[s.LDAP.Preset] = true
			if s.LDAP.Password != "secret" {
				t.Errorf("%s: the password is %q", s.LDAP.Preset, s.LDAP.Password)
			}
		}
	}
	for _, preset := range []string{"openldap", "lldap", "freeipa", "activedirectory", "custom"} {
		if !shown[preset] {
			t.Errorf("preset %s is not shown", preset)
		}
	}
}
