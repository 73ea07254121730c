package regulation

import (
	"crypto/hmac"
	"crypto/sha256"
	"net/netip"
)

// Subject is what is counted: guesses of one kind at a user, from an address, or at a
// user in a browser that he has signed in with before. The zero Subject is not counted.
type Subject struct {
	kind    Kind
	user    string
	browser string
	network netip.Prefix
	addr    netip.Addr // within network; only asked whether it is exempt
}

// User counts guesses at a user, by his canonical name.
func User(k Kind, canonical string) Subject { return Subject{kind: k, user: canonical} }

// Browser counts guesses at a user from a browser that is known by him, apart from all
// others: strangers cannot lock him out of it.
func Browser(k Kind, browser, canonical string) Subject {
	return Subject{kind: k, user: canonical, browser: browser}
}

// Address counts guesses from an address: IPv6 by /64, for that is what one line gets.
// An address that is not known is not counted.
func Address(k Kind, a netip.Addr) Subject {
	p := networkOf(a)
	if !p.IsValid() {
		return Subject{}
	}
	return Subject{kind: k, network: p, addr: a}
}

// networkOf is what counts as one address.
func networkOf(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	if !a.IsValid() {
		return netip.Prefix{}
	}
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // bits fit
	return p
}

// Key names a subject in the Keeper: a keyed hash, because a name that nobody has may be
// a password, typed in the wrong field.
type Key [16]byte

// key hashes a subject under the Limiter's key.
func (l *Limiter) key(s Subject) Key {
	m := hmac.New(sha256.New, l.Key)
	m.Write([]byte("postern regulation 1"))
	for _, part := range []string{string(s.kind), s.user, s.browser, s.network.String()} {
		m.Write([]byte{byte(len(part) >> 8), byte(len(part))})
		m.Write([]byte(part))
	}
	return Key(m.Sum(nil)[:16])
}
