package regulation

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Bounds of what operators ban. A wider network would shut out the operator himself.
const (
	maxBans     = 10000
	maxReason   = 200 // bytes
	maxName     = 256 // bytes
	widestIPv4  = 8   // bits
	widestIPv6  = 16
	refreshBans = 10 * time.Second
	pruneCounts = time.Minute
)

// ErrBan is in every error that says why a ban cannot be.
var ErrBan = errors.New("no such ban can be")

// index is what Check reads: the operators' bans.
type index struct {
	users    map[string]Ban
	networks map[netip.Prefix]Ban
	bits     [2][]int // lengths of the networks, IPv4 and IPv6
}

// Check says whether an operator has banned a user, by canonical name, or an address; ""
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
	if !a.IsValid() || len(x.networks) == 0 || l.Exempt(a) {
		return nil
	}
	for _, bits := range x.bits[family(a)] {
		if p, err := a.Prefix(bits); err == nil {
			if b, ok := x.networks[p]; ok && !b.ended(now) {
				return &BanError{Ban: b}
			}
		}
	}
	return nil
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// Exempt says whether an address is never banned.
func (l *Limiter) Exempt(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(l.exempted(), func(p netip.Prefix) bool { return p.Contains(a) })
}

// exempted parses the networks of the configuration once.
func (l *Limiter) exempted() []netip.Prefix {
	if list := l.exempt.Load(); list != nil {
		return *list
	}
	list := l.Config.Networks()
	l.exempt.Store(&list)
	return list
}

// Load reads the operators' bans, which Check knows from then on.
func (l *Limiter) Load(ctx context.Context) error {
	l.loading.Lock() // so that what was read first is not remembered last
	defer l.loading.Unlock()
	all, err := l.Keeper.ListBans(ctx, l.now())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	l.remember(all)
	return nil
}

func (l *Limiter) remember(all []Ban) {
	x := &index{users: map[string]Ban{}, networks: map[netip.Prefix]Ban{}}
	for _, b := range all {
		switch {
		case !b.Manual():
		case b.Network.IsValid():
			x.networks[b.Network] = b
			f := family(b.Network.Addr())
			if n := b.Network.Bits(); !slices.Contains(x.bits[f], n) {
				x.bits[f] = append(x.bits[f], n)
			}
		default:
			x.users[b.User] = b
		}
	}
	l.bans.Store(x)
}

// Run learns every ten seconds of bans that other nodes have made, and removes what has
// ended, until ctx ends.
func (l *Limiter) Run(ctx context.Context) error {
	tick := time.NewTicker(refreshBans)
	defer tick.Stop()
	pruned, failing := time.Time{}, false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := l.Load(ctx)
		if at := time.Now(); err == nil && at.Sub(pruned) >= pruneCounts {
			pruned = at
			l.rates.sweep(at)
			err = l.Keeper.PruneCounts(ctx, l.now(), l.room())
		}
		if err != nil && ctx.Err() == nil && !failing {
			l.log().Warn("bans are as they were before: the store does not answer", "error", err)
		}
		failing = err != nil
	}
}

