package regulation

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"fmt"
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

// Notice tells of a ban that began, or was lifted.
type Notice struct {
	Ban    Ban
	Lifted bool
}

// index is what Banned reads: the operators' bans.
type index struct {
	users    map[string]Ban
	networks map[netip.Prefix]Ban
	bits     []int // lengths of the networks' prefixes
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
	l.log().Info("banned after failures", "user", b.User, "network", networkText(b.Network), "kind", string(b.Kind), "until", b.Until)
	l.tell(Notice{Ban: b})
}

func networkText(p netip.Prefix) string {
	switch {
	case !p.IsValid():
		return ""
	case p.IsSingleIP():
		return p.Addr().String()
	}
	return p.String()
}

func (l *Limiter) tell(n Notice) {
	if l.Tell != nil {
		l.Tell(n)
	}
}

// lift ends the bans that match, and the counts of keys and of those bans.
func (l *Limiter) lift(ctx context.Context, match func(Ban) bool, keys []Key) error {
	_, err := l.end(ctx, match, keys)
	return err
}

func (l *Limiter) end(ctx context.Context, match func(Ban) bool, keys []Key) ([]Ban, error) {
	all, err := l.Keeper.ListBans(ctx, l.now())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	var ended []Ban
	var ids []string
	for _, b := range all {
		if match(b) {
			ended, ids = append(ended, b), append(ids, b.ID)
			if !b.Manual() {
				keys = append(keys, b.Key)
			}
		}
	}
	if err := l.Keeper.Lift(ctx, ids, keys); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	for _, b := range ended {
		l.tell(Notice{Ban: b, Lifted: true})
	}
	return ended, nil
}

// Exempt says whether an address is never banned.
func (l *Limiter) Exempt(a netip.Addr) bool {
	list := l.exempt.Load()
	if list == nil {
		parsed := make([]netip.Prefix, 0, len(l.Config.Exempt))
		for _, s := range l.Config.Exempt {
			if p, err := ParseNetwork(s); err == nil { // Validate has refused the others
				parsed = append(parsed, p)
			}
		}
		list = &parsed
		l.exempt.Store(list)
	}
	a = a.Unmap().WithZone("")
	for _, p := range *list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Check says whether an operator has banned a user, by canonical name, or the address; ""
// and the zero Addr are not looked for. Its error is a *BanError. It answers from memory.
func (l *Limiter) Check(user string, a netip.Addr, now time.Time) error {
	x := l.bans.Load()
	if x == nil {
		return nil
	}
	if b, ok := x.users[user]; ok && user != "" && !b.ended(now) {
		return &BanError{Ban: b}
	}
	a = a.Unmap().WithZone("")
	if !a.IsValid() || len(x.bits) == 0 || l.Exempt(a) {
		return nil
	}
	for _, bits := range x.bits {
		if p, err := a.Prefix(bits); err == nil {
			if b, ok := x.networks[p]; ok && !b.ended(now) {
				return &BanError{Ban: b}
			}
		}
	}
	return nil
}
