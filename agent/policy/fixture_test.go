package policy

import (
	"net/netip"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// now is the clock of every test.
var now = time.Unix(1_800_000_000, 0)

var exampleDomain = Domain{Name: "example.com", Portal: "https://auth.example.com"}

// parse reads an access_control block as an operator writes it.
func parse(t testing.TB, text string) Config {
	t.Helper()
	var c Config
	if err := yaml.Unmarshal([]byte(text), &c); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return c
}

// compile compiles an access_control block for example.com, or for the given domains.
func compile(t testing.TB, text string, domains ...Domain) *Rules {
	t.Helper()
	if len(domains) == 0 {
		domains = []Domain{exampleDomain}
	}
	r, err := Compile(domains, parse(t, text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return r
}

// get is a browser that opens a page.
func get(host, path string) *Request {
	return &Request{Method: "GET", Host: host, Path: path, TLS: true, Addr: netip.MustParseAddr("192.0.2.1"), FetchMode: "navigate"}
}

// proofs says that factors were proved some time before now.
func proofs(ago time.Duration, fs ...Factor) (p Proofs) {
	for _, f := range fs {
		p[f] = now.Add(-ago).Unix()
	}
	return p
}

func nobody() *Subject { return &Subject{} }

// alice is in staff and dev and has proved one factor or, at level two, TOTP as well.
func alice(l Level) *Subject {
	s := &Subject{User: "alice", Groups: []string{"staff", "dev"}, Level: l, Proofs: proofs(time.Minute, Password)}
	if l == LevelTwo {
		s.Proofs = proofs(time.Minute, Password, TOTP)
	}
	return s
}

func bob(l Level) *Subject {
	s := alice(l)
	s.User, s.Groups = "bob", []string{"admins"}
	return s
}

// addrOf is an address, or none.
func addrOf(s string) netip.Addr {
	a, _ := netip.ParseAddr(s)
	return a
}