// Ban bans a user, or a network, by an operator's word: b needs one of User and Network,
// and By; Until and Reason may be empty. One IPv6 address means its /64. A ban of the same
// before it is replaced. Errors are ErrBan and ErrUnavailable.
func (l *Limiter) Ban(ctx context.Context, b Ban) (Ban, error) {
	now := l.now()
	b = Ban{User: b.User, Network: b.Network, Reason: b.Reason, By: b.By, Since: now, Until: b.Until}
	if err := l.allowed(&b); err != nil {
		return Ban{}, fmt.Errorf("%w: %w", ErrBan, err)
	}
	all, err := l.Keeper.ListBans(ctx, now)
	if err != nil {
		return Ban{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	b.ID = newID()
	manual := 0
	for _, o := range all {
		if o.Manual() {
			manual++
			if o.User == b.User && o.Network == b.Network {
				b.ID = o.ID
			}
		}
	}
	if manual >= maxBans {
		return Ban{}, fmt.Errorf("%w: there are %d bans already", ErrBan, manual)
	}
	if err := l.Keeper.PutBan(ctx, b); err != nil {
		return Ban{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	l.log().Info("banned", "whom", b.Whom(), "by", b.By, "until", b.end())
	l.tell(Notice{Ban: b})
	return b, l.Load(ctx)
}

// allowed says what is wrong with a ban of an operator's, and completes its network.
func (l *Limiter) allowed(b *Ban) error {
	switch {
	case (b.User == "") != b.Network.IsValid():
		return errors.New("name a user or a network")
	case len(b.User) > maxName || !printable(b.User):
		return fmt.Errorf("a user's name has at most %d bytes of printable text", maxName)
	case len(b.Reason) > maxReason || !printable(b.Reason):
		return fmt.Errorf("a reason has at most %d bytes of printable text", maxReason)
	case b.ended(b.Since):
		return errors.New("it would be over already")
	case b.User != "":
		return nil
	}
	b.Network = line(b.Network)
	if widest := [...]int{widestIPv4, widestIPv6}[family(b.Network.Addr())]; b.Network.Bits() < widest {
		return fmt.Errorf("%s is more than a /%d", b.Network, widest)
	}
	for _, p := range l.exempted() {
		if p.Contains(b.Network.Addr()) && p.Bits() <= b.Network.Bits() {
			return fmt.Errorf("%s is exempt: regulation.exempt names %s", b.Whom(), p)
		}
	}
	return nil
}

// line is a network as it is banned: one IPv6 address means its /64.
func line(p netip.Prefix) netip.Prefix {
	if p.IsValid() && p.IsSingleIP() {
		return networkOf(p.Addr())
	}
	return p.Masked()
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) })
}

// Bans lists the bans there are, by failures and by operators, the latest first.
func (l *Limiter) Bans(ctx context.Context) ([]Ban, error) {
	all, err := l.Keeper.ListBans(ctx, l.now())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return all, nil
}

// Which selects bans to revoke: those that any of its fields names.
type Which struct {
	IDs     []string
	User    string
	Network netip.Prefix // and every network within
	All     bool
	By      string // who revokes; selects nothing
}

// Revoke ends bans and forgets the failures behind them, also those that have not led to a
// ban yet. It returns the bans that there were.
func (l *Limiter) Revoke(ctx context.Context, w Which) ([]Ban, error) {
	var keys []Key
	w.Network = line(w.Network)
	for _, k := range Kinds() {
		if w.User != "" {
			keys = append(keys, l.key(User(k, w.User)))
		}
		if w.Network.IsValid() {
			keys = append(keys, l.key(Address(k, w.Network.Addr())))
		}
	}
	ended, err := l.lift(ctx, func(b Ban) bool {
		return w.All || slices.Contains(w.IDs, b.ID) || w.User != "" && b.User == w.User ||
			w.Network.IsValid() && (within(b.Network, w.Network) || within(w.Network, b.Network) && !b.Manual()) ||
			!b.Manual() && slices.Contains(keys, b.Key)
	}, keys, w.By)
	if err != nil {
		return nil, err
	}
	return ended, l.Load(ctx)
}

// within says whether all of p lies in wide.
func within(p, wide netip.Prefix) bool {
	return p.IsValid() && wide.Contains(p.Addr()) && wide.Bits() <= p.Bits()
}

// lift ends the bans that match, and the counts of keys and of those bans.
func (l *Limiter) lift(ctx context.Context, match func(Ban) bool, keys []Key, by string) ([]Ban, error) {
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
	if err := l.Keeper.LiftBans(ctx, ids, keys); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	for _, b := range ended {
		l.tell(Notice{Ban: b, Lifted: true, By: by})
	}
	return ended, nil
}
