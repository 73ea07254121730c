package main

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// maxLine bounds a password that is piped in, in bytes.
const maxLine = 4096

// readPassword takes a password from a terminal, twice and without echo, or from the
// first line of stdin when fromStdin is set. A password is never an argument: arguments
// are seen by everybody on the machine.
func (t terminal) readPassword(fromStdin bool, what string) (string, error) {
	if fromStdin {
		return t.firstLine()
	}
	in, ok := t.Stdin.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return "", usage("there is no terminal to ask for the password; pipe it in with --password-stdin")
	}
	first, err := t.prompt(in, what+": ")
	if err != nil {
		return "", err
	}
	second, err := t.prompt(in, "once more: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the two passwords differ")
	}
	return first, nil
}

func (t terminal) prompt(in *os.File, text string) (string, error) {
	fmt.Fprint(t.Stderr, text)
	b, err := term.ReadPassword(int(in.Fd()))
	fmt.Fprintln(t.Stderr)
	return string(b), err
}

func (t terminal) firstLine() (string, error) {
	line, err := bufio.NewReader(io.LimitReader(t.Stdin, maxLine+2)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	switch {
	case line == "":
		return "", usage("stdin holds no password")
	case len(line) > maxLine:
		return "", usage("the password is longer than %d bytes", maxLine)
	}
	return line, nil
}

// newPassword makes a password of 100 bits that is easy to read aloud.
func newPassword() string { return strings.ToLower(rand.Text()[:20]) }
