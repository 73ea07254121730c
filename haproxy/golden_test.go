package haproxy_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/haproxy"
	"postern/haproxy/haproxytest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden compares what is written with testdata/haproxy/<version>-<form>/.
func TestGolden(t *testing.T) {
	for _, series := range haproxytest.Series() {
		v, err := haproxy.ParseVersion(series)
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range forms() {
			dir := filepath.Join("..", "testdata", "haproxy", series+"-"+string(form))
			for prefix, config := range map[string]haproxy.Config{"": plain(), "wide-": wide()} {
				files, err := haproxy.Generate(config, v, form)
				if err != nil {
					t.Fatal(err)
				}
				golden(t, filepath.Join(dir, prefix+"spoe.conf"), files.SPOE)
				golden(t, filepath.Join(dir, prefix+"postern.cfg"), files.Config)
			}
		}
	}
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; run go test ./haproxy -run Golden -update and read the diff\n%s", path, got)
	}
}

// TestCheckGolden asks each HAProxy what it says about its files: nothing, not even a
// warning, in a site that has what the comments tell the operator to add.
func TestCheckGolden(t *testing.T) {
	cert, _ := haproxytest.Certificate(t, "*.example.com")
	for _, in := range haproxytest.Installed(t) {
		for _, form := range forms() {
			for name, config := range map[string]haproxy.Config{"plain": plain(), "wide": wide()} {
				t.Run(in.String()+"-"+string(form)+"-"+name, func(t *testing.T) {
					t.Parallel()
					setup := haproxytest.Setup{Dir: haproxytest.Dir(t), Files: site(t, config, in.Version, form, cert, "", "", "127.0.0.1:1")}
					for i, f := range setup.Files {
						setup.Files[i].Text = strings.NewReplacer("{{bind0}}", "127.0.0.1:1", "{{bind1}}", "127.0.0.1:2").Replace(f.Text)
					}
					load, err := setup.Write()
					if err != nil {
						t.Fatal(err)
					}
					out, err := haproxy.Check(context.Background(), in.Path, load...)
					if err != nil {
						t.Fatal(err)
					}
					for line := range strings.Lines(out) {
						if strings.Contains(line, "WARNING") || strings.Contains(line, "ALERT") || strings.Contains(line, "arning") {
							t.Errorf("haproxy -c: %s", line)
						}
					}
				})
			}
		}
	}
}
