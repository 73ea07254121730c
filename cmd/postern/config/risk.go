package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"postern/agent/policy"
)

// Risks are what is allowed but seldom meant: errors that begin with a key path, for Check.
func (c *Config) Risks() []error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for i, d := range c.Domains {
		at := fmt.Sprintf("domains[%d]", i)
		if d.Home == "" {
			add("%s: has no home; who signs in without a target stays on the portal", at)
		}
		if u, err := url.Parse(d.Home); err == nil && d.Home != "" && u.Scheme != "https" {
			add("%s.home: %s is not https", at, d.Home)
		}
		if d.TLS == "upstream" {
			add("%s.tls: requests that reach HAProxy in plain HTTP count as https; nothing but your own proxy may reach that port", at)
		}
	}
	if !local(c.Agent.Listen) {
		add("agent.listen: whoever reaches %s can ask for verdicts; use a unix socket or the loopback", c.Agent.Listen)
	}
	if !local(c.Portal.Listen) {
		add("portal.listen: %s can be reached past HAProxy; use a unix socket or the loopback", c.Portal.Listen)
	}
	for i, p := range c.Portal.Proxies {
		if n, err := netip.ParsePrefix(p); err == nil && n.Bits() == 0 {
			add("portal.trusted_proxies[%d]: %s lets everybody say where he comes from", i, p)
		}
	}
	for i, p := range c.Regulation.Exempt {
		add("regulation.exempt[%d]: whoever is in %s guesses without being banned; users are protected by their own counts alone", i, p)
	}
	if n := c.Regulation.Failures; n > 20 {
		add("regulation.failures: %d guesses at a user before the first wait are many", n)
	}
	if c.Regulation.Requests == 0 {
		add("regulation.requests: one address may keep the portal busy; only failures are counted")
	}
	errs = append(errs, c.certificateRisks()...)
	errs = append(errs, c.usersRisks()...)
	if c.Session.Lifetime > 7*24*time.Hour {
		add("session.lifetime: %v is long for a session that is not remembered", c.Session.Lifetime)
	}
	if id := c.Factors.WebAuthn.RPID; id != "" && !c.Factors.WebAuthn.Disable {
		add("factors.webauthn.rp_id: every host under %s can ask for these passkeys, a hostile application too; without the key only the portal can", id)
	}
	if c.Mail.File != "" {
		add("mail.file: mail is written to a file and reaches nobody; set mail.smtp where people rely on it")
	}
	if m := c.Mail.SMTP.TLS.Mode; c.Mail.SMTP.Address != "" && m != "" && m != "required" {
		add("mail.smtp.tls.mode: %s lets whoever is between here and the mail server read links that reset passwords", m)
	}
	if c.Secret.File == "" && !strings.Contains(c.secretSource(), "${") {
		add("secret: stands in the file itself; who reads the configuration can make sessions. Use {file: …} or ${NAME}")
	}
	if runes := []rune(c.Secret.Value); c.Secret.File == "" {
		slices.Sort(runes)
		if n := len(slices.Compact(runes)); n < 10 {
			add("secret: has %d different characters and can be guessed; make one with: head -c 32 /dev/urandom | base64", n)
		}
	}
	return errs
}

// certificateRisks are rules that ask for what nobody looks at.
func (c *Config) certificateRisks() []error {
	var errs []error
	word := policy.CredentialCertificate.String()
	for i, r := range c.Access.Rules {
		if !c.Certificates.On() && slices.Contains(r.Credentials, word) {
			errs = append(errs, fmt.Errorf("access_control.rules[%d].credentials: certificate is never met; certificates are off", i))
		}
		if !c.Certificates.On() && len(r.Factors) == 1 && r.Factors[0] == word {
			errs = append(errs, fmt.Errorf("access_control.rules[%d].factors: certificate is never met; certificates are off", i))
		}
	}
	return errs
}

// secretSource is the line that the secret stands in.
func (c *Config) secretSource() string {
	if p, ok := c.doc.places["secret"]; ok && p.value.Line > 0 {
		return c.doc.lines[p.value.Line-1]
	}
	return ""
}

// local says whether an address can be reached from this machine alone.
func local(addr string) bool {
	if strings.HasPrefix(addr, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
