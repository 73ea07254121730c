package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the golden parts of the scripts")

func TestMain(m *testing.M) {
	if os.Getenv("POSTERN_TEST_AS_POSTERN") != "" {
		main()
		return
	}
	testscript.Main(m, map[string]func(){"postern": main})
}

// TestScript runs the stories of testdata/script: each command as people type it.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			env.Setenv("POSTERN_CONFIG", "")
			// A socket's path has about a hundred bytes; the scripts' folders are long.
			short, err := os.MkdirTemp("", "p")
			if err != nil {
				return err
			}
			env.Defer(func() { os.RemoveAll(short) })
			env.Setenv("SOCK", short)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"listens": listens,
			"mode":    mode,
		},
		Condition: func(cond string) (bool, error) { return cond == "haproxy" && haproxyInstalled(), nil },
	})
}

func haproxyInstalled() bool {
	_, err := findHAProxy("")
	return err == nil
}

// listens waits until somebody accepts connections on a unix socket.
func listens(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: listens SOCKET")
	}
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		var c net.Conn
		if c, err = net.Dial("unix", ts.MkAbs(args[0])); err == nil {
			c.Close()
			return
		}
	}
	ts.Fatalf("nobody listens on %s: %v", args[0], err)
}

// mode checks the mode of a file: mode 0600 FILE.
func mode(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: mode OCTAL FILE")
	}
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	got := fmt.Sprintf("%#o", info.Mode().Perm())
	if (got == args[0]) == neg {
		ts.Fatalf("%s has mode %s", filepath.Base(args[1]), got)
	}
}
