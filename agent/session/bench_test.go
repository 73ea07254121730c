package session

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"

	"postern/agent/policy"
)

// filled returns a table with n sessions in memory, of n/4 users, and their tokens.
func filled(tb testing.TB, n int) (*Table, [][]byte) {
	tb.Helper()
	table := &Table{Config: DefaultConfig(), Key: make([]byte, keyLen), Directory: fixed{}, Prepare: prepared}
	m := table.memory()
	now := time.Now()
	tokens := make([][]byte, n)
	for i := range tokens {
		token := m.minter.mint()
		s := Session{
			Domain: "example.com", User: fmt.Sprintf("user%d", i/4), Name: fmt.Sprintf("User %d", i/4),
			Email: fmt.Sprintf("user%d@example.com", i/4), Groups: []string{"staff", fmt.Sprintf("team%d", i%97)},
			Level: policy.LevelOne, Created: now, Expires: now.Add(12 * time.Hour), Seen: now,
			Addr:    fmt.Sprintf("10.%d.%d.%d", i>>16&255, i>>8&255, i&255),
			Browser: fmt.Sprintf("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36", i%40),
		}
		m.insert(table.newEntry(m, token, &s, 1))
		tokens[i] = []byte(token)
	}
	m.recent.fit(m.count()) // as Run does
	return table, tokens
}

// fixed is a directory in which nobody changes.
type fixed struct{}

func (fixed) Epoch() uint64                      { return 1 }
func (fixed) Recall(string) (Identity, Standing) { return Identity{}, Gone }
func (fixed) Identify(context.Context, string) (Identity, Standing, error) {
	return Identity{}, Gone, nil
}

// prepared is about as long as what the agent prepares.
func prepared(s *Session) []byte {
	return fmt.Appendf(nil, "user=%s name=%s email=%s groups=%s level=%d session=%s, and names of variables", s.User, s.Name, s.Email, s.Groups, s.Level, s.ID)
}

// BenchmarkFind looks up sessions in random order: with a million of them every lookup
// goes to memory that no cache of the processor holds.
func BenchmarkFind(b *testing.B) {
	for _, n := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("sessions=%d", n), func(b *testing.B) {
			table, tokens := filled(b, n)
			now := time.Now()
			asked := make([][TokenLength]byte, 1<<16) // in a row, as from a socket
			for i := range asked {
				copy(asked[i][:], tokens[rand.IntN(n)])
			}
			tokens = nil
			runtime.GC()
			b.ReportAllocs()
			begin := cpu(b)
			for i := 0; b.Loop(); i++ {
				if _, r := table.Find(asked[i%len(asked)][:], "example.com", now); r != Hit {
					b.Fatal(r)
				}
			}
			b.ReportMetric(float64(cpu(b)-begin)/float64(b.N), "cpu-ns/op")
		})
	}
}

// cpu is the processor time that the process has used: on a busy machine it says more
// than the clock.
func cpu(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkFindJunk is what a token costs that was never issued.
func BenchmarkFindJunk(b *testing.B) {
	table, tokens := filled(b, 1000)
	junk := []byte(string(tokens[0]))
	junk[0] ^= 1
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		if _, r := table.Find(junk, "example.com", now); r != None {
			b.Fatal(r)
		}
	}
}

// BenchmarkMemory reports the heap that a million sessions take, in bytes for each.
func BenchmarkMemory(b *testing.B) {
	const n = 1_000_000
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		table, tokens := filled(b, n)
		clear(tokens)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/session")
		runtime.KeepAlive(table)
	}
}

// BenchmarkSweep is one step of Run over a million sessions.
func BenchmarkSweep(b *testing.B) {
	table, _ := filled(b, 1_000_000)
	r := &runner{table: table, m: table.memory()}
	at := r.m.at(time.Now())
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.sweep(&r.m.shards[i%shardCount], at)
	}
}
