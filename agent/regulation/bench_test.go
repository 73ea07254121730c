package regulation_test

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"

	"postern/agent/regulation"
	"postern/store"
)

// BenchmarkAttempt is one right password, counted and taken back, in a store on disk.
func BenchmarkAttempt(b *testing.B) {
	db, err := store.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "postern.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	l := newLimiter(func(l *regulation.Limiter) { l.Keeper = db })
	for b.Loop() {
		try, err := l.Begin(b.Context(), noon, password("bob"), from("192.0.2.7"))
		if err != nil {
			b.Fatal(err)
		}
		try.Succeed()
	}
}

// BenchmarkRefused is a guess of somebody who has to wait, in a store on disk.
func BenchmarkRefused(b *testing.B) {
	db, err := store.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "postern.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	l := newLimiter(func(l *regulation.Limiter) { l.Keeper = db })
	for range 5 {
		_ = l.Use(b.Context(), noon, password("bob"))
	}
	for b.Loop() {
		if l.Use(b.Context(), noon, password("bob")) == nil {
			b.Fatal("let through")
		}
	}
}

// BenchmarkCheck is the look at operators' bans, a thousand of them, for each credential.
func BenchmarkCheck(b *testing.B) {
	keeper := &regulation.Memory{}
	for n := range 1000 {
		ban := regulation.Ban{ID: fmt.Sprint(n), User: fmt.Sprint("u", n)}
		if n%2 == 0 {
			ban = regulation.Ban{ID: fmt.Sprint(n), Network: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), 0}), 16+n%16).Masked()}
		}
		if err := keeper.PutBan(b.Context(), ban); err != nil {
			b.Fatal(err)
		}
	}
	l := newLimiter(func(l *regulation.Limiter) { l.Keeper = keeper })
	if err := l.Load(b.Context()); err != nil {
		b.Fatal(err)
	}
	here := addr("192.0.2.7")
	b.ReportAllocs()
	for b.Loop() {
		if l.Check("bob", here, noon) != nil {
			b.Fatal("banned")
		}
	}
}
