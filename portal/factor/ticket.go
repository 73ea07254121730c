package factor

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"
)

// maxTicket is the longest ticket that is looked at, in bytes. The longest that is made
// is a WebAuthn registration, below 2 KiB.
const maxTicket = 8192

// ticketV1 is the first byte of a ticket's body.
const ticketV1 = 1

// The purposes of tickets. One made for a purpose is refused for every other.
const (
	forTOTP     = "totp"     // a TOTP enrolment, in the browser's form
	forRegister = "register" // a WebAuthn registration
	forLogin    = "login"    // a WebAuthn ceremony of a known user
	forPasskey  = "passkey"  // a WebAuthn ceremony of anybody
	forReset    = "reset"    // a password reset link
	forNotMe    = "notme"    // an "it wasn't me" link
)

// ticket is what somebody else carries for us: a form, a link or a cookie. It is
// authenticated, not secret: what must not be read is sealed in data.
type ticket struct {
	id      [16]byte // random; what is spent
	user    string
	bound   string // a browser, a session, a password: the one that it must come back with
	expires time.Time
	data    []byte
}

// sign makes the text of a ticket: URL-safe, and good for one purpose. The id is set here.
// bound itself is not in the text, only its MAC.
func (k *Keys) sign(purpose string, t ticket) string {
	_, _ = rand.Read(t.id[:]) // never fails: crypto/rand ends the process instead
	return k.encode(purpose, t, k.mac("bound "+purpose, t.bound))
}

// encode frames and authenticates a ticket whose bound has this MAC.
func (k *Keys) encode(purpose string, t ticket, bound [32]byte) string {
	b := append([]byte{ticketV1}, t.id[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(t.expires.Unix()))
	b = append(b, bound[:]...)
	b = appendParts(b, t.user, string(t.data))
	mac := k.mac("ticket "+purpose, string(b))
	enc := base64.RawURLEncoding
	return enc.EncodeToString(b) + "." + enc.EncodeToString(mac[:])
}

// read opens the text of a ticket. ErrInvalid says that it was not made here for this
// purpose; ErrExpired that it was. It does not look at what the ticket is bound to:
// the caller asks boundTo, when it knows.
func (k *Keys) read(purpose, text string, now time.Time) (signed, error) {
	if len(text) > maxTicket {
		return signed{}, ErrInvalid
	}
	left, right, _ := strings.Cut(text, ".")
	enc := base64.RawURLEncoding.Strict()
	if strings.ContainsAny(text, "\r\n") { // the decoder would skip them
		return signed{}, ErrInvalid
	}
	b, err := enc.DecodeString(left)
	if err != nil {
		return signed{}, ErrInvalid
	}
	got, err := enc.DecodeString(right)
	if err != nil {
		return signed{}, ErrInvalid
	}
	want := k.mac("ticket "+purpose, string(b))
	if !hmac.Equal(got, want[:]) {
		return signed{}, ErrInvalid
	}
	s, ok := parseTicket(b)
	if !ok {
		return signed{}, ErrInvalid
	}
	s.keys, s.purpose = k, purpose
	if !now.Before(s.expires) {
		return signed{}, ErrExpired
	}
	return s, nil
}

// signed is a ticket that came back and was made here. Its bound is empty: boundTo compares.
type signed struct {
	ticket
	keys    *Keys
	purpose string
	mac     [32]byte
}

// parseTicket is the inverse of what encode frames.
func parseTicket(b []byte) (s signed, ok bool) {
	const head = 1 + 16 + 8 + 32
	if len(b) < head || b[0] != ticketV1 {
		return signed{}, false
	}
	copy(s.id[:], b[1:])
	s.expires = time.Unix(int64(binary.BigEndian.Uint64(b[17:])), 0)
	copy(s.mac[:], b[25:])
	rest := b[head:]
	user, rest, ok := cutPart(rest)
	if !ok {
		return signed{}, false
	}
	data, rest, ok := cutPart(rest)
	if !ok || len(rest) != 0 {
		return signed{}, false
	}
	s.user, s.data = string(user), data
	return s, true
}

// cutPart takes one part that appendParts wrote from the front of b.
func cutPart(b []byte) (part, rest []byte, ok bool) {
	n, w := binary.Uvarint(b)
	if w <= 0 || n > uint64(len(b)-w) {
		return nil, nil, false
	}
	return b[w : w+int(n)], b[w+int(n):], true
}

// boundTo says, in constant time, whether the ticket was bound to this.
func (s signed) boundTo(bound string) bool {
	want := s.keys.mac("bound "+s.purpose, bound)
	return hmac.Equal(s.mac[:], want[:])
}

// clocks is how far the clocks of two nodes may be apart: what is spent is remembered
// that much longer than it is valid.
const clocks = 10 * time.Minute

// spend marks the ticket as used, for exactly one caller; ErrSpent for the others.
func (s signed) spend(ctx context.Context, k SpentKeeper, now time.Time) error {
	return k.Spend(ctx, s.spentKey(), s.expires.Add(clocks), now)
}

// unspend undoes spend; only its one caller may.
func (s signed) unspend(ctx context.Context, k SpentKeeper) error {
	return k.Unspend(ctx, s.spentKey())
}

func (s signed) spentKey() [32]byte { return s.keys.mac("spent "+s.purpose, string(s.id[:])) }
