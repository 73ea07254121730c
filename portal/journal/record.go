package journal

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// Record is an event as it is kept: numbered without gaps, and sealed.
type Record struct {
	Seq uint64 // from 1
	Sum Sum
	Event
}

// line is a record as JSON: one line of the file, one element of a list.
type line struct {
	Seq     uint64    `json:"seq"`
	At      time.Time `json:"at"`
	Kind    Kind      `json:"kind"`
	Outcome string    `json:"outcome"`
	User    string    `json:"user,omitempty"`
	By      string    `json:"by,omitempty"`
	Factor  string    `json:"factor,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Detail  string    `json:"detail,omitempty"`
	Session string    `json:"session,omitempty"`
	Request string    `json:"rid,omitempty"`
	Addr    string    `json:"addr,omitempty"`
	Browser string    `json:"browser,omitempty"`
	Sum     string    `json:"sum"`
}

// MarshalJSON writes the form of the lines: a fixed order of keys, empty ones left out,
// times in UTC to the nanosecond, the sum in hexadecimal digits.
func (r Record) MarshalJSON() ([]byte, error) {
	return json.Marshal(line{
		r.Seq, r.At.UTC(), r.Kind, r.Kind.Outcome(), r.User, r.By, r.Factor, r.Reason, r.Detail,
		r.Session, r.Request, r.Addr, r.Browser, hex.EncodeToString(r.Sum[:]),
	})
}

// UnmarshalJSON reads what MarshalJSON wrote. Outcome follows from the kind.
func (r *Record) UnmarshalJSON(data []byte) error {
	var l line
	if err := json.Unmarshal(data, &l); err != nil {
		return err
	}
	sum, err := hex.DecodeString(l.Sum)
	if err != nil || len(sum) != len(r.Sum) {
		return fmt.Errorf("event %d: %q is not a sum", l.Seq, l.Sum)
	}
	*r = Record{Seq: l.Seq, Sum: Sum(sum), Event: Event{
		At: l.At.UTC(), Kind: l.Kind, User: l.User, By: l.By, Factor: l.Factor, Reason: l.Reason, Detail: l.Detail,
		Session: l.Session, Request: l.Request, Addr: l.Addr, Browser: l.Browser,
	}}
	return nil
}
