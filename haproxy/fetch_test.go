package haproxy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestFetchScriptFindsTheMirror: testdata/haproxy.sh takes Debian's mirror from the
// machine's own sources, in both of apt's formats, and no other archive.
func TestFetchScriptFindsTheMirror(t *testing.T) {
	if _, err := exec.LookPath("apt-config"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("apt is not installed")
	}
	const deb822 = `# a comment
Types: deb deb-src
URIs: http://mirror.test/debian
Suites: trixie
 trixie-updates
# a comment inside
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.test/debian-security
Suites: trixie-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg`
	rows := []struct{ name, list, sources, want, security string }{
		{"deb822", "", deb822, "http://mirror.test/debian\n", "http://mirror.test/debian-security\n"},
		{"one line", "deb http://mirror.test/debian bookworm main contrib # here\ndeb http://mirror.test/debian-security bookworm-security main\n", "",
			"http://mirror.test/debian\n", "http://mirror.test/debian-security\n"},
		{"with options", "deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] https://mirror.test/debian/ stable main\n", "", "https://mirror.test/debian/\n", ""},
		{"others are left out", "deb https://other.test/apt nodistro main\ndeb https://other.test/tool cloud-sdk-bookworm main\ndeb-src http://mirror.test/src bookworm main\n#deb http://mirror.test/off bookworm main\n", "", "", ""},
		{"disabled is left out", "", "Types: deb\nURIs: http://mirror.test/debian\nSuites: bookworm\nComponents: main\nEnabled: no\n", "", ""},
		{"Debian's key comes first", "deb https://other.test/tool bookworm main\n", deb822, "http://mirror.test/debian\nhttps://other.test/tool\n", "http://mirror.test/debian-security\n"},
	}
	for _, row := range rows {
		dir := t.TempDir()
		write := func(name, text string) string {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			return path
		}
		list := write("sources.list", row.list)
		parts := filepath.Dir(write("parts/debian.sources", row.sources))
		conf := write("apt.conf", "Dir::Etc::sourcelist \""+list+"\";\nDir::Etc::sourceparts \""+parts+"\";\n")
		for flag, want := range map[string]string{"--mirrors": row.want, "--security-mirrors": row.security} {
			cmd := exec.Command("../testdata/haproxy.sh", flag)
			cmd.Env = append(os.Environ(), "APT_CONFIG="+conf)
			out, err := cmd.CombinedOutput()
			if err != nil || string(out) != want {
				t.Errorf("%s: %s prints %q, %v; want %q", row.name, flag, out, err, want)
			}
		}
	}
}
