package policy_test

import (
	"fmt"
	"time"

	"postern/agent/policy"
)

func exampleOf(cfg policy.Config) *policy.Rules {
	rules, err := policy.Compile([]policy.Domain{{Name: "example.com", Portal: "https://auth.example.com"}}, cfg)
	if err != nil {
		fmt.Println(err)
	}
	return rules
}

func ExampleRules_Decide() {
	rules := exampleOf(policy.Config{Rules: []policy.Rule{
		{Domain: policy.List{"wiki.example.com"}, Policy: policy.OneFactor},
		{Domain: policy.List{"bank.example.com"}, Policy: policy.TwoFactor, Subject: policy.Subjects{{"group:staff"}}},
	}})
	now := time.Unix(1_800_000_000, 0)
	visitor := &policy.Subject{}
	alice := &policy.Subject{User: "alice", Groups: []string{"staff"}, Level: policy.LevelOne}
	for _, host := range []string{"wiki.example.com", "bank.example.com", "other.example.com"} {
		req := &policy.Request{Method: "GET", Host: host, Path: "/", TLS: true, Accept: "text/html"}
		fmt.Println(host, rules.Decide(req, visitor, now).Verdict, rules.Decide(req, alice, now).Verdict)
	}
	// Output:
	// wiki.example.com login allow
	// bank.example.com login step_up
	// other.example.com deny deny
}

func ExampleRules_Explain() {
	rules := exampleOf(policy.Config{Rules: []policy.Rule{
		{Name: "uploads", Domain: policy.List{"wiki.example.com"}, Methods: policy.List{"POST"}, Policy: policy.TwoFactor},
		{Name: "staff", Domain: policy.List{"wiki.example.com"}, Subject: policy.Subjects{{"group:staff"}}, Policy: policy.OneFactor},
	}})
	req := &policy.Request{Method: "GET", Host: "wiki.example.com", Path: "/", TLS: true, Accept: "text/html"}
	d, traces := rules.Explain(req, &policy.Subject{}, time.Unix(1_800_000_000, 0))
	for _, t := range traces {
		switch {
		case t.Criterion != "":
			fmt.Printf("%s: %s is %s\n", t.Name, t.Criterion, t.Value)
		case t.Maybe:
			fmt.Printf("%s: may match after sign-in\n", t.Name)
		}
	}
	fmt.Println(d.Verdict, d.Reason)
	// Output:
	// uploads: methods is GET
	// staff: may match after sign-in
	// login sign_in
}

func ExampleCompile() {
	exampleOf(policy.Config{Rules: []policy.Rule{
		{Domain: policy.List{"wiki.example.com:443"}, Policy: policy.OneFactor},
		{Domain: policy.List{"{user}.example.com"}, Policy: policy.Bypass},
	}})
	// Output:
	// access_control.rules[0].domain[0]: "wiki.example.com:443" is not a host (write the host without a port: rules hold for every port)
	// access_control.rules[1].policy: bypass lets everybody in, but domain asks who the user is (write one_factor, or take that criterion away)
}

func ExampleRules_Warnings() {
	rules := exampleOf(policy.Config{Rules: []policy.Rule{
		{Domain: policy.List{"*.example.com"}, Policy: policy.OneFactor},
		{Domain: policy.List{"bank.example.com"}, Policy: policy.TwoFactor},
	}})
	for _, w := range rules.Warnings() {
		fmt.Println(w)
	}
	// Output:
	// access_control.rules[1]: can never match: rules[0] takes every request first (put it further up, or take it away)
}
