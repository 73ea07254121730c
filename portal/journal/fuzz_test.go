package journal

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
	"unicode"
)

// FuzzEvent: whatever an event says, it is one line of printable text that reads back as
// what was kept, and cleaning it once more changes nothing.
func FuzzEvent(f *testing.F) {
	for _, text := range forgeries() {
		f.Add(text, "bob", int64(0))
		f.Add("sign_in", text, int64(1))
	}
	f.Fuzz(func(t *testing.T, kind, text string, nanos int64) {
		e := clean(Event{At: time.Unix(0, nanos), Kind: Kind(kind), User: text, Detail: kind + text, Browser: text})
		if again := clean(e); again != e {
			t.Fatalf("cleaned twice:\n%+v\n%+v", e, again)
		}
		r := Record{Seq: 7, Event: e, Sum: Chain([]byte("key"))(Sum{}, 7, e)}
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > maxLine || bytes.ContainsFunc(data, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("the line is %q", data)
		}
		var back Record
		if err := json.Unmarshal(data, &back); err != nil || back != r {
			t.Fatalf("%s\nreads back as\n%+v, %v\nwant\n%+v", data, back, err, r)
		}
		if back.Sum != Chain([]byte("key"))(Sum{}, 7, back.Event) {
			t.Fatal("what was read back has another sum")
		}
	})
}
