package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/haproxy"
	"postern/haproxy/haproxytest"
)

// TestE2E09RestartUnderLoad is point 9: Postern is started anew three times while requests
// go through HAProxy, and those that failed are counted and printed for each version and
// form. With systemd's way, where the agent's socket outlives the process, the block form
// loses none of 20,000. Where the socket goes with the process, HAProxy has nobody to ask
// for as long as the restart takes: that is measured too.
func TestE2E09RestartUnderLoad(t *testing.T) {
	for _, handed := range []bool{true, false} {
		way, total := "plain", int64(5_000)
		if handed {
			way, total = "socket activation", 20_000
		}
		t.Run(strings.ReplaceAll(way, " ", "_"), func(t *testing.T) {
			eachWorld(t, worldOptions{handed: handed, timeout: "10s", base: "    log-format \"%tr %ST err=%[var(txn.postern.err)] ms=%[var(txn.postern.ms)]\"\n"}, func(t *testing.T, w *world) {
				token := w.session(t, "alice")
				request := "GET /x HTTP/1.1\nHost: app.example.com\nAccept: text/html\nCookie: __Secure-postern=" + token + "\n\n"
				var sent, failed atomic.Int64
				var reasons sync.Map
				var all sync.WaitGroup
				for range 8 {
					all.Go(func() {
						nc := w.client.Dial(t, "app.example.com")
						_ = nc.SetDeadline(time.Now().Add(5 * time.Minute))
						br := bufio.NewReader(nc)
						for sent.Add(1) <= total {
							got, err := haproxytest.Exchange(nc, br, request)
							if err != nil {
								t.Errorf("HAProxy closed: %v", err)
								return
							}
							if got.Status != 200 {
								failed.Add(1)
								reasons.Store(got.Status, true)
							}
						}
					})
				}
				for i := range int64(3) {
					for sent.Load() <= (i+1)*total/4 && !t.Failed() {
						time.Sleep(time.Millisecond)
					}
					w.postern.stop(t)
					w.postern.start(t)
					// The next restart finds a HAProxy that has found the new process.
					w.ServerUp(t, "postern_agent", "postern", true)
				}
				all.Wait()
				measured(t, "restart under load, %s, HAProxy %v, %s form: %d of %d requests failed in 3 restarts\n", way, w.version, w.form, failed.Load(), total)
				reasons.Range(func(status, _ any) bool {
					if status != 503 {
						t.Errorf("a failed request had status %v, want 503", status)
					}
					return true
				})
				if handed && w.form == haproxy.Block && failed.Load() != 0 {
					t.Errorf("%d requests failed, want none; HAProxy logged\n%s", failed.Load(), strings.Join(notable(w.Log()), "\n"))
				}
			})
		})
	}
}

// notable are the first lines of HAProxy's log that tell of failures.
func notable(log string) []string {
	var lines []string
	for line := range strings.Lines(log) {
		if (strings.Contains(line, " 503 ") || strings.Contains(line, "DOWN") || strings.Contains(line, "SPOE")) && len(lines) < 60 {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// measured logs a figure, and adds it to the file that POSTERN_MEASURED names: go test
// shows nothing of a test that passes.
func measured(t *testing.T, format string, args ...any) {
	t.Helper()
	t.Logf(format, args...)
	path := os.Getenv("POSTERN_MEASURED")
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, format, args...); err != nil {
		t.Fatal(err)
	}
}
