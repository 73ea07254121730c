package regulation

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"net/netip"
	"strings"
	"time"
)

// Ban says that somebody may not try. One by failures ends soon and stops guesses of its
// Kind alone; one by an operator stops all.
type Ban struct {
	ID       string       `json:"id"`
	User     string       `json:"user,omitempty"`     // by canonical name; or
	Network  netip.Prefix `json:"network,omitzero"`   // a network; or neither, when the name is one that nobody has
	Browser  bool         `json:"browser,omitempty"`  // User only in one browser that he has signed in with before
	Kind     Kind         `json:"kind,omitempty"`     // what was guessed; "" for an operator's ban
	Failures int          `json:"failures,omitempty"` // that it is for
	Reason   string       `json:"reason,omitempty"`   // an operator's words
	By       string       `json:"by,omitempty"`       // the operator; "" when failures did it
	Since    time.Time    `json:"since"`
	Until    time.Time    `json:"until,omitzero"` // zero: until it is revoked
	Key      Key          `json:"-"`              // the count behind it; zero for an operator's
}

// Manual says that an operator made the ban.
func (b Ban) Manual() bool { return b.Key == Key{} }

// ended says that the ban is over.
func (b Ban) ended(now time.Time) bool { return !b.Until.IsZero() && !b.Until.After(now) }

// end is Until, for the log.
func (b Ban) end() string {
	if b.Until.IsZero() {
		return "revoked"
	}
	return b.Until.UTC().Format(time.RFC3339)
}

// Whom names whoever is banned, for people: "user alice", "192.0.2.7", "2001:db8::/64".
func (b Ban) Whom() string {
	switch {
	case b.Network.IsValid() && b.Network.IsSingleIP():
		return b.Network.Addr().String()
	case b.Network.IsValid():
		return b.Network.String()
	case b.User != "":
		return "user " + b.User
	}
	return "a name that nobody has"
}

// Notice tells of a ban that began, or was lifted.
type Notice struct {
	Ban    Ban
	Lifted bool
	By     string // who lifted it
}

// newID returns the name of a ban: 80 bits, in letters that can be read out.
func newID() string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails, crypto/rand
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:]))
}

// record keeps the ban that came of failures, and tells of it.
func (l *Limiter) record(s Subject, k Key, m mark, now time.Time) {
	if s.kind == Letter {
		return
	}
	b := Ban{
		ID: newID(), User: s.user, Network: s.network, Browser: s.browser != "",
		Kind: s.kind, Failures: m.failed, Since: now, Until: m.until, Key: k,
	}
	if b.User != "" && l.Known != nil && !l.Known(b.User) {
		b.User = "" // it may be a password, typed in the wrong field
	}
	ctx, cancel := context.WithTimeout(context.Background(), settling)
	defer cancel()
	if err := l.Keeper.PutBan(ctx, b); err != nil {
		l.log().Error("a ban holds, but is not listed", "error", err) // the count holds it
	}
	l.log().Info("banned after failures", "whom", b.Whom(), "kind", string(b.Kind), "until", b.end())
	l.tell(Notice{Ban: b})
}

func (l *Limiter) tell(n Notice) {
	if l.Tell != nil {
		l.Tell(n)
	}
}
