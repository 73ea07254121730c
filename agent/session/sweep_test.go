package session

import (
	"context"
	"testing"
	"time"
)

// noted is a Keeper that only counts what it is asked to write.
type noted struct {
	Keeper
	seen map[[32]byte]int
}

func (n *noted) TouchSessions(_ context.Context, touches []Touch) error {
	for _, x := range touches {
		n.seen[x.Hash]++
	}
	return nil
}

// DeleteSessions finds nothing to delete.
func (n *noted) DeleteSessions(context.Context, Filter) ([]Record, error) { return nil, nil }

// busy is a shard of n sessions that are in use and were written a different while ago.
func busy(t *testing.T, n int) (*runner, *noted, []*Entry) {
	t.Helper()
	keeper := &noted{seen: map[[32]byte]int{}}
	table := &Table{Config: DefaultConfig(), Keeper: keeper, Key: make([]byte, keyLen)}
	m := table.memory()
	now := time.Now()
	entries := make([]*Entry, n)
	for i := range entries {
		seen := now.Add(-50*time.Minute + time.Duration(i)*time.Second)
		s := Session{Domain: "example.com", User: "alice", Created: seen, Seen: seen, Expires: now.Add(time.Hour)}
		entries[i] = table.newEntry(m, m.minter.mint(), &s, 1)
		entries[i].last.Store(now.UnixNano())
		m.shards[0].cache.SetDefault(entries[i].key(), entries[i])
	}
	return &runner{table: table, m: m}, keeper, entries
}

// TestManyLastUsesAreWrittenInTurn: a look at a shard writes a bounded number, those first
// that are longest behind, and each comes to its turn.
func TestManyLastUsesAreWrittenInTurn(t *testing.T) {
	const rounds = 4
	r, keeper, entries := busy(t, (rounds-1)*shardTouches+1)
	for round := range rounds {
		if err := r.step(t.Context(), shardCount); err != nil {
			t.Fatal(err)
		}
		most := min((round+1)*shardTouches, len(entries))
		if len(keeper.seen) != most {
			t.Fatalf("round %d: %d sessions written so far, want %d", round, len(keeper.seen), most)
		}
		for i, e := range entries {
			if behind := uint32(e.last.Load()/int64(time.Second)) > e.written.Load(); behind != (i >= most) {
				t.Fatalf("round %d: session %d behind: %v", round, i, behind)
			}
		}
	}
	for hash, times := range keeper.seen {
		if times != 1 {
			t.Errorf("session %x was written %d times", hash[:4], times)
		}
	}
}

// TestStopWritesAllLastUses: the bound is for a table at work.
func TestStopWritesAllLastUses(t *testing.T) {
	r, keeper, entries := busy(t, 3*shardTouches)
	if err := r.finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(keeper.seen) != len(entries) {
		t.Errorf("%d of %d sessions written", len(keeper.seen), len(entries))
	}
}
