package session

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
	"unsafe"
)

func TestEntryFillsItsSizeClass(t *testing.T) {
	if size := unsafe.Sizeof(Entry{}); size > 384 {
		t.Errorf("an Entry has %d bytes: a million of them no longer fit the bound; see Entry", size)
	}
	var e Entry
	if end := unsafe.Offsetof(e.Expires) + 16; end > 128 {
		t.Errorf("what Find asks ends at byte %d, beyond the second cache line", end)
	}
}

func TestPreparedFollowsItsEntry(t *testing.T) {
	for _, n := range []int{0, 1, smallRoom, smallRoom + 1, middleRoom, middleRoom + 1, largeRoom, largeRoom + 1, 16384} {
		prepared := bytes.Repeat([]byte("p"), n)
		table := &Table{Key: make([]byte, keyLen), Prepare: func(*Session) []byte { return prepared }}
		e := table.newEntry(table.memory(), strings.Repeat("t", TokenLength), &Session{User: "u", Domain: "d"}, 1)
		if !bytes.Equal(e.Prepared, prepared) || cap(e.Prepared) != n {
			t.Errorf("%d bytes prepared: %d kept, room for %d", n, len(e.Prepared), cap(e.Prepared))
		}
		if e.ID != strings.Repeat("t", selectorLen) || e.User != "u" {
			t.Errorf("%d bytes prepared: the session is %+v", n, e.Session)
		}
		follows := uintptr(unsafe.Pointer(unsafe.SliceData(e.Prepared)))-uintptr(unsafe.Pointer(e)) == unsafe.Sizeof(*e)
		if want := n > 0 && n <= largeRoom; follows != want {
			t.Errorf("%d bytes prepared: they follow the entry: %v, want %v", n, follows, want)
		}
	}
}

func TestTableTime(t *testing.T) {
	const start = int64(1_000_000)
	for _, tt := range []struct {
		name         string
		wall         int64
		passed, want time.Duration
	}{
		{"both clocks agree", start + 500, 500, 500},
		{"the wall clock was set back", start - 9000, 500, 500},
		{"the wall clock was set forward, or the machine slept", start + 9000, 500, 9000},
	} {
		if got := tableTime(tt.wall, start, tt.passed); got != start+int64(tt.want) {
			t.Errorf("%s: start+%d, want start+%d", tt.name, got-start, tt.want)
		}
	}
	m := newMemory(nil, time.Now())
	a := m.at(time.Now())
	if b := m.at(time.Now()); b < a {
		t.Errorf("table time went from %d to %d", a, b)
	}
}

func TestUnknownIsBounded(t *testing.T) {
	var u unknown
	for i := range 10 * unknownMax {
		token := fmt.Sprint(i)
		u.add(token, 0)
		if !u.has([]byte(token)) {
			t.Fatalf("token %d is forgotten at once", i)
		}
	}
	if n := len(u.new) + len(u.old); n > 2*unknownMax {
		t.Errorf("%d tokens are kept, want at most %d", n, 2*unknownMax)
	}
}

func TestUnknownIsShort(t *testing.T) {
	var u unknown
	u.add("t", 0)
	u.age(unknownAge - 1)
	if !u.has([]byte("t")) {
		t.Error("forgotten before its time")
	}
	u.age(unknownAge)
	u.age(2 * unknownAge)
	if u.has([]byte("t")) || len(u.new)+len(u.old) != 0 {
		t.Error("kept for longer than two ages")
	}
}

func TestWordsAreShared(t *testing.T) {
	var w words
	a, b := w.share(string([]byte("staff"))), w.share(string([]byte("staff")))
	if unsafe.StringData(a) != unsafe.StringData(b) {
		t.Error("equal words are kept twice")
	}
	l := w.shareList([]string{"staff", "admins"})
	again := w.shareList([]string{"staff", "admins"})
	if unsafe.SliceData(l) != unsafe.SliceData(again) {
		t.Error("equal lists are kept twice")
	}
	// Two lists that join to the same key stay what they are.
	if got := w.shareList([]string{"a", "b"}); len(got) != 2 {
		t.Errorf("%q", got)
	}
	if got := w.shareList([]string{"a\x00b"}); len(got) != 1 || got[0] != "a\x00b" {
		t.Errorf("%q", got)
	}
	for i := range 2*wordsMax + 10 {
		w.share(fmt.Sprint(i))
		w.shareList([]string{fmt.Sprint(i)})
	}
	if len(w.texts) > wordsMax || len(w.lists) > wordsMax {
		t.Errorf("%d words and %d lists, want at most %d", len(w.texts), len(w.lists), wordsMax)
	}
}

