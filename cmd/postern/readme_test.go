package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"postern/haproxy/haproxytest"
)

// block is one fenced block of a page: its language and its text.
type block struct{ language, text string }

var fence = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

// blocks returns the fenced blocks of a page of the project, in order.
func blocks(t *testing.T, page string) []block {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../..", page))
	if err != nil {
		t.Fatal(err)
	}
	var all []block
	for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
		all = append(all, block{m[1], m[2]})
	}
	return all
}

// TestReadme does what the README says, block by block, in one folder: configurations are
// written to the file that the text names, commands are run, HAProxy reads its part.
func TestReadme(t *testing.T) {
	dir := haproxytest.Dir(t)
	seen := map[string]int{}
	for _, b := range blocks(t, "README.md") {
		seen[b.language]++
		switch b.language {
		case "yaml":
			inside := strings.Replace(b.text, "access_control:", "agent: {listen: 'unix:"+dir+"/agent.sock', group: ''}\nstore: sqlite:postern.db\nsecret: {file: secret}\naccess_control:", 1)
			writeText(t, filepath.Join(dir, "postern.yml"), inside)
		case "sh":
			for _, line := range strings.Split(strings.TrimSpace(b.text), "\n") {
				runLine(t, dir, line)
			}
		case "haproxy":
			checkHAProxy(t, dir, b.text)
		case "console":
			target := regexp.MustCompile(`^\$ make ([a-z]+)\n`).FindStringSubmatch(b.text)
			if target == nil {
				t.Errorf("a session that does not begin with make: %q", b.text)
				continue
			}
			hasTarget(t, target[1])
			sameAsDemo(t, b.text)
		default:
			t.Errorf("a block in %q, which no test looks at: %q", b.language, b.text)
		}
	}
	for _, language := range []string{"yaml", "sh", "haproxy", "console"} {
		if seen[language] == 0 {
			t.Errorf("the README has no block in %s", language)
		}
	}
}

func writeText(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// runLine runs one line of a shell block: a target of make is looked up, a command of
// postern is run.
func runLine(t *testing.T, dir, line string) {
	t.Helper()
	line, _, _ = strings.Cut(line, "#")
	words := strings.Fields(line)
	switch {
	case len(words) == 2 && words[0] == "make":
		hasTarget(t, words[1])
	case len(words) > 1 && words[0] == "postern":
		var stdout, stderr bytes.Buffer
		for i, w := range words {
			if w == "postern.yml" || w == "." {
				words[i] = filepath.Join(dir, w)
			}
			words[i] = strings.Trim(words[i], `"'`)
		}
		term := terminal{Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr}
		if code := term.run(context.Background(), words); code != 0 {
			t.Errorf("%s: exit %d\n%s%s", line, code, stdout.String(), stderr.String())
		}
	default:
		t.Errorf("a line that no test can run: %q", line)
	}
}

// hasTarget says whether the Makefile knows a target.
func hasTarget(t *testing.T, target string) {
	t.Helper()
	cmd := exec.Command("make", "--no-print-directory", "-n", target)
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("make %s: %v\n%s", target, err, out)
	}
}

// sameAsDemo compares the session that the README shows with what the demo prints.
func sameAsDemo(t *testing.T, text string) {
	t.Helper()
	for _, host := range []string{"public", "app", "secure", "admin", "auth"} {
		if !strings.Contains(text, "https://"+host+"."+demoDomain+":8443/") {
			t.Errorf("the README's session lacks the host %s", host)
		}
	}
}

// checkHAProxy has the version that the README names read its part beside what Postern
// wrote before.
func checkHAProxy(t *testing.T, dir, text string) {
	t.Helper()
	bundle, _ := haproxytest.Certificate(t, "auth.example.com", "wiki.example.com")
	writeText(t, filepath.Join(dir, "site.pem"), bundle)
	text = strings.ReplaceAll(text, "site.pem", filepath.Join(dir, "site.pem"))
	text = strings.ReplaceAll(text, "config spoe.conf", "config "+filepath.Join(dir, "spoe.conf"))
	own := filepath.Join(dir, "haproxy.cfg")
	writeText(t, own, text)
	global := filepath.Join(dir, "global.cfg")
	writeText(t, global, "global\n    log stderr format raw local0\n")
	for _, in := range haproxytest.Installed(t) {
		if in.Version.String() != "3.0" {
			continue
		}
		out, err := exec.Command(in.Path, "-c", "-f", global, "-f", filepath.Join(dir, "postern.cfg"), "-f", own).CombinedOutput()
		if err != nil || bytes.Contains(out, []byte("WARNING")) {
			t.Errorf("haproxy -c: %v\n%s", err, out)
		}
	}
}

// TestDocumentsNameFilesThatExist: a link to a page or picture of the project leads somewhere.
func TestDocumentsNameFilesThatExist(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#]+)\)`)
	for _, page := range []string{"README.md", "ARCHITECTURE.md", "docs/operations.md"} {
		text, err := os.ReadFile(filepath.Join("../..", page))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join("../..", filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
	if n := bytes.Count(must(os.ReadFile("../../ARCHITECTURE.md")), []byte("\n")); n > 150 {
		t.Errorf("ARCHITECTURE.md has %d lines, at most 150", n)
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}
