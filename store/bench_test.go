package store

import (
	"fmt"
	"testing"

	"postern/agent/session"
	"postern/store/storetest"
)

// filled is a closed store with so many sessions.
func filled(b *testing.B, n int) (path string) {
	b.Helper()
	path = b.TempDir() + "/postern.db"
	s, err := Open(b.Context(), "sqlite:"+path)
	if err != nil {
		b.Fatal(err)
	}
	if got, err := s.ImportSessions(b.Context(), numbered(0, n)); got != n || err != nil {
		b.Fatalf("imported %d, %v", got, err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	return path
}

// BenchmarkStore: open is the store's part of a start, which does not depend on what is
// stored; load is what a session costs that is not in memory; touch1000 one batch.
func BenchmarkStore(b *testing.B) {
	for _, n := range []int{1_000, 1_000_000} {
		path := filled(b, n)
		b.Run(fmt.Sprintf("open/sessions=%d", n), func(b *testing.B) {
			for b.Loop() {
				s, err := Open(b.Context(), "sqlite:"+path)
				if err != nil {
					b.Fatal(err)
				}
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
		s := openAt(b, path)
		b.Run(fmt.Sprintf("load/sessions=%d", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if _, err := s.LoadSession(b.Context(), storetest.Session(i*7919%n).Hash); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("touch1000/sessions=%d", n), func(b *testing.B) {
			touches := make([]session.Touch, 1000)
			for i := 0; b.Loop(); i++ {
				for j := range touches {
					r := storetest.Session((i*1000 + j) * 7919 % n)
					touches[j] = session.Touch{Hash: r.Hash, Seen: r.Seen.AddDate(0, 0, i)}
				}
				if err := s.TouchSessions(b.Context(), touches); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkImport writes sessions in bulk.
func BenchmarkImport(b *testing.B) {
	s := openTemp(b)
	n := 0
	for b.Loop() {
		if _, err := s.ImportSessions(b.Context(), numbered(n, n+importBatch)); err != nil {
			b.Fatal(err)
		}
		n += importBatch
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "sessions/s")
}