func TestShardsAreEven(t *testing.T) {
	m := newMemory(make([]byte, keyLen), time.Now())
	count := map[*shard]int{}
	const n = 256 * 100
	for range n {
		count[m.shardOf(m.minter.mint()[:selectorLen])]++
	}
	if len(count) != shardCount {
		t.Errorf("%d shards of %d are used", len(count), shardCount)
	}
	for _, c := range count {
		if c > 2*n/shardCount {
			t.Errorf("a shard has %d of %d sessions", c, n)
		}
	}
}

// TestTagged: the place of a tag is the first one that has it.
func TestTagged(t *testing.T) {
	for _, tags := range []uint64{0, 0x80_01_ff_00_7f_80_01_00, 0x01_01_01_01_01_01_01_01, 0xff_fe_fd_fc_fb_fa_f9_f8, 0x12_00_01_00_01_00_01_02} {
		for tag := range 256 {
			want := bucketSize - 1
			for i := range bucketSize {
				if byte(tags>>(8*i)) == byte(tag) {
					want = i
					break
				}
			}
			if got := tagged(tags, byte(tag)); got != want {
				t.Errorf("tag %02x in %016x: place %d, want %d", tag, tags, got, want)
			}
		}
	}
}

// TestNear: fetching changes nothing, whatever the tokens, and how many of them.
func TestNear(t *testing.T) {
	table, tokens := filled(t, 4*farBuckets)
	if !table.Far() {
		t.Errorf("%d sessions are not far", len(tokens))
	}
	if few, _ := filled(t, 10); few.Far() {
		t.Error("ten sessions are far")
	}
	all := [][]byte{bytes.Repeat([]byte("x"), TokenLength), make([]byte, TokenLength), table.memory().find(tokens[0][:selectorLen]).token[:]}
	all = append(all, tokens[:2*fetchMost]...)
	table.Near(nil)
	for n := range all {
		table.Near(all[n:])
	}
	for _, token := range tokens[:2*fetchMost] {
		if e, r := table.Find(token, "example.com", time.Now()); r != Hit || !e.has(token) {
			t.Fatalf("%s: %v", token, r)
		}
	}
	if n := testing.AllocsPerRun(100, func() { table.Near(all) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestRecentIsAHint: whatever the index before the cache holds, Find answers by the
// cache.
func TestRecentIsAHint(t *testing.T) {
	table, tokens := filled(t, 5000) // for 256 buckets at first: they overflow
	m := table.memory()
	all := func(what string) {
		t.Helper()
		for range 2 {
			for i, token := range tokens {
				if _, r := table.Find(token, "example.com", time.Now()); r != Hit {
					t.Fatalf("%s: session %d: result %d", what, i, r)
				}
			}
		}
	}
	m.recent.buckets.Store(nil)
	m.recent.fit(0)
	all("small index")
	m.recent.fit(len(tokens))
	all("index that was made larger")
	m.recent.fit(0)
	all("index that was made smaller")

	e := m.find(tokens[5][:selectorLen])
	m.remove(e.ID)
	m.recent.keep(e) // by a Find that found it just before
	if _, r := table.Find(tokens[5], "example.com", time.Now()); r != Miss {
		t.Errorf("a removed session that the index still holds: result %d, want %d", r, Miss)
	}
	e = m.find(tokens[6][:selectorLen])
	s := e.Session
	next := table.newEntry(m, string(tokens[6]), &s, 1)
	m.replace(e, next)
	m.recent.keep(e)
	if got, r := table.Find(tokens[6], "example.com", time.Now()); r != Hit || got != next {
		t.Errorf("a replaced session that the index still holds: result %d, the new one is %v", r, got == next)
	}
}
