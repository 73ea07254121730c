package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestPermute(t *testing.T) {
	app := terminal{}.newApp()
	for _, tt := range []struct{ name, in, want string }{
		{"flags stay in front", "postern explain --user bob URL", "postern explain --user bob URL"},
		{"flags behind the words move", "postern explain URL --user bob -o json", "postern explain --user bob -o json URL"},
		{"a value of a flag is no word", "postern explain --method GET URL --ip 1.2.3.4", "postern explain --method GET --ip 1.2.3.4 URL"},
		{"a switch takes no value", "postern user add bob --generate --email a@b", "postern user add --generate --email a@b bob"},
		{"an equals sign holds the value", "postern explain URL --user=bob", "postern explain --user=bob URL"},
		{"the configuration before the command", "postern --config f.yml user list -o json", "postern --config f.yml user list -o json"},
		{"two dashes end the flags", "postern user add -- --bob --generate", "postern user add -- --bob --generate"},
		{"a word like a command is a word behind a word", "postern user add bob list", "postern user add bob list"},
		{"an unknown flag is left for its error", "postern explain URL --nope", "postern explain --nope URL"},
		{"nothing", "postern", "postern"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := permute(app, strings.Fields(tt.in)); !slices.Equal(got, strings.Fields(tt.want)) {
				t.Errorf("%q, want %q", strings.Join(got, " "), tt.want)
			}
		})
	}
	if got := permute(app, nil); len(got) != 0 {
		t.Errorf("no arguments became %q", got)
	}
}

// TestThreat32PasswordsAreNotShown: a password goes in through stdin, and does not come
// out again in any message.
func TestThreat32PasswordsAreNotShown(t *testing.T) {
	dir := t.TempDir()
	writeSite(t, dir)
	cfg := filepath.Join(dir, "postern.yml")
	const secret = "correct-horse-battery"
	for _, tt := range []struct {
		command string
		code    int
	}{
		{"user add carl --password-stdin", 0},
		{"user add carl --password-stdin", 1}, // exists already
		{"user passwd carl --password-stdin", 0},
		{"user passwd nobody --password-stdin", 1},
		{"user list", 0},
	} {
		code, stdout, stderr := typed(secret+"\n", append([]string{"postern", "--config", cfg}, strings.Fields(tt.command)...)...)
		if code != tt.code || strings.Contains(stdout+stderr, secret) {
			t.Errorf("%s: exit %d, want %d: %s%s", tt.command, code, tt.code, stdout, stderr)
		}
	}
	code, _, stderr := typed("", "postern", "--config", cfg, "user", "add", "dora", "--password", secret)
	if code != 2 || !strings.Contains(stderr, "unknown flag --password; did you mean") {
		t.Errorf("a password as an argument: exit %d: %s", code, stderr)
	}
}

// TestPasswordFromStdin: the first line, whole, is the password.
func TestPasswordFromStdin(t *testing.T) {
	for _, tt := range []struct {
		name, in, want, err string
	}{
		{"a line", "secret\n", "secret", ""},
		{"without an end", "secret", "secret", ""},
		{"with a carriage return", "secret\r\n", "secret", ""},
		{"only the first line", "secret\nmore\n", "secret", ""},
		{"blanks belong to it", "  se cret \n", "  se cret ", ""},
		{"as long as it may be", strings.Repeat("x", maxLine) + "\n", strings.Repeat("x", maxLine), ""},
		{"too long", strings.Repeat("x", maxLine+1) + "\n", "", "longer than"},
		{"nothing", "", "", "stdin holds no password"},
		{"an empty line", "\nsecret\n", "", "stdin holds no password"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := terminal{Stdin: strings.NewReader(tt.in)}.firstLine()
			if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%.20q, %v; want %.20q, %q", got, err, tt.want, tt.err)
			}
		})
	}
}

// TestTablesAreSafe: what comes from a browser or a file cannot command the terminal.
func TestTablesAreSafe(t *testing.T) {
	var out strings.Builder
	terminal{Stdout: &out}.table("A\tB", [][]string{{"\x1b[2Jboo\n\tx", ""}, {"é", "日本"}})
	want := "A           B\n\uFFFD[2Jboo\uFFFD\uFFFDx  -\né           日本\n"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}
