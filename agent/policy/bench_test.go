package policy

import (
	"fmt"
	"testing"
)

// typicalRules is n rules as they are written: a wildcard and an expression in front,
// then a host for each rule.
func typicalRules(n int) []Rule {
	rules := []Rule{
		{Domain: List{"*.public.example.com"}, Policy: Bypass},
		{DomainRegex: List{`^dev-\d+\.example\.com$`}, Policy: TwoFactor},
	}
	for i := len(rules); i < n; i++ {
		r := Rule{Domain: List{fmt.Sprintf("app%d.example.com", i)}, Policy: OneFactor}
		switch i % 3 {
		case 0:
			r.Subject = Subjects{{"group:staff"}}
		case 1:
			r.Resources = List{"^/api/", "^/admin"}
		}
		rules = append(rules, r)
		if i+1 < n && i%3 == 1 {
			rules = append(rules, Rule{Domain: r.Domain, Policy: OneFactor})
			i++
		}
	}
	return rules
}

func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{10, 1_000, 10_000} {
		r, err := Compile([]Domain{exampleDomain}, Config{DefaultPolicy: Deny, Rules: typicalRules(n)})
		if err != nil {
			b.Fatal(err)
		}
		last := fmt.Sprintf("app%d.example.com", (n-1)/3*3)
		for _, host := range []struct{ name, host string }{
			{"FirstHost", "app3.example.com"}, {"LastHost", last}, {"WithResources", "app4.example.com"},
			{"Unnamed", "other.example.com"}, {"Wildcard", "x.public.example.com"}, {"Regex", "dev-17.example.com"},
		} {
			b.Run(fmt.Sprintf("%s/rules=%d", host.name, n), func(b *testing.B) {
				req, sub := get(host.host, "/wiki/page"), alice(LevelTwo)
				b.ReportAllocs()
				for b.Loop() {
					if d := r.Decide(req, sub, now); d.Verdict == VerdictError {
						b.Fatal(d)
					}
				}
			})
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	rules := typicalRules(10_000)
	for b.Loop() {
		if _, err := Compile([]Domain{exampleDomain}, Config{Rules: rules}); err != nil {
			b.Fatal(err)
		}
	}
}
