package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/agent/policy"
)

// TestReloadLeavesDomains: a change of the domains waits for a restart, all of it. Else a
// new portal would be open to everybody while HAProxy and the portal do not know it.
func TestReloadLeavesDomains(t *testing.T) {
	dir := shortDir(t)
	writeSite(t, dir)
	h := startHouse(t, dir)
	path := filepath.Join(dir, "postern.yml")
	text := strings.Replace(readAll(t, path), "https://auth.example.com", "https://login.example.com", 1)
	text = strings.Replace(text, "domains:\n", "domains:\n  - {domain: example.net, portal: https://auth.example.net}\n", 1)
	write(t, dir, "postern.yml", strings.Replace(text, "one_factor", "two_factor", 1))
	code, _, stderr := h.postern("reload")
	if code != 0 || !strings.Contains(stderr, "a change of domains waits for a restart\n") || !strings.Contains(stderr, "write them with postern haproxy") {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	for host, want := range map[string]policy.Reason{
		"login.example.com": policy.ReasonDenied, "auth.example.net": policy.ReasonUnknownHost, "auth.example.com": policy.ReasonPortal,
	} {
		d := h.rules.Load().Decide(&policy.Request{Method: "GET", Host: host, Path: "/", TLS: true}, &policy.Subject{}, time.Now())
		if d.Reason != want {
			t.Errorf("%s: verdict %v, reason %s, want %s", host, d.Verdict, d.Reason, want)
		}
	}
	d := h.rules.Load().Decide(&policy.Request{Method: "GET", Host: "wiki.example.com", Path: "/", TLS: true}, &policy.Subject{}, time.Now())
	if d.Policy != policy.TwoFactor {
		t.Errorf("the rules are not in force: %v", d.Policy)
	}
}

// TestReloadTellsOfHAProxy: what is in HAProxy's files alone waits for no restart, and a
// reload says that they are to be written, once.
func TestReloadTellsOfHAProxy(t *testing.T) {
	dir := shortDir(t)
	writeSite(t, dir)
	h := startHouse(t, dir)
	path := filepath.Join(dir, "postern.yml")
	for _, tt := range []struct {
		what, old, now string
		want           bool
	}{
		{"a header", "access_control:", "headers: {user: X-User}\naccess_control:", true},
		{"nothing", "", "", false},
		{"a rule that takes a token", "one_factor}", "one_factor, credentials: [token]}", true},
		{"another policy", "one_factor", "two_factor", false},
	} {
		write(t, dir, "postern.yml", strings.Replace(readAll(t, path), tt.old, tt.now, 1))
		code, _, stderr := h.postern("reload")
		if code != 0 || strings.Contains(stderr, "restart") || strings.Contains(stderr, "HAProxy's files are as before") != tt.want {
			t.Errorf("%s: exit %d: %s", tt.what, code, stderr)
		}
	}
}

// TestThreat35SessionsKnowOneName: sessions are listed and ended by whatever name the user
// signs in with.
func TestThreat35SessionsKnowOneName(t *testing.T) {
	dir := shortDir(t)
	writeSite(t, dir)
	path := filepath.Join(dir, "postern.yml")
	write(t, dir, "postern.yml", strings.Replace(readAll(t, path), "{file: users.yml}", "{file: users.yml, search: {case_insensitive: true}}", 1))
	h := startHouse(t, dir)
	alice := h.signIn(t, "alice")
	if code, stdout, stderr := h.postern("session", "list", "--user", "ALICE", "-o", "json"); code != 0 || !strings.Contains(stdout, `"user":"alice"`) {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
	if code, stdout, stderr := h.postern("session", "revoke", "--user", "Alice"); code != 0 || stdout != "1 ended\n" || h.signedIn(t, alice) {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
	// A broken file hides nobody who is signed in.
	bob := h.signIn(t, "bob")
	write(t, dir, "users.yml", "users: 7\n")
	if code, stdout, stderr := h.postern("session", "revoke", "--user", "bob"); code != 0 || stdout != "1 ended\n" || h.signedIn(t, bob) {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}
