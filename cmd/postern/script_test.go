package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"postern/haproxy/haproxytest"
	"postern/portal/factor"
	"postern/store"
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
			env.Setenv("TZ", "UTC")
			bundle, _ := haproxytest.Certificate(t, "localhost")
			env.Values[slapdKey{}] = &slapdSlot{bundle: bundle}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"listens": listens,
			"mode":    mode,
			"factor":  addFactor,
			"slapd":   scriptSlapd,
		},
		Condition: func(cond string) (bool, error) {
			program, _, _ := slapdPrograms()
			return cond == "haproxy" && haproxyInstalled() || cond == "slapd" && program != "", nil
		},
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

// addFactor puts a device into the store of a postern that does not run: factor USER KIND ID NAME.
func addFactor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: factor USER KIND ID NAME")
	}
	s, err := store.Open(context.Background(), "sqlite:"+ts.MkAbs("postern.db"))
	ts.Check(err)
	d := factor.Device{User: args[0], Kind: factor.Kind(args[1]), ID: args[2], Name: args[3], Created: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	if d.Kind == factor.KindWebAuthn {
		d.Site = "auth.example.com"
	}
	ts.Check(s.AddFactor(context.Background(), factor.Record{Device: d, Lookup: []byte(args[2]), Sealed: []byte("sealed")}, 9))
	ts.Check(s.Close())
}
