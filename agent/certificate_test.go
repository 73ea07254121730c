package agent_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"postern/agent"
	"postern/agent/policy"
	"postern/agent/session"
	"postern/agent/spop"
	"postern/agent/spop/spoptest"
)

// clientCertificate is one that a client shows; who signed it is HAProxy's to check.
func clientCertificate(t testing.TB, cn string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: cn}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// certified adds the arguments of a certificate.
func certified(m spoptest.Message, der []byte, used bool, verify int64) spoptest.Message {
	m.Args = append(m.Args, spoptest.Bool(agent.ArgCertificateUsed, used), spoptest.Int(agent.ArgCertificateVerify, verify),
		spoptest.Arg{Name: agent.ArgCertificate, Value: spop.Value{Type: spop.Binary, Bytes: der}})
	return m
}

func TestClientCertificates(t *testing.T) {
	k := machineHouse(t)
	cookie, bobs := create(t, k.table, alice), create(t, k.table, session.Session{User: "bob", Level: policy.LevelOne})
	mine, nobodys := clientCertificate(t, "alice"), clientCertificate(t, "mallory")
	host := func(h string) spoptest.Arg { return spoptest.Str(agent.ArgHost, h) }
	p := start(t, k.Server)
	const (
		isAlice = "user=alice groups=staff,wiki name=Alice A. email=alice@example.com level=1 "
		step    = "rule=vault reason=second_factor location=https://auth.example.com/?rd=https%3A%2F%2Fvault.example.com%2Fprojects%2F42%3Fview%3Dweek%26page%3D3&rm=GET status=302 verdict=step_up"
	)
	for _, tt := range []struct {
		name string
		ask  spoptest.Message
		want string // "…" for what else is not looked at
	}{
		{"alone where it is taken", certified(script("crt.example.com", ""), mine, true, 0), isMachine + "rule=crt reason=certificate " + ok200},
		{"alone where it is not", certified(script("api.example.com", ""), mine, true, 0), `rule=api reason=sign_in challenge=Bearer realm="example.com" status=401 verdict=challenge`},
		{"not used on this connection", certified(script("crt.example.com", ""), mine, false, 0), "rule=crt reason=sign_in status=401 verdict=challenge"},
		{"that HAProxy did not verify", certified(script("crt.example.com", ""), mine, true, 20), "rule=crt reason=sign_in status=401 verdict=challenge"},
		{"of nobody", certified(script("crt.example.com", ""), nobodys, true, 0), "rule=crt reason=bad_credential status=401 verdict=challenge"},
		{"of nobody, in a browser", certified(request(host("crt.example.com")), nobodys, true, 0), "rule=crt reason=bad_credential location=https://auth.example.com/?rd=https%3A%2F%2Fcrt.example.com%2Fprojects%2F42%3Fview%3Dweek%26page%3D3&rm=GET status=302 verdict=login"},
		{"that is none", certified(script("crt.example.com", ""), []byte("junk"), true, 0), "rule=crt reason=bad_credential status=401 verdict=challenge"},
		{"that is empty", certified(script("crt.example.com", ""), nil, true, 0), "rule=crt reason=sign_in status=401 verdict=challenge"},
		{"beside a wrong token", certified(script("any.example.com", bearer("x")), mine, true, 0), `rule=any reason=bad_credential challenge=Basic realm="example.com", charset="UTF-8", Bearer realm="example.com", error="invalid_token" status=401 verdict=challenge`},
		{"beside a session of the same user", certified(with(cookie, host("vault.example.com")), mine, true, 0), isAlice + "level=2 rule=vault reason=certificate " + ok200},
		{"beside a session that suffices", certified(with(cookie, host("app.example.com")), mine, true, 0), isAlice + "rule=app reason=proved " + ok200},
		{"beside a session of another user", certified(with(bobs, host("vault.example.com")), mine, true, 0), "user=bob level=1 " + step},
		{"of nobody beside a session", certified(with(cookie, host("vault.example.com")), nobodys, true, 0), isAlice + step},
		{"no certificate beside a session", with(cookie, host("vault.example.com")), isAlice + step},
	} {
		for _, again := range []string{"", ", from memory"} {
			if got := text(t, ask(t, p, tt.ask)); got != rid+tt.want {
				t.Errorf("%s%s:\n got %s\nwant %s", tt.name, again, got, rid+tt.want)
			}
		}
	}
	for _, odd := range []spoptest.Arg{spoptest.Int(agent.ArgCertificateUsed, 1), spoptest.Str(agent.ArgCertificateVerify, "0"), spoptest.Str(agent.ArgCertificate, string(mine))} {
		m := certified(script("crt.example.com", ""), mine, true, 0)
		for i := range m.Args {
			if m.Args[i].Name == odd.Name {
				m.Args[i] = odd
			}
		}
		if got := text(t, ask(t, p, m)); got != rid+"reason=bad_argument status=503 verdict=error" {
			t.Errorf("%s of another type: %s", odd.Name, got)
		}
	}
	for _, name := range []string{agent.ArgCertificateUsed, agent.ArgCertificateVerify, agent.ArgCertificate} {
		if a := ask(t, p, without(certified(script("crt.example.com", ""), mine, true, 0), name)); a.Str(agent.VarVerdict) != "challenge" {
			t.Errorf("without %s: %s", name, text(t, a))
		}
	}
}

// TestCertificatesThatAreOff: what HAProxy sends of them says nothing then.
func TestCertificatesThatAreOff(t *testing.T) {
	k := machineHouse(t)
	k.Credentials.Certificates = nil
	cookie := create(t, k.table, alice)
	p := start(t, k.Server)
	mine := clientCertificate(t, "alice")
	if a := ask(t, p, certified(script("crt.example.com", ""), mine, true, 0)); a.Str(agent.VarVerdict) != "challenge" {
		t.Error(text(t, a))
	}
	if a := ask(t, p, certified(with(cookie, spoptest.Str(agent.ArgHost, "vault.example.com")), mine, true, 0)); a.Str(agent.VarVerdict) != "step_up" {
		t.Error(text(t, a))
	}
}
