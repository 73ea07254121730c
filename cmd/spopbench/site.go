package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// site is a folder with a whole configuration: Postern, its users, and HAProxy's frontend.
type site struct {
	dir    string
	portal string // host:port
}

// userCount is how many users the sessions are spread over.
const userCount = 1000

func userName(i int) string { return fmt.Sprintf("user%06d", i%userCount) }

func displayName(user string) string { return "User Number " + user[len("user"):] }

// newSite writes postern.yml with as many rules and users.yml. Twelve rules are the
// smallest site; further ones name further hosts, two in three of them. With machines, a
// name and a password do in place of a session.
func newSite(dir string, rules int, machines bool) (site, error) {
	portal, err := freePort()
	if err != nil {
		return site{}, err
	}
	s := site{dir: dir, portal: portal}
	if err := os.WriteFile(s.path("postern.yml"), s.config(rules, machines), 0o600); err != nil {
		return site{}, err
	}
	users, err := usersFile()
	if err != nil {
		return site{}, err
	}
	return s, os.WriteFile(s.path("users.yml"), users, 0o600)
}

func (s site) path(name string) string { return filepath.Join(s.dir, name) }
func (s site) socket() string          { return s.path("agent.sock") }

func (s site) config(rules int, machines bool) []byte {
	takes := ""
	if machines {
		takes = ", credentials: [basic]"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "domains:\n  - {domain: example.com, portal: https://auth.example.com, tls: upstream}\n")
	fmt.Fprintf(&b, "agent: {listen: 'unix:%s', mode: '0600', group: ''}\nportal: {listen: %s}\n", s.socket(), s.portal)
	fmt.Fprintf(&b, "users: {file: users.yml}\nstore: sqlite:postern.db\nsecret: {file: secret}\n")
	fmt.Fprintf(&b, "session: {lifetime: 720h, inactivity: 0s}\n")
	b.WriteString("access_control:\n  default_policy: deny\n  rules:\n")
	for _, r := range []string{
		"{name: health, domain: '*.example.com', resources: ['^/healthz$'], policy: bypass}",
		"{name: public, domain: public.example.com, policy: bypass}",
		"{name: lan, domain: printer.example.com, networks: [10.0.0.0/8], policy: bypass}",
		"{name: preflight, domain: api.example.com, methods: [OPTIONS], policy: bypass}",
		"{name: admin, domain: admin.example.com, subject: 'group:admins', policy: two_factor}",
		"{name: closed, domain: deny.example.com, policy: deny}",
		"{name: users, domain_regex: '^(?P<User>\\w+)\\.home\\.example\\.com$', policy: one_factor}",
		"{name: bank, domain: bank.example.com, policy: two_factor, subject: 'group:staff'}",
		"{name: search, domain: app.example.com, query: [[{key: token, operator: present}]], policy: deny}",
		"{name: secret, domain: app.example.com, resources: ['^/secret/'], policy: two_factor}",
		"{name: app, domain: app.example.com, subject: ['group:staff', 'group:wiki'], policy: one_factor" + takes + "}",
		"{name: rest, domain: '*.example.com', policy: one_factor}",
	} {
		fmt.Fprintf(&b, "    - %s\n", r)
	}
	for i := 12; i < rules; i++ {
		fmt.Fprintf(&b, "    - {domain: host%d.example.com, resources: ['^/area%d/'], policy: two_factor}\n", i*2/3, i)
	}
	return []byte(b.String())
}

// password is everybody's, with bcrypt at the cost that most tools choose.
const (
	password     = "correct horse battery staple"
	passwordCost = 10
)

// authorization is what a program of a user sends.
func authorization(user string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// usersFile holds users that seldom sign in: their sessions are made by the benchmark.
func usersFile() ([]byte, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), passwordCost)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	b.WriteString("users:\n")
	for i := range userCount {
		fmt.Fprintf(&b, "  %s:\n    displayname: %s\n    email: %[1]s@example.com\n    groups: [staff, wiki]\n", userName(i), displayName(userName(i)))
		fmt.Fprintf(&b, "    password: '%s'\n", hash)
	}
	return []byte(b.String()), nil
}

// frontend writes the part of HAProxy's configuration that an operator would write, and
// returns what to hand to haproxy -f, in order. With an empty spoe there is no filter.
func (s site) frontend(name, listen, postern, spoe string) ([]string, error) {
	global := s.path(name + "-global.cfg")
	if err := os.WriteFile(global, []byte("global\n    nbthread 1\n    log stderr format raw local0 err\n    maxconn 4096\n"), 0o600); err != nil {
		return nil, err
	}
	files := []string{global}
	front := "defaults plain\n    mode http\n    timeout client 30s\n    timeout server 30s\n    timeout connect 1s\n\nfrontend www from plain\n"
	back := "\nbackend app from plain\n"
	if spoe != "" {
		files = append(files, postern)
		front = "frontend www from postern\n    filter spoe engine postern config " + spoe + "\n"
		back = "\nbackend app from postern-base\n"
	}
	text := front + "    bind " + listen + "\n    default_backend app\n" + back +
		"    http-request return status 200 content-type text/plain string ok\n"
	own := s.path(name + "-site.cfg")
	return append(files, own), os.WriteFile(own, []byte(text), 0o600)
}
