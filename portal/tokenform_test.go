package portal

import (
	"slices"
	"strings"
	"testing"
	"time"

	"postern/agent/credential"
)

// FuzzTokenForm: what the form accepts can be made, and is for no host that was not
// offered.
func FuzzTokenForm(f *testing.F) {
	f.Add("Backup", "here", "wiki.example.com", "read", "/api/", "192.0.2.0/24, 2001:db8::1")
	f.Add("夜間バックアップ", "any", "", "", "", "")
	f.Add(strings.Repeat("ж", 64), "here", "*.build.example.com,wiki.example.com", "send", "//", ";,")
	f.Add("\u2028", "any", "", "", "/a/./b", "fe80::1%eth0")
	f.Add("\xff", "here", "evil.test", "DELETE", "/%2e", "0.0.0.0/0")
	offered := []string{"wiki.example.com", "*.build.example.com"}
	f.Fuzz(func(t *testing.T, name, where, hosts, may, path, networks string) {
		form := tokenForm{Name: name, Where: where, May: may, Expires: 30, Path: path, Networks: networks}
		if hosts != "" {
			form.Chosen = strings.Split(hosts, ",")
		}
		d, fault, err := form.draft(offered, time.Unix(1_800_000_000, 0))
		if err != nil || fault.Say != "" {
			return
		}
		d.Kind, d.Owner = credential.Token, "bob"
		if err := d.Check(); err != nil {
			t.Fatalf("%+v is accepted, and cannot be made: %v", form, err)
		}
		for _, h := range d.Scope.Hosts {
			if !slices.Contains(offered, h) {
				t.Fatalf("%q was not offered", h)
			}
		}
		if where == whereHere && len(d.Scope.Hosts) == 0 {
			t.Fatal("here became everywhere")
		}
	})
}
