package policy

import (
	"slices"
	"testing"
)

func TestTaken(t *testing.T) {
	r := compile(t, `
default_policy: deny
rules:
  - {domain: [ci.example.com, "*.Build.example.com"], policy: one_factor, credentials: token}
  - {domain: files.example.com, policy: one_factor, credentials: [basic, token]}
  - {domain: vault.example.com, policy: two_factor, credentials: [basic, token]}
  - {domain: admin.example.com, policy: one_factor, subject: 'group:admins', credentials: [basic, token]}
  - {domain: staff.example.com, policy: one_factor, subject: 'group:staff', credentials: basic}
  - {domain: "{user}.home.example.com", policy: one_factor, credentials: basic}
  - {domain: "{group}.team.example.com", policy: one_factor, credentials: basic}
  - {domain_regex: '^x\d+\.example\.com$', policy: one_factor, credentials: basic}
  - {domain: files.example.com, resources: '^/deep/', policy: one_factor, credentials: token}
  - {domain: gone.example.com, subject: 'user:alice', policy: deny, credentials: token}
  - {domain: closed.example.com, policy: one_factor}
`)
	for _, tt := range []struct {
		name string
		c    Credential
		sub  *Subject
		want Taken
	}{
		{"tokens of one factor open nothing that asks for two", CredentialToken, alice(LevelOne),
			Taken{Any: true, Hosts: []string{"ci.example.com", "*.build.example.com", "files.example.com"}}},
		{"tokens of two factors do", CredentialToken, alice(LevelTwo),
			Taken{Any: true, Two: true, Hosts: []string{"ci.example.com", "*.build.example.com", "files.example.com", "vault.example.com"}}},
		{"a password is one factor, whoever makes it; names of people and groups become theirs", CredentialBasic, alice(LevelTwo),
			Taken{Any: true, Hosts: []string{"files.example.com", "staff.example.com", "alice.home.example.com", "staff.team.example.com", "dev.team.example.com"}}},
		{"hosts of other people are not shown", CredentialBasic, &Subject{User: "bob", Level: LevelTwo},
			Taken{Any: true, Hosts: []string{"files.example.com", "bob.home.example.com"}}},
		{"a name that is no label makes no host", CredentialBasic, &Subject{User: "Bob Builder", Groups: []string{"admins"}, Level: LevelOne},
			Taken{Any: true, Hosts: []string{"files.example.com", "admin.example.com", "admins.team.example.com"}}},
		{"no rule takes certificates", CredentialCertificate, alice(LevelTwo), Taken{}},
	} {
		got := r.Taken(tt.c, tt.sub)
		if got.Any != tt.want.Any || got.Two != tt.want.Two || !slices.Equal(got.Hosts, tt.want.Hosts) {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
	if got := compile(t, "rules: [{domain: a.example.com, policy: one_factor}]").Taken(CredentialToken, alice(LevelTwo)); got.Any || got.Hosts != nil {
		t.Errorf("without a rule: %+v", got)
	}
	only := compile(t, "rules: [{domain_regex: '^x\\d+\\.example\\.com$', policy: one_factor, credentials: token}]").Taken(CredentialToken, alice(LevelOne))
	if !only.Any || len(only.Hosts) != 0 {
		t.Errorf("an expression: %+v", only)
	}
}
